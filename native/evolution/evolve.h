#pragma once

#include "core/evolution.h"
#include "layout/blocks.h"
#include "layout/thread_pool.h"

namespace set_native {

/**
 * Checks what may refuse the evolution of a sparse layer, as core's begin_evolution does: policy and key
 * (out_of_range), and that all weights are finite (non_finite, naming the link). Changes nothing. Returns
 * false if the layer has no links, so that there is nothing to do.
 */
bool begin_evolution(const AnyBlocks& blocks, const EvolutionPolicy& policy, const EvolutionKey& key);

/**
 * Evolves a sparse layer in place, on all threads of the pool: prunes, regrows, rebuilds, indexes the
 * targets. O((links + n) / threads + n + m). Requires that begin_evolution returned true.
 *
 * Gives the same links and weights, bit for bit, as reference::evolve_layer, for any number of threads. nnz
 * is unchanged, kept weights and moments are bit-identical, grown links have moments of 0 and the birth
 * birth_of(key.epoch).
 *
 * The height of the blocks becomes what the policy needs: motif_size for aligned motifs in a layer of whole
 * motifs of that size, else 1. If it is so already, the memory needed beside the layer is about 3 bits per
 * link, 16 bytes per group and thread, and a little for the rare slots whose first proposal failed: regrowth
 * works in the memory of by_target.
 *
 * Growth by gradient takes `scores`, and 24 bytes per candidate; growth by walk 12 bytes per kept block.
 *
 * When memory runs out (bad_alloc, or an Error of the pool), the layer keeps its links, perhaps in blocks of
 * another height, and by_target is indexed again. If even that finds no memory, by_target is left empty and
 * bad_alloc is thrown.
 */
LayerEvolution evolve_layer(AnyBlocks& blocks, const EvolutionPolicy& policy, const EvolutionKey& key,
                            ThreadPool& pool, const CellScores* scores = nullptr);

}  // namespace set_native
