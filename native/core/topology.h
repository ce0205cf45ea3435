#pragma once

#include <cstdint>

#include "core/csr.h"
#include "core/model.h"

namespace set_native {

/** Which layer of which seed is drawn: the counter words that all topologies share. */
struct TopologyKey {
  uint64_t seed;
  uint32_t layer;
};

/**
 * Erdős–Rényi: each of the n x m cells present with probability p, 0 < p < 1, independently.
 * Geometric skips along each row (Batagelj and Brandes 2005, doi:10.1103/PhysRevE.71.036113): O(n + nnz).
 */
Csr erdos_renyi(uint32_t inputs, uint32_t outputs, double p, TopologyKey key);

/**
 * Corrected motif topology: sources are tiled into groups of `motif_size` (the last may be smaller), and each
 * slot (group, target) is full with probability p, else empty. E[nnz] = p n m, the expected degrees are those
 * of Erdős–Rényi, the in-degree variance is motif_size times as large. O(n + nnz).
 */
Csr motif(uint32_t inputs, uint32_t outputs, double p, uint32_t motif_size, TopologyKey key);

/**
 * Algorithm 2 of the thesis as printed, for the record: target j is linked to the first L_j sources, where
 * P(L_j >= i) = p^i. Row i has density p^i, so E[nnz] = m p / (1 - p) and almost all sources are unlinked.
 */
Csr motif_printed(uint32_t inputs, uint32_t outputs, double p, TopologyKey key);

/** How much of a network a signal can cross. */
struct Reachability {
  uint32_t inputs;   // inputs from which some output can be reached
  uint32_t outputs;  // outputs that some input reaches
};

/** O(total links). Both zero: input and output are disconnected and nothing can be learned from the input. */
Reachability reachability(const Model& model);

}  // namespace set_native
