#include "core/csr.h"

#include <limits>

#include "core/error.h"

namespace set_native {

namespace {

[[noreturn]] void refuse(const std::string& operation, const std::string& what) {
  throw Error(ErrorCode::invalid_csr, "[" + operation + "] " + what);
}

std::string text(uint64_t number) {
  return std::to_string(number);
}

}  // namespace

void check_csr(const Csr& csr, const std::string& operation) {
  const uint64_t nnz = csr.nnz();
  if (nnz > std::numeric_limits<uint32_t>::max())
    refuse(operation, "expected fewer than 2^32 links, got " + text(nnz));
  if (csr.row_offsets.size() != static_cast<uint64_t>(csr.rows) + 1) {
    refuse(operation, "row_offsets must have rows + 1 = " + text(static_cast<uint64_t>(csr.rows) + 1) +
                          " entries, got " + text(csr.row_offsets.size()));
  }
  if (csr.row_offsets.front() != 0)
    refuse(operation, "row_offsets must start at 0, got " + text(csr.row_offsets[0]));
  if (csr.row_offsets.back() != nnz) {
    refuse(operation, "row_offsets must end at nnz = " + text(nnz) + ", got " + text(csr.row_offsets.back()));
  }
  // All offsets are checked before any column: only monotone ones that end at nnz are safe to index with.
  for (uint32_t row = 0; row < csr.rows; ++row) {
    if (csr.row_offsets[row + 1] < csr.row_offsets[row]) {
      refuse(operation, "row_offsets must not decrease, but do after row " + text(row));
    }
  }
  for (uint32_t row = 0; row < csr.rows; ++row) {
    for (uint32_t k = csr.row_offsets[row]; k < csr.row_offsets[row + 1]; ++k) {
      const uint32_t col = csr.col_indices[k];
      if (col >= csr.cols) {
        refuse(operation,
               "columns must be below " + text(csr.cols) + ", got " + text(col) + " in row " + text(row));
      }
      if (k > csr.row_offsets[row] && col <= csr.col_indices[k - 1]) {
        refuse(operation, "columns of a row must be strictly ascending, but column " + text(col) +
                              " follows " + text(csr.col_indices[k - 1]) + " in row " + text(row));
      }
    }
  }
}

std::vector<uint32_t> fan_in(const Csr& csr) {
  std::vector<uint32_t> counts(csr.cols, 0);
  for (const uint32_t col : csr.col_indices) ++counts[col];
  return counts;
}

}  // namespace set_native
