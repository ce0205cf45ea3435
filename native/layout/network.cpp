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
  network.optimizer = model.optimizer;
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
  model.optimizer = network.optimizer;
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

std::vector<uint64_t> links_by_birth(const AlignedVector<uint16_t>& birth, uint32_t height, size_t truncated,
                                     uint32_t sources) {
  std::vector<uint64_t> counts(1, 0);
  for (size_t k = 0; k < birth.size(); k += height) {
    const uint32_t links = k / height < truncated ? height : sources;
    for (uint32_t r = 0; r < links; ++r) {
      const uint16_t born = birth[k + r];
      if (born >= counts.size()) counts.resize(born + size_t{1});
      ++counts[born];
    }
  }
  return counts;
}

LayerStats layer_stats(const PackedLayer& layer) {
  LayerStats stats{};
  stats.inputs = layer.inputs;
  stats.outputs = layer.outputs;
  stats.dense = layer.dense;
  stats.nnz = layer.nnz();
  stats.links_by_birth = {stats.nnz};
  if (layer.dense) return stats;
  std::visit(
      [&](const auto& blocks) {
        const uint32_t last = blocks.groups() - 1;
        stats.links_by_birth =
            links_by_birth(blocks.birth, blocks.height, blocks.offsets[last], blocks.sources_of(last));
      },
      layer.blocks);
  return stats;
}

double packed_bytes(const ModelSpec& spec, bool dense_by_target) {
  double bytes = 0.0;
  for (const ExpectedLayer& layer : expected_layers(spec)) {
    // Offsets by group and by target, counted as if blocks were single links.
    bytes += (static_cast<double>(layer.inputs) + layer.outputs) * sizeof(uint32_t);
    bytes += static_cast<double>(bytes_per_neuron(layer.piecewise, spec.optimizer)) * layer.outputs;
    bytes += static_cast<double>(bytes_per_link(layer.dense, spec.optimizer)) * layer.links;
    const double blocks = layer.links / (layer.dense ? dense_height(layer.inputs) : layer.motif_size);
    const double index = is_narrow(layer.inputs, layer.outputs) ? sizeof(uint16_t) : sizeof(uint32_t);
    const bool by_target = !layer.dense || dense_by_target;
    bytes += blocks * (index + (by_target ? index + sizeof(uint32_t) : 0.0));
  }
  return bytes;
}

}  // namespace set_native
