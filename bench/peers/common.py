"""What run.py and its Python peers share: a case on disk, the plain reference, evolution, and the talk between them.

A case is a folder: `case.json`, samples (`x.f32`, `labels.u32`) and a network in `network/`. set-native draws the
network and writes it, so that every peer trains the same links from the same weights.
"""

import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np


class Skip(Exception):
    """This peer cannot run here; the message says why."""


@dataclass
class Hyper:
    batch: int
    rate: float
    momentum: float
    decay: float


@dataclass
class Layer:
    inputs: int
    outputs: int
    dense: bool
    cells: np.ndarray  # of the links, source * outputs + target, ascending (int64); every cell of a dense layer
    weights: np.ndarray  # float32, one per link
    bias: np.ndarray  # float32, one per target

    def matrix(self, values=None):
        """inputs x outputs, float64: the weights, or `values` in the place of each, and 0 outside the links."""
        matrix = np.zeros(self.inputs * self.outputs)
        matrix[self.cells] = self.weights if values is None else values
        return matrix.reshape(self.inputs, self.outputs)


def every_cell(layer):
    return np.arange(layer.inputs * layer.outputs)


def read_network(folder):
    layers = []
    for index, shape in enumerate(json.loads(Path(folder, "layers.json").read_text())):
        inputs, outputs, dense = shape["inputs"], shape["outputs"], shape["dense"]

        def array(name, kind):
            return np.fromfile(Path(folder, f"{index}.{name}"), kind)

        if dense:
            cells = np.arange(inputs * outputs)
        else:
            sources = np.repeat(np.arange(inputs), np.diff(array("rowOffsets", "<u4").astype(np.int64)))
            cells = sources * outputs + array("colIndices", "<u4")
        layers.append(Layer(inputs, outputs, dense, cells, array("weights", "<f4"), array("bias", "<f4")))
    return layers


def write_network(layers, folder):
    Path(folder).mkdir(parents=True, exist_ok=True)
    shapes = [{"inputs": layer.inputs, "outputs": layer.outputs, "dense": layer.dense} for layer in layers]
    Path(folder, "layers.json").write_text(json.dumps(shapes))
    for index, layer in enumerate(layers):
        arrays = {"weights": layer.weights.astype("<f4"), "bias": layer.bias.astype("<f4")}
        if not layer.dense:
            first_cells = np.arange(layer.inputs + 1) * layer.outputs
            arrays["rowOffsets"] = np.searchsorted(layer.cells, first_cells).astype("<u4")
            arrays["colIndices"] = (layer.cells % layer.outputs).astype("<u4")
        for name, array in arrays.items():
            array.tofile(Path(folder, f"{index}.{name}"))


def reference_training(layers, x, labels, hyper):
    """One epoch in sample order with dense float64 matrices and nothing clever.

    Returns the mean loss, the weight matrices and the biases. Cells that are not links stay 0.
    """
    links = [layer.matrix(1.0) for layer in layers]
    weights = [layer.matrix() for layer in layers]
    biases = [layer.bias.astype(np.float64) for layer in layers]
    weight_momenta = [np.zeros_like(weight) for weight in weights]
    bias_momenta = [np.zeros_like(bias) for bias in biases]
    total = 0.0
    for begin in range(0, len(x), hyper.batch):
        chosen = labels[begin : begin + hyper.batch]
        count = len(chosen)
        values = [x[begin : begin + hyper.batch].astype(np.float64)]
        for weight, bias in zip(weights, biases):
            z = values[-1] @ weight + bias
            values.append(np.maximum(z, 0))
        z -= z.max(axis=1, keepdims=True)
        log_softmax = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
        total -= log_softmax[np.arange(count), chosen].sum()
        dz = np.exp(log_softmax)
        dz[np.arange(count), chosen] -= 1
        dz /= count
        for l in reversed(range(len(layers))):
            d_weight, d_bias = values[l].T @ dz * links[l], dz.sum(axis=0)
            dz = dz @ weights[l].T * (values[l] > 0)
            for parameter, momentum, gradient in (
                (weights[l], weight_momenta[l], d_weight),
                (biases[l], bias_momenta[l], d_bias),
            ):
                momentum *= hyper.momentum
                momentum -= hyper.rate * gradient
                parameter += momentum - hyper.decay * parameter
    return total / len(x), weights, biases


def pruned_links(weights, zeta):
    """SET: of the positive links the share zeta nearest zero, of the negative ones likewise, and all zeros."""
    pruned = weights == 0
    for side in (weights, -weights):
        links = np.flatnonzero(side > 0)
        count = int(zeta * len(links) + 0.5)
        if count > 0:
            pruned[links[np.argpartition(side[links], count - 1)[:count]]] = True
    return pruned


