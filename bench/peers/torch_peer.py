"""PyTorch on the CPU, three ways, each with a hand-written backward pass, which is faster than autograd here.

dense   every cell is a weight
masked  the same with a mask on the momentum: what is no link stays 0
csr     torch.sparse: CSR by target for forward, CSR by source for backward; the gradient of the links (SDDMM) is
        sampled_addmm, which also decays and adds to the momentum

Usage: torch_peer.py dense|masked|csr, started by run.py.
"""

import sys
import warnings

import numpy as np
from common import Layer, Peer, Skip, every_cell, serve

try:
    import torch
except ImportError:
    torch = None


class DenseWeights:
    """targets x sources, as in torch.nn.Linear; values are samples x neurons."""

    def __init__(self, layer, masked):
        self.shape = layer.inputs, layer.outputs
        self.cells = layer.cells if masked else every_cell(layer)
        self.weights = torch.from_numpy(np.ascontiguousarray(layer.matrix().T, np.float32))
        self.momentum = torch.zeros_like(self.weights)
        self.masked = masked and not layer.dense
        if self.masked:
            self.mask = torch.from_numpy(np.ascontiguousarray(layer.matrix(1.0).T, np.float32))

    def forward(self, x, bias):
        return torch.addmm(bias, x, self.weights.t())

    def backward(self, x, dz, wants_dx, hyper):
        dx = dz @ self.weights if wants_dx else None
        torch.addmm(self.momentum, dz.t(), x, beta=hyper.momentum, alpha=-hyper.rate, out=self.momentum)
        if self.masked:
            self.momentum.mul_(self.mask)
        torch.add(self.momentum, self.weights, alpha=1 - hyper.decay, out=self.weights)
        return dx

    def places(self, cells):
        """Of cells by source in the memory of arrays by target."""
        inputs, outputs = self.shape
        source, target = np.divmod(cells, outputs)
        return target * inputs + source

    def links(self):
        places = self.places(self.cells)
        return self.cells, self.weights.numpy().ravel()[places], self.momentum.numpy().ravel()[places]

    def replace(self, cells, weights, momentum):
        old, new = self.places(self.cells), self.places(cells)
        for array, values in ((self.weights, weights), (self.momentum, momentum), (self.mask, np.float32(1))):
            flat = array.numpy().reshape(-1)
            flat[old] = 0
            flat[new] = values
        self.cells = cells


class SparseWeights:
    """Values are neurons x samples."""

    def __init__(self, layer):
        self.shape = layer.inputs, layer.outputs
        self.replace(layer.cells, layer.weights, np.zeros_like(layer.weights))

    def replace(self, cells, weights, momentum):
        inputs, outputs = self.shape
        source, target = np.divmod(cells, outputs)
        narrow = np.uint16 if outputs <= 65536 else np.int64  # 16 bits get a radix sort
        order = np.argsort(target.astype(narrow), kind="stable")  # links by target
        self.cells = cells
        self.order = torch.from_numpy(order)
        weights, momentum = torch.from_numpy(weights), torch.from_numpy(momentum)

        def csr(rows, cols, values, shape):
            offsets = np.searchsorted(rows, np.arange(shape[0] + 1)).astype(np.int32)
            cols = torch.from_numpy(cols.astype(np.int32))
            return torch.sparse_csr_tensor(torch.from_numpy(offsets), cols, values, shape)

        self.by_source = csr(source, target, weights.clone(), (inputs, outputs))
        self.momentum = csr(source, target, momentum.clone(), (inputs, outputs))
        self.by_target = csr(target[order], source[order], weights[self.order], (outputs, inputs))

    def forward(self, x, bias):
        if x.shape[1] == 1:
            return torch.mv(self.by_target, x[:, 0]).add_(bias)[:, None]
        return torch.addmm(bias[:, None], self.by_target, x)

    def backward(self, x, dz, wants_dx, hyper):
        dx = self.by_source @ dz if wants_dx else None
        torch.sparse.sampled_addmm(self.momentum, x, dz.t(), beta=hyper.momentum, alpha=-hyper.rate, out=self.momentum)
        weights = self.by_source.values()
        torch.add(self.momentum.values(), weights, alpha=1 - hyper.decay, out=weights)
        torch.index_select(weights, 0, self.order, out=self.by_target.values())
        return dx

    def links(self):
        return self.cells, self.by_source.values().numpy(), self.momentum.values().numpy()


