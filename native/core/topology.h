#pragma once

#include <cstdint>

#include "core/csr.h"
#include "core/model.h"

namespace set_native {

/** Counter words that all draws of a layer's topology share. */
struct TopologyKey {
  uint64_t seed;
  uint32_t layer;
};

/**
 * Draws an Erdős–Rényi topology: each of the n x m cells holds a link with probability p, 0 < p < 1,
 * independently. Geometric skips along each row (Batagelj and Brandes 2005, doi:10.1103/PhysRevE.71.036113)
 * take O(n + nnz).
 */
Csr erdos_renyi(uint32_t inputs, uint32_t outputs, double p, TopologyKey key);

/**
 * Draws a corrected motif topology: sources are tiled into groups of `motif_size` (the last may be smaller),
 * and each slot (group, target) is full with probability p, else empty. E[nnz] = p n m, the expected degrees
 * are those of Erdős–Rényi, and the in-degree variance is motif_size times as large. O(n + nnz).
 */
Csr motif(uint32_t inputs, uint32_t outputs, double p, uint32_t motif_size, TopologyKey key);

/**
 * Draws a topology by algorithm 2 of the thesis as printed: target j is linked to the first L_j sources,
 * where P(L_j >= i) = p^i. Row i has density p^i, so E[nnz] = m p / (1 - p) and almost all sources have no
 * links. Kept to reproduce what is printed.
 */
Csr motif_printed(uint32_t inputs, uint32_t outputs, double p, TopologyKey key);

/** Numbers of inputs and outputs that paths of links connect. */
struct Reachability {
  uint32_t inputs;   // number of inputs with a path to some output
  uint32_t outputs;  // number of outputs with a path from some input
};

/**
 * Counts the inputs and outputs that paths connect. O(total links). If both counts are zero, inputs and
 * outputs are disconnected and nothing can be learned from the input.
 */
Reachability reachability(const Model& model);

}  // namespace set_native