def evolve_links(layer, momentum, zeta, rng):
    """Prunes, and regrows as many links in free cells; returns the new cells, weights and momenta."""
    kept = ~pruned_links(layer.weights, zeta)
    kept_cells = layer.cells[kept]
    missing = len(kept) - len(kept_cells)
    grown = kept_cells[:0]
    while len(grown) < missing:  # every free cell proposed is taken, so that all are equally likely
        proposed = np.sort(rng.integers(0, layer.inputs * layer.outputs, missing - len(grown)))
        proposed = proposed[np.diff(proposed, prepend=-1) > 0]
        proposed = proposed[~contains(kept_cells, proposed)]
        proposed = proposed[~contains(grown, proposed)]
        grown = np.sort(np.concatenate([grown, proposed]))
    weights = rng.random(missing, np.float32)  # U(+-sqrt(6 / inputs)), as set-native draws them
    weights -= np.float32(0.5)
    weights *= np.float32(2 * np.sqrt(6 / layer.inputs))
    cells = np.concatenate([kept_cells, grown])
    order = np.argsort(cells, kind="stable")  # merges two sorted runs
    weights = np.concatenate([layer.weights[kept], weights])[order]
    momentum = np.concatenate([momentum[kept], np.zeros(missing, np.float32)])[order]
    return cells[order], weights, momentum


def contains(cells, candidates):
    """Which candidates are among the cells; both ascending."""
    if len(cells) == 0:
        return np.zeros(len(candidates), bool)
    return cells.take(np.searchsorted(cells, candidates), mode="clip") == candidates


class Peer:
    """A stack under test. A subclass keeps the layers in whatever form suits it best and fills in what raises here."""

    evolves = True

    def versions(self):
        """Raises Skip where the peer cannot run."""
        raise NotImplementedError

    def load(self, layers, threads):
        """Takes over the network, with zero momentum."""
        raise NotImplementedError

    def step(self, x, labels, hyper):
        """Trains one batch (x: samples x features) and returns the sum of its losses before the update."""
        raise NotImplementedError

    def predict(self, x):
        """samples x classes, after softmax, as a NumPy array."""
        raise NotImplementedError

    def layer(self, index):
        """The layer as it is now, and its momentum by link."""
        raise NotImplementedError

    def replace(self, index, cells, weights, momentum):
        """New links for a sparse layer."""
        raise NotImplementedError


class Worker:
    """Answers the requests of run.py; times are wall-clock milliseconds around the work alone."""

    def __init__(self, peer):
        self.peer = peer

    def versions(self):
        return {"python": sys.version.split()[0], "numpy": np.__version__, **self.peer.versions()}

    def load(self, folder):
        case = json.loads(Path(folder, "case.json").read_text())
        self.x = np.fromfile(Path(folder, "x.f32"), "<f4").reshape(-1, case["sizes"][0])
        self.labels = np.fromfile(Path(folder, "labels.u32"), "<u4").astype(np.int64)
        self.samples = case["samples"]
        self.sizes = case["sizes"]
        self.rng = np.random.default_rng(case["seed"])
        self.peer.load(read_network(Path(folder, "network")), case["threads"])

    def train(self, steps, shuffle, hyper):
        hyper = Hyper(**hyper)
        start = time.perf_counter()
        order = self.rng.permutation(self.samples) if shuffle else np.arange(self.samples)
        order = order[: steps * hyper.batch]
        total = 0.0
        for begin in range(0, len(order), hyper.batch):
            chosen = order[begin : begin + hyper.batch]
            total += self.peer.step(self.x[chosen], self.labels[chosen], hyper)
        return {"ms": 1e3 * (time.perf_counter() - start), "loss": float(total) / len(order)}

    def evolve(self, zeta, hyper):
        if not self.peer.evolves:
            return {"ms": None}
        start = time.perf_counter()
        for index in range(len(self.sizes) - 2):  # the output layer never evolves
            layer, momentum = self.peer.layer(index)
            if not layer.dense:
                self.peer.replace(index, *evolve_links(layer, momentum, zeta, self.rng))
        return {"ms": 1e3 * (time.perf_counter() - start)}

    def predict(self, count, repeat):
        times = []
        for _ in range(repeat):
            start = time.perf_counter()
            self.peer.predict(self.x[:count])
            times.append(1e3 * (time.perf_counter() - start))
        return {"ms": times}

    def save(self, folder):
        """The network, and its outputs: for all training samples together, then for the first one alone."""
        write_network([self.peer.layer(index)[0] for index in range(len(self.sizes) - 1)], folder)
        outputs = [self.peer.predict(self.x[:count]) for count in (self.samples, 1)]
        np.concatenate(outputs).astype("<f4").tofile(Path(folder, "outputs.f32"))


def serve(peer):
    """One request a line on stdin, `{"op": ..., its arguments}`; one answer a line on stdout."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever a library prints must not pass for an answer
    worker = Worker(peer)
    for line in sys.stdin:
        answers.write(json.dumps(answer(worker, json.loads(line))) + "\n")


def answer(worker, request):
    try:
        return getattr(worker, request.pop("op"))(**request) or {}
    except Skip as reason:
        return {"skip": str(reason)}
    except Exception as error:  # reported by run.py under the peer's name
        return {"error": f"{type(error).__name__}: {error}"}
