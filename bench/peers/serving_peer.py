"""PyTorch's CSR matrices answering requests of one row, for bench/serving.mjs.

Usage: serving_peer.py MODEL.safetensors THREADS; then a line of JSON for each request:
{"predict": [...]} gives {"outputs": [...]}, {"times": n} gives the milliseconds of n predictions.
"""

import json
import struct
import sys
import time
import warnings


def tell(answer):
    print(json.dumps(answer), flush=True)


try:
    import numpy as np
    import torch
except ImportError as error:
    tell({"skip": str(error)})
    sys.exit()

warnings.filterwarnings("ignore")
torch.set_num_threads(int(sys.argv[2]))
with open(sys.argv[1], "rb") as file:
    (length,) = struct.unpack("<Q", file.read(8))
    header = json.loads(file.read(length))
    data = file.read()


def array(name):
    entry = header[name]
    begin, end = entry["data_offsets"]
    kind = {"F32": "<f4", "I32": "<i4"}[entry["dtype"]]
    return np.frombuffer(data[begin:end], kind).reshape(entry["shape"]).copy()


def transposed(indptr, indices, values, outputs):
    """CSR by target, as `weights @ x` needs it."""
    inputs = len(indptr) - 1
    source = np.repeat(np.arange(inputs), np.diff(indptr))
    order = np.lexsort((source, indices))
    by_target = np.concatenate([[0], np.cumsum(np.bincount(indices, minlength=outputs))])
    tensors = [torch.from_numpy(a) for a in (by_target.astype(np.int64), source[order], values[order])]
    return torch.sparse_csr_tensor(*tensors, size=(outputs, inputs))


layers = []
while f"layers.{len(layers)}.data" in header:
    name = f"layers.{len(layers)}"
    bias = torch.from_numpy(array(f"{name}.bias"))[:, None]
    if f"{name}.indptr" in header:
        weights = transposed(array(f"{name}.indptr"), array(f"{name}.indices"), array(f"{name}.data"), len(bias))
    else:
        weights = torch.from_numpy(array(f"{name}.data").T.copy())
    layers.append((weights, bias))


def predict(x):
    for weights, bias in layers[:-1]:
        x = torch.relu(torch.addmm(bias, weights, x))
    weights, bias = layers[-1]
    return torch.softmax(torch.addmm(bias, weights, x), 0)


try:
    x = torch.zeros(layers[0][0].shape[1], 1)
    with torch.no_grad():
        predict(x)
except RuntimeError as error:
    tell({"skip": f"torch {torch.__version__}: {error}"})
    sys.exit()
mkl = "with" if torch.backends.mkl.is_available() else "without"
tell({"versions": f"torch {torch.__version__} {mkl} MKL, {torch.get_num_threads()} threads"})

with torch.no_grad():
    for line in sys.stdin:
        request = json.loads(line)
        if "predict" in request:
            x = torch.tensor(request["predict"], dtype=torch.float32)[:, None]
            tell({"outputs": predict(x)[:, 0].tolist()})
            continue
        times = []
        for _ in range(request["times"]):
            start = time.perf_counter()
            predict(x)
            times.append(1000 * (time.perf_counter() - start))
        tell({"times": times})
