#pragma once

#include "cpu/simd/rows.h"

/*
 * A tile is the part of a row that a kernel holds in registers at once: whole vectors and, where the row is
 * no multiple of them, half of one at the end.
 */
namespace set_native::cpu::SET_ISA {
namespace {

constexpr size_t kHalves = kWidth / kHalf;                // halves of a vector: 2, or 1 if none is narrower
constexpr size_t kMaxTile = SET_VEC_WIDTH == 16 ? 4 : 5;  // vectors; the half counts as one

/** Tile of F vectors and then H halves (0 or 1). */
template <size_t F, size_t H>
struct Tile {
  static constexpr size_t kVectors = F + H;
  Vec full[F == 0 ? 1 : F];
  Half half;  // if H is 1

  static SET_INLINE Tile all(float s) {
    Tile tile;
    for (size_t t = 0; t < F; ++t) tile.full[t] = broadcast(s);
    if (H == 1) tile.half = lower(broadcast(s));
    return tile;
  }
  static SET_INLINE Tile load(const float* p) {
    Tile tile;
    for (size_t t = 0; t < F; ++t) tile.full[t] = SET_ISA::load(p + t * kWidth);
    if (H == 1) tile.half = load_half(p + F * kWidth);
    return tile;
  }
  /** Loads a tile and keeps it in registers, for a kernel that uses it many times. */
  static SET_INLINE Tile hold(const float* p) {
    Tile tile = load(p);
    for (size_t t = 0; t < F; ++t) tile.full[t] = in_register(tile.full[t]);
    if (H == 1) tile.half = in_register(tile.half);
    return tile;
  }
  SET_INLINE void store(float* p) const {
    for (size_t t = 0; t < F; ++t) SET_ISA::store(p + t * kWidth, full[t]);
    if (H == 1) store_half(p + F * kWidth, half);
  }
  SET_INLINE void add(const Tile& x) {
    for (size_t t = 0; t < F; ++t) full[t] += x.full[t];
    if (H == 1) half += x.half;
  }
  /** this += w x, where all lanes of w are equal. */
  SET_INLINE void add_scaled(Vec w, const Tile& x) {
    for (size_t t = 0; t < F; ++t) full[t] = fma(w, x.full[t], full[t]);
    if (H == 1) half = fma(lower(w), x.half, half);
  }
  /** Multiplies by f', given the outputs x of f. */
  SET_INLINE void go_through(Activation activation, const Tile& x) {
    for (size_t t = 0; t < F; ++t) full[t] = through_activation(x.full[t], full[t], activation);
    if (H == 1) half = through_activation(x.half, half, activation);
  }
  SET_INLINE void scale(float s) {
    for (size_t t = 0; t < F; ++t) full[t] *= broadcast(s);
    if (H == 1) half *= lower(broadcast(s));
  }
  /** Zero where the outputs x were dropped. */
  SET_INLINE void drop(const Tile& x) {
    for (size_t t = 0; t < F; ++t) full[t] = where_kept(x.full[t], full[t]);
    if (H == 1) half = where_kept(x.half, half);
  }
};

/** Tile of N halves. */
template <size_t N>
using TileOf = Tile<N / kHalves, N % kHalves>;

/** The lesser of `halves` and the halves of `vectors`: tables of functions compile no larger tile. */
constexpr size_t at_most(size_t halves, size_t vectors) {
  return halves < vectors * kHalves ? halves : vectors * kHalves;
}

/**
 * Cut of the rows of a stride into tiles of at most `most` vectors, as evenly as possible: 7 vectors in tiles
 * of 4 are 3 + 4.
 */
struct Tiling {
  size_t halves, vectors, passes;
  Tiling(size_t stride, size_t most)
      : halves(stride / kHalf),
        vectors((halves + kHalves - 1) / kHalves),
        passes((vectors + most - 1) / most) {}
  size_t first(size_t pass) const { return vectors * pass / passes; }
  size_t column(size_t pass) const { return first(pass) * kWidth; }
  /** Number of halves of the tile. */
  size_t size(size_t pass) const {
    const size_t end = first(pass + 1) * kHalves;
    return (end < halves ? end : halves) - first(pass) * kHalves;
  }
};

}  // namespace
}  // namespace set_native::cpu::SET_ISA
