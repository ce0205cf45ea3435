#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/evolution.h"
#include "core/philox.h"
#include "evolution/marks.h"
#include "layout/blocks.h"

namespace set_native {

/**
 * The items of a layer that pruning kept, blocks or links, as growth by walk goes along them
 * (core/evolution.h). 12 bytes per item.
 */
struct Walk {
  std::vector<uint32_t> rows, cols;                // of each item, by (row, col)
  std::vector<uint32_t> row_offsets;               // first item of each row
  std::vector<uint32_t> col_offsets, rows_by_col;  // rows of the items of each col, ascending
  uint32_t starts = 0;                             // number of the first items, at which walks may start
  uint32_t step = 1;                               // rows of items per row of places
  uint32_t last_place = UINT32_MAX;                // last row of places

  /** Place that a draw with the halves u, v leads to: row << 32 | col. */
  uint64_t place(uint64_t u, uint64_t v) const {
    const uint64_t start = below(u, starts);
    const uint32_t row = rows[start], middle = cols[start];
    const uint32_t into = col_offsets[middle], into_end = col_offsets[middle + 1];
    const uint32_t other = rows_by_col[into + below32(static_cast<uint32_t>(v >> 32), into_end - into)];
    const uint32_t out = row_offsets[other], out_end = row_offsets[other + 1];
    const uint32_t col = cols[out + below32(static_cast<uint32_t>(v), out_end - out)];
    const uint32_t of_places = row / step;
    return static_cast<uint64_t>(of_places < last_place ? of_places : last_place) << 32 | col;
  }
};

/** Collects the kept blocks; walks start at those of the first `start_groups` groups. O(blocks + n + m). */
template <class Index>
Walk walk_of(const Blocks<Index>& blocks, const Marks& removed, uint32_t start_groups) {
  Walk walk;
  walk.row_offsets.push_back(0);
  walk.col_offsets.assign(static_cast<size_t>(blocks.outputs) + 1, 0);
  for (uint32_t row = 0; row < blocks.groups(); ++row) {
    for (uint32_t k = blocks.offsets[row]; k < blocks.offsets[row + 1]; ++k) {
      if (removed[k]) continue;
      walk.rows.push_back(row);
      walk.cols.push_back(blocks.targets[k]);
      ++walk.col_offsets[blocks.targets[k] + 1];
    }
    walk.row_offsets.push_back(static_cast<uint32_t>(walk.rows.size()));
  }
  walk.starts = walk.row_offsets[start_groups];
  for (uint32_t col = 0; col < blocks.outputs; ++col) walk.col_offsets[col + 1] += walk.col_offsets[col];
  std::vector<uint32_t> next(walk.col_offsets.begin(), walk.col_offsets.end() - 1);
  walk.rows_by_col.resize(walk.rows.size());
  for (size_t k = 0; k < walk.rows.size(); ++k) walk.rows_by_col[next[walk.cols[k]]++] = walk.rows[k];
  return walk;
}

}  // namespace set_native
