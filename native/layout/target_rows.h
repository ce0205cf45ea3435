#pragma once

#include <cstdint>
#include <variant>
#include <vector>

#include "core/aligned.h"
#include "layout/blocks.h"
#include "layout/bundle.h"

namespace set_native {

/**
 * A copy of a layer of single links in the order in which one sample takes them by target.
 *
 * Targets are sorted by their number of links, the most first, and bundled by kBundle. A bundle has as many
 * links of each of its targets as the one with the fewest has, the first of all targets side by side, then
 * the second of all, and so on; then what the others have beyond, target by target. So links are two plain
 * streams without padding. Those of a target keep their order, by source. A last bundle of fewer targets has
 * nothing side by side. 4 + sizeof(Index) bytes per link, 8 per target.
 */
template <class Index>
struct TargetRows {
  std::vector<uint32_t> targets;  // m
  std::vector<uint32_t> lengths;  // number of links of each of `targets`, descending
  AlignedVector<Index> sources;   // nnz
  AlignedVector<float> weights;   // nnz
};

using AnyTargetRows = std::variant<TargetRows<uint16_t>, TargetRows<uint32_t>>;

/** Bytes of the target rows of a layer. */
double target_rows_bytes(const AnyBlocks& blocks);

/** Makes the target rows of blocks of height 1 whose targets are indexed. O(m log m + nnz). */
AnyTargetRows target_rows(const AnyBlocks& blocks);

}  // namespace set_native
