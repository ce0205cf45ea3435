#pragma once

#include "core/evolution.h"
#include "evolution/prune.h"
#include "layout/blocks.h"

namespace set_native {

/**
 * Selects the links to remove, unit by unit, as core/evolution.h defines, in a layer of single links whose
 * motifs are not whole or are runs. Reads by_target for runs. Serial, O(links + n + m) on average.
 */
template <class Index>
Pruning prune_units(const Blocks<Index>& links, const EvolutionPolicy& policy);

}  // namespace set_native
