"""scikit-learn's MLPClassifier on tables, for bench/tabular.mjs.

Usage: tabular_peer.py tables FOLDER writes the tables that scikit-learn brings along as CSV. Without arguments
a line of JSON {"train": FILE, "test": FILE, "hidden": [...], "seed": n, "early": bool} gives
{"accuracy": a}; `early` stops by rows held out, else by the training loss.
"""

import json
import sys
import warnings

import numpy as np

try:
    import sklearn
    from sklearn.datasets import load_breast_cancer, load_digits, load_wine
    from sklearn.neural_network import MLPClassifier
    from sklearn.preprocessing import StandardScaler
except ImportError as error:
    print(json.dumps({"skip": str(error)}), flush=True)
    sys.exit()

if sys.argv[1:2] == ["tables"]:
    for name, load in ("breast-cancer", load_breast_cancer), ("digits", load_digits), ("wine", load_wine):
        data = load()
        names = [f"f{k}" for k in range(data.data.shape[1])]
        with open(f"{sys.argv[2]}/{name}.csv", "w") as file:
            file.write(",".join([*names, "label"]) + "\n")
            for row, label in zip(data.data, data.target):
                file.write(",".join([*(repr(float(v)) for v in row), str(data.target_names[label])]) + "\n")
    print(json.dumps({"version": sklearn.__version__}), flush=True)
    sys.exit()

warnings.filterwarnings("ignore")


def read(file):
    table = np.loadtxt(file, delimiter=",")
    return table[:, :-1], table[:, -1].astype(int)


for line in sys.stdin:
    asked = json.loads(line)
    (x, y), (test_x, test_y) = read(asked["train"]), read(asked["test"])
    scaler = StandardScaler().fit(x)
    stopping = {"early_stopping": True, "n_iter_no_change": 20} if asked["early"] else {}
    model = MLPClassifier(tuple(asked["hidden"]), max_iter=500, random_state=asked["seed"], **stopping)
    model.fit(scaler.transform(x), y)
    print(json.dumps({"accuracy": model.score(scaler.transform(test_x), test_y)}), flush=True)
