"""SciPy CSR and NumPy: the same network, written as fast as that stack goes.

Activations are neurons x samples. A layer is one CSR matrix by source, and its transpose, a CSC matrix that shares the
arrays. SciPy's products and NumPy's gathers run on one thread; sharing the links out to Python threads, tried with two
on two cores, gained nothing.
"""

import numpy as np
from common import Layer, Peer, Skip, serve

try:
    import scipy
    from scipy.sparse import csr_matrix
except ImportError:
    scipy = None

LINKS_AT_ONCE = 4096  # gathered rows of x and dz: 1.3 MB at batch 40
SMALL_BATCH = 8  # up to here a gather per sample beats a gather of rows


def update(parameter, momentum, gradient, hyper):
    momentum *= np.float32(hyper.momentum)
    gradient *= np.float32(hyper.rate)
    momentum -= gradient
    parameter *= np.float32(1 - hyper.decay)
    parameter += momentum


class SparseWeights:
    def __init__(self, inputs, outputs, cells, weights, momentum):
        self.cells = cells
        self.rows, self.cols = np.divmod(cells, outputs)
        offsets = np.searchsorted(self.rows, np.arange(inputs + 1))
        indices = self.cols.astype(np.int32), offsets.astype(np.int32)
        self.matrix = csr_matrix((weights.copy(), *indices), shape=(inputs, outputs))
        self.transpose = self.matrix.T
        if not np.shares_memory(self.matrix.data, self.transpose.data):
            raise RuntimeError("the transpose of a SciPy CSR matrix no longer shares its values")
        self.momentum = momentum.copy()
        self.gathered = None

    def forward(self, x):
        return self.transpose @ x

    def backward(self, x, dz, wants_dx, hyper):
        dx = self.matrix @ dz if wants_dx else None
        update(self.matrix.data, self.momentum, self.gradient(x, dz), hyper)
        return dx

    def gradient(self, x, dz):
        """Sum over the samples of x[row] dz[col], for the links alone."""
        batch = x.shape[1]
        if batch <= SMALL_BATCH:
            gradient = np.zeros(len(self.rows), np.float32)
            for x_sample, dz_sample in zip(x.T.copy(), dz.T.copy()):
                gradient += x_sample.take(self.rows, mode="clip") * dz_sample.take(self.cols, mode="clip")
            return gradient
        if self.gathered is None or self.gathered.shape[2] != batch:
            self.gathered = np.empty((2, LINKS_AT_ONCE, batch), np.float32)
        gradient = np.empty(len(self.rows), np.float32)
        for begin in range(0, len(self.rows), LINKS_AT_ONCE):
            links = slice(begin, min(begin + LINKS_AT_ONCE, len(self.rows)))
            from_x, from_dz = self.gathered[:, : links.stop - links.start]
            x.take(self.rows[links], axis=0, out=from_x, mode="clip")
            dz.take(self.cols[links], axis=0, out=from_dz, mode="clip")
            np.einsum("lb,lb->l", from_x, from_dz, out=gradient[links])
        return gradient

    def links(self):
        return self.cells, self.matrix.data, self.momentum


class DenseWeights:
    def __init__(self, layer):
        self.weights = layer.weights.reshape(layer.inputs, layer.outputs).copy()
        self.momentum = np.zeros_like(self.weights)

    def forward(self, x):
        return self.weights.T @ x

    def backward(self, x, dz, wants_dx, hyper):
        dx = self.weights @ dz if wants_dx else None
        update(self.weights, self.momentum, x @ dz.T, hyper)
        return dx

    def links(self):
        return np.arange(self.weights.size), self.weights.ravel(), self.momentum.ravel()


class ScipyPeer(Peer):
    def versions(self):
        if scipy is None:
            raise Skip("SciPy is not installed for this Python")
        return {"scipy": scipy.__version__}

    def load(self, layers, threads):
        self.weights = [
            (
                DenseWeights(layer)
                if layer.dense
                else SparseWeights(
                    layer.inputs, layer.outputs, layer.cells, layer.weights, np.zeros_like(layer.weights)
                )
            )
            for layer in layers
        ]
        self.shapes = [(layer.inputs, layer.outputs, layer.dense) for layer in layers]
        self.biases = [layer.bias.copy() for layer in layers]
        self.bias_momenta = [np.zeros_like(layer.bias) for layer in layers]

    def forward(self, x):
        """Of one vector or of neurons x samples: the values of all layers, the last one before softmax."""
        values = [x]
        for weights, bias in zip(self.weights, self.biases):
            z = weights.forward(values[-1])
            z += bias if z.ndim == 1 else bias[:, None]
            values.append(np.maximum(z, 0, out=z) if len(values) < len(self.weights) else z)
        return values

    def step(self, x, labels, hyper):
        values = self.forward(np.ascontiguousarray(x.T))
        z, samples = values[-1], np.arange(len(labels))
        z -= z.max(axis=0)
        dz = np.exp(z)
        sums = dz.sum(axis=0)
        loss = np.log(sums).sum() - z[labels, samples].sum()
        dz /= sums
        dz[labels, samples] -= 1
        dz /= np.float32(len(labels))
        for l in reversed(range(len(self.weights))):
            d_bias = dz.sum(axis=1)
            dz = self.weights[l].backward(values[l], dz, l > 0, hyper)
            if l > 0:
                dz *= values[l] > 0
            update(self.biases[l], self.bias_momenta[l], d_bias, hyper)
        return loss

    def predict(self, x):
        z = self.forward(x[0] if len(x) == 1 else np.ascontiguousarray(x.T))[-1]
        y = np.exp(z - z.max(axis=0))
        y /= y.sum(axis=0)
        return y.reshape(-1, len(x)).T

    def layer(self, index):
        cells, weights, momentum = self.weights[index].links()
        return Layer(*self.shapes[index], cells, weights, self.biases[index]), momentum

    def replace(self, index, cells, weights, momentum):
        self.weights[index] = SparseWeights(*self.shapes[index][:2], cells, weights, momentum)


if __name__ == "__main__":
    serve(ScipyPeer())
