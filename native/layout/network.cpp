#include "layout/network.h"

#include <algorithm>

#include "core/finite.h"

namespace set_native {

uint64_t PackedLayer::nnz() const {
  return std::visit([](const auto& b) { return b.nnz(); }, blocks);
}

uint32_t PackedLayer::input_rows() const {
  return std::visit([](const auto& b) { return b.groups() * b.height; }, blocks);
}

uint32_t PackedLayer::height() const {
  return std::visit([](const auto& b) { return b.height; }, blocks);
}

AlignedVector<float>& PackedLayer::weights() {
  return std::visit([](auto& b) -> AlignedVector<float>& { return b.weights; }, blocks);
}

const AlignedVector<float>& PackedLayer::weights() const {
  return std::visit([](const auto& b) -> const AlignedVector<float>& { return b.weights; }, blocks);
}

bool PackedLayer::finite() const {
  return all_finite(weights().data(), weights().size()) && all_finite(bias.data(), bias.size()) &&
         all_finite(pieces.data(), pieces.size());
}

uint64_t PackedNetwork::nnz() const {
  uint64_t links = 0;
  for (const PackedLayer& layer : layers) links += layer.nnz();
  return links;
}

size_t rows_between(const PackedNetwork& network, size_t l) {
  const size_t below = l == 0 ? 0 : network.layers[l - 1].outputs;
  const size_t above = l == network.layers.size() ? 0 : network.layers[l].input_rows();
  return std::max(below, above);
}

PackedNetwork pack_network(Model model) {
  PackedNetwork network;
  network.loss = model.loss;
  network.seed = model.seed;
  network.layers.resize(model.layers.size());
  for (size_t l = 0; l < model.layers.size(); ++l) {
    Layer& from = model.layers[l];
    PackedLayer& to = network.layers[l];
    to.inputs = from.inputs;
    to.outputs = from.outputs;
    to.dense = from.dense;
    to.activation = from.activation;
    to.blocks = from.dense ? pack_dense(from) : pack(from, whole_height(from.links));
    for_each_neuron_array([](const char*, auto& given, auto& taken) { taken = std::move(given); }, from, to);
  }
  return network;
}

Model unpack_network(const PackedNetwork& network) {
  Model model;
  model.loss = network.loss;
  model.seed = network.seed;
  for (const PackedLayer& from : network.layers) {
    Layer to;
    to.inputs = from.inputs;
    to.outputs = from.outputs;
    to.dense = from.dense;
    to.activation = from.activation;
    std::visit(
        [&](auto copy) {
          copy.by_target = {};
          from.dense ? unpack_dense(copy, to) : unpack(copy, to);
        },
        from.blocks);
    for_each_neuron_array([](const char*, const auto& held, auto& copy) { copy = held; }, from, to);
    model.layers.push_back(std::move(to));
  }
  return model;
}

LayerStats layer_stats(const PackedLayer& layer) {
  LayerStats stats{layer.inputs, layer.outputs, layer.dense, layer.nnz(), {0}};
  std::vector<uint64_t>& counts = stats.links_by_birth;
  if (layer.dense) {
    counts[0] = stats.nnz;
    return stats;
  }
  std::visit(
      [&](const auto& blocks) {
        for (uint32_t b = 0; b < blocks.groups(); ++b)
          for (size_t k = blocks.offsets[b]; k < blocks.offsets[b + 1]; ++k)
            for (uint32_t r = 0; r < blocks.sources_of(b); ++r) {
              const uint16_t birth = blocks.birth[k * blocks.height + r];
              if (birth >= counts.size()) counts.resize(birth + size_t{1});
              ++counts[birth];
            }
      },
      layer.blocks);
  return stats;
}

}  // namespace set_native
