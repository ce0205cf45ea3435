"""Makes layers in Python for import.mjs: python3 from_python.py FOLDER"""

import os
import sys

import numpy as np
import scipy.sparse as sparse

folder = sys.argv[1] if len(sys.argv) > 1 else "from-python"
os.makedirs(folder, exist_ok=True)
draw = np.random.default_rng(1)
sizes = [20, 30, 3]
x = draw.normal(size=(5, sizes[0])).astype(np.float32)
y = x
for k, (inputs, outputs) in enumerate(zip(sizes, sizes[1:])):
    weights = sparse.random(inputs, outputs, density=0.3, format="csr", dtype=np.float32, random_state=k)
    sparse.save_npz(f"{folder}/layer{k}.npz", weights)
    y = np.maximum(y @ weights, 0) if k < len(sizes) - 2 else y @ weights
shares = np.exp(y - y.max(axis=1, keepdims=True))
np.savetxt(f"{folder}/x.txt", x)
np.savetxt(f"{folder}/outputs.txt", shares / shares.sum(axis=1, keepdims=True))
print(f"wrote {folder}")
