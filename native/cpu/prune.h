#pragma once

#include <cstdint>
#include <vector>

#include "core/evolution.h"

namespace set_native::cpu {

/** What is removed from a layer. The layer itself is not changed. */
struct Pruning {
  std::vector<uint8_t> removed;  // per link: 1 = removed
  uint64_t links = 0;            // number of ones
  bool whole_motifs = false;     // set_motif, aligned: every occupied slot was full, and whole slots were removed:
  uint64_t full_slots = 0;       //   of full groups,
  uint64_t truncated_slots = 0;  //   and of the smaller last group
};

/** Prune phase of Method::set or Method::set_motif, as core/evolution.h defines it. O(nnz + n + m). */
Pruning prune(const Layer& layer, const EvolutionPolicy& policy);

}  // namespace set_native::cpu
