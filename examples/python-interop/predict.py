"""Predicts with a model that export.mjs wrote, from either form: python3 predict.py FOLDER

Needs NumPy and SciPy. The package safetensors reads model.safetensors, too; the few lines below do without.
"""

import json
import sys

import numpy as np
import scipy.sparse as sparse

folder = sys.argv[1] if len(sys.argv) > 1 else "for-python"
x = np.loadtxt(f"{folder}/x.txt", dtype=np.float32)
expected = np.loadtxt(f"{folder}/outputs.txt", dtype=np.float32)


def from_npz():
    """Layers as (weights, bias): CSR matrices of inputs x outputs, as scipy.sparse.load_npz reads them."""
    with open(f"{folder}/layers/model.json") as file:
        count = len(json.load(file)["dense"])
    files = [f"{folder}/layers/layer{k}.npz" for k in range(count)]
    return [(sparse.load_npz(file), np.load(file)["bias"]) for file in files]


def from_safetensors():
    """The same layers, of the model's own file: a header in JSON, then the tensors."""
    with open(f"{folder}/model.safetensors", "rb") as file:
        data = file.read()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    types = {"F32": np.float32, "I32": np.int32}

    def tensor(name):
        begin, end = header[name]["data_offsets"]
        values = np.frombuffer(data[8 + size + begin : 8 + size + end], types[header[name]["dtype"]])
        return values.reshape(header[name]["shape"])

    sizes = json.loads(header["__metadata__"]["config"])["layers"]
    layers = []
    for k, shape in enumerate(zip(sizes, sizes[1:])):
        weights = tensor(f"layers.{k}.data")
        if f"layers.{k}.indices" in header:  # a layer without them is dense
            places = tensor(f"layers.{k}.indices"), tensor(f"layers.{k}.indptr")
            weights = sparse.csr_matrix((weights, *places), shape=shape)
        layers.append((weights, tensor(f"layers.{k}.bias")))
    return layers


def predict(layers):
    """ReLU in the hidden layers, softmax at the end."""
    y = x
    for k, (weights, bias) in enumerate(layers):
        z = y @ weights + bias
        y = np.maximum(z, 0) if k < len(layers) - 1 else z
    shares = np.exp(y - y.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)


for name, layers in ("npz", from_npz()), ("safetensors", from_safetensors()):
    difference = np.abs(predict(layers) - expected).max()
    print(f"{name}: {len(x)} samples, largest difference {difference:.1e}")
    assert difference < 1e-5, "Python predicts other numbers"
