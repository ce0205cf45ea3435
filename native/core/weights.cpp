#include "core/weights.h"

#include <cmath>

#include "core/philox.h"

namespace set_native {

namespace {

/** N(0, 0.1^2), Box and Muller 1958. */
float normal(const PhiloxBlock& block) {
  constexpr double kTwoPi = 6.283185307179586476925;
  const double radius = std::sqrt(-2.0 * std::log(unit_open(word64(block, 0))));
  return static_cast<float>(0.1 * radius * std::cos(kTwoPi * unit_open(word64(block, 1))));
}

}  // namespace

float he_bound(uint32_t fan_in) {
  return static_cast<float>(std::sqrt(6.0 / fan_in));
}

float initial_weight(Init init, uint64_t seed, uint32_t layer, uint64_t cell, uint32_t inputs, uint32_t fan_in) {
  const PhiloxBlock block = draw(seed, Stream::weights, layer, 0, cell);
  switch (init) {
    case Init::he_dense:
      return he_bound(inputs) * symmetric_unit(block[0]);
    case Init::he_fan_in:
      return he_bound(fan_in) * symmetric_unit(block[0]);
    case Init::normal:
      return normal(block);
  }
  return 0.0f;
}

void init_weights(Layer& layer, Init init, uint64_t seed, uint32_t index) {
  const uint64_t n = layer.inputs, m = layer.outputs;
  if (layer.dense) {
    layer.weights.resize(n * m);
    for (uint64_t cell = 0; cell < n * m; ++cell) {
      layer.weights[cell] = initial_weight(init, seed, index, cell, layer.inputs, layer.inputs);
    }
    return;
  }
  layer.weights.resize(layer.links.nnz());
  const std::vector<uint32_t> links_into = fan_in(layer.links);
  for (uint64_t i = 0; i < n; ++i) {
    for (uint32_t k = layer.links.row_offsets[i]; k < layer.links.row_offsets[i + 1]; ++k) {
      const uint32_t j = layer.links.col_indices[k];
      layer.weights[k] = initial_weight(init, seed, index, i * m + j, layer.inputs, links_into[j]);
    }
  }
}

float regrown_weight(RegrowInit init, uint64_t seed, uint32_t layer, uint32_t epoch, uint64_t cell, uint32_t inputs,
                     uint32_t fan_in) {
  if (init == RegrowInit::zero) return 0.0f;
  const uint32_t word = draw(seed, Stream::regrow_weights, layer, epoch, cell)[0];
  return he_bound(init == RegrowInit::he_dense ? inputs : fan_in) * symmetric_unit(word);
}

}  // namespace set_native
