#pragma once

#include "core/evolution.h"

namespace set_native::cpu {

/**
 * One evolution of a sparse layer in place: prune, regrow, rebuild. O(nnz + n + m).
 *
 * Same definition and same topology, cell for cell, as reference::evolve_layer. nnz is unchanged, kept weights and
 * momenta are bit-identical, grown links have momentum 0 and birth key.epoch. Does nothing to dense layers and for
 * Method::fixed. Throws non_finite, naming the link, before anything is changed.
 */
LayerEvolution evolve_layer(Layer& layer, const EvolutionPolicy& policy, const EvolutionKey& key);

}  // namespace set_native::cpu
