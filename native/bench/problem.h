#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "bench/cases.h"
#include "core/philox.h"
#include "layout/blocks.h"
#include "layout/network.h"
#include "reference/ops.h"

/*
 * One layer with a batch, and the results of its passes by plain loops in double. The cases of single
 * operations of all back ends are compared with them.
 */
namespace set_native::bench {

constexpr UpdateRule kRule{0.01f, 0.9f, 0.001f, 0.0002f, 0.0f, 0.0f, 0.0f};

inline float noise(uint64_t index) {
  return symmetric_unit(draw(1, Stream::split, 0, 2, index)[0]);
}

/**
 * Returns a matrix rows x stride with `batch` columns of noise, then zeros. With `relu` negative values
 * become zero, as after a layer.
 */
inline AlignedVector<float> random_rows(size_t rows, size_t batch, size_t stride, bool relu) {
  AlignedVector<float> values(rows * stride, 0.0f);
  for (size_t r = 0; r < rows; ++r)
    for (size_t b = 0; b < batch; ++b) {
      const float v = noise(uint64_t{relu} << 40 | (r * batch + b));
      values[r * stride + b] = relu && v < 0.0f ? 0.0f : v;
    }
  return values;
}

/** Returns whether all values are those of `want`, to 1e-5 of the largest. */
template <class Got>
bool near(const Got& got, const std::vector<double>& want) {
  double largest = 0.0;
  for (const double w : want) largest = std::max(largest, std::fabs(w));
  for (size_t k = 0; k < want.size(); ++k)
    if (!(std::fabs(got[k] - want[k]) <= 1e-5 * largest)) return false;
  return true;
}

struct Parameters {
  std::vector<double> weights, velocity;
};

/** Returns the parameters after an update by kRule, in double. */
inline Parameters updated(const AlignedVector<float>& weights, const AlignedVector<float>& velocity,
                          const std::vector<double>& gradient) {
  Parameters out{{weights.begin(), weights.end()}, {velocity.begin(), velocity.end()}};
  TrainOptions options;
  options.learning_rate = kRule.rate;
  options.momentum = kRule.momentum;
  options.l2 = kRule.l2;
  options.decay = kRule.decay;
  reference::momentum_update(out.weights, out.velocity, gradient, options);
  return out;
}

/** One layer between two ReLUs with a batch, and the expected results of its passes. */
struct Problem {
  Layer layer;            // in core's form
  PackedNetwork network;  // its layer 0 is the same layer in the form of back ends
  size_t batch, stride;
  AlignedVector<float> x, dz, z, dx;
  std::vector<double> want_z, want_dx, want_gradient;  // links in the layer's order

  Problem(const Case& c, size_t row_stride) : batch(c.batch), stride(row_stride) {
    ModelSpec spec = spec_of(c.sizes, c.epsilon, std::max(1u, c.motif_size));
    spec.sizes.push_back(1);  // a further layer, because the last one has no ReLU
    spec.loss = Loss::sigmoid_binary_cross_entropy;
    Model model = build_model(spec);
    for (size_t j = 0; j < model.layers[0].outputs; ++j)
      model.layers[0].bias[j] = 0.1f * noise(uint64_t{3} << 40 | j);
    layer = model.layers[0];
    network = pack_network(std::move(model));
    const size_t n = layer.inputs, m = layer.outputs;
    // The last block may exceed the layer's sources.
    const size_t rows = (n + kMaxMotifSize - 1) / kMaxMotifSize * kMaxMotifSize;
    x = random_rows(n, batch, stride, true);
    x.resize(rows * stride);
    dz = random_rows(m, batch, stride, false);
    z.resize(m * stride);
    dx.resize(rows * stride);
    work_out();
  }

 private:
  /** Computes the expected results. */
  void work_out() {
    const size_t n = layer.inputs, m = layer.outputs;
    want_z.resize(m * stride);
    want_dx.resize(n * stride);
    want_gradient.resize(layer.nnz());
    for (size_t j = 0; j < m; ++j) std::fill_n(&want_z[j * stride], stride, layer.bias[j]);
    for (size_t i = 0; i < n; ++i) {
      const size_t first = layer.dense ? i * m : layer.links.row_offsets[i];
      const size_t last = layer.dense ? first + m : layer.links.row_offsets[i + 1];
      for (size_t k = first; k < last; ++k) {
        const size_t j = layer.dense ? k - first : layer.links.col_indices[k];
        const double w = layer.weights[k];
        double sum = 0.0;
        for (size_t b = 0; b < batch; ++b) {
          const double xb = x[i * stride + b], dzb = dz[j * stride + b];
          want_z[j * stride + b] += w * xb;
          want_dx[i * stride + b] += w * dzb;
          sum += xb * dzb;
        }
        want_gradient[k] = sum;
      }
      for (size_t b = 0; b < batch; ++b)
        if (!(x[i * stride + b] > 0.0f)) want_dx[i * stride + b] = 0.0;
    }
    for (double& v : want_z) v = std::max(0.0, v);
  }
};

/** Returns an array per link of blocks in the order of the layer's links. */
template <class Index>
AlignedVector<float> by_link(const Blocks<Index>& blocks, const AlignedVector<float>& values, bool dense) {
  Blocks<Index> copy = blocks;
  copy.weights = values;
  Layer layer;
  layer.inputs = blocks.inputs;
  layer.outputs = blocks.outputs;
  dense ? unpack_dense(copy, layer) : unpack(copy, layer);
  return layer.weights;
}

inline Result failed(const char* what) {
  Result result;
  result.failure = what;
  return result;
}

}  // namespace set_native::bench
