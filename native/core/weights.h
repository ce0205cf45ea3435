#pragma once

#include <cstdint>

#include "core/model.h"

namespace set_native {

/**
 * Fills `layer.weights` for the layer's pattern. `index` is the layer's place in the model. The draw of a
 * cell is a pure function of (seed, index, cell), so topologies that share a cell share its draw.
 *
 * he_dense: U(-b, b), b = sqrt(6 / n), where n is the number of the layer's sources (thesis).
 * he_fan_in: the same with the target's number of links k_j for n (He et al. 2015 on the links that exist).
 * normal: N(0, 0.1^2) by Box-Muller (thesis, lung).
 */
void init_weights(Layer& layer, Init init, uint64_t seed, uint32_t index);

/** Bound of He's uniform initialisation: sqrt(6 / fan_in), rounded to float once. */
float he_bound(uint32_t fan_in);

/**
 * Weight of a link grown in `epoch`: 0, or he_bound(inputs or fan_in) * symmetric_unit(word 0 of the draw of
 * stream regrow_weights with index = cell). For he_fan_in, `fan_in` is the target's number of links after
 * regrowth.
 */
float regrown_weight(RegrowInit init, uint64_t seed, uint32_t layer, uint32_t epoch, uint64_t cell,
                     uint32_t inputs, uint32_t fan_in);

}  // namespace set_native
