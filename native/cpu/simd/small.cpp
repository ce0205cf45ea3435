#include "cpu/simd/lanes.h"
#include "cpu/simd/sparse.h"

/*
 * Kernels for rows of one or two samples: training with tiny batches, inference of a single sample.
 *
 * A whole matrix of activations fits L1 here (24 KB for 3000 neurons). The costs are the number of
 * instructions per link, the stream of weights, and loop ends that are mispredicted: a misprediction takes as
 * long as ten links.
 *
 * The forward pass scatters: it goes over the sources, and z_j += w x_i is read and written in L1. Weights
 * and targets are then two plain streams, where gathering would load a cache line per weight, and the thread
 * that updates a weight can be the one that uses it. Groups whose inputs are all zero, of which there are
 * many after a ReLU, are not skipped: that would be one more branch to mispredict.
 *
 * The backward pass is by source, with dx in registers; gradients go to `dots`. A vector holds G sources of R
 * neighbouring blocks of a group: lane (r G + g) S + s is sample s of source g and block r. So their R G
 * weights lie side by side, as do their gradients. The last vector of a group takes the blocks left over,
 * with zero weights beyond them, so that no loop over single links follows.
 *
 * Per link: 2 stride flops forward, 4 backward; 6 and 14 bytes streamed at height 1.
 */
