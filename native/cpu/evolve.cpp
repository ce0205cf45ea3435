#include "cpu/evolve.h"

#include <algorithm>
#include <vector>

#include "core/error.h"
#include "core/philox.h"
#include "cpu/prune.h"
#include "cpu/regrow.h"

namespace set_native::cpu {

namespace {

/**
 * Weights of the grown links, as regrown_weight gives them one by one: draws in batches, bounds once per layer or
 * target. `links` is the new pattern, numbers[g] the link of grown[g].
 */
void set_grown_weights(Layer& layer, const std::vector<Cell>& grown, const std::vector<uint32_t>& numbers,
                       const EvolutionPolicy& policy, const EvolutionKey& key, std::vector<float>& bounds) {
  if (policy.regrow_init == RegrowInit::zero) {
    for (const uint32_t k : numbers) layer.weights[k] = 0.0f;
    return;
  }
  if (policy.regrow_init == RegrowInit::he_dense) {
    std::fill(bounds.begin(), bounds.end(), he_bound(layer.inputs));
  } else {
    std::vector<uint32_t> links_into = fan_in(layer.links);
    std::transform(links_into.begin(), links_into.end(), bounds.begin(), he_bound);
  }
  constexpr size_t kBatch = 256;
  uint64_t cells[kBatch], words[kBatch];
  for (size_t begin = 0; begin < grown.size(); begin += kBatch) {
    const size_t count = std::min(kBatch, grown.size() - begin);
    for (size_t t = 0; t < count; ++t) {
      cells[t] = static_cast<uint64_t>(grown[begin + t].row) * layer.outputs + grown[begin + t].col;
    }
    draw_many(key.seed, Stream::regrow_weights, key.layer, key.epoch, cells, 0, count, words);
    for (size_t t = 0; t < count; ++t) {
      const float unit = symmetric_unit(static_cast<uint32_t>(words[t]));
      layer.weights[numbers[begin + t]] = bounds[grown[begin + t].col] * unit;
    }
  }
}

/**
 * Replaces the pruned links by the grown ones, in place: first the kept links move together to the front, then, from
 * the last row and column down, kept and grown links are merged to their final places, which are never
 * below those they come from. Memory is taken before the first change: an allocation that fails changes nothing.
 */
void rebuild(Layer& layer, const Pruning& pruning, const std::vector<Cell>& grown, const EvolutionPolicy& policy,
             const EvolutionKey& key) {
  std::vector<uint32_t> numbers(grown.size());
  std::vector<float> bounds(layer.outputs);
  uint32_t* const offsets = layer.links.row_offsets.data();
  uint32_t* const cols = layer.links.col_indices.data();
  float* const weights = layer.weights.data();
  float* const momentum = layer.momentum.data();
  uint16_t* const birth = layer.birth.data();
  const auto move_link = [=](uint32_t from, uint32_t to) {
    cols[to] = cols[from];
    weights[to] = weights[from];
    momentum[to] = momentum[from];
    birth[to] = birth[from];
  };

  uint32_t kept = 0;
  for (uint32_t row = 0, k = 0; row < layer.inputs; ++row) {
    const uint32_t end = offsets[row + 1];
    for (; k < end; ++k) {
      move_link(k, kept);
      kept += !pruning.removed[k];
    }
    offsets[row + 1] = kept;
  }

  auto g = static_cast<uint32_t>(grown.size());
  for (uint32_t row = layer.inputs; row-- > 0 && g > 0;) {
    const uint32_t first_kept = offsets[row];
    kept = offsets[row + 1];
    offsets[row + 1] = kept + g;
    while (g > 0 && grown[g - 1].row == row) {
      const uint32_t to = kept + g - 1, col = grown[g - 1].col;
      numbers[g - 1] = to;
      if (kept == first_kept) {
        cols[to] = col;
        --g;
        continue;
      }
      // No branch on which of the two is last, which nothing could predict: a grown link gets a kept link's values
      // here and its own below, and numbers[g - 1] is written until it is right.
      const bool take_kept = cols[kept - 1] > col;
      const uint32_t last = std::max(cols[kept - 1], col);
      move_link(kept - 1, to);
      cols[to] = last;
      kept -= take_kept;
      g -= !take_kept;
    }
    if (g > 0) {
      while (kept > first_kept) {
        --kept;
        move_link(kept, kept + g);
      }
    }
  }
  for (const uint32_t k : numbers) {
    momentum[k] = 0.0f;
    birth[k] = static_cast<uint16_t>(key.epoch);
  }
  set_grown_weights(layer, grown, numbers, policy, key, bounds);
}

}  // namespace

LayerEvolution evolve_layer(Layer& layer, const EvolutionPolicy& policy, const EvolutionKey& key) {
  if (!begin_evolution(layer, policy, key)) return {};
  const Pruning pruning = prune(layer, policy);
  const std::vector<Cell> grown = regrow(layer, pruning, policy, key);
  rebuild(layer, pruning, grown, policy, key);
#if defined(SET_CHECK_INVARIANTS)
  check_csr(layer.links, "evolve");
  if (layer.links.nnz() != layer.weights.size())
    throw Error(ErrorCode::internal, "[evolve] the number of links changed");
#endif
  return {pruning.links, grown.size()};
}

}  // namespace set_native::cpu
