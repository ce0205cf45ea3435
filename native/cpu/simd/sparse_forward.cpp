#include "cpu/simd/sparse.h"

/*
 * z_j = f(b_j + sum over links (i, j) of w_ij x_i), j in [begin, end): SpMM with the target view, gathering.
 *
 * A target's row is accumulated in registers while its blocks are walked; the batch is cut into tiles of up to 8
 * vectors, tile by tile over all targets, so that one tile's slice of x has the cache for itself. A row of one vector
 * is summed in four parts, which hides the latency of fma.
 * Per link and step: 2 stride flops; reads stride floats of a random row of x, one weight (of a line of its own) and,
 * per block, its group and number. The lines moved from L2 to L1 bind it: at batch 40 three of x and one of weights. A
 * second copy of the weights in target order would make this pass faster by what its refreshing costs.
 */
namespace set_native::cpu::SET_ISA {
namespace {

constexpr size_t kMaxTile = 8;
constexpr size_t kPrefetchAhead = 16;  // links

/** T vectors L make a tile; G sources are taken at once, of blocks of a height H that is G or, when 0, a multiple of G.
 */
template <class Index, class L, size_t T, size_t G, size_t H>
void forward_tile(const SparseForward<Index>& op, size_t begin, size_t end, size_t column) {
  constexpr size_t kSums = T == 1 ? 4 : T <= 3 ? 2 : 1;
  constexpr size_t kUnroll = G < kSums ? kSums / G : 1;
  constexpr size_t kAhead = G < kPrefetchAhead ? kPrefetchAhead / G : 1;
  using V = typename L::V;
  const float* x = op.x + column;
  const size_t stride = op.stride, height = H == 0 ? op.height : H;
  const uint32_t all = op.offsets[end];

  for (size_t j = begin; j < end; ++j) {
    V sum[kSums][T];
    for (size_t t = 0; t < T; ++t) {
      sum[0][t] = L::broadcast(op.bias[j]);
      for (size_t s = 1; s < kSums; ++s) sum[s][t] = V{};
    }
    const auto add_block = [&](uint32_t k, size_t first) __attribute__((always_inline)) {
      if (k + kAhead < all) {
        const float* ahead = x + op.sources[k + kAhead] * height * stride;
        for (size_t g = 0; g < G; ++g) prefetch(ahead + g * stride);
      }
      const float* row = x + op.sources[k] * height * stride;
      const float* weights = op.weights + op.blocks[k] * height;
      for (size_t part = 0; part < height; part += G)
        for (size_t g = 0; g < G; ++g, row += stride) {
          const V w = L::broadcast(weights[part + g]);
          for (size_t t = 0; t < T; ++t) {
            V& target = sum[(first + g) % kSums][t];
            target = fma(w, L::load(row + t * L::width), target);
          }
        }
    };
    uint32_t k = op.offsets[j];
    const uint32_t last = op.offsets[j + 1];
    for (; k + kUnroll <= last; k += kUnroll)
      for (uint32_t u = 0; u < kUnroll; ++u) add_block(k + u, u * G);
    for (; kUnroll > 1 && k < last; ++k) add_block(k, 0);

    float* z = op.z + j * stride + column;
    for (size_t t = 0; t < T; ++t) {
      for (size_t s = 1; s < kSums; ++s) sum[0][t] += sum[s][t];
      store(z + t * L::width, sum[0][t]);
    }
    activate(z, T * L::width, op.activation);
  }
}

template <class Index, class L, size_t G, size_t H>
void forward_height(const SparseForward<Index>& op, size_t begin, size_t end) {
  using TileFunction = void (*)(const SparseForward<Index>&, size_t, size_t, size_t);
  if constexpr (L::width < kWidth) return forward_tile<Index, L, 1, G, H>(op, begin, end, 0);  // rows of one vector
  static constexpr TileFunction kTiles[kMaxTile] = {forward_tile<Index, L, 1, G, H>, forward_tile<Index, L, 2, G, H>,
                                                    forward_tile<Index, L, 3, G, H>, forward_tile<Index, L, 4, G, H>,
                                                    forward_tile<Index, L, 5, G, H>, forward_tile<Index, L, 6, G, H>,
                                                    forward_tile<Index, L, 7, G, H>, forward_tile<Index, L, 8, G, H>};
  const Tiling tiling(op.stride / L::width, kMaxTile);
  for (size_t pass = 0; pass < tiling.passes; ++pass)
    kTiles[tiling.size(pass) - 1](op, begin, end, tiling.first(pass) * L::width);
}

template <class Index, class L>
void forward_rows(const SparseForward<Index>& op, size_t begin, size_t end) {
  switch (op.height) {
    case 1:
      return forward_height<Index, L, 1, 1>(op, begin, end);
    case 2:
      return forward_height<Index, L, 2, 2>(op, begin, end);
    case 4:
      return forward_height<Index, L, 4, 4>(op, begin, end);
    default:
      return op.height % 4 == 0 ? forward_height<Index, L, 4, 0>(op, begin, end)
                                : forward_height<Index, L, 1, 0>(op, begin, end);
  }
}

template <class Index>
void forward_any(const SparseForward<Index>& op, size_t begin, size_t end) {
  if (op.stride <= kLongestScattered) {
    for (size_t k = 0; k < op.outputs * op.stride; ++k) op.z[k] = 0.0f;
    scatter(op, 0, op.groups);
    return finish_forward({op.z, 1, op.bias, op.z, op.outputs, op.stride, op.activation}, 0, op.outputs);
  }
  if constexpr (kWidth > 4)
    if (op.stride == 4) return forward_rows<Index, Lanes<4>>(op, begin, end);
  if constexpr (kWidth > 8)
    if (op.stride == 8) return forward_rows<Index, Lanes<8>>(op, begin, end);
  forward_rows<Index, Lanes<kWidth>>(op, begin, end);
}

}  // namespace

void sparse_forward(const SparseForward<uint16_t>& op, size_t begin, size_t end) {
  forward_any(op, begin, end);
}
void sparse_forward(const SparseForward<uint32_t>& op, size_t begin, size_t end) {
  forward_any(op, begin, end);
}

}  // namespace set_native::cpu::SET_ISA
