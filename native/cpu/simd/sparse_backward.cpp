#include "cpu/simd/rows.h"

/*
 * For sources i in [begin, end): dx_i = f'(x_i) sum of w_ij dz_j, g_ij = dot(x_i, dz_j), and the momentum update of
 * w_ij and of the bias of neuron i, in one pass over the links by source.
 *
 * x_i and dx_i stay in registers, and one load of row dz_j serves both products: two traversals of the links per step
 * (this and the forward) instead of three. Dot products are reduced four links at a time and never leave `scratch`.
 * Per link and step: 4 stride flops; reads stride floats of a random row of dz, 4 bytes of index, reads and writes
 * weight and momentum. The lines of dz moved from L2 to L1 bind it (6 cycles per link at batch 40).
 */
namespace set_native::cpu::SET_ISA {
namespace {

constexpr size_t kMaxTile = SET_VEC_WIDTH == 16 ? 8 : 5;  // x, dx, four dot products, w and dz fit the registers
constexpr uint32_t kPrefetchAhead = 16;                   // links

/** One tile of row i: returns its sum of dx over the tile, adds to (or, in the first tile, sets) the dots. */
template <size_t T, bool kWithDx>
Vec backward_tile(const SparseBackward& op, size_t i, size_t column, uint32_t all, float* dots) {
  const float* x = op.x + i * op.stride + column;
  const float* dz = op.dz + column;
  const uint32_t first = op.offsets[i], last = op.offsets[i + 1];
  const uint32_t* targets = op.targets;
  const size_t stride = op.stride;
  Vec sum[T];
  for (size_t t = 0; t < T; ++t) sum[t] = Vec{};

  const auto follow_link = [&](uint32_t k) __attribute__((always_inline)) {
    const float* row = dz + targets[k] * stride;
    const Vec w = kWithDx ? broadcast(op.weights[k]) : Vec{};
    Vec dot = {};
    for (size_t t = 0; t < T; ++t) {
      const Vec v = load(row + t * kWidth);
      dot = fma(load(x + t * kWidth), v, dot);
      if (kWithDx) sum[t] = fma(w, v, sum[t]);
    }
    return dot;
  };

  uint32_t k = first;
  for (; k + 4 <= last; k += 4, dots += 4) {
    if (k + kPrefetchAhead + 4 <= all)
      for (uint32_t p = 0; p < 4; ++p) prefetch(dz + targets[k + kPrefetchAhead + p] * stride);
    const Vec a = follow_link(k), b = follow_link(k + 1), c = follow_link(k + 2), d = follow_link(k + 3);
    const Float4 sums = sums_of(a, b, c, d);
    store_sums(dots, column == 0 ? sums : load_sums(dots) + sums);
  }
  if (k < last) {
    const Vec a = follow_link(k);
    const Vec b = k + 1 < last ? follow_link(k + 1) : Vec{};
    const Vec c = k + 2 < last ? follow_link(k + 2) : Vec{};
    const Float4 sums = sums_of(a, b, c, Vec{});
    for (uint32_t p = 0; k + p < last; ++p) dots[p] = column == 0 ? sums[p] : dots[p] + sums[p];
  }

  Vec total = {};
  if (kWithDx) {
    float* dx = op.dx + i * stride + column;
    for (size_t t = 0; t < T; ++t) {
      const Vec v = through_activation(load(x + t * kWidth), sum[t], op.activation);
      store(dx + t * kWidth, v);
      total += v;
    }
  }
  return total;
}

template <bool kWithDx>
void backward_rows(const SparseBackward& op, size_t begin, size_t end) {
  using TileFunction = Vec (*)(const SparseBackward&, size_t, size_t, uint32_t, float*);
  static constexpr TileFunction kTiles[8] = {
      backward_tile<1, kWithDx>, backward_tile<2, kWithDx>, backward_tile<3, kWithDx>, backward_tile<4, kWithDx>,
      backward_tile<5, kWithDx>, backward_tile<6, kWithDx>, backward_tile<7, kWithDx>, backward_tile<8, kWithDx>};
  const Tiling tiling(op.stride, kMaxTile);
  const uint32_t all = op.offsets[end];
  for (size_t i = begin; i < end; ++i) {
    const uint32_t first = op.offsets[i], count = op.offsets[i + 1] - first;
    float* dots = op.gradient != nullptr ? op.gradient + first : op.scratch;
    Vec total = {};
    for (size_t pass = 0; pass < tiling.passes; ++pass)
      total += kTiles[tiling.size(pass) - 1](op, i, tiling.first(pass) * kWidth, all, dots);
    if (op.velocity != nullptr) update(op.weights + first, op.velocity + first, dots, count, op.rule);
    if (kWithDx && op.bias != nullptr) {
      const float gradient = sums_of(total, Vec{}, Vec{}, Vec{})[0];
      update(op.bias + i, op.bias_velocity + i, &gradient, 1, op.rule);
    }
  }
}

}  // namespace

void sparse_backward(const SparseBackward& op, size_t begin, size_t end) {
  if (op.dx != nullptr)
    backward_rows<true>(op, begin, end);
  else
    backward_rows<false>(op, begin, end);
}

}  // namespace set_native::cpu::SET_ISA
