#pragma once

#include <cstddef>
#include <cstdint>

#include "core/update_rule.h"
#include "core/vocabulary.h"
#include "layout/bundle.h"

/*
 * Kernels that exist once per instruction set, as plain functions over plain pointers.
 *
 * Activations are feature-major: row r of a matrix holds neuron r over the samples of the batch, and rows are
 * `stride` floats apart. The stride is the batch rounded up by `row_stride`: 1 or 2, else a multiple of half
 * a vector, so that a batch of 40 takes 40 floats with vectors of 16, too. Columns beyond the batch are
 * padding: zero in inputs and in output gradients, so they add nothing to any sum. Matrices start at a cache
 * line. Where a layer's blocks extend beyond its sources, its x and dx have as many more rows of zeros.
 *
 * Layers, dense ones included, consist of blocks of `height` sources by one target (layout/blocks.h). Every
 * function computes whole rows [begin, end) and writes nothing else, and the order of summation within a row
 * depends only on the shapes: results do not depend on how rows are dealt to threads.
 */
namespace set_native::cpu {

/**
 * z_j = f(b_j + sum over links (i, j) of w x_i) for targets [begin, end).
 *
 * Single links (height 1) are gathered: the kernel goes over the targets, and over the blocks of each by
 * target. Links in higher blocks, and all links for rows of at most kLongestScattered samples, are scattered:
 * the kernel goes over the groups, and each group adds its share to its targets. The blocks of group b whose
 * target lies in [begin, end) are those in [firsts[b], lasts[b]).
 */
template <class Index>
struct SparseForward {
  const uint32_t* firsts;   // first block of each group with a target in [begin, end)
  const uint32_t* lasts;    // end of these blocks, for each group
  const Index* targets;     // target of each block, by group
  size_t groups;            // number of groups
  const uint32_t* offsets;  // first block of each target, by target; m + 1 entries
  const Index* sources;     // group of each block, by target
  const uint32_t* blocks;   // number of each block in the order by group, by target
  const float* weights;     // height per block, by group
  size_t height;            // number of sources per block
  const float* bias;        // m
  const float* x;           // n x stride
  float* z;                 // m x stride
  size_t stride;
  Activation activation;
};

constexpr size_t kLongestScattered = 2;  // largest number of samples of rows that are always scattered

/** Whether a forward pass scatters, going over groups instead of targets. */
inline bool scatters(size_t height, size_t stride) {
  return height > 1 || stride <= kLongestScattered;
}

/** z = f(b + W x) for one sample and all targets of a layer of single links, in the order of TargetRows. */
template <class Index>
struct Dot {
  const uint32_t* targets;  // m
  const uint32_t* lengths;  // m
  const Index* sources;     // nnz
  const float* weights;     // nnz
  const float* bias;        // m
  const float* x;           // n
  float* z;                 // m
  size_t outputs;           // number of targets, m
  Activation activation;
};

/** z_j = f(b_j + sum of `count` parts), j in [begin, end): completes a forward pass scattered in parts. */
struct FinishForward {
  const float* parts;  // `count` matrices m x stride, one after another
  size_t count;
  const float* bias;  // m
  float* z;           // m x stride
  size_t outputs;     // number of targets, m
  size_t stride;
  Activation activation;
};

using set_native::UpdateRule;

/** Parameters and their moments. Momentum SGD updates them if they have no second moments, else AdamW. */
struct Parameters {
  float* values;
  float* velocity;
  float* second_moment;  // nullptr except for AdamW

