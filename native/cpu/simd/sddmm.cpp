#include "cpu/simd/sddmm.h"

#include "cpu/simd/rows.h"

/*
 * Sampled dense-dense matrix multiplication (SDDMM): products of a row of x and a row of dz, at chosen cells.
 * The rows of a cell lie anywhere, so those of a later cell are fetched while one is computed.
 */
namespace set_native::cpu::SET_ISA {
namespace {

constexpr size_t kAhead = 4;  // cells

SET_INLINE void prefetch_row(const float* row, size_t stride) {
  for (size_t c = 0; c < stride; c += 16) __builtin_prefetch(row + c);
}

}  // namespace

void sddmm(const Sddmm& op, size_t begin, size_t end) {
  for (size_t k = begin; k < end; ++k) {
    if (k + kAhead < end) {
      prefetch_row(op.x + op.sources[k + kAhead] * op.stride, op.stride);
      prefetch_row(op.dz + op.targets[k + kAhead] * op.stride, op.stride);
    }
    const float* const x = op.x + op.sources[k] * op.stride;
    const float* const dz = op.dz + op.targets[k] * op.stride;
    Vec a{}, b{};
    size_t c = 0;
    for (; c + 2 * kWidth <= op.stride; c += 2 * kWidth) {
      a = fma(load(x + c), load(dz + c), a);
      b = fma(load(x + c + kWidth), load(dz + c + kWidth), b);
    }
    for (; c + kWidth <= op.stride; c += kWidth) a = fma(load(x + c), load(dz + c), a);
    float sum = sums_of(a + b, Vec{}, Vec{}, Vec{})[0];
    for (; c < op.stride; ++c) sum += x[c] * dz[c];
    op.sums[k] += op.scale * static_cast<double>(sum);
  }
}

}  // namespace set_native::cpu::SET_ISA
