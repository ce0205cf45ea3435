#pragma once

#include <string>
#include <vector>

#include "core/model.h"
#include "layout/blocks.h"

namespace set_native {

/**
 * Layer as back ends hold it: like core's Layer, but with the links in blocks. A dense layer has all its
 * cells in blocks of dense_height, without births and, unless a back end asks for it, without `by_target`.
 */
struct PackedLayer : NeuronArrays<AlignedVector> {
  uint32_t inputs = 0;
  uint32_t outputs = 0;
  bool dense = false;
  Activation activation = Activation::relu;
  AnyBlocks blocks;

  uint64_t nnz() const;
  /** Number of rows of the layer's input matrix: sources, rounded up to whole groups. */
  uint32_t input_rows() const;
  /** Height of the layer's blocks. */
  uint32_t height() const;
  AlignedVector<float>& weights();
  const AlignedVector<float>& weights() const;
  /** Whether all weights, biases and pieces are finite. */
  bool finite() const;
};

struct PackedNetwork {
  std::vector<PackedLayer> layers;
  Optimizer optimizer = Optimizer::sgd;
  Loss loss = Loss::softmax_cross_entropy;
  uint64_t seed = 0;

  uint32_t features() const { return layers.front().inputs; }
  uint32_t outputs() const { return layers.back().outputs; }
  uint64_t nnz() const;
};

/** Packs a model, layer by layer, so that no more than one layer exists twice. */
PackedNetwork pack_network(Model model);

/** Copies a network into the form in which every back end returns models. */
Model unpack_network(const PackedNetwork& network);

/**
 * Counts links by birth, as in LayerStats. `birth` holds the births of a sparse layer's blocks of `height`
 * sources; from block `truncated` on, only the first `sources` of a block exist.
 */
std::vector<uint64_t> links_by_birth(const AlignedVector<uint16_t>& birth, uint32_t height, size_t truncated,
                                     uint32_t sources);

/** Returns the same as core's layer_stats. */
LayerStats layer_stats(const PackedLayer& layer);

/**
 * Number of rows of the matrix between layers l - 1 and l: the outputs of l - 1 or the input_rows of l, if
 * these are more.
 */
size_t rows_between(const PackedNetwork& network, size_t l);

/**
 * Expected bytes of a packed network of `spec`. Throws as expected_layers does.
 * @param dense_by_target  whether dense layers have `by_target`
 */
double packed_bytes(const ModelSpec& spec, bool dense_by_target);

}  // namespace set_native