  /** Parameters from number `first` on. Always inline: kernel files are compiled once per instruction set. */
  [[gnu::always_inline]] Parameters from(size_t first) const {
    return {values + first, velocity + first, second_moment == nullptr ? nullptr : second_moment + first};
  }
};

/**
 * For the sources i of groups [begin, end) and their links (i, j), computes
 *   dx_i = f'(x_i) * sum of w dz_j   (with the weights before the update; if dx is given)
 *   g    = sum over the batch of x_i dz_j   (stored in `gradient` if given, else only in scratch)
 * and updates the weights by g (if their velocity is given) and source i's own bias by the sum of dx_i (if dx
 * and bias are given).
 */
template <class Index>
struct SparseBackward {
  const uint32_t* offsets;  // first block of each group; groups + 1 entries
  const Index* targets;     // target of each block
  uint32_t blocks;          // number of blocks of the layer
  float* weights;           // height per block
  float* velocity;          // as the weights; nullptr: no update
  float* second_moment;     // as the weights; nullptr except for AdamW
  float* gradient;          // as the weights; nullptr: not wanted
  size_t height;            // number of sources per block
  size_t inputs;            // number of sources that exist, n
  const float* x;           // n x stride: outputs of the layer below
  const float* dz;          // m x stride: gradient of the loss by z, already divided by the batch size
  // n x stride: gradient by the pre-activation of the layer below; may be x itself; nullptr for layer 0.
  float* dx;
  Parameters bias;  // n: bias of the layer below; without values there is no bias update
  size_t stride;
  Activation activation;  // activation of the layer below
  UpdateRule rule;
  float* scratch;  // scratch_size(...) floats, owned by the calling thread
  // 1 - p and 1 / (1 - p) if DropOutputs went over x with these; else 1. dx_i is then 0 where x_i was
  // dropped, and elsewhere gain f'(keep x_i) times the sum.
  float keep = 1.0f, gain = 1.0f;
};

/** Number of gradients after which SparseBackward updates weights, at the end of a group. */
constexpr size_t kUpdateBatch = 1024;
/**
 * Number of floats of scratch if no group has more than `longest_row` links and blocks have `height` sources.
 */
inline size_t scratch_size(size_t longest_row, size_t height) {
  return kUpdateBatch + (longest_row > height ? longest_row : height) + 16;
}

/**
 * Applies f in place to z for rows [begin, end), f of three pieces as in set_native::is_piecewise. Stores z
 * before it in `pre_activation`, if given. 2 flops and 8 bytes per number, 12 with `pre_activation`.
 */
struct Piecewise {
  const float* pieces;    // 4 x m: t_l, a_l, t_r, a_r
  float* z;               // m x stride
  float* pre_activation;  // m x stride or nullptr
  size_t outputs;         // number of rows, m
  size_t stride;
};

/**
 * For rows [begin, end): computes dz = f'(z) dy in place, and updates the row's bias by the sum of dz and, if
 * the pieces have a velocity, the pieces, without l2 and decay. The gradients of the piece (t, a) on which z
 * lies are dt = (1 - a) dy and da = (z - t) dy, each summed over the batch. 12 bytes and about 8 flops per
 * number.
 */
struct PiecewiseBackward {
  const float* z;     // m x stride, before f
  float* dy;          // m x stride
  Parameters pieces;  // 4 x m
  Parameters bias;    // m
  size_t outputs;
  size_t stride;
  UpdateRule rule;  // rule for the bias; pieces follow it without l2 and decay
};

/**
 * Dropout (core/dropout.h) of outputs z in rows [begin, end), in place: -0 where they are dropped, else gain
 * z, and 0 in place of -0. So an output tells whether it was dropped, which SparseBackward needs to know, and
 * no mask is kept. 8 bytes, a flop and an eighth of a block of Philox per number.
 */
struct DropOutputs {
  float* z;  // m x stride
  size_t stride;
  uint32_t place;      // place of the first sample in the order of the epoch
  uint32_t threshold;  // as in Dropout
  float gain;
  uint32_t epoch, last_word;  // words of the counter of Philox; the others are the place and the row / 8
  uint32_t key[2];
};

/**
 * Adds scale * sum over the stride of x_i dz_j to sums[k], for the cells k in [begin, end), i = sources[k]
 * and j = targets[k]: the gradients of weights that links there would have. 2 flops per number of a row, and
 * 8 bytes from wherever the rows are.
 */
struct Sddmm {
  const uint32_t* sources;
  const uint32_t* targets;
  const float* x;   // n x stride
  const float* dz;  // m x stride
  size_t stride;
  double scale;
  double* sums;
};

template <class Index>
struct SparseKernels {
  void (*forward)(const SparseForward<Index>&, size_t begin, size_t end);
  /**
   * Adds to z_j the share of the sources in groups [begin, end), for rows of at most kLongestScattered
   * samples and the blocks in [firsts, lasts). `finish_forward` adds the bias and applies f.
   */
  void (*scatter)(const SparseForward<Index>&, size_t begin, size_t end);
  void (*dot)(const Dot<Index>&);
  void (*backward)(const SparseBackward<Index>&, size_t begin, size_t end);
};

struct KernelTable {
  const char* name;  // "portable", "avx2", "avx512"
  size_t row_unit;   // the stride of more than kLongestScattered samples is a multiple of it, in floats
  SparseKernels<uint16_t> narrow;
  SparseKernels<uint32_t> wide;
  void (*finish_forward)(const FinishForward&, size_t begin, size_t end);
  void (*piecewise)(const Piecewise&, size_t begin, size_t end);
  void (*piecewise_backward)(const PiecewiseBackward&, size_t begin, size_t end);
  void (*drop_outputs)(const DropOutputs&, size_t begin, size_t end);
  void (*sddmm)(const Sddmm&, size_t begin, size_t end);
  /** Updates `count` parameters whose gradient is known (output bias, and on its own in benches). */
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

/** Number of floats per row for a batch. Rows of one or two samples are not padded. */
inline size_t row_stride(const KernelTable& table, size_t batch) {
  return batch <= kLongestScattered ? batch : (batch + table.row_unit - 1) / table.row_unit * table.row_unit;
}

/**
 * Returns the widest table that this CPU runs, or the one that SET_NATIVE_ISA names. Throws
 * backend_unavailable if this CPU does not run it. Reads the environment, which in a Node process only the
 * JavaScript thread may do.
 */
const KernelTable& kernels();

/** Returns the table of that name, or nullptr if it is not compiled in or not supported by this CPU. */
const KernelTable* find_kernels(const char* name);

}  // namespace set_native::cpu
