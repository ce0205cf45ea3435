#pragma once

#include "core/evolution.h"
#include "evolution/proposals.h"
#include "evolution/prune.h"
#include "layout/blocks.h"
#include "layout/thread_pool.h"

namespace set_native {

/**
 * The blocks to grow, as many as were removed, by (group, target): single links, or
 * whole motifs in blocks of motif_size, like for like. O((blocks + groups) / threads + groups
 * + m), see proposals.h.
 */
template <class Index>
Places regrow_blocks(const Blocks<Index>& blocks, const Pruning& pruning, const EvolutionKey& key,
                     ThreadPool& pool, Workspace<Index>& workspace);

/**
 * The links to grow in a layer of single links whose motifs are not whole, or are runs: motifs first, then
 * single ones.
 */
template <class Index>
Places regrow_units(const Blocks<Index>& links, const Pruning& pruning, const EvolutionPolicy& policy,
                    const EvolutionKey& key, ThreadPool& pool, Workspace<Index>& workspace);

}  // namespace set_native
