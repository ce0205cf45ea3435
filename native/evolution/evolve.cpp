#include "evolution/evolve.h"

#include <cmath>
#include <limits>
#include <utility>

#include "evolution/prune.h"
#include "evolution/rebuild.h"
#include "evolution/regrow.h"
#include "evolution/units.h"

namespace set_native {

namespace {

/** Throws non_finite, naming the link, unless all weights are finite. */
template <class Index>
void check_weights(const Blocks<Index>& blocks, uint32_t layer) {
  // One pass without branches; only if it fails a second pass looks for the link.
  bool finite = true;
  for (const float w : blocks.weights) finite &= std::fabs(w) <= std::numeric_limits<float>::max();
  if (finite) return;
  for (uint32_t b = 0; b < blocks.groups(); ++b) {
    for (uint32_t r = 0; r < blocks.sources_of(b); ++r) {
      for (size_t k = blocks.offsets[b]; k < blocks.offsets[b + 1]; ++k) {
        const float weight = blocks.weights[k * blocks.height + r];
        if (std::isfinite(weight)) continue;
        refuse_weight(weight, static_cast<uint64_t>(b) * blocks.height + r, blocks.targets[k], layer);
      }
    }
  }
}

/** Whether all links form whole motifs of `motif_size` sources, whatever the height of the blocks. */
template <class Index>
bool is_whole(const Blocks<Index>& blocks, uint32_t motif_size) {
  const auto targets = blocks.targets.begin();
  const auto& offsets = blocks.offsets;
  for (uint32_t b = 1; b < blocks.groups(); ++b) {
    const bool same = static_cast<uint64_t>(b) * blocks.height % motif_size == 0 ||
                      std::equal(targets + offsets[b - 1], targets + offsets[b], targets + offsets[b],
                                 targets + offsets[b + 1]);
    if (!same) return false;
  }
  return true;
}

/**
 * Repacks a copy of the blocks with another height. It works on a copy so that the layer survives any error;
 * the height rarely changes.
 */
template <class Index>
Blocks<Index> repacked(const Blocks<Index>& blocks, uint32_t height) {
  Blocks<Index> copy;
  copy.inputs = blocks.inputs;
  copy.outputs = blocks.outputs;
  copy.height = blocks.height;
  copy.offsets = blocks.offsets;
  copy.targets = blocks.targets;
  for_each_link_array([](const char*, const auto& held, auto& values) { values = held; }, blocks, copy);
  Layer layer;
  layer.inputs = blocks.inputs;
  layer.outputs = blocks.outputs;
  unpack(copy, layer);
  return pack_as<Index>(layer, height);
}

/**
 * Gives the blocks the height that the policy needs. Returns whether blocks are pruned and grown as a whole.
 */
template <class Index>
bool fit_height(Blocks<Index>& blocks, const EvolutionPolicy& policy) {
  const uint32_t size = policy.motif_size;
  const bool whole = size == 1 || (policy.parse == MotifParse::aligned && is_whole(blocks, size));
  const uint32_t height = whole ? size : 1;
  if (blocks.height != height) blocks = repacked(blocks, height);
  return whole;
}

/** Indexes the targets again, or leaves by_target empty and throws. */
template <class Index>
void restore_targets(Blocks<Index>& blocks, ThreadPool& pool) {
  try {
    blocks.index_targets(pool);
  } catch (...) {
    blocks.by_target = {};
    throw;
  }
}

template <class Index>
LayerEvolution evolve_blocks(Blocks<Index>& blocks, const EvolutionPolicy& policy, const EvolutionKey& key,
                             ThreadPool& pool, const CellScores* scores) {
  // Prune: mark the blocks to remove.
  const bool as_blocks = fit_height(blocks, policy);
  const Pruning pruning = as_blocks ? prune_blocks(blocks, policy, pool) : prune_units(blocks, policy);
  // Regrow, in the memory of by_target.
  Rebuild<Index> rebuild(blocks, policy, key, pool);
  Places grown;
  try {
    Workspace<Index> workspace{std::move(blocks.by_target.blocks), std::move(blocks.by_target.groups)};
    const Regrowth given{policy, key, scores, pool};
    grown = as_blocks ? regrow_blocks(blocks, pruning, given, workspace)
                      : regrow_units(blocks, pruning, given, workspace);
    blocks.by_target.groups = std::move(workspace.cols);
    blocks.by_target.groups.resize(blocks.size());
    grown.cols.resize(blocks.size());
  } catch (...) {
    restore_targets(blocks, pool);
    throw;
  }
  // Rebuild: put the grown blocks in the place of the removed ones.
  rebuild.run(pruning.removed, grown);
  const uint64_t links =
      pruning.full * blocks.height + pruning.truncated * blocks.sources_of(blocks.groups() - 1);
  return {links, links};
}

}  // namespace

bool begin_evolution(const AnyBlocks& blocks, const EvolutionPolicy& policy, const EvolutionKey& key) {
  check_evolution(policy, key);
  return std::visit(
      [&](const auto& layer) {
        if (layer.size() == 0) return false;
        check_weights(layer, key.layer);
        return true;
      },
      blocks);
}

LayerEvolution evolve_layer(AnyBlocks& blocks, const EvolutionPolicy& policy, const EvolutionKey& key,
                            ThreadPool& pool, const CellScores* scores) {
  require_scores(policy, scores);
  return std::visit([&](auto& layer) { return evolve_blocks(layer, policy, key, pool, scores); }, blocks);
}

}  // namespace set_native
