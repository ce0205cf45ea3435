#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace set_native {

/**
 * Pattern of a sparse n x m layer in compressed sparse row form: row = source i, column = target j.
 *
 * `row_offsets` has rows + 1 entries, starts at 0, never decreases and ends at nnz; the columns of a row are
 * strictly ascending. The number k of a link is thus also the rank of its cell c = i * m + j, so ties "by
 * cell" are ties by k. A layer has at most 2^32 - 1 links.
 */
struct Csr {
  uint32_t rows = 0;
  uint32_t cols = 0;
  std::vector<uint32_t> row_offsets;
  std::vector<uint32_t> col_indices;

  uint64_t nnz() const { return col_indices.size(); }
};

/** Throws Error(invalid_csr), naming `operation`, the broken rule and the place. O(rows + nnz). */
void check_csr(const Csr& csr, const std::string& operation);

/** Number of links into each target, length cols. */
std::vector<uint32_t> fan_in(const Csr& csr);

}  // namespace set_native
