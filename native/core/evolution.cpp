#include "core/evolution.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "core/error.h"
#include "core/philox.h"

namespace set_native {

size_t probe_samples(uint64_t neurons, uint64_t samples) {
  constexpr uint64_t kMost = 4, kUnit = 128, kNumbers = uint64_t{1} << 25;
  const uint64_t units = std::clamp<uint64_t>(kNumbers / kUnit / std::max<uint64_t>(neurons, 1), 1, kMost);
  return static_cast<size_t>(std::min(units * kUnit, samples));
}

void check_policy(const EvolutionPolicy& policy) {
  if (!(policy.zeta > 0.0 && policy.zeta < 1.0)) {
    throw Error(ErrorCode::out_of_range,
                "[evolve] zeta must lie between 0 and 1, both excluded, got " + std::to_string(policy.zeta));
  }
  if (policy.motif_size < 1 || policy.motif_size > kMaxMotifSize) {
    throw Error(ErrorCode::out_of_range, "[evolve] motif_size must lie in 1 .. " +
                                             std::to_string(kMaxMotifSize) + ", got " +
                                             std::to_string(policy.motif_size));
  }
  if (policy.prune != Prune::lowest && policy.motif_size > 1) {
    throw Error(
        ErrorCode::invalid_argument,
        "[evolve] links are pruned by sign one by one, motifs by their score: expected prune lowest with a "
        "motif_size of " +
            std::to_string(policy.motif_size));
  }
}

void check_evolution(const EvolutionPolicy& policy, const EvolutionKey& key) {
  check_policy(policy);
  if (key.layer >= kMaxLayers) {
    throw Error(ErrorCode::out_of_range, "[evolve] expected a layer below " + std::to_string(kMaxLayers) +
                                             ", got " + std::to_string(key.layer));
  }
}

void require_scores(const EvolutionPolicy& policy, const CellScores* scores) {
  if (policy.grow == Grow::gradient && scores == nullptr)
    throw Error(ErrorCode::invalid_argument, "[evolve] growth by gradient takes samples");
}

void refuse_weight(float weight, uint64_t source, uint64_t target, uint32_t layer) {
  throw Error(ErrorCode::non_finite, "[evolve] weights must be finite, got " + std::to_string(weight) +
                                         " on link " + std::to_string(source) + " -> " +
                                         std::to_string(target) + " of layer " + std::to_string(layer) +
                                         "; a lower learning rate may help");
}

bool begin_evolution(const Layer& layer, const EvolutionPolicy& policy, const EvolutionKey& key) {
  check_evolution(policy, key);
  if (layer.dense || layer.nnz() == 0) return false;
  uint32_t row = 0;
  for (uint32_t k = 0; k < layer.nnz(); ++k) {
    while (layer.links.row_offsets[row + 1] <= k) ++row;
    if (!std::isfinite(layer.weights[k])) {
      refuse_weight(layer.weights[k], row, layer.links.col_indices[k], key.layer);
    }
  }
  return true;
}

}  // namespace set_native
