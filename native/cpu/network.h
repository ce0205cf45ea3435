#pragma once

#include <string>
#include <vector>

#include "core/backend.h"
#include "cpu/blocks.h"
#include "cpu/kernels.h"

namespace set_native::cpu {

/**
 * A layer as the CPU back end holds it: as core's Layer, but for the links, which come as blocks. A dense
 * layer is all of its cells in blocks of dense_height, without births and without a view by target, which
 * nothing asks for.
 */
struct NetworkLayer {
  uint32_t inputs = 0;
  uint32_t outputs = 0;
  bool dense = false;
  Activation activation = Activation::relu;
  AnyBlocks blocks;
  AlignedVector<float> bias;
  AlignedVector<float> bias_momentum;
  AlignedVector<float> pieces;  // as in core's Layer
  AlignedVector<float> pieces_momentum;

  uint64_t nnz() const;
  /** Rows of its input matrix: sources, rounded up to whole groups. */
  uint32_t input_rows() const;
  /** Of its blocks. */
  uint32_t height() const;
  AlignedVector<float>& weights();
  const AlignedVector<float>& weights() const;
  bool finite() const;
};

struct Network {
  std::vector<NetworkLayer> layers;
  Loss loss = Loss::softmax_cross_entropy;
  uint64_t seed = 0;

  uint32_t features() const { return layers.front().inputs; }
  uint32_t outputs() const { return layers.back().outputs; }
  uint64_t nnz() const;
  /** What the kernels apply to the output of layer l. What follows the output layer belongs to the loss. */
  ActivationKind activation(size_t l) const {
    if (l + 1 == layers.size() || piecewise(l)) return ActivationKind::linear;
    return static_cast<ActivationKind>(layers[l].activation);
  }
  /** Whether the output of layer l then goes through `bend`. */
  bool piecewise(size_t l) const { return is_piecewise(layers[l].activation); }
};

/** Takes the model over, layer by layer, so that no more than one layer exists twice. */
Network make_network(Model model);

/** The model as every back end gives it: a copy. */
Model to_model(const Network& network);

/** As core's layer_stats. */
LayerStats layer_stats(const NetworkLayer& layer);

/** Rows of the matrix between layers l - 1 and l: outputs of the one, input_rows of the other. */
size_t rows_between(const Network& network, size_t l);

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
SparseForward<Index> forward_op(const Network& network, size_t l, const Blocks<Index>& blocks, const Cut& cut,
                                const float* weights, const float* x, float* z, size_t stride) {
  return {cut.firsts,
          cut.lasts,
          blocks.targets.data(),
          blocks.groups(),
          blocks.by_target.offsets.data(),
          blocks.by_target.groups.data(),
          blocks.by_target.blocks.data(),
          weights,
          blocks.height,
          network.layers[l].bias.data(),
          x,
          z,
          stride,
          network.activation(l)};
}

/** All blocks of a layer. */
Cut whole_cut(const NetworkLayer& layer);

/**
 * Targets [begin, end) of layer l, whose blocks `cut` has, from x (input_rows x stride) into z (outputs x
 * stride). `weights` are the layer's or a copy; `unbent`, if given, keeps what `bend` changes.
 */
void forward_rows(const KernelTable& table, const Network& network, size_t l, const Cut& cut,
                  const float* weights, const float* x, float* z, size_t stride, size_t begin, size_t end,
                  float* unbent = nullptr);

/** The activation of layer l where it is a piecewise one, in place; rows as they were go to `unbent`, if
 * given. */
void bend(const KernelTable& table, const Network& network, size_t l, float* z, float* unbent, size_t stride,
          size_t begin, size_t end);

/** Samples order[first ..] (without order: first ..) into rows [begin, end) of x, feature-major; padding
 * columns zero.
 */
void gather(const Samples& samples, const uint32_t* order, uint64_t first, size_t batch, float* x,
            size_t stride, size_t begin, size_t end);

bool all_finite(const float* values, size_t count);

}  // namespace set_native::cpu
