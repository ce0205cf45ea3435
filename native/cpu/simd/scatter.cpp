#include "cpu/simd/sparse.h"
#include "cpu/simd/tile.h"

/*
 * z_j += w_ij x_i for the blocks of all groups, group by group: SpMM by source, scattering.
 *
 * The rows of a group's sources stay in registers during its blocks. For each block one row of z is read, the
 * shares of all its sources are added, and the row is written. Weights and targets are two plain streams. A
 * block of g sources moves a row of z twice for g products, where gathering moves g rows of x: from two
 * sources on scattering wins. Threads share the work by target: each takes the blocks of every group that lie
 * in its own range, so that no two threads write one row, and every row is summed in the order of the groups,
 * however targets are dealt. Per link and step: 2 stride flops; per block, stride floats of z read and
 * written, one target, g weights. At batch 40 blocks of two are bound by the lines moved between L1 and L2,
 * blocks of eight by fma.
 */
namespace set_native::cpu::SET_ISA {
namespace {

constexpr uint32_t kPrefetchAhead = 8;  // blocks

/**
 * Adds the shares of G sources of a group, from source `part` on, in one tile. H is the height, or 0 if it is
 * known only at run time.
 */
template <class Index, size_t N, size_t G, size_t H>
SET_INLINE void add_sources(const SparseForward<Index>& op, size_t group, size_t part, size_t column) {
  using T = TileOf<N>;
  const size_t stride = op.stride, height = H == 0 ? op.height : H;
  const uint32_t first = op.firsts[group], last = op.lasts[group];
  // Prefetching goes on into the blocks of the next group, but only into those of this thread's own range.
  const bool more = group + 1 < op.groups;
  const uint32_t next = more ? op.firsts[group + 1] : last, next_last = more ? op.lasts[group + 1] : last;
  const float* const x = op.x + (group * height + part) * stride + column;
  T held[G];
  for (size_t g = 0; g < G; ++g) held[g] = T::hold(x + g * stride);
  const Index* const targets = op.targets;
  float* const all_z = op.z + column;
  const float* weights = op.weights + first * height + part;
  for (uint32_t k = first; k < last; ++k, weights += height) {
    const uint32_t ahead =
        k + kPrefetchAhead < last ? k + kPrefetchAhead : next + (k + kPrefetchAhead - last);
    if (ahead < next_last) prefetch(all_z + targets[ahead] * stride);
    float* const z = all_z + targets[k] * stride;
    T sum = T::load(z);
    for (size_t g = 0; g < G; ++g) sum.add_scaled(broadcast(weights[g]), held[g]);
    sum.store(z);
  }
}

template <class Index, size_t N, size_t G, size_t H>
void scatter_tile(const SparseForward<Index>& op, size_t column) {
  const size_t height = H == 0 ? op.height : H;
  for (size_t group = 0; group < op.groups; ++group) {
    if (op.firsts[group] == op.lasts[group]) continue;
    size_t part = 0;
    for (; part + G <= height; part += G) add_sources<Index, N, G, H>(op, group, part, column);
    if (H != 0) continue;
    for (; G > 2 && part + 2 <= height; part += 2) add_sources<Index, N, 2, H>(op, group, part, column);
    if (part < height) add_sources<Index, N, 1, H>(op, group, part, column);
  }
}

/** Processes G sources at once, in tiles of at most M vectors. */
template <class Index, size_t G, size_t H, size_t M>
void scatter_height(const SparseForward<Index>& op) {
  using TileFunction = void (*)(const SparseForward<Index>&, size_t);
  static constexpr TileFunction kTiles[10] = {scatter_tile<Index, 1, G, H>,
                                              scatter_tile<Index, 2, G, H>,
                                              scatter_tile<Index, 3, G, H>,
                                              scatter_tile<Index, at_most(4, M), G, H>,
                                              scatter_tile<Index, at_most(5, M), G, H>,
                                              scatter_tile<Index, at_most(6, M), G, H>,
                                              scatter_tile<Index, at_most(7, M), G, H>,
                                              scatter_tile<Index, at_most(8, M), G, H>,
                                              scatter_tile<Index, at_most(9, M), G, H>,
                                              scatter_tile<Index, at_most(10, M), G, H>};
  const Tiling tiling(op.stride, M);
  for (size_t pass = 0; pass < tiling.passes; ++pass) kTiles[tiling.size(pass) - 1](op, tiling.column(pass));
}

template <class Index>
void scatter_any(const SparseForward<Index>& op) {
  if constexpr (SET_VEC_WIDTH == 16) {
    switch (op.height) {
      case 2:
        return scatter_height<Index, 2, 2, kMaxTile>(op);
      case 4:
        return scatter_height<Index, 4, 4, kMaxTile>(op);
      case 8:
        return scatter_height<Index, 8, 8, 3>(op);
      default:
        return scatter_height<Index, 4, 0, kMaxTile>(op);
    }
  } else {  // half as many registers
    op.height == 2 ? scatter_height<Index, 2, 2, kMaxTile>(op) : scatter_height<Index, 2, 0, kMaxTile>(op);
  }
}

}  // namespace

void scatter(const SparseForward<uint16_t>& op) {
  scatter_any(op);
}
void scatter(const SparseForward<uint32_t>& op) {
  scatter_any(op);
}

}  // namespace set_native::cpu::SET_ISA
