#pragma once

#include <cstddef>
#include <cstdint>

#include "core/update_rule.h"
#include "core/vocabulary.h"

/*
 * The kernels that exist once per instruction set, as plain functions over plain pointers.
 *
 * Activations are feature-major: row r of a matrix holds neuron r over the samples of the batch, `stride`
 * floats apart. The stride is the batch rounded up by `row_stride`: 1 or 2, else a multiple of half a vector,
 * so that a batch of 40 takes 40 floats with vectors of 16, too. Columns beyond the batch are padding: zero
 * in inputs and in output gradients, so they add nothing to any sum. Matrices start at a cache line; where a
 * layer's blocks stick out over its sources, so do its x and dx, by rows of zeros.
 *
 * Layers come as blocks of `height` sources by one target (layout/blocks.h), dense ones, too. Every function
 * computes whole rows [begin, end) and writes nothing else, and the order of summation within a row depends
 * on nothing but the shapes: results do not depend on how rows are dealt to threads.
 */
namespace set_native::cpu {

// values as in set_native::Activation, which has more

/**
 * z_j = f(b_j + sum over links (i, j) of w x_i) for targets [begin, end).
 *
 * Single links (height 1) are gathered: targets one by one, by target. All others, and rows of at most
 * kLongestScattered samples, are scattered: groups one by one, each adding its share to all of its targets,
 * which takes the blocks by group: of group b those in [firsts[b], lasts[b]), which are the ones whose target
 * lies in [begin, end).
 */
template <class Index>
struct SparseForward {
  const uint32_t* firsts;  // groups
  const uint32_t* lasts;   // groups
  const Index* targets;    // of each block, by group
  size_t groups;
  const uint32_t* offsets;  // m + 1: by target
  const Index* sources;     // group of each block, by target
  const uint32_t* blocks;   // place of its weights, counted in blocks
  const float* weights;
  size_t height;
  const float* bias;  // m
  const float* x;     // n x stride
  float* z;           // m x stride
  size_t stride;
  Activation activation;
};

constexpr size_t kLongestScattered = 2;

/** Whether a forward pass walks groups, and not targets. */
inline bool scatters(size_t height, size_t stride) {
  return height > 1 || stride <= kLongestScattered;
}

/** z_j = f(b_j + sum of `count` parts), j in [begin, end): the end of a forward pass scattered in parts. */
struct FinishForward {
  const float* parts;  // count matrices m x stride, one after the other
  size_t count;
  const float* bias;
  float* z;
  size_t outputs;  // m
  size_t stride;
  Activation activation;
};

using set_native::UpdateRule;

/** Parameters, and what the optimizer keeps beside each; without second moments momentum SGD updates them. */
struct Parameters {
  float* values;
  float* velocity;
  float* second_moment;  // nullptr but for AdamW

