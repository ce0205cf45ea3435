#pragma once

#include <cstdint>
#include <vector>

#include "core/evolution.h"
#include "cpu/prune.h"

namespace set_native::cpu {

struct Cell {
  uint32_t row;
  uint32_t col;
};

/** The cells of the links to grow, as many as were removed, sorted by (row, col). O(nnz + n + m), see regrow.cpp. */
std::vector<Cell> regrow(const Layer& layer, const Pruning& pruning, const EvolutionPolicy& policy,
                         const EvolutionKey& key);

}  // namespace set_native::cpu
