#pragma once

#include "core/evolution.h"
#include "evolution/proposals.h"
#include "evolution/prune.h"
#include "layout/blocks.h"
#include "layout/thread_pool.h"

namespace set_native {

/** What growth goes by. */
struct Regrowth {
  const EvolutionPolicy& policy;
  const EvolutionKey& key;
  const CellScores* scores;  // null unless the policy grows by gradient
  ThreadPool& pool;
};

/**
 * Draws the blocks to grow, as many as were removed, by (group, target): single links, or whole motifs in
 * blocks of motif_size, as many in full groups and in a smaller last group as were removed there. O((blocks +
 * groups) / threads + groups + m), see proposals.h.
 */
template <class Index>
Places regrow_blocks(const Blocks<Index>& blocks, const Pruning& pruning, const Regrowth& given,
                     Workspace<Index>& workspace);

/**
 * Draws the links to grow, by (source, target), in a layer of single links whose motifs are not whole or are
 * runs: motifs first, then single links.
 */
template <class Index>
Places regrow_units(const Blocks<Index>& links, const Pruning& pruning, const Regrowth& given,
                    Workspace<Index>& workspace);

}  // namespace set_native