  /** Those from number `first` on. Always inline: kernel files are compiled once per instruction set. */
  [[gnu::always_inline]] Parameters from(size_t first) const {
    return {values + first, velocity + first, second_moment == nullptr ? nullptr : second_moment + first};
  }
};

/**
 * For the sources i of groups [begin, end) and their links (i, j):
 *   dx_i = f'(x_i) * sum of w dz_j   (with the weights before the update; when dx is given)
 *   g    = sum over the batch of x_i dz_j   (kept in `gradient` when given, else only in scratch)
 *   and the update of the weights by g (when their velocity is given)
 *   and, when dx is given and bias is, the update of source i's own bias by the sum of dx_i.
 */
template <class Index>
struct SparseBackward {
  const uint32_t* offsets;  // groups + 1
  const Index* targets;
  uint32_t blocks;  // of the layer
  float* weights;
  float* velocity;       // of each link; nullptr: no update
  float* second_moment;  // of each link; nullptr but for AdamW
  float* gradient;       // as the weights; nullptr: not wanted
  size_t height;
  size_t inputs;    // n: sources that exist
  const float* x;   // n x stride: outputs of the layer below
  const float* dz;  // m x stride: gradient of the loss by z, already divided by the batch size
  float* dx;  // n x stride: gradient by the pre-activation of the layer below; may be x itself; nullptr for
              // the first layer
  Parameters bias;  // n: of the layer below; without values no bias update
  size_t stride;
  Activation activation;  // of the layer below
  UpdateRule rule;
  float* scratch;  // scratch_size(...) floats of the caller's thread
};

/** Gradients and sources that SparseBackward takes before it updates weights: at least one group, else about
 * this many.
 */
constexpr size_t kUpdateBatch = 1024;
/** Floats of scratch where no group has more than `longest_row` links and blocks are `height` sources high.
 */
inline size_t scratch_size(size_t longest_row, size_t height) {
  return kUpdateBatch + (longest_row > height ? longest_row : height) + 16;
}

/**
 * f(z) in place for rows [begin, end), f of three pieces as in set_native::is_piecewise; z goes to
 * `pre_activation`, if given. 2 flops and 8 bytes per number, 12 with `pre_activation`.
 */
struct Piecewise {
  const float* pieces;    // 4 x m: t_l, a_l, t_r, a_r
  float* z;               // m x stride
  float* pre_activation;  // m x stride or nullptr
  size_t outputs;         // m
  size_t stride;
};

/**
 * For rows [begin, end): dz = f'(z) dy in place and the update of the row's bias by the sum of dz and, where
 * they have a velocity, of its pieces, without decay. By a row: on the piece (t, a) where z lies dt = (1 - a)
 * dy, da = (z - t) dy, each summed over the batch. 12 bytes and about 8 flops per number.
 */
struct PiecewiseBackward {
  const float* z;     // m x stride, as before f
  float* dy;          // m x stride
  Parameters pieces;  // 4 x m
  Parameters bias;    // m
  size_t outputs;
  size_t stride;
  UpdateRule rule;  // of the bias; of the pieces, but for l2 and decay
};

template <class Index>
struct SparseKernels {
  void (*forward)(const SparseForward<Index>&, size_t begin, size_t end);
  /**
   * z_j += the share of the sources in groups [begin, end), for rows of at most kLongestScattered samples and
   * the targets of [firsts, lasts); bias and f are left to `finish_forward`.
   */
  void (*scatter)(const SparseForward<Index>&, size_t begin, size_t end);
  void (*backward)(const SparseBackward<Index>&, size_t begin, size_t end);
};

struct KernelTable {
  const char* name;  // "portable", "avx2", "avx512"
  size_t row_unit;   // rows of more than kLongestScattered samples are multiples of so many floats
  SparseKernels<uint16_t> narrow;
  SparseKernels<uint32_t> wide;
  void (*finish_forward)(const FinishForward&, size_t begin, size_t end);
  void (*piecewise)(const Piecewise&, size_t begin, size_t end);
  void (*piecewise_backward)(const PiecewiseBackward&, size_t begin, size_t end);
  /** Update of `count` parameters whose gradient is known (output bias, and on its own in benches). */
  void (*update)(const Parameters&, const float* gradient, size_t count, const UpdateRule&);
};

template <class Index>
const SparseKernels<Index>& sparse_kernels(const KernelTable& table);
template <>
inline const SparseKernels<uint16_t>& sparse_kernels(const KernelTable& table) {
  return table.narrow;
}
template <>
inline const SparseKernels<uint32_t>& sparse_kernels(const KernelTable& table) {
  return table.wide;
}

/** Floats per row for a batch: a vector of two samples is not padded to one of sixteen. */
inline size_t row_stride(const KernelTable& table, size_t batch) {
  return batch <= kLongestScattered ? batch : (batch + table.row_unit - 1) / table.row_unit * table.row_unit;
}

/**
 * The widest table this CPU runs, or what SET_NATIVE_ISA names. Throws Error(backend_unavailable). Reads the
 * environment, which in a Node process only the JavaScript thread may do.
 */
const KernelTable& kernels();

/** By name, nullptr where not compiled in or not supported by this CPU. */
const KernelTable* find_kernels(const char* name);

}  // namespace set_native::cpu
