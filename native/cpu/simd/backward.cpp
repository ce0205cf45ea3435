#include "cpu/simd/sparse.h"
#include "cpu/simd/tile.h"

/*
 * For sources i in groups [begin, end): dx_i = f'(x_i) sum of w_ij dz_j, g_ij = dot(x_i, dz_j), and the
 * update of w_ij and of the bias of neuron i, in one pass over the links by source. Where outputs x_i were
 * dropped, dx_i is 0.
 *
 * dx_i and x_i of up to four sources stay in registers (with only 16 registers, dx_i of two does and x_i may
 * stay in L1), and one load of row dz_j serves both products of each source: two passes over the links per
 * step (this one and the forward pass) instead of three. Dot products are reduced four at a time. Groups are
 * processed a few at a time, as many as make kUpdateBatch gradients. The gradients are kept only in
 * `scratch`, and weights and biases are then updated in long vectors. dx_i is written when x_i is read for
 * the last time and may replace it, which saves loading its lines. Per link and step: 4 stride flops; per
 * block, stride floats of a random row of dz and one index; reads and writes weight and velocity. Single
 * links are bound by the lines of dz moved from L2 to L1 (6 cycles at batch 40), blocks by fma.
 */
namespace set_native::cpu::SET_ISA {
namespace {

constexpr size_t kMost = SET_VEC_WIDTH == 16 ? 4 : 2;             // sources processed at once
constexpr size_t kMostTile = SET_VEC_WIDTH == 16 ? 3 : kMaxTile;  // vectors of a tile for kMost sources
// Vectors of x that are held in registers; if there are more, x is read from L1 for every block.
constexpr size_t kHeldVectors = SET_VEC_WIDTH == 16 ? 12 : 5;
constexpr uint32_t kPrefetchAhead = 16;  // blocks
constexpr size_t kSourcesAtOnce = 128;   // sources between two updates; few enough that their dx stay in L1

/*
 * Template parameters: G sources are processed at once. H is the height of the blocks, G or, if 0, known only
 * at run time. A tile has N halves.
 */

/** Stores G sums for each of `count` blocks in blocks of `height`, or (`add`) adds them to what is there. */
template <size_t G, size_t H>
SET_INLINE void put_sums(float* dots, size_t height, Float4 sums, size_t count, bool add) {
  if (H == G) {  // sums beyond `count` will be overwritten
    store_sums(dots, add ? load_sums(dots) + sums : sums);
    return;
  }
  for (size_t p = 0; p < 4; ++p) {
    if (p >= count * G) break;
    float& dot = dots[p / G * height + p % G];
    dot = add ? dot + sums[p] : sums[p];
  }
}

/** Vector of partial sums: a whole vector, or half of one if the tile has no whole vector. */
template <size_t F>
struct Partial {
  typedef Vec V;
};
template <>
struct Partial<0> {
  typedef Half V;
};
[[maybe_unused]] SET_INLINE void begin_sum(Vec& sum, Half products) {
  sum = widen(products);
}
#if SET_VEC_WIDTH > 4
SET_INLINE void begin_sum(Half& sum, Half products) {
  sum = products;
}
#endif

/** Computes dx and the gradients of one tile of G sources, from source `part` of their group on. */
template <class Index, size_t N, size_t G, size_t H, bool kWithDx>
SET_INLINE void fused_sources(const SparseBackward<Index>& op, size_t group, size_t part, size_t column,
                              float* dots) {
  using T = TileOf<N>;
  constexpr size_t F = N / kHalves, kHalfAt = F * kWidth;
  constexpr bool kHasHalf = N % kHalves == 1;
  using V = typename Partial<F>::V;
  constexpr size_t kBlocks = 4 / G;
  // Several sums hide the latency of fma where one tile has few vectors.
  constexpr size_t kSums = T::kVectors * G >= 3 ? 1 : T::kVectors * G == 2 ? 2 : 4;
  const size_t stride = op.stride, height = H == 0 ? op.height : H;
  const uint32_t first = op.offsets[group], last = op.offsets[group + 1], all = op.blocks;
  const size_t row_of_source = (group * height + part) * stride + column;
  const float* const x = op.x + row_of_source;
  const float* const dz = op.dz + column;
  const float* weights = op.weights + first * height + part;
  const Index* const targets = op.targets;
  T sum[kSums][G];
  for (size_t s = 0; s < kSums; ++s)
    for (size_t g = 0; g < G; ++g) sum[s][g] = T::all(0.0f);

  // Hold x in registers if it fits, and prefetch what the update will need.
  constexpr bool kHeld = G * T::kVectors <= kHeldVectors;
  T held[G];
  for (size_t g = 0; kHeld && g < G; ++g) held[g] = T::hold(x + g * stride);
  if (op.velocity != nullptr && column == 0)
    for (size_t c = first * height; c < last * height; c += 16) {
      prefetch(op.velocity + c);
      __builtin_prefetch(op.weights + c, 1);
    }

  // Products of block k, with one vector of dz after another, so that dz takes no registers.
  const auto follow = [&](uint32_t k, size_t u, V* dot) __attribute__((always_inline)) {
    const float* const row = dz + targets[k] * stride;
    T* const into = sum[u % kSums];
    Vec w[G];
    for (size_t g = 0; kWithDx && g < G; ++g) w[g] = broadcast(weights[u * height + g]);
    if constexpr (kHasHalf) {
      const Half v = load_half(row + kHalfAt);
      for (size_t g = 0; g < G; ++g) {
        begin_sum(dot[g], (kHeld ? held[g].half : load_half(x + g * stride + kHalfAt)) * v);
        if (kWithDx) into[g].half = fma(lower(w[g]), v, into[g].half);
      }
    }
    for (size_t t = 0; t < F; ++t) {
      const Vec v = load(row + t * kWidth);
      for (size_t g = 0; g < G; ++g) {
        const Vec xs = kHeld ? held[g].full[t] : load(x + g * stride + t * kWidth);
        if constexpr (F > 0) dot[g] = t == 0 && !kHasHalf ? xs * v : fma(xs, v, dot[g]);
        if (kWithDx) into[g].full[t] = fma(w[g], v, into[g].full[t]);
      }
    }
  };

  // Process as many blocks at a time as make four dot products.
  uint32_t k = first;
  for (; k + kBlocks <= last; k += kBlocks, dots += kBlocks * height, weights += kBlocks * height) {
    if (k + kPrefetchAhead + kBlocks <= all)
      for (uint32_t u = 0; u < kBlocks; ++u) prefetch(dz + targets[k + kPrefetchAhead + u] * stride);
    V dot[4];
    for (uint32_t u = 0; u < kBlocks; ++u) follow(k + u, u, dot + u * G);
    put_sums<G, H>(dots, height, sums_of(dot[0], dot[1], dot[2], dot[3]), kBlocks, column != 0);
  }
  // The blocks left over.
  if (kBlocks > 1 && k < last) {
    V dot[4] = {};
    for (uint32_t u = 0; u + 1 < kBlocks; ++u)
      if (k + u < last) follow(k + u, u, dot + u * G);
    put_sums<G, H>(dots, height, sums_of(dot[0], dot[1], dot[2], dot[3]), last - k, column != 0);
  }

  // Reduce the sums, apply f' and store dx.
  for (size_t g = 0; kWithDx && g < G; ++g) {
    T& dx = sum[0][g];
    for (size_t s = 1; s < kSums; ++s) dx.add(sum[s][g]);
    const T outputs = kHeld ? held[g] : T::load(x + g * stride);
    if (op.keep == 1.0f) {
      dx.go_through(op.activation, outputs);
    } else {
      T before = outputs;
      before.scale(op.keep);
      dx.scale(op.gain);
      dx.go_through(op.activation, before);
      dx.drop(outputs);
    }
    dx.store(op.dx + row_of_source + g * stride);
  }
}

template <class Index, size_t N, size_t G, size_t H, bool kWithDx>
void fused_tile(const SparseBackward<Index>& op, size_t begin, size_t end, size_t column, float* dots) {
  const size_t height = H == 0 ? op.height : H;
  const uint32_t first = op.offsets[begin];
  for (size_t group = begin; group < end; ++group) {
    float* const own = dots + (op.offsets[group] - first) * height;
    size_t part = 0;
    for (; part + G <= height; part += G)
      fused_sources<Index, N, G, H, kWithDx>(op, group, part, column, own + part);
    if (H != 0) continue;
    for (; G > 2 && part + 2 <= height; part += 2)
      fused_sources<Index, N, 2, H, kWithDx>(op, group, part, column, own + part);
    for (; G > 1 && part < height; ++part)
      fused_sources<Index, N, 1, H, kWithDx>(op, group, part, column, own + part);
  }
}

/** Processes groups [begin, end) in tiles of at most M vectors. */
template <class Index, size_t G, size_t H, size_t M, bool kWithDx>
void fused_groups(const SparseBackward<Index>& op, size_t begin, size_t end, float* dots) {
  static constexpr void (*kTiles[10])(const SparseBackward<Index>&, size_t, size_t, size_t, float*) = {
      fused_tile<Index, 1, G, H, kWithDx>,
      fused_tile<Index, 2, G, H, kWithDx>,
      fused_tile<Index, 3, G, H, kWithDx>,
      fused_tile<Index, at_most(4, M), G, H, kWithDx>,
      fused_tile<Index, at_most(5, M), G, H, kWithDx>,
      fused_tile<Index, at_most(6, M), G, H, kWithDx>,
      fused_tile<Index, at_most(7, M), G, H, kWithDx>,
      fused_tile<Index, at_most(8, M), G, H, kWithDx>,
      fused_tile<Index, at_most(9, M), G, H, kWithDx>,
      fused_tile<Index, at_most(10, M), G, H, kWithDx>};
  const Tiling tiling(op.stride, M);
  for (size_t pass = 0; pass < tiling.passes; ++pass)
    kTiles[tiling.size(pass) - 1](op, begin, end, tiling.column(pass), dots);
}

template <class Index, bool kWithDx>
GroupsFunction<Index> function_for(const SparseBackward<Index>& op) {
  if (op.stride <= kLongestScattered) return small_backward(op);
  switch (op.height) {
    case 1:
      return fused_groups<Index, 1, 1, kMaxTile, kWithDx>;
    case 2:
      return fused_groups<Index, 2, 2, kMaxTile, kWithDx>;
    case 4:
      if constexpr (kMost == 4) return fused_groups<Index, 4, 4, kMostTile, kWithDx>;
      [[fallthrough]];
    default:
      return fused_groups<Index, kMost, 0, kMostTile, kWithDx>;
  }
}

/** Computes the sum of each row of dx. `sums` has room for three more. */
void row_sums(const float* dx, size_t rows, size_t stride, float* sums) {
  if (stride <= kLongestScattered) {
    for (size_t r = 0; r < rows; ++r) sums[r] = stride == 1 ? dx[r] : dx[2 * r] + dx[2 * r + 1];
    return;
  }
  for (size_t r = 0; r < rows; r += 4) {
    Vec total[4] = {};
    for (size_t q = 0; q < 4 && r + q < rows; ++q) {
      const float* const row = dx + (r + q) * stride;
      size_t c = 0;
      for (; c + kWidth <= stride; c += kWidth) total[q] += load(row + c);
      if (c < stride) total[q] += widen(load_half(row + c));
    }
    store_sums(sums + r, sums_of(total[0], total[1], total[2], total[3]));
  }
}

template <class Index>
void backward_any(const SparseBackward<Index>& op, size_t begin, size_t end) {
  const auto backward_groups =
      op.dx != nullptr ? function_for<Index, true>(op) : function_for<Index, false>(op);
  const size_t height = op.height;
  for (size_t group = begin; group < end;) {
    // As many groups as make a batch of gradients.
    const size_t from = group;
    const size_t first = op.offsets[from] * height;
    size_t count = 0;
    while (group < end && count < kUpdateBatch && (group - from) * height < kSourcesAtOnce)
      count = op.offsets[++group] * height - first;
    backward_groups(op, from, group, op.scratch);
    // Store the gradients, and update weights and biases.
    if (op.gradient != nullptr)
      for (size_t k = 0; k < count; ++k) op.gradient[first + k] = op.scratch[k];
    if (op.velocity != nullptr)
      update(Parameters{op.weights, op.velocity, op.second_moment}.from(first), op.scratch, count, op.rule);
    if (op.dx == nullptr || op.bias.values == nullptr) continue;
    const size_t source = from * height,
                 sources = (group * height < op.inputs ? group * height : op.inputs) - source;
    row_sums(op.dx + source * op.stride, sources, op.stride, op.scratch);
    update(op.bias.from(source), op.scratch, sources, op.rule);
  }
}

}  // namespace

void backward(const SparseBackward<uint16_t>& op, size_t begin, size_t end) {
  backward_any(op, begin, end);
}
void backward(const SparseBackward<uint32_t>& op, size_t begin, size_t end) {
  backward_any(op, begin, end);
}

}  // namespace set_native::cpu::SET_ISA