namespace set_native::cpu::SET_ISA {
namespace {

// ---- Forward ----------------------------------------------------------------------------------------------

/** Loads S samples, then zeros. */
template <size_t S>
SET_INLINE Float4 load_row(const float* p) {
  if constexpr (S == 2) return load_pair(p);
  return Float4{p[0], 0.0f, 0.0f, 0.0f};
}
template <size_t S>
SET_INLINE void store_row(float* p, Float4 v) {
  if constexpr (S == 2)
    store_pair(p, v);
  else
    p[0] = v[0];
}

/**
 * Adds to z_j the shares of G sources from x on, for blocks [first, last) of their group. `weights` points at
 * those of the first block.
 */
template <class Index, size_t S, size_t G>
SET_INLINE void scatter_sources(const SparseForward<Index>& op, const float* x, const float* weights,
                                uint32_t first, uint32_t last) {
  const size_t height = op.height;
  const Index* const targets = op.targets;
  float* const all_z = op.z;
  Float4 rows[G];
  for (size_t g = 0; g < G; ++g) rows[g] = load_row<S>(x + g * S);
  uint32_t k = first;
  if constexpr (S * G == 1) {
    // Four targets, which are distinct, are read before the first is written, so that no read waits for a
    // write.
    for (; k + 4 <= last; k += 4, weights += 4 * height) {
      float* const z[4] = {all_z + targets[k], all_z + targets[k + 1], all_z + targets[k + 2],
                           all_z + targets[k + 3]};
      float sums[4];
      for (size_t u = 0; u < 4; ++u) sums[u] = fma(weights[u * height], x[0], *z[u]);
      for (size_t u = 0; u < 4; ++u) *z[u] = sums[u];
    }
  }
  for (; k < last; ++k, weights += height) {
    float* const z = all_z + targets[k] * S;
    if constexpr (G == 1) {
      store_row<S>(z, fma(weights[0] - Float4{}, rows[0], load_row<S>(z)));
    } else {
      // Two sums that do not depend on z, for which the next group may wait.
      Float4 even = (weights[0] - Float4{}) * rows[0], odd = (weights[1] - Float4{}) * rows[1];
      for (size_t g = 2; g < G; g += 2) {
        even = fma(weights[g] - Float4{}, rows[g], even);
        odd = fma(weights[g + 1] - Float4{}, rows[g + 1], odd);
      }
      store_row<S>(z, load_row<S>(z) + (even + odd));
    }
  }
}

/** Adds the shares of all sources of a group. */
template <class Index, size_t S, size_t G>
SET_INLINE void scatter_group(const SparseForward<Index>& op, size_t group) {
  const size_t height = op.height;
  const uint32_t first = op.firsts[group], last = op.lasts[group];
  const float* const x = op.x + group * height * S;
  const float* const weights = op.weights + first * height;
  size_t part = 0;
  for (; part + G <= height; part += G)
    scatter_sources<Index, S, G>(op, x + part * S, weights + part, first, last);
  for (; G > 1 && part < height; ++part)
    scatter_sources<Index, S, 1>(op, x + part * S, weights + part, first, last);
}

template <class Index, size_t S, size_t G>
void scatter_groups(const SparseForward<Index>& op, size_t begin, size_t end) {
  for (size_t group = begin; group < end; ++group) scatter_group<Index, S, G>(op, group);
}

template <class Index, size_t S>
void scatter_samples(const SparseForward<Index>& op, size_t begin, size_t end) {
  (op.height % 8 == 0   ? scatter_groups<Index, S, 8>
   : op.height % 4 == 0 ? scatter_groups<Index, S, 4>
   : op.height % 2 == 0 ? scatter_groups<Index, S, 2>
                        : scatter_groups<Index, S, 1>)(op, begin, end);
}

template <class Index>
void scatter_any(const SparseForward<Index>& op, size_t begin, size_t end) {
  op.stride == 1 ? scatter_samples<Index, 1>(op, begin, end) : scatter_samples<Index, 2>(op, begin, end);
}

// ---- Backward ---------------------------------------------------------------------------------------------

/** Returns dx of an output x, whose links have the sum v. Index and the numbers have any type. */
template <class Index>
SET_INLINE Vec input_gradient(const SparseBackward<Index>& op, Vec x, Vec v) {
  if (op.keep == 1.0f) return through_activation(x, v, op.activation);
  return where_kept(x, through_activation(x * op.keep, v * op.gain, op.activation));
}
template <class Index>
SET_INLINE float input_gradient(const SparseBackward<Index>& op, float x, float v) {
  if (op.keep == 1.0f) return through_activation(x, v, op.activation);
  return where_kept(x, through_activation(x * op.keep, v * op.gain, op.activation));
}

/**
 * Computes gradients and dx of G sources from source `part` of a group on. Blocks have G sources, or R is 1.
 */
template <class Index, size_t S, size_t G>
SET_INLINE void backward_sources(const SparseBackward<Index>& op, size_t group, size_t part, float* dots) {
  constexpr uint32_t R = kWidth / (S * G);
  const size_t height = R > 1 ? G : op.height;
  const uint32_t first = op.offsets[group], last = op.offsets[group + 1];
  const Index* const targets = op.targets;
  const float* const all_dz = op.dz;
  const size_t row = (group * height + part) * S;
  const float* weights = op.weights + first * height + part;
  const Vec x = permute<Cycle<S * G>>(load_lowest<S * G>(op.x + row));
  Vec sum{};
  const auto follow = [&](Vec w, Vec dz) __attribute__((always_inline)) {
    sum = fma(repeat<1, S>(w), dz, sum);
    const Vec products = x * dz;
    if constexpr (S == 1)
      store_lowest<R * G>(dots, products);
    else
      store_lowest<R * G>(dots, permute<Evens>(products + permute<SwapPairs>(products)));
  };
  uint32_t k = first;
  for (; k + R < last; k += R, weights += R * height, dots += R * height)
    follow(load_lowest<R * G>(weights), rows_repeated<S, G>([&](size_t u) __attribute__((always_inline)) {
             return all_dz + targets[k + u] * S;
           }));
  if (k < last) {
    const uint32_t left = last - k;  // R or fewer; lanes beyond read the last block's dz with zero weights
    follow(load_some<R * G>(weights, left * G),
           rows_repeated<S, G>([&](size_t u) __attribute__((always_inline)) {
             return all_dz + targets[k + (u < left ? u : left - 1)] * S;
           }));
  }
  if (op.dx != nullptr) store_lowest<S * G>(op.dx + row, input_gradient(op, x, fold<S * G>(sum)));
}

/** Computes gradients and dx of one source, for blocks whose height fits no vector. */
template <class Index, size_t S>
void backward_single(const SparseBackward<Index>& op, size_t group, size_t part, float* dots) {
  const size_t height = op.height, row = (group * height + part) * S;
  const float* weights = op.weights + op.offsets[group] * height + part;
  float x[S], sum[S] = {};
  for (size_t s = 0; s < S; ++s) x[s] = op.x[row + s];
  for (uint32_t k = op.offsets[group]; k < op.offsets[group + 1]; ++k, weights += height, dots += height) {
    const float* const dz = op.dz + op.targets[k] * S;
    dots[0] = x[0] * dz[0];
    for (size_t s = 1; s < S; ++s) dots[0] = fma(x[s], dz[s], dots[0]);
    for (size_t s = 0; s < S; ++s) sum[s] = fma(weights[0], dz[s], sum[s]);
  }
  for (size_t s = 0; op.dx != nullptr && s < S; ++s) op.dx[row + s] = input_gradient(op, x[s], sum[s]);
}

template <class Index, size_t S, size_t G>
void backward_groups(const SparseBackward<Index>& op, size_t begin, size_t end, float* dots) {
  const uint32_t start = op.offsets[begin];
  for (size_t group = begin; group < end; ++group)
    for (size_t part = 0; part < op.height; part += G == 0 ? 1 : G) {
      float* const own_dots = dots + (op.offsets[group] - start) * op.height + part;
      if constexpr (G == 0)
        backward_single<Index, S>(op, group, part, own_dots);
      else
        backward_sources<Index, S, G>(op, group, part, own_dots);
    }
}

template <class Index, size_t S>
GroupsFunction<Index> groups_function(size_t height) {
  constexpr size_t kSources = kWidth / S;  // number of sources in a vector
  if (height % kSources == 0) return backward_groups<Index, S, kSources>;
  if constexpr (kSources > 8)
    if (height == 8) return backward_groups<Index, S, 8>;
  if constexpr (kSources > 4)
    if (height == 4) return backward_groups<Index, S, 4>;
  if constexpr (kSources > 2)
    if (height == 2) return backward_groups<Index, S, 2>;
  if (height == 1) return backward_groups<Index, S, 1>;
  return backward_groups<Index, S, 0>;
}

}  // namespace

void scatter_small(const SparseForward<uint16_t>& op, size_t begin, size_t end) {
  scatter_any(op, begin, end);
}
void scatter_small(const SparseForward<uint32_t>& op, size_t begin, size_t end) {
  scatter_any(op, begin, end);
}

void finish_forward(const FinishForward& op, size_t begin, size_t end) {
  const size_t size = op.outputs * op.stride, first = begin * op.stride, last = end * op.stride;
  for (size_t j = begin; j < end; ++j)
    for (size_t s = 0; s < op.stride; ++s) op.z[j * op.stride + s] = op.bias[j];
  for (size_t p = 0; p < op.count; ++p) {
    const float* const part = op.parts + p * size;
    size_t k = first;
    for (; k + kWidth <= last; k += kWidth) store(op.z + k, load(op.z + k) + load(part + k));
    for (; k < last; ++k) op.z[k] += part[k];
  }
  activate(op.z + first, last - first, op.activation);
}

GroupsFunction<uint16_t> small_backward(const SparseBackward<uint16_t>& op) {
  return op.stride == 1 ? groups_function<uint16_t, 1>(op.height) : groups_function<uint16_t, 2>(op.height);
}
GroupsFunction<uint32_t> small_backward(const SparseBackward<uint32_t>& op) {
  return op.stride == 1 ? groups_function<uint32_t, 1>(op.height) : groups_function<uint32_t, 2>(op.height);
}

}  // namespace set_native::cpu::SET_ISA
