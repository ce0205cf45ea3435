#include "cpu/simd/dense.h"

/*
 * The dense kernels for rows narrower than a vector: vectors run along the targets of a source instead of along the
 * samples, which are too few.
 *
 * Forward: blocks of kTargets targets, whose sums stay in L1 sample by sample, take four sources at a time: row i of W
 * is read once, in order. dx: rows of W against rows of dz_by_sample, one sum per source and sample. 2 n m S flops
 * each; 4 n m bytes of W bind both.
 */
namespace set_native::cpu::SET_ISA {
namespace {

constexpr size_t kTargets = 256;
constexpr size_t kSources = 4;

/** sums[s][q] += the share of I sources in target j + q, q < count. */
template <size_t S, size_t I>
SET_INLINE void add_sources(const DenseForward& op, size_t i, size_t j, size_t count, float (*sums)[kTargets]) {
  const float* weights = op.weights + i * op.outputs + j;
  const float* x = op.x + i * S;
  size_t q = 0;
  for (; q + kWidth <= count; q += kWidth) {
    Vec w[I];
    for (size_t p = 0; p < I; ++p) w[p] = load_unaligned(weights + p * op.outputs + q);
    for (size_t s = 0; s < S; ++s) {
      Vec sum = load(sums[s] + q);
      for (size_t p = 0; p < I; ++p) sum = fma(broadcast(x[p * S + s]), w[p], sum);
      store(sums[s] + q, sum);
    }
  }
  for (; q < count; ++q)
    for (size_t s = 0; s < S; ++s)
      for (size_t p = 0; p < I; ++p) sums[s][q] = fma(x[p * S + s], weights[p * op.outputs + q], sums[s][q]);
}

template <size_t S>
void forward(const DenseForward& op, size_t begin, size_t end) {
  alignas(64) float sums[S][kTargets];
  for (size_t j = begin; j < end; j += kTargets) {
    const size_t count = j + kTargets < end ? kTargets : end - j;
    for (size_t s = 0; s < S; ++s)
      for (size_t q = 0; q < count; ++q) sums[s][q] = op.bias[j + q];
    size_t i = 0;
    for (; i + kSources <= op.inputs; i += kSources) add_sources<S, kSources>(op, i, j, count, sums);
    for (; i < op.inputs; ++i) add_sources<S, 1>(op, i, j, count, sums);
    for (size_t q = 0; q < count; ++q)
      for (size_t s = 0; s < S; ++s) op.z[(j + q) * S + s] = sums[s][q];
  }
  activate(op.z + begin * S, (end - begin) * S, op.activation);
}

}  // namespace

void dense_small_forward(const DenseForward& op, size_t begin, size_t end) {
  (op.stride == 1   ? forward<1>
   : op.stride == 2 ? forward<2>
   : op.stride == 4 ? forward<4>
                    : forward<8>)(op, begin, end);
}

void dense_small_dx(const DenseBackward& op, size_t i, size_t j, size_t count) {
  const float* weights = op.weights + i * op.outputs + j;
  for (size_t b = 0; b < op.batch; ++b) {
    const float* dz = op.dz_by_sample + b * op.outputs_stride + j;
    Vec sum = {};
    size_t q = 0;
    for (; q + kWidth <= count; q += kWidth) sum = fma(load_unaligned(weights + q), load_unaligned(dz + q), sum);
    float total = sums_of(sum, Vec{}, Vec{}, Vec{})[0];
    for (; q < count; ++q) total = fma(weights[q], dz[q], total);
    op.dx[i * op.stride + b] += total;
  }
}

}  // namespace set_native::cpu::SET_ISA
