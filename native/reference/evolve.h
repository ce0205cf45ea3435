#pragma once

#include "core/evolution.h"

namespace set_native::reference {

/**
 * The oracle of evolution: sorts and sets instead of selection and counting, to be read beside the
 * definitions.
 *
 * Layer changed in place: nnz is unchanged, kept weights and
 * velocities are bit-identical, grown links have velocity 0 and birth_of(key.epoch). Does nothing to dense
 * layers. Throws non_finite, naming the link, before anything is changed.
 */
LayerEvolution evolve_layer(Layer& layer, const EvolutionPolicy& policy, const EvolutionKey& key);

}  // namespace set_native::reference
