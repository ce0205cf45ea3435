#pragma once

#include <cstddef>
#include <cstdint>

#include "core/samples.h"
#include "cpu/kernels.h"
#include "layout/network.h"

namespace set_native::cpu {

/**
 * The blocks of every group whose targets lie in one range: of group b those in [firsts[b], lasts[b]). What a
 * thread that has this range walks where the forward pass scatters.
 */
struct Cut {
  const uint32_t* firsts;
  const uint32_t* lasts;
};

/** What the kernels need of a layer forward. */
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

/** All blocks of a layer. */
Cut whole_cut(const PackedLayer& layer);

/**
 * Targets [begin, end) of layer l, whose blocks `cut` has, from x (input_rows x stride) into z (outputs x
 * stride). `weights` are the layer's or a copy; `pre_activation`, if given, keeps what `piecewise_rows`
 * changes.
 */
void forward_rows(const KernelTable& table, const PackedNetwork& network, size_t l, const Cut& cut,
                  const float* weights, const float* x, float* z, size_t stride, size_t begin, size_t end,
                  float* pre_activation = nullptr);

/** The activation of layer l where it is a piecewise one, in place; rows as they were go to `pre_activation`,
 * if given. */
void piecewise_rows(const KernelTable& table, const PackedNetwork& network, size_t l, float* z,
                    float* pre_activation, size_t stride, size_t begin, size_t end);

/** Samples order[first ..] (without order: first ..) into rows [begin, end) of x, feature-major; padding
 * columns zero.
 */
void gather(const Samples& samples, const uint32_t* order, uint64_t first, size_t batch, float* x,
            size_t stride, size_t begin, size_t end);

}  // namespace set_native::cpu
