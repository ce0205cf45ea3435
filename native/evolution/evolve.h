#pragma once

#include "core/evolution.h"
#include "layout/blocks.h"
#include "layout/thread_pool.h"

namespace set_native {

/**
 * set_native::begin_evolution for the blocks of a sparse layer: checks policy and key (out_of_range) and that
 * all weights are finite (non_finite, naming the link), changing nothing. False: nothing to do
 * (no links).
 */
bool begin_evolution(const AnyBlocks& blocks, const EvolutionPolicy& policy, const EvolutionKey& key);

/**
 * One evolution of a sparse layer in place, on all threads of the pool: prune, regrow, rebuild, index the
 * targets. O((links + n) / threads + n + m). Requires that begin_evolution was true.
 *
 * Same definition, same links and weights, bit for bit, as reference::evolve_layer, for any number of
 * threads. nnz is unchanged, kept weights and velocities are bit-identical, grown links have velocity 0 and
 * birth_of(key.epoch).
 *
 * The height of the blocks becomes what the policy needs: motif_size for aligned motifs in a
 * layer of whole motifs of that size, else 1. Where it is that already, the memory needed beside the layer is
 * about 3 bits per link, 16 bytes per group and thread, and what the rare slots take whose first proposal
 * failed: regrowth works in by_target.
 *
 * When memory runs out (bad_alloc, or an Error of the pool), the layer has the links it had, if maybe in
 * blocks of another height, and by_target is indexed again. Only if there is no memory even for that,
 * by_target is left empty and bad_alloc is thrown.
 */
LayerEvolution evolve_layer(AnyBlocks& blocks, const EvolutionPolicy& policy, const EvolutionKey& key,
                            ThreadPool& pool);

}  // namespace set_native
