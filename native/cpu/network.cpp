#include "cpu/network.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "cpu/shuffle.h"

namespace set_native::cpu {

bool all_finite(const float* values, size_t count) {
  int finite = 1;  // and no early end: so this is done a vector at a time
  for (size_t k = 0; k < count; ++k)
    finite &= std::fabs(values[k]) <= std::numeric_limits<float>::max() ? 1 : 0;
  return finite != 0;
}

uint64_t NetworkLayer::nnz() const {
  return std::visit([](const auto& b) { return b.nnz(); }, blocks);
}

uint32_t NetworkLayer::input_rows() const {
  return std::visit([](const auto& b) { return b.groups() * b.height; }, blocks);
}

uint32_t NetworkLayer::height() const {
  return std::visit([](const auto& b) { return b.height; }, blocks);
}

AlignedVector<float>& NetworkLayer::weights() {
  return std::visit([](auto& b) -> AlignedVector<float>& { return b.weights; }, blocks);
}

const AlignedVector<float>& NetworkLayer::weights() const {
  return std::visit([](const auto& b) -> const AlignedVector<float>& { return b.weights; }, blocks);
}

bool NetworkLayer::finite() const {
  return all_finite(weights().data(), weights().size()) && all_finite(bias.data(), bias.size()) &&
         all_finite(pieces.data(), pieces.size());
}

uint64_t Network::nnz() const {
  uint64_t links = 0;
  for (const NetworkLayer& layer : layers) links += layer.nnz();
  return links;
}

size_t rows_between(const Network& network, size_t l) {
  const size_t below = l == 0 ? 0 : network.layers[l - 1].outputs;
  const size_t above = l == network.layers.size() ? 0 : network.layers[l].input_rows();
  return std::max(below, above);
}

Network make_network(Model model) {
  Network network;
  network.loss = model.loss;
  network.seed = model.seed;
  network.layers.resize(model.layers.size());
  for (size_t l = 0; l < model.layers.size(); ++l) {
    Layer& from = model.layers[l];
    NetworkLayer& to = network.layers[l];
    to.inputs = from.inputs;
    to.outputs = from.outputs;
    to.dense = from.dense;
    to.activation = from.activation;
    to.blocks = from.dense ? pack_dense(from) : pack(from, whole_height(from.links));
    to.bias = std::move(from.bias);
    to.bias_momentum = std::move(from.bias_momentum);
    to.pieces = std::move(from.pieces);
    to.pieces_momentum = std::move(from.pieces_momentum);
  }
  return network;
}

Model to_model(const Network& network) {
  Model model;
  model.loss = network.loss;
  model.seed = network.seed;
  for (const NetworkLayer& from : network.layers) {
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
    to.bias = from.bias;
    to.bias_momentum = from.bias_momentum;
    to.pieces = from.pieces;
    to.pieces_momentum = from.pieces_momentum;
    model.layers.push_back(std::move(to));
  }
  return model;
}

LayerStats layer_stats(const NetworkLayer& layer) {
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

Cut whole_cut(const NetworkLayer& layer) {
  return std::visit([](const auto& b) { return Cut{b.offsets.data(), b.offsets.data() + 1}; }, layer.blocks);
}

void forward_rows(const KernelTable& table, const Network& network, size_t l, const Cut& cut,
                  const float* weights, const float* x, float* z, size_t stride, size_t begin, size_t end,
                  float* unbent) {
  std::visit(
      [&](const auto& blocks) {
        using Index = typename std::decay_t<decltype(blocks)>::IndexType;
        sparse_kernels<Index>(table).forward(forward_op(network, l, blocks, cut, weights, x, z, stride),
                                             begin, end);
      },
      network.layers[l].blocks);
  bend(table, network, l, z, unbent, stride, begin, end);
}

void bend(const KernelTable& table, const Network& network, size_t l, float* z, float* unbent, size_t stride,
          size_t begin, size_t end) {
  const NetworkLayer& layer = network.layers[l];
  if (!is_piecewise(layer.activation)) return;
  table.piecewise({layer.pieces.data(), z, unbent, layer.outputs, stride}, begin, end);
}

namespace {

constexpr size_t kTile = 4;
typedef float Float4 __attribute__((vector_size(16), may_alias, aligned(4)));

/** rows[f] = {sample 0, 1, 2, 3} of feature f, for four features from p[0 .. 3] on. */
void transpose(const float* const* p, size_t feature, float* row, size_t stride) {
  const auto load = [&](size_t s) { return *reinterpret_cast<const Float4*>(p[s] + feature); };
  const Float4 a = load(0), b = load(1), c = load(2), d = load(3);
  const Float4 ab_low = SET_SHUFFLE(a, b, 0, 4, 1, 5), ab_high = SET_SHUFFLE(a, b, 2, 6, 3, 7);
  const Float4 cd_low = SET_SHUFFLE(c, d, 0, 4, 1, 5), cd_high = SET_SHUFFLE(c, d, 2, 6, 3, 7);
  const auto put = [&](size_t f, Float4 v) { *reinterpret_cast<Float4*>(row + f * stride) = v; };
  put(0, SET_SHUFFLE(ab_low, cd_low, 0, 1, 4, 5));
  put(1, SET_SHUFFLE(ab_low, cd_low, 2, 3, 6, 7));
  put(2, SET_SHUFFLE(ab_high, cd_high, 0, 1, 4, 5));
  put(3, SET_SHUFFLE(ab_high, cd_high, 2, 3, 6, 7));
}

}  // namespace

void gather(const Samples& samples, const uint32_t* order, uint64_t first, size_t batch, float* x,
            size_t stride, size_t begin, size_t end) {
  for (size_t f = begin; f < end && batch < stride; ++f)
    std::fill(x + f * stride + batch, x + (f + 1) * stride, 0.0f);
  for (size_t b = 0; b < batch; b += kTile) {
    const size_t count = std::min(kTile, batch - b);
    const float* sample[kTile];
    for (size_t s = 0; s < count; ++s) {
      const uint64_t number = first + b + s;
      sample[s] = samples.x + (order != nullptr ? order[number] : number) * samples.features;
    }
    size_t f = begin;
    for (; count == kTile && f + kTile <= end; f += kTile) transpose(sample, f, x + f * stride + b, stride);
    for (; f < end; ++f)
      for (size_t s = 0; s < count; ++s) x[f * stride + b + s] = sample[s][f];
  }
}

}  // namespace set_native::cpu
