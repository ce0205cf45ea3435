#pragma once

#include <cstdint>

#include "core/evolution.h"
#include "evolution/marks.h"
#include "layout/blocks.h"
#include "layout/thread_pool.h"

namespace set_native {

/** Blocks to remove from a layer. */
struct Pruning {
  Marks removed;           // marks the blocks to remove
  uint64_t full = 0;       // number of removed blocks in full groups
  uint64_t truncated = 0;  // number of removed blocks in a smaller last group
};

/**
 * Selects the blocks to remove, as core/evolution.h defines, where blocks are removed as a whole: single
 * links, or whole motifs in blocks of motif_size. Does not change the layer. O(blocks / threads).
 */
template <class Index>
Pruning prune_blocks(const Blocks<Index>& blocks, const EvolutionPolicy& policy, ThreadPool& pool);

}  // namespace set_native
