#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "layout/thread_pool.h"

namespace set_native {

/** Items [begin, end). */
struct Part {
  size_t begin;
  size_t end;
};

/** Part t of `parts` nearly equal parts of 0 .. size - 1. All parts begin at multiples of `unit`. */
inline Part part_of(size_t size, unsigned t, unsigned parts, size_t unit = 1) {
  const size_t units = (size + unit - 1) / unit;
  return {std::min(units * t / parts * unit, size), std::min(units * (t + 1) / parts * unit, size)};
}

/**
 * Cuts rows into parts of nearly equal cost. A row costs its number of items plus `row_cost`. Part t consists
 * of the rows from [t] to [t + 1] - 1 of the result.
 */
inline std::vector<uint32_t> parts_of_rows(const std::vector<uint32_t>& offsets, unsigned parts,
                                           double row_cost) {
  const auto rows = static_cast<uint32_t>(offsets.size() - 1);
  const auto cost = [&](uint32_t row) { return offsets[row] + row_cost * row; };
  std::vector<uint32_t> first(static_cast<size_t>(parts) + 1, rows);
  first[0] = 0;
  for (unsigned t = 1; t < parts; ++t) {
    const double before = cost(rows) * t / parts;
    uint32_t low = first[t - 1], high = rows;
    while (low < high) {
      const uint32_t middle = low + (high - low) / 2;
      (cost(middle) < before ? low = middle + 1 : high = middle);
    }
    first[t] = low;
  }
  return first;
}

/**
 * Calls task(t, begin, end) on thread t for pieces of the rows 0 .. rows - 1; each thread takes the next
 * piece when it is free. For work that differs from row to row and whose result does not depend on the
 * thread.
 */
template <class Task>
void deal_rows(ThreadPool& pool, unsigned threads, uint32_t rows, Task&& task) {
  constexpr uint32_t kPiecesPerThread = 16;
  const uint32_t piece = rows / (threads * kPiecesPerThread) + 1;
  std::atomic<uint64_t> next{0};
  pool.run(threads, [&](unsigned t) {
    for (uint64_t begin; (begin = next.fetch_add(piece, std::memory_order_relaxed)) < rows;) {
      task(t, static_cast<uint32_t>(begin), static_cast<uint32_t>(std::min<uint64_t>(begin + piece, rows)));
    }
  });
}

}  // namespace set_native
