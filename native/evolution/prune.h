#pragma once

#include <cstdint>

#include "core/evolution.h"
#include "evolution/marks.h"
#include "layout/blocks.h"
#include "layout/thread_pool.h"

namespace set_native {

/** What is removed from a layer. The layer itself is not changed. */
struct Pruning {
  Marks removed;           // blocks
  uint64_t full = 0;       // number of them in full groups,
  uint64_t truncated = 0;  //   and in a smaller last group
};

/**
 * Prune phase, as core/evolution.h defines it, where blocks go as a whole: single links, or
 * whole motifs in blocks of motif_size. O(blocks / threads).
 */
template <class Index>
Pruning prune_blocks(const Blocks<Index>& blocks, const EvolutionPolicy& policy, ThreadPool& pool);

}  // namespace set_native