class TransposedDense(DenseWeights):
    """The dense output layer of a CSR network: values are neurons x samples."""

    def forward(self, x, bias):
        return torch.addmm(bias[:, None], self.weights, x)

    def backward(self, x, dz, wants_dx, hyper):
        dx = super().backward(x.t(), dz.t(), wants_dx, hyper)
        return dx.t().contiguous() if wants_dx else None


class TorchPeer(Peer):
    def __init__(self, kind):
        self.kind = kind
        self.evolves = kind != "dense"
        self.sample_axis = 1 if kind == "csr" else 0

    def versions(self):
        if torch is None:
            raise Skip("PyTorch is not installed for this Python")
        if self.kind == "csr" and tuple(int(part) for part in torch.__version__.split(".")[:2]) < (2, 1):
            raise Skip(f"before PyTorch 2.1 (here {torch.__version__}) sampled_addmm takes some 100 times longer")
        return {"torch": torch.__version__, "mkl": torch.backends.mkl.is_available()}

    def load(self, layers, threads):
        warnings.filterwarnings("ignore", message=".*[Ss]parse.*")  # "in beta state"
        torch.set_grad_enabled(False)
        torch.set_flush_denormal(True)
        torch.set_num_threads(threads)
        self.weights = [self.form(layer) for layer in layers]
        self.biases = [torch.from_numpy(layer.bias.copy()) for layer in layers]
        self.bias_momenta = [torch.zeros_like(bias) for bias in self.biases]

    def form(self, layer):
        if self.kind != "csr":
            return DenseWeights(layer, self.kind == "masked")
        return TransposedDense(layer, False) if layer.dense else SparseWeights(layer)

    def forward(self, x):
        """The values of all layers, the last one before softmax."""
        x = torch.from_numpy(x)
        values = [x.t().contiguous() if self.sample_axis == 1 else x]
        for weights, bias in zip(self.weights, self.biases):
            z = weights.forward(values[-1], bias)
            values.append(z.relu_() if len(values) < len(self.weights) else z)
        return values

    def step(self, x, labels, hyper):
        values = self.forward(x)
        class_axis = 1 - self.sample_axis
        log_softmax = torch.log_softmax(values[-1], class_axis)
        labels = torch.from_numpy(labels).unsqueeze(class_axis)
        loss = -log_softmax.gather(class_axis, labels).sum()
        dz = log_softmax.exp_().scatter_add_(class_axis, labels, torch.full(labels.shape, -1.0)).div_(len(x))
        for l in reversed(range(len(self.weights))):
            d_bias = dz.sum(self.sample_axis)
            dz = self.weights[l].backward(values[l], dz, l > 0, hyper)
            if l > 0:
                dz = torch.ops.aten.threshold_backward(dz, values[l], 0)  # of ReLU, in one pass
            self.bias_momenta[l].mul_(hyper.momentum).sub_(d_bias, alpha=hyper.rate)
            self.biases[l].mul_(1 - hyper.decay).add_(self.bias_momenta[l])
        return loss.item()

    def predict(self, x):
        y = torch.softmax(self.forward(x)[-1], 1 - self.sample_axis)
        return (y.t() if self.sample_axis == 1 else y).numpy()

    def layer(self, index):
        cells, weights, momentum = self.weights[index].links()
        shape = self.weights[index].shape
        dense = len(cells) == shape[0] * shape[1]
        return Layer(*shape, dense, cells, weights, self.biases[index].numpy()), momentum

    def replace(self, index, cells, weights, momentum):
        self.weights[index].replace(cells, weights, momentum)


if __name__ == "__main__":
    serve(TorchPeer(sys.argv[1]))
