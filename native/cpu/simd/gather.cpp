#include "cpu/simd/sparse.h"
#include "cpu/simd/tile.h"

/*
 * z_j = f(b_j + sum over links (i, j) of w_ij x_i), j in [begin, end), for single links: SpMM by target,
 * gathering.
 *
 * A target's row is accumulated in registers over its links. The batch is cut into tiles, and each tile goes
 * over all targets, so that its slice of x has the cache for itself. A row of one vector is summed in four
 * parts, which hides the latency of fma. Per link and step: 2 stride flops; reads stride floats of a random
 * row of x, one weight (in a line of its own), its source and its number. The kernel is bound by the lines
 * moved from L2 to L1: at batch 40 three of x and one of weights. A second copy of the weights in target
 * order would save as much time here as keeping it up to date costs. Scattering reads the weights in order,
 * but moves the lines of z twice.
 */
namespace set_native::cpu::SET_ISA {
namespace {

constexpr uint32_t kPrefetchAhead = 16;  // links

template <class Index, size_t N>
void gather_tile(const SparseForward<Index>& op, size_t begin, size_t end, size_t column) {
  using T = TileOf<N>;
  constexpr size_t kSums = T::kVectors == 1 ? 4 : 1;
  const float* const x = op.x + column;
  const float* const weights = op.weights;
  const Index* const sources = op.sources;
  const uint32_t* const blocks = op.blocks;
  const size_t stride = op.stride;
  const uint32_t all = op.offsets[end];

  for (size_t j = begin; j < end; ++j) {
    T sum[kSums];
    sum[0] = T::all(op.bias[j]);
    for (size_t s = 1; s < kSums; ++s) sum[s] = T::all(0.0f);
    const auto follow = [&](uint32_t k, T& target) __attribute__((always_inline)) {
      if (k + kPrefetchAhead < all) prefetch(x + sources[k + kPrefetchAhead] * stride);
      target.add_scaled(broadcast(weights[blocks[k]]), T::load(x + sources[k] * stride));
    };
    uint32_t k = op.offsets[j];
    const uint32_t last = op.offsets[j + 1];
    for (; k + kSums <= last; k += kSums)
      for (uint32_t s = 0; s < kSums; ++s) follow(k + s, sum[s]);
    for (; kSums > 1 && k < last; ++k) follow(k, sum[0]);

    for (size_t s = 1; s < kSums; ++s) sum[0].add(sum[s]);
    float* z = op.z + j * stride + column;
    sum[0].store(z);
    activate(z, N * kHalf, op.activation);
  }
}

constexpr size_t kTile = SET_VEC_WIDTH == 16 ? kMaxTile : 8;  // vectors; only the sums need registers here

template <class Index>
void gather_any(const SparseForward<Index>& op, size_t begin, size_t end) {
  using TileFunction = void (*)(const SparseForward<Index>&, size_t, size_t, size_t);
  static constexpr TileFunction kTiles[16] = {gather_tile<Index, 1>,
                                              gather_tile<Index, 2>,
                                              gather_tile<Index, 3>,
                                              gather_tile<Index, 4>,
                                              gather_tile<Index, 5>,
                                              gather_tile<Index, 6>,
                                              gather_tile<Index, 7>,
                                              gather_tile<Index, 8>,
                                              gather_tile<Index, at_most(9, kTile)>,
                                              gather_tile<Index, at_most(10, kTile)>,
                                              gather_tile<Index, at_most(11, kTile)>,
                                              gather_tile<Index, at_most(12, kTile)>,
                                              gather_tile<Index, at_most(13, kTile)>,
                                              gather_tile<Index, at_most(14, kTile)>,
                                              gather_tile<Index, at_most(15, kTile)>,
                                              gather_tile<Index, at_most(16, kTile)>};
  const Tiling tiling(op.stride, kTile);
  for (size_t pass = 0; pass < tiling.passes; ++pass)
    kTiles[tiling.size(pass) - 1](op, begin, end, tiling.column(pass));
}

}  // namespace

void gather(const SparseForward<uint16_t>& op, size_t begin, size_t end) {
  gather_any(op, begin, end);
}
void gather(const SparseForward<uint32_t>& op, size_t begin, size_t end) {
  gather_any(op, begin, end);
}

}  // namespace set_native::cpu::SET_ISA
