#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "core/evolution.h"
#include "evolution/marks.h"
#include "evolution/proposals.h"
#include "layout/parts.h"
#include "layout/thread_pool.h"

namespace set_native {

/**
 * Returns the `wanted` places of highest score, ties by (row, col), or all if there are no more. The score of
 * a place is the sum over its cells, by source; sources_of(row) are the sources [begin, end) of a place in a
 * row. O(cells / threads + places) on average.
 */
template <class Sources>
Places best_of(Places places, uint64_t wanted, const CellScores& score_cells, ThreadPool& pool,
               Sources sources_of) {
  const uint32_t size = places.size();
  if (size <= wanted) return places;
  const auto rows = static_cast<uint32_t>(places.offsets.size() - 1);
  // Score the places, a batch of cells at a time.
  std::vector<double> scores(size, 0.0);
  std::vector<uint32_t> row_of(size);
  for (uint32_t row = 0; row < rows; ++row)
    std::fill(row_of.begin() + places.offsets[row], row_of.begin() + places.offsets[row + 1], row);
  pool.run([&](unsigned t) {
    constexpr size_t kCells = 4096;
    std::vector<uint32_t> sources, targets, owners;
    std::vector<double> cells(kCells);
    const auto flush = [&] {
      score_cells(sources.data(), targets.data(), sources.size(), cells.data());
      for (size_t c = 0; c < sources.size(); ++c) scores[owners[c]] += cells[c];
      sources.clear();
      targets.clear();
      owners.clear();
    };
    const Part part = part_of(size, t, pool.size());
    for (size_t p = part.begin; p < part.end; ++p) {
      const auto [begin, end] = sources_of(row_of[p]);
      if (sources.size() + (end - begin) > kCells) flush();
      for (uint32_t source = begin; source < end; ++source) {
        sources.push_back(source);
        targets.push_back(places.cols[p]);
        owners.push_back(static_cast<uint32_t>(p));
      }
    }
    flush();
  });
  // Select the best, and keep them in order.
  std::vector<uint32_t> order(size);
  for (uint32_t p = 0; p < size; ++p) order[p] = p;
  const auto better = [&](uint32_t a, uint32_t b) {
    return scores[a] != scores[b] ? scores[a] > scores[b] : a < b;
  };
  std::nth_element(order.begin(), order.begin() + static_cast<ptrdiff_t>(wanted), order.end(), better);
  Marks chosen(size);
  for (uint64_t k = 0; k < wanted; ++k) chosen.mark(order[k]);
  uint32_t to = 0;
  for (uint32_t row = 0, p = 0; row < rows; ++row) {
    for (; p < places.offsets[row + 1]; ++p)
      if (chosen[p]) places.cols[to++] = places.cols[p];
    places.offsets[row + 1] = to;  // p is the end of the row as it was
  }
  return places;
}

}  // namespace set_native
