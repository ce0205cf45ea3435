#include "cpu/simd/sparse.h"

/*
 * For sources i in groups [begin, end): dx_i = f'(x_i) sum of w_ij dz_j, g_ij = dot(x_i, dz_j), and the momentum update
 * of w_ij and of the bias of neuron i, in one pass over the links by source.
 *
 * Blocks of up to two sources: dx_i and x_i stay in registers (of two sources x_i in L1), and one load of row dz_j
 * serves both products of each source: two traversals of the links per step (this and the forward) instead of three.
 * Blocks of four and more would need too many registers: the rows dz_j of a group (26 at epsilon 13: 4 KB) pass twice,
 * the second time from L1, once for the dot products and once for dx. Dot products are reduced four at a time. Groups
 * are taken a few at a time, as many as make kUpdateBatch gradients. These live in `scratch` only, and weights and
 * biases are then updated in long vectors. Per link and step: 4 stride flops; per block stride floats of a random row
 * of dz and one index; reads and writes weight and momentum. The lines of dz moved from L2 to L1 bind single links (6
 * cycles at batch 40), fma binds blocks of four.
 */
namespace set_native::cpu::SET_ISA {
namespace {

constexpr size_t kMaxTile = SET_VEC_WIDTH == 16 ? 8 : 5;  // vectors; dx, four dot products and dz fit the registers
constexpr size_t kBlockTile = 3;                          // the same for four sources
constexpr uint32_t kPrefetchAhead = 16;                   // blocks

constexpr size_t at_most(size_t tile) {
  return tile < kMaxTile ? tile : kMaxTile;
}

/*
 * Templates: G sources are taken at once, of blocks of a height H that is G or, when 0, some multiple of G; T vectors L
 * make a tile of a row.
 */

/** G sums for each of `count` blocks to their places in blocks of `height`, or (`add`) onto what is there. */
template <size_t G, size_t H>
SET_INLINE void put_sums(float* dots, size_t height, Float4 sums, size_t count, bool add) {
  if (H == G) {  // what is beyond `count` will be overwritten
    store_sums(dots, add ? load_sums(dots) + sums : sums);
    return;
  }
  for (size_t p = 0; p < 4; ++p) {
    if (p >= count * G) break;
    float& dot = dots[p / G * height + p % G];
    dot = add ? dot + sums[p] : sums[p];
  }
}

/** Both products of one tile of G = 1 or 2 sources from source `part` of their group on. */
template <class Index, class L, size_t T, size_t G, size_t H, bool kWithDx>
SET_INLINE void fused_sources(const SparseBackward<Index>& op, size_t group, size_t part, size_t column, float* dots) {
  using V = typename L::V;
  constexpr size_t kBlocks = 4 / G;
  constexpr size_t kSums = T * G >= 4 ? 1 : T * G >= 2 ? 2 : 4;  // independent sums hide the latency of fma
  const size_t stride = op.stride, height = H == 0 ? op.height : H;
  const uint32_t first = op.offsets[group], last = op.offsets[group + 1], all = op.blocks;
  const size_t row_of_source = (group * height + part) * stride + column;
  const float* x = op.x + row_of_source;
  const float* dz = op.dz + column;
  const float* weights = op.weights + first * height + part;
  const Index* targets = op.targets;
  V sum[kSums][G][T];
  for (size_t s = 0; s < kSums; ++s)
    for (size_t g = 0; g < G; ++g)
      for (size_t t = 0; t < T; ++t) sum[s][g][t] = V{};

  constexpr bool kHeld = T * G <= kMaxTile;  // x in registers, too
  V held[G][T];
  for (size_t g = 0; g < G; ++g)
    for (size_t t = 0; kHeld && t < T; ++t) held[g][t] = in_register(L::load(x + g * stride + t * L::width));

  const auto follow = [&](uint32_t k, size_t u, V* dot) __attribute__((always_inline)) {
    const float* row = dz + targets[k] * stride;
    V w[G];
    for (size_t g = 0; g < G; ++g) {
      if (kWithDx) w[g] = L::broadcast(weights[u * height + g]);
      dot[g] = V{};
    }
    for (size_t t = 0; t < T; ++t) {
      const V v = L::load(row + t * L::width);
      for (size_t g = 0; g < G; ++g) {
        dot[g] = fma(kHeld ? held[g][t] : L::load(x + g * stride + t * L::width), v, dot[g]);
        if (kWithDx) sum[u % kSums][g][t] = fma(w[g], v, sum[u % kSums][g][t]);
      }
    }
  };

  uint32_t k = first;
  for (; k + kBlocks <= last; k += kBlocks, dots += kBlocks * height, weights += kBlocks * height) {
    if (k + kPrefetchAhead + kBlocks <= all)
      for (uint32_t u = 0; u < kBlocks; ++u) prefetch(dz + targets[k + kPrefetchAhead + u] * stride);
    V dot[4];
    for (uint32_t u = 0; u < kBlocks; ++u) follow(k + u, u, dot + u * G);
    put_sums<G, H>(dots, height, sums_of(dot[0], dot[1], dot[2], dot[3]), kBlocks, column != 0);
  }
  if (k < last) {
    V dot[4] = {};
    for (uint32_t u = 0; u + 1 < kBlocks; ++u)
      if (k + u < last) follow(k + u, u, dot + u * G);
    put_sums<G, H>(dots, height, sums_of(dot[0], dot[1], dot[2], dot[3]), last - k, column != 0);
  }

  if (!kWithDx) return;
  for (size_t g = 0; g < G; ++g)
    for (size_t t = 0; t < T; ++t) {
      for (size_t s = 1; s < kSums; ++s) sum[0][g][t] += sum[s][g][t];
      const size_t at = g * stride + t * L::width;
      store(op.dx + row_of_source + at, through_activation(L::load(x + at), sum[0][g][t], op.activation));
    }
}

template <class Index>
using TileFunction = void (*)(const SparseBackward<Index>&, size_t begin, size_t end, size_t column, float* dots);

template <class Index, class L, size_t T, size_t G, size_t H, bool kWithDx>
void fused_tile(const SparseBackward<Index>& op, size_t begin, size_t end, size_t column, float* dots) {
  const size_t height = H == 0 ? op.height : H;
  const uint32_t first = op.offsets[begin];
  for (size_t group = begin; group < end; ++group)
    for (size_t part = 0; part < height; part += G)
      fused_sources<Index, L, T, G, H, kWithDx>(op, group, part, column,
                                                dots + (op.offsets[group] - first) * height + part);
}

template <class Index, class L, size_t G, size_t H, bool kWithDx>
void fused_groups(const SparseBackward<Index>& op, size_t begin, size_t end, float* dots) {
  if constexpr (L::width < kWidth) {  // rows of one vector
    fused_tile<Index, L, 1, G, H, kWithDx>(op, begin, end, 0, dots);
  } else {
    static constexpr TileFunction<Index> kTiles[8] = {
        fused_tile<Index, L, 1, G, H, kWithDx>,          fused_tile<Index, L, 2, G, H, kWithDx>,
        fused_tile<Index, L, 3, G, H, kWithDx>,          fused_tile<Index, L, 4, G, H, kWithDx>,
        fused_tile<Index, L, 5, G, H, kWithDx>,          fused_tile<Index, L, at_most(6), G, H, kWithDx>,
        fused_tile<Index, L, at_most(7), G, H, kWithDx>, fused_tile<Index, L, at_most(8), G, H, kWithDx>};
    const Tiling tiling(op.stride / L::width, kMaxTile);
    for (size_t pass = 0; pass < tiling.passes; ++pass)
      kTiles[tiling.size(pass) - 1](op, begin, end, tiling.first(pass) * L::width, dots);
  }
}

/** All dot products of G = 4 or 8 sources. */
template <class Index, class L, size_t G, size_t H>
SET_INLINE void block_dots(const SparseBackward<Index>& op, size_t group, size_t part, float* dots) {
  using V = typename L::V;
  const size_t stride = op.stride, height = H == 0 ? op.height : H;
  const float* x = op.x + (group * height + part) * stride;
  const float* dz = op.dz;
  const Index* targets = op.targets;
  const uint32_t last = op.offsets[group + 1], all = op.blocks;
  for (uint32_t k = op.offsets[group]; k < last; ++k, dots += height) {
    if (k + kPrefetchAhead < all) prefetch(dz + targets[k + kPrefetchAhead] * stride);
    const float* row = dz + targets[k] * stride;
    V dot[G];
    for (size_t g = 0; g < G; ++g) dot[g] = V{};
    for (size_t c = 0; c < stride; c += L::width) {
      const V v = L::load(row + c);
      for (size_t g = 0; g < G; ++g) dot[g] = fma(L::load(x + g * stride + c), v, dot[g]);
    }
    for (size_t g = 0; g < G; g += 4) store_sums(dots + g, sums_of(dot[g], dot[g + 1], dot[g + 2], dot[g + 3]));
  }
}

/** One tile of the dx of four sources. */
template <class Index, class L, size_t T, size_t H>
SET_INLINE void block_dx(const SparseBackward<Index>& op, size_t group, size_t part, size_t column) {
  using V = typename L::V;
  constexpr size_t G = 4;
  const size_t stride = op.stride, height = H == 0 ? op.height : H;
  const uint32_t first = op.offsets[group], last = op.offsets[group + 1];
  V sum[G][T];
  for (size_t g = 0; g < G; ++g)
    for (size_t t = 0; t < T; ++t) sum[g][t] = V{};
  const float* weights = op.weights + first * height + part;
  for (uint32_t k = first; k < last; ++k, weights += height) {
    const float* row = op.dz + column + op.targets[k] * stride;
    V v[T];
    for (size_t t = 0; t < T; ++t) v[t] = L::load(row + t * L::width);
    for (size_t g = 0; g < G; ++g) {
      const V w = L::broadcast(weights[g]);
      for (size_t t = 0; t < T; ++t) sum[g][t] = fma(w, v[t], sum[g][t]);
    }
  }
  for (size_t g = 0; g < G; ++g)
    for (size_t t = 0; t < T; ++t) {
      const size_t at = (group * height + part + g) * stride + column + t * L::width;
      store(op.dx + at, through_activation(L::load(op.x + at), sum[g][t], op.activation));
    }
}

template <class Index, class L, size_t G, size_t H, bool kWithDx>
void block_groups(const SparseBackward<Index>& op, size_t begin, size_t end, float* dots) {
  constexpr size_t T = L::width < kWidth ? 1 : kBlockTile;
  const size_t height = H == 0 ? op.height : H;
  const uint32_t first = op.offsets[begin];
  for (size_t group = begin; group < end; ++group)
    for (size_t part = 0; part < height; part += G) {
      block_dots<Index, L, G, H>(op, group, part, dots + (op.offsets[group] - first) * height + part);
      for (size_t four = 0; kWithDx && four < G; four += 4) {
        size_t column = 0;
        for (; column + T * L::width <= op.stride; column += T * L::width)
          block_dx<Index, L, T, H>(op, group, part + four, column);
        for (; column < op.stride; column += L::width) block_dx<Index, L, 1, H>(op, group, part + four, column);
      }
    }
}

template <class Index, class L, bool kWithDx>
GroupsFunction<Index> function_for(size_t height) {
  switch (height) {
    case 1:
      return fused_groups<Index, L, 1, 1, kWithDx>;
    case 2:
      return fused_groups<Index, L, 2, 2, kWithDx>;
    case 4:
      return block_groups<Index, L, 4, 4, kWithDx>;
    case 8:
      return block_groups<Index, L, 8, 8, kWithDx>;
    default:
      return height % 4 == 0 ? block_groups<Index, L, 4, 0, kWithDx> : fused_groups<Index, L, 1, 0, kWithDx>;
  }
}

template <class Index, bool kWithDx>
GroupsFunction<Index> function_for(const SparseBackward<Index>& op) {
  if (op.stride <= kLongestScattered) return small_backward(op);
  if constexpr (kWidth > 4)
    if (op.stride == 4) return function_for<Index, Lanes<4>, kWithDx>(op.height);
  if constexpr (kWidth > 8)
    if (op.stride == 8) return function_for<Index, Lanes<8>, kWithDx>(op.height);
  return function_for<Index, Lanes<kWidth>, kWithDx>(op.height);
}

/** The sum of each row of dx; `sums` has room for three more. */
void row_sums(const float* dx, size_t rows, size_t stride, float* sums) {
  if (stride < kWidth) {
    for (size_t r = 0; r < rows; ++r) {
      sums[r] = dx[r * stride];
      for (size_t c = 1; c < stride; ++c) sums[r] += dx[r * stride + c];
    }
    return;
  }
  for (size_t r = 0; r < rows; r += 4) {
    Vec total[4] = {};
    for (size_t q = 0; q < 4 && r + q < rows; ++q)
      for (size_t c = 0; c < stride; c += kWidth) total[q] += load(dx + (r + q) * stride + c);
    store_sums(sums + r, sums_of(total[0], total[1], total[2], total[3]));
  }
}

template <class Index>
void backward_any(const SparseBackward<Index>& op, size_t begin, size_t end) {
  const auto backward_groups = op.dx != nullptr ? function_for<Index, true>(op) : function_for<Index, false>(op);
  const size_t height = op.height;
  for (size_t group = begin; group < end;) {
    const size_t from = group;
    const size_t first = op.offsets[from] * height;
    size_t count = 0;
    while (group < end && count < kUpdateBatch && (group - from) * height < kUpdateBatch)
      count = op.offsets[++group] * height - first;
    backward_groups(op, from, group, op.scratch);
    if (op.gradient != nullptr)
      for (size_t k = 0; k < count; ++k) op.gradient[first + k] = op.scratch[k];
    if (op.velocity != nullptr) update(op.weights + first, op.velocity + first, op.scratch, count, op.rule);
    if (op.dx == nullptr || op.bias == nullptr) continue;
    const size_t source = from * height, sources = (group * height < op.inputs ? group * height : op.inputs) - source;
    row_sums(op.dx + source * op.stride, sources, op.stride, op.scratch);
    update(op.bias + source, op.bias_velocity + source, op.scratch, sources, op.rule);
  }
}

}  // namespace

void sparse_backward(const SparseBackward<uint16_t>& op, size_t begin, size_t end) {
  backward_any(op, begin, end);
}
void sparse_backward(const SparseBackward<uint32_t>& op, size_t begin, size_t end) {
  backward_any(op, begin, end);
}

}  // namespace set_native::cpu::SET_ISA
