"""The same training in PyTorch on a GPU, four ways, with the hand-written backward pass of bench/peers/torch_peer.py.

dense-graph    every cell is a weight; one step is a CUDA graph
masked-graph   the same with a mask on the momentum: what is no link stays 0
masked-tf32    the same with TensorFloat-32 products, which round the factors to ten bits
csr            torch.sparse, step by step: its calls cannot all be captured

Data, order of the samples and labels are on the device; a step gathers its batch there. Times are medians of epochs by
the device's events. Before, the losses of three steps are compared with those of masked-graph.

Usage: torch_gpu.py FILE, started by run.py.
"""

import json
import statistics
import sys
import warnings
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "peers"))

import numpy as np
import torch
from common import Layer
from torch_peer import DenseWeights, SparseWeights, TransposedDense

SIZES = [784, 3000, 3000, 3000, 10]
EPSILON, SAMPLES, BATCH = 13, 5000, 40
RATE, MOMENTUM, DECAY = 0.01, 0.9, 0.0002
DEVICE = "cuda"
SECONDS = 2.0  # of epochs, per peer
PEERS = ["masked-graph", "masked-tf32", "dense-graph", "csr"]


class Hyper:
    rate, momentum, decay, batch = RATE, MOMENTUM, DECAY, BATCH


def draw_network(rng):
    layers = []
    for inputs, outputs in zip(SIZES, SIZES[1:]):
        cells = inputs * outputs
        probability = min(1.0, EPSILON * (inputs + outputs) / cells)
        dense = probability >= 1
        chosen = np.arange(cells) if dense else np.flatnonzero(rng.random(cells) < probability)
        bound = np.sqrt(6 / (probability * inputs))
        weights = rng.uniform(-bound, bound, len(chosen)).astype(np.float32)
        layers.append(Layer(inputs, outputs, dense, chosen, weights, np.zeros(outputs, np.float32)))
    return layers


def to_device(weights):
    for name, value in vars(weights).items():
        if isinstance(value, torch.Tensor):
            setattr(weights, name, value.to(DEVICE))
    return weights


class Training:
    """The network on the device, and a step that reads its batch at `where`."""

    def __init__(self, name, layers, x, labels):
        self.csr = name == "csr"
        self.weights = [to_device(self.form(name, layer)) for layer in layers]
        self.biases = [torch.zeros(layer.outputs, device=DEVICE) for layer in layers]
        self.momenta = [torch.zeros_like(bias) for bias in self.biases]
        self.x, self.labels = x, labels
        self.where = torch.zeros(BATCH, dtype=torch.int64, device=DEVICE)
        self.loss = torch.zeros((), device=DEVICE)
        self.graph = None
        if name.endswith(("graph", "tf32")):
            self.capture()

    def form(self, name, layer):
        if self.csr:
            return TransposedDense(layer, False) if layer.dense else SparseWeights(layer)
        return DenseWeights(layer, name.startswith("masked"))

    def capture(self):
        state = [self.loss, *self.biases, *self.momenta]
        state += [tensor for weights in self.weights for tensor in (weights.weights, weights.momentum)]
        before = [tensor.clone() for tensor in state]
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):  # libraries allocate at their first calls, which must not be captured
            for _ in range(3):
                self.compute()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self.compute()
        for tensor, value in zip(state, before):
            tensor.copy_(value)
        self.graph = graph

    def compute(self):
        axis = 1 if self.csr else 0  # of the samples
        x = self.x.index_select(0, self.where)
        labels = self.labels.index_select(0, self.where).unsqueeze(1 - axis)
        values = [x.t().contiguous() if self.csr else x]
        for weights, bias in zip(self.weights, self.biases):
            z = weights.forward(values[-1], bias)
            values.append(z.relu_() if len(values) < len(self.weights) else z)
        log_softmax = torch.log_softmax(values[-1], 1 - axis)
        self.loss.sub_(log_softmax.gather(1 - axis, labels).sum())
        ones = torch.full(labels.shape, -1.0, device=DEVICE)
        dz = log_softmax.exp().scatter_add(1 - axis, labels, ones).div_(BATCH)
        for l in reversed(range(len(self.weights))):
            d_bias = dz.sum(axis)
            dz = self.weights[l].backward(values[l], dz, l > 0, Hyper)
            if l > 0:
                dz = torch.ops.aten.threshold_backward(dz, values[l], 0)
            self.momenta[l].mul_(MOMENTUM).sub_(d_bias, alpha=RATE)
            self.biases[l].mul_(1 - DECAY).add_(self.momenta[l])

    def step(self, where):
        self.where.copy_(where)
        if self.graph is not None:
            self.graph.replay()
        else:
            self.compute()

    def epoch(self):
        order = torch.randperm(SAMPLES, device=DEVICE)
        for begin in range(0, SAMPLES, BATCH):
            self.step(order[begin : begin + BATCH])

    def losses(self, steps):
        out = []
        for step in range(steps):
            self.loss.zero_()
            self.step(torch.arange(step * BATCH, (step + 1) * BATCH, device=DEVICE))
            out.append(self.loss.item() / BATCH)
        return out


def measure(name, layers, x, labels, expected):
    torch.backends.cuda.matmul.allow_tf32 = name == "masked-tf32"
    training = Training(name, layers, x, labels)
    losses = training.losses(3)
    tolerance = {"dense-graph": None, "masked-tf32": 1e-2}.get(name, 1e-3)  # a dense network trains other cells
    if expected and tolerance:
        off = max(abs(a - b) / b for a, b in zip(losses, expected))
        if not off <= tolerance:
            return {"failure": f"losses differ by {off:.1e} from those of {PEERS[0]}"}, losses
    training.epoch()
    times = []
    while sum(times) < 1e3 * SECONDS and len(times) < 100:
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        training.epoch()
        end.record()
        end.synchronize()
        times.append(start.elapsed_time(end))
    return {"epochMs": statistics.median(times), "leastMs": min(times), "runs": len(times), "losses": losses}, losses


def main():
    torch.set_grad_enabled(False)
    warnings.filterwarnings("ignore", message=".*[Ss]parse.*")  # "in beta state"
    rng = np.random.default_rng(1)
    layers = draw_network(rng)
    x = torch.from_numpy(rng.random((SAMPLES, SIZES[0]), np.float32)).to(DEVICE)
    labels = torch.from_numpy(rng.integers(0, SIZES[-1], SAMPLES)).to(DEVICE)
    report = {
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "device": torch.cuda.get_device_name(),
        "network": "-".join(map(str, SIZES)),
        "links": sum(len(layer.cells) for layer in layers),
        "batch": BATCH,
        "samples": SAMPLES,
        "peers": {},
    }
    expected = None
    for name in PEERS:
        try:
            report["peers"][name], losses = measure(name, layers, x, labels, expected)
            expected = expected or losses
        except Exception as error:  # of one peer, while the others go on
            report["peers"][name] = {"failure": f"{type(error).__name__}: {error}"[:500]}
        print(name, report["peers"][name], flush=True)
        Path(sys.argv[1]).write_text(json.dumps(report))
        torch.cuda.empty_cache()
    sys.exit(any("failure" in peer for peer in report["peers"].values()))


if __name__ == "__main__":
    main()
