#pragma once

#include "core/evolution.h"

namespace set_native::reference {

/**
 * Evolves a layer in place: the oracle of evolution, with sorts and sets instead of selection and counting,
 * to be read beside the definitions.
 *
 * nnz is unchanged, kept weights and moments are bit-identical, grown links have moments of 0 and the birth
 * birth_of(key.epoch). Growth by gradient takes `scores`. Does nothing to dense layers. Throws as
 * begin_evolution does, before anything changes.
 */
LayerEvolution evolve_layer(Layer& layer, const EvolutionPolicy& policy, const EvolutionKey& key,
                            const CellScores* scores = nullptr);

}  // namespace set_native::reference
