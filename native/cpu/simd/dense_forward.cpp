#include "cpu/simd/dense.h"

/*
 * z_j = f(b_j + sum over i of w_ij x_i), j in [begin, end): GEMM, W n x m row by source.
 *
 * Sources are cut into panels, so that a panel's slice of x stays in L1 while z is accumulated in L2; within a panel a
 * register tile of `targets` x T vectors takes one load of x and one broadcast of w per row. Each row of W is thus read
 * once and in order, `kPanel` rows side by side.
 * 2 n m stride flops; reads 4 n m bytes of W, reads and writes z n / kPanel times.
 */
namespace set_native::cpu::SET_ISA {
namespace {

constexpr size_t kPanel = 32;          // sources
constexpr size_t kPrefetchAhead = 32;  // targets
constexpr size_t kMaxTile = 5;

/** Targets in a register tile of `tile` vectors: enough sums to hide the latency of fma, few enough to stay in it. */
constexpr size_t targets_beside(size_t tile) {
  return SET_VEC_WIDTH == 16 ? (tile <= 3 ? 8 : 4) : tile == 1 ? 8 : tile <= 3 ? 4 : 2;
}

/** z[j .. j + J) += the panel's share, for one tile of the batch. */
template <size_t J, size_t T>
SET_INLINE void add_panel(const DenseForward& op, size_t panel, size_t panel_end, size_t j, size_t column) {
  float* z = op.z + j * op.stride + column;
  Vec sum[J][T];
  for (size_t q = 0; q < J; ++q)
    for (size_t t = 0; t < T; ++t) sum[q][t] = load(z + q * op.stride + t * kWidth);
  const float* weights = op.weights + panel * op.outputs + j;
  const float* x = op.x + panel * op.stride + column;
  for (size_t i = panel; i < panel_end; ++i, weights += op.outputs, x += op.stride) {
    prefetch(weights + kPrefetchAhead);
    Vec row[T];
    for (size_t t = 0; t < T; ++t) row[t] = in_register(load(x + t * kWidth));
    for (size_t q = 0; q < J; ++q) {
      const Vec w = broadcast(weights[q]);
      for (size_t t = 0; t < T; ++t) sum[q][t] = fma(w, row[t], sum[q][t]);
    }
  }
  for (size_t q = 0; q < J; ++q)
    for (size_t t = 0; t < T; ++t) store(z + q * op.stride + t * kWidth, sum[q][t]);
}

template <size_t T>
void forward_tile(const DenseForward& op, size_t begin, size_t end, size_t column) {
  constexpr size_t kTargets = targets_beside(T);
  for (size_t j = begin; j < end; ++j)
    for (size_t t = 0; t < T; ++t) store(op.z + j * op.stride + column + t * kWidth, broadcast(op.bias[j]));
  for (size_t panel = 0; panel < op.inputs; panel += kPanel) {
    const size_t panel_end = panel + kPanel < op.inputs ? panel + kPanel : op.inputs;
    size_t j = begin;
    for (; j + kTargets <= end; j += kTargets) add_panel<kTargets, T>(op, panel, panel_end, j, column);
    for (; j < end; ++j) add_panel<1, T>(op, panel, panel_end, j, column);
  }
  for (size_t j = begin; j < end; ++j) activate(op.z + j * op.stride + column, T * kWidth, op.activation);
}

using TileFunction = void (*)(const DenseForward&, size_t, size_t, size_t);
constexpr TileFunction kTiles[kMaxTile] = {forward_tile<1>, forward_tile<2>, forward_tile<3>, forward_tile<4>,
                                           forward_tile<5>};

}  // namespace

void dense_forward(const DenseForward& op, size_t begin, size_t end) {
  if (op.stride < kWidth) return dense_small_forward(op, begin, end);
  const Tiling tiling(op.stride / kWidth, kMaxTile);
  for (size_t pass = 0; pass < tiling.passes; ++pass)
    kTiles[tiling.size(pass) - 1](op, begin, end, tiling.first(pass) * kWidth);
}

}  // namespace set_native::cpu::SET_ISA
