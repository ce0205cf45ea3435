#pragma once

#include "cpu/simd/vec.h"

/*
 * Functions that move lanes within a vector, and load and store parts of vectors. Rows of one or two samples,
 * which are shorter than any vector, need them.
 */
namespace set_native::cpu::SET_ISA {
namespace {

typedef double Double2 __attribute__((vector_size(16), may_alias));
typedef double Doubles __attribute__((vector_size(SET_VEC_WIDTH * sizeof(float)), may_alias));
typedef double UnalignedDouble __attribute__((may_alias, aligned(4)));
#if SET_VEC_WIDTH == 16
typedef float UnalignedHalf SET_FLOATS(8, sizeof(float));
#else
typedef UnalignedFloat4 UnalignedHalf;
#endif

/** Returns {p[0], p[1], 0, 0} by one load of 64 bits. */
SET_INLINE Float4 load_pair(const float* p) {
  return reinterpret_cast<Float4>(Double2{*reinterpret_cast<const UnalignedDouble*>(p), 0.0});
}
SET_INLINE void store_pair(float* p, Float4 v) {
  *reinterpret_cast<UnalignedDouble*>(p) = reinterpret_cast<Double2>(v)[0];
}

/** Lane l of the result is lane Map::lane(l) of v. */
template <class Map>
SET_INLINE Vec permute(Vec v) {
#define SET_LANE(l) static_cast<int>(Map::lane(l))
#if defined(__AVX512F__)
  const __m512i lanes =
      _mm512_setr_epi32(SET_LANE(0), SET_LANE(1), SET_LANE(2), SET_LANE(3), SET_LANE(4), SET_LANE(5),
                        SET_LANE(6), SET_LANE(7), SET_LANE(8), SET_LANE(9), SET_LANE(10), SET_LANE(11),
                        SET_LANE(12), SET_LANE(13), SET_LANE(14), SET_LANE(15));
  return _mm512_maskz_permutexvar_ps(0xffff, lanes, v);
#elif SET_VEC_WIDTH == 8 && defined(__AVX2__)
  return _mm256_permutevar8x32_ps(v, _mm256_setr_epi32(SET_LANE(0), SET_LANE(1), SET_LANE(2), SET_LANE(3),
                                                       SET_LANE(4), SET_LANE(5), SET_LANE(6), SET_LANE(7)));
#elif SET_VEC_WIDTH == 4
  return Float4{v[Map::lane(0)], v[Map::lane(1)], v[Map::lane(2)], v[Map::lane(3)]};
#else
  Vec moved{};
  for (size_t l = 0; l < kWidth; ++l) moved[l] = v[Map::lane(l)];
  return moved;
#endif
#undef SET_LANE
}

/** Repeats the lowest items, of I lanes each, T times: {a, b, ...} becomes {a, a, b, b, ...}. */
template <size_t I, size_t T>
struct Repeat {
  static constexpr size_t lane(size_t l) { return l / (I * T) * I + l % I; }
};
/** Repeats the lowest N lanes as a whole. */
template <size_t N>
struct Cycle {
  static constexpr size_t lane(size_t l) { return l % N; }
};
/** Rotates the lanes down by N. */
template <size_t N>
struct Rotate {
  static constexpr size_t lane(size_t l) { return (l + N) % kWidth; }
};
/** Moves the even lanes to the front. */
struct Evens {
  static constexpr size_t lane(size_t l) { return 2 * l % kWidth; }
};
/** Swaps neighbouring lanes. */
struct SwapPairs {
  static constexpr size_t lane(size_t l) { return l ^ 1; }
};

template <size_t I, size_t T>
SET_INLINE Vec repeat(Vec v) {
  if constexpr (T == 1) return v;
  return permute<Repeat<I, T>>(v);
}

/** Loads the rows at(0) ... at(R - 1) of S floats (1 or 2), and repeats each G times; R S G = kWidth. */
template <size_t S, size_t G, class At>
SET_INLINE Vec rows_repeated(At at) {
  constexpr size_t R = kWidth / (S * G);
  if constexpr (S == 2) {
    const auto row = [&](size_t u) __attribute__((always_inline)) {
      return *reinterpret_cast<const UnalignedDouble*>(at(u));
    };
    if constexpr (R == 1) return reinterpret_cast<Vec>(row(0) - Doubles{});
    const auto or_zero = [&](size_t u) __attribute__((always_inline)) { return u < R ? row(u) : 0.0; };
#if SET_VEC_WIDTH == 16
    const Doubles all = {or_zero(0), or_zero(1), or_zero(2), or_zero(3),
                         or_zero(4), or_zero(5), or_zero(6), or_zero(7)};
#elif SET_VEC_WIDTH == 8
    const Doubles all = {or_zero(0), or_zero(1), or_zero(2), or_zero(3)};
#else
    const Doubles all = {or_zero(0), or_zero(1)};
#endif
    return repeat<S, G>(reinterpret_cast<Vec>(all));
  } else {
    if constexpr (R == 1) return broadcast(*at(0));
    const auto or_zero = [&](size_t u) __attribute__((always_inline)) { return u < R ? *at(u) : 0.0f; };
#if SET_VEC_WIDTH == 16
    const Vec all = {or_zero(0),  or_zero(1),  or_zero(2),  or_zero(3), or_zero(4),  or_zero(5),
                     or_zero(6),  or_zero(7),  or_zero(8),  or_zero(9), or_zero(10), or_zero(11),
                     or_zero(12), or_zero(13), or_zero(14), or_zero(15)};
#elif SET_VEC_WIDTH == 8
    const Vec all = {or_zero(0), or_zero(1), or_zero(2), or_zero(3),
                     or_zero(4), or_zero(5), or_zero(6), or_zero(7)};
#else
    const Vec all = {or_zero(0), or_zero(1), or_zero(2), or_zero(3)};
#endif
    return repeat<S, G>(all);
  }
}

/** Sums lanes: lane l < N of the result is the sum of the lanes l, l + N, l + 2 N ... */
template <size_t N, size_t kStep = kWidth / 2>
SET_INLINE Vec fold(Vec v) {
  if constexpr (kStep < N) {
    return v;
  } else {
    return fold<N, kStep / 2>(v + permute<Rotate<kStep>>(v));
  }
}

/** The lowest four lanes. */
SET_INLINE Float4 lowest4(Vec v) {
#if SET_VEC_WIDTH == 4
  return v;
#elif SET_VEC_WIDTH == 8
  return lower(v);
#elif defined(__AVX512F__)
  return _mm512_maskz_extractf32x4_ps(0xf, v, 0);
#else
  return Float4{v[0], v[1], v[2], v[3]};
#endif
}
/** v, then zeros. */
SET_INLINE Vec from4(Float4 v) {
#if SET_VEC_WIDTH == 4
  return v;
#elif SET_VEC_WIDTH == 8
  return widen(v);
#elif defined(__AVX512F__)
  return _mm512_insertf32x4(_mm512_setzero_ps(), v, 0);
#else
  Vec wide{};
  for (size_t l = 0; l < 4; ++l) wide[l] = v[l];
  return wide;
#endif
}

/** Loads N floats, N = 1, 2, 4 ... kWidth, then zeros. */
template <size_t N>
SET_INLINE Vec load_lowest(const float* p) {
  if constexpr (N == kWidth) {
    return load(p);
  } else if constexpr (N == 8) {
    return widen(*reinterpret_cast<const UnalignedHalf*>(p));
  } else if constexpr (N == 4) {
    return from4(*reinterpret_cast<const UnalignedFloat4*>(p));
  } else if constexpr (N == 2) {
    return from4(load_pair(p));
  } else {
    return from4(Float4{p[0], 0.0f, 0.0f, 0.0f});
  }
}
/** Stores the lowest N lanes. */
template <size_t N>
SET_INLINE void store_lowest(float* p, Vec v) {
  if constexpr (N == kWidth) {
    store(p, v);
  } else if constexpr (N == 8) {
    *reinterpret_cast<UnalignedHalf*>(p) = lower(v);
  } else if constexpr (N == 4) {
    *reinterpret_cast<UnalignedFloat4*>(p) = lowest4(v);
  } else if constexpr (N == 2) {
    store_pair(p, lowest4(v));
  } else {
    p[0] = lowest4(v)[0];
  }
}

/** Loads `count` floats, at most N, then zeros. Reads nothing else. */
template <size_t N>
SET_INLINE Vec load_some(const float* p, size_t count) {
#if defined(__AVX512F__)
  return _mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << count) - 1u), p);
#elif SET_VEC_WIDTH == 8 && defined(__AVX2__)
  const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  return _mm256_maskload_ps(p, _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(count)), lanes));
#else
  Vec v{};
  for (size_t l = 0; l < N; ++l) v[l] = l < count ? p[l] : 0.0f;
  return v;
#endif
}

}  // namespace
}  // namespace set_native::cpu::SET_ISA
