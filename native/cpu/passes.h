#pragma once

#include <cstddef>
#include <cstdint>

#include "core/samples.h"
#include "cpu/kernels.h"
#include "layout/network.h"
#include "layout/target_rows.h"

namespace set_native::cpu {

/**
 * Blocks whose targets lie in one range: for each group b the blocks in [firsts[b], lasts[b]). In a scattered
 * forward pass a thread processes the blocks of its own range of targets.
 */
struct Cut {
  const uint32_t* firsts;
  const uint32_t* lasts;
};

/** Fills in the arguments of a forward kernel for layer l. */
template <class Index>
SparseForward<Index> forward_op(const PackedNetwork& network, size_t l, const Blocks<Index>& blocks,
                                const Cut& cut, const float* weights, const float* x, float* z,
                                size_t stride) {
  SparseForward<Index> op{};
  op.firsts = cut.firsts;
  op.lasts = cut.lasts;
  op.targets = blocks.targets.data();
  op.groups = blocks.groups();
  op.offsets = blocks.by_target.offsets.data();
  op.sources = blocks.by_target.groups.data();
  op.blocks = blocks.by_target.blocks.data();
  op.weights = weights;
  op.height = blocks.height;
  op.bias = network.layers[l].bias.data();
  op.x = x;
  op.z = z;
  op.stride = stride;
  op.activation = pointwise(network.layers[l].activation);
  return op;
}

/** Returns the cut with all blocks of a layer. */
Cut whole_cut(const PackedLayer& layer);

/**
 * Computes targets [begin, end) of layer l, whose blocks are those of `cut`, from x (input_rows x stride)
 * into z (outputs x stride). `weights` are the layer's or a copy. `pre_activation`, if given, receives z
 * before a piecewise activation.
 */
void forward_rows(const KernelTable& table, const PackedNetwork& network, size_t l, const Cut& cut,
                  const float* weights, const float* x, float* z, size_t stride, size_t begin, size_t end,
                  float* pre_activation = nullptr);

/** Computes all targets of layer l for one sample, from x into z. `rows` are those of the layer. */
void dot_rows(const KernelTable& table, const PackedNetwork& network, size_t l, const AnyTargetRows& rows,
              const float* x, float* z);

/**
 * Applies the activation of layer l in place, if it is piecewise. `pre_activation`, if given, receives z
 * before it.
 */
void piecewise_rows(const KernelTable& table, const PackedNetwork& network, size_t l, float* z,
                    float* pre_activation, size_t stride, size_t begin, size_t end);

/**
 * Copies features [begin, end) of the samples order[first ..] (without `order`: first ..) into rows [begin,
 * end) of x, feature-major, and zeros the padding columns.
 */
void gather(const Samples& samples, const uint32_t* order, uint64_t first, size_t batch, float* x,
            size_t stride, size_t begin, size_t end);

}  // namespace set_native::cpu
