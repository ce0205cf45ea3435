#include "core/weights.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/philox.h"

namespace set_native {

namespace {

/** Draws from N(0, 0.1^2) (Box and Muller 1958). */
float normal(const PhiloxBlock& block) {
  constexpr double kTwoPi = 6.283185307179586476925;
  const double radius = std::sqrt(-2.0 * std::log(unit_open(word64(block, 0))));
  return static_cast<float>(0.1 * radius * std::cos(kTwoPi * unit_open(word64(block, 1))));
}

}  // namespace

float he_bound(uint32_t fan_in) {
  return static_cast<float>(std::sqrt(6.0 / fan_in));
}

namespace {

/** Writes the weights of one link after another, drawing in batches. */
class WeightFiller {
 public:
  WeightFiller(Layer& layer, Init init, uint64_t seed, uint32_t index)
      : weights_(layer.weights.data()), init_(init), seed_(seed), index_(index) {}

  /** Adds the next link: its cell and the bound of its weight. */
  void add(uint64_t cell, float bound) {
    cells_[count_] = cell;
    bounds_[count_] = bound;
    if (++count_ == kBatch) flush();
  }
  void flush() {
    if (init_ == Init::normal) {
      for (size_t k = 0; k < count_; ++k)
        weights_[k] = normal(draw(seed_, Stream::weights, index_, 0, cells_[k]));
    } else {
      uint64_t words[kBatch];
      draw_many(seed_, Stream::weights, index_, 0, cells_, 0, count_, words);
      for (size_t k = 0; k < count_; ++k) {
        weights_[k] = bounds_[k] * symmetric_unit(static_cast<uint32_t>(words[k]));
      }
    }
    weights_ += count_;
    count_ = 0;
  }

 private:
  static constexpr size_t kBatch = 256;
  float* weights_;
  Init init_;
  uint64_t seed_;
  uint32_t index_;
  size_t count_ = 0;
  uint64_t cells_[kBatch] = {};
  float bounds_[kBatch] = {};
};

}  // namespace

void init_weights(Layer& layer, Init init, uint64_t seed, uint32_t index) {
  const uint64_t n = layer.inputs, m = layer.outputs;
  const float dense_bound = he_bound(layer.inputs);
  layer.weights.resize(layer.dense ? n * m : layer.links.nnz());
  WeightFiller filler(layer, init, seed, index);
  if (layer.dense) {
    for (uint64_t cell = 0; cell < n * m; ++cell) filler.add(cell, dense_bound);
    return filler.flush();
  }
  std::vector<float> bounds(m, dense_bound);
  if (init == Init::he_fan_in) {
    const std::vector<uint32_t> links_into = fan_in(layer.links);
    std::transform(links_into.begin(), links_into.end(), bounds.begin(), he_bound);
  }
  for (uint64_t i = 0; i < n; ++i) {
    for (uint32_t k = layer.links.row_offsets[i]; k < layer.links.row_offsets[i + 1]; ++k) {
      const uint32_t j = layer.links.col_indices[k];
      filler.add(i * m + j, bounds[j]);
    }
  }
  filler.flush();
}

float regrown_weight(RegrowInit init, uint64_t seed, uint32_t layer, uint32_t epoch, uint64_t cell,
                     uint32_t inputs, uint32_t fan_in) {
  if (init == RegrowInit::zero) return 0.0f;
  const uint32_t word = draw(seed, Stream::regrow_weights, layer, epoch, cell)[0];
  return he_bound(init == RegrowInit::he_dense ? inputs : fan_in) * symmetric_unit(word);
}

}  // namespace set_native
