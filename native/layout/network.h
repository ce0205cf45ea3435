#pragma once

#include <string>
#include <vector>

#include "core/model.h"
#include "layout/blocks.h"

namespace set_native {

/**
 * A layer as back ends hold it: as core's Layer, but for the links, which come as blocks. A dense layer is
 * all of its cells in blocks of dense_height, without births and, unless asked for, without a view by target.
 */
struct PackedLayer : NeuronArrays<AlignedVector> {
  uint32_t inputs = 0;
  uint32_t outputs = 0;
  bool dense = false;
  Activation activation = Activation::relu;
  AnyBlocks blocks;

  uint64_t nnz() const;
  /** Rows of its input matrix: sources, rounded up to whole groups. */
  uint32_t input_rows() const;
  /** Height of its blocks. */
  uint32_t height() const;
  AlignedVector<float>& weights();
  const AlignedVector<float>& weights() const;
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

/** Takes the model over, layer by layer, so that no more than one layer exists twice. */
PackedNetwork pack_network(Model model);

/** The model as every back end gives it: a copy. */
Model unpack_network(const PackedNetwork& network);

/**
 * Counts links by birth as LayerStats has it. `birth` are those of a sparse layer's blocks; from block
 * `truncated` on, only `sources` of the height exist.
 */
std::vector<uint64_t> links_by_birth(const AlignedVector<uint16_t>& birth, uint32_t height, size_t truncated,
                                     uint32_t sources);

/** As core's layer_stats. */
LayerStats layer_stats(const PackedLayer& layer);

/** Rows of the matrix between layers l - 1 and l: outputs of the one, input_rows of the other. */
size_t rows_between(const PackedNetwork& network, size_t l);

/**
 * Bytes of a packed network of `spec`, from expected numbers. Throws as expected_layers does.
 * @param dense_by_target  whether dense layers have a view by target
 */
double packed_bytes(const ModelSpec& spec, bool dense_by_target);

}  // namespace set_native
