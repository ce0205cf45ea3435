#pragma once

#include <cstddef>
#include <cstdint>

#if defined(__SSE2__)
#include <immintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#endif

/*
 * Vectors of floats as wide as the instruction set for which a kernel file is compiled: 16 (AVX-512), 8 (AVX2
 * with FMA) or 4 (SSE2, NEON or whatever the compiler makes of four floats), and the narrower ones for small
 * batches.
 *
 * SET_ISA names the instruction set and the namespace. SET_VEC_WIDTH may be given to build the logic of
 * another width without its instructions: how the 16-wide kernels are tested on machines without AVX-512.
 *
 * Everything here and in the kernel files is a plain function or has internal linkage. A template or inline
 * function with external linkage would be emitted once per instruction set under one name, and the linker
 * would be free to keep the AVX-512 copy for everybody.
 */
#ifndef SET_ISA
#error "compile kernel files once per instruction set, with -DSET_ISA=portable|avx2|avx512"
#endif

#ifndef SET_VEC_WIDTH
#if defined(__AVX512F__)
#define SET_VEC_WIDTH 16
#elif defined(__AVX2__) && defined(__FMA__)
#define SET_VEC_WIDTH 8
#else
#define SET_VEC_WIDTH 4
#endif
#endif

#define SET_INLINE inline __attribute__((always_inline))

namespace set_native::cpu::SET_ISA {
namespace {

constexpr size_t kWidth = SET_VEC_WIDTH;

#define SET_FLOATS(n, alignment) \
  __attribute__((vector_size((n) * sizeof(float)), may_alias, aligned(alignment)))
typedef float Float4 SET_FLOATS(4, 16);
#if SET_VEC_WIDTH >= 8
typedef float Float8 SET_FLOATS(8, 32);
#endif
#if SET_VEC_WIDTH >= 16
typedef float Float16 SET_FLOATS(16, 64);
#endif
typedef float Vec SET_FLOATS(SET_VEC_WIDTH, SET_VEC_WIDTH * sizeof(float));
typedef float UnalignedFloat4 SET_FLOATS(4, sizeof(float));
typedef float UnalignedVec SET_FLOATS(SET_VEC_WIDTH, sizeof(float));

/**
 * Half a vector, or a whole one of four floats. Strides of rows of more than two samples are a multiple of
 * it.
 */
#if SET_VEC_WIDTH == 16
typedef Float8 Half;
#else
typedef Float4 Half;
#endif
constexpr size_t kHalf = sizeof(Half) / sizeof(float);

/** Loads from any place: a row begins at a multiple of kHalf. */
SET_INLINE Vec load(const float* p) {
  return *reinterpret_cast<const UnalignedVec*>(p);
}
SET_INLINE void store(float* p, Vec v) {
  *reinterpret_cast<UnalignedVec*>(p) = v;
}
/** Loads from a multiple of kHalf. */
SET_INLINE Half load_half(const float* p) {
  return *reinterpret_cast<const Half*>(p);
}
SET_INLINE void store_half(float* p, Half v) {
  *reinterpret_cast<Half*>(p) = v;
}

/** The first kHalf lanes. */
SET_INLINE Half lower(Vec v) {
#if defined(__AVX512F__)
  return _mm512_maskz_extractf32x8_ps(0xff, v, 0);
#elif SET_VEC_WIDTH == 8 && defined(__AVX2__)
  return _mm256_castps256_ps128(v);
#elif SET_VEC_WIDTH == 4
  return v;
#else
  Half low{};
  for (size_t lane = 0; lane < kHalf; ++lane) low[lane] = v[lane];
  return low;
#endif
}
/** v, then zeros. */
SET_INLINE Vec widen(Half v) {
#if defined(__AVX512F__)
  return _mm512_insertf32x8(_mm512_setzero_ps(), v, 0);
#elif SET_VEC_WIDTH == 8 && defined(__AVX2__)
  return _mm256_zextps128_ps256(v);
#elif SET_VEC_WIDTH == 4
  return v;
#else
  Vec wide{};
  for (size_t lane = 0; lane < kHalf; ++lane) wide[lane] = v[lane];
  return wide;
#endif
}

/** v, kept in a register: GCC would otherwise load it again in each fma that uses it, and load ports bind. */
#if defined(__AVX512F__)
#define SET_KEEP(v) __asm__("" : "+v"(v))
#elif defined(__SSE2__) && (SET_VEC_WIDTH <= 4 || defined(__AVX2__))
#define SET_KEEP(v) __asm__("" : "+x"(v))
#else
#define SET_KEEP(v) (void)0
#endif

/** All lanes s. Written as a subtraction because s - 0 is s for every s, -0 and NaN included. */
SET_INLINE Vec broadcast(float s) {
  return s - Vec{};
}

/** a b + c, rounded once where the instruction set can, twice elsewhere (the build turns contraction off). */
SET_INLINE Float4 fma(Float4 a, Float4 b, Float4 c) {
#if SET_VEC_WIDTH > 4 && defined(__FMA__)
  return _mm_fmadd_ps(a, b, c);
#elif defined(__ARM_FEATURE_FMA) && defined(__ARM_NEON)
  return vfmaq_f32(c, a, b);
#else
  return a * b + c;
#endif
}
#if SET_VEC_WIDTH >= 8
SET_INLINE Float8 fma(Float8 a, Float8 b, Float8 c) {
#if SET_VEC_WIDTH > 4 && defined(__FMA__)
  return _mm256_fmadd_ps(a, b, c);
#else
  return a * b + c;
#endif
}
#endif
#if SET_VEC_WIDTH >= 16
SET_INLINE Float16 fma(Float16 a, Float16 b, Float16 c) {
#if defined(__AVX512F__)
  return _mm512_fmadd_ps(a, b, c);
#else
  return a * b + c;
#endif
}
#endif
/** a b + c for the elements that a vector loop leaves over, with the rounding of a lane of the vector. */
SET_INLINE float fma(float a, float b, float c) {
#if (SET_VEC_WIDTH > 4 && defined(__FMA__)) || (defined(__ARM_FEATURE_FMA) && defined(__ARM_NEON))
  return __builtin_fmaf(a, b, c);
#else
  return a * b + c;
#endif
}

/*
 * in_register; max(0, v), where NaN stays NaN, so that a diverged network shows in its loss; v where x > 0,
 * else 0. Overloads by macro, because templates drop the attributes of vector types.
 */
// NOLINTBEGIN(bugprone-macro-parentheses): V is a type.
#define SET_VECTOR_FUNCTIONS(V)           \
  SET_INLINE V in_register(V v) {         \
    SET_KEEP(v);                          \
    return v;                             \
  }                                       \
  SET_INLINE V positive_part(V v) {       \
    return v < V{} ? V{} : v;             \
  }                                       \
  SET_INLINE V where_positive(V x, V v) { \
    return x > V{} ? v : V{};             \
  }
// NOLINTEND(bugprone-macro-parentheses)
SET_VECTOR_FUNCTIONS(Float4)
#if SET_VEC_WIDTH >= 8
SET_VECTOR_FUNCTIONS(Float8)
#endif
#if SET_VEC_WIDTH >= 16
SET_VECTOR_FUNCTIONS(Float16)
#endif

/** Integers in the lanes of a vector. */
typedef int32_t Ints __attribute__((vector_size(sizeof(Vec))));
#if SET_VEC_WIDTH > 4
typedef int32_t HalfInts __attribute__((vector_size(sizeof(Half))));
#else
typedef Ints HalfInts;
#endif

/** The square root of each lane, correctly rounded. */
SET_INLINE Vec square_root(Vec v) {
#if defined(__AVX512F__)
  return _mm512_maskz_sqrt_ps(0xffff, v);
#elif SET_VEC_WIDTH == 8 && defined(__AVX2__)
  return _mm256_sqrt_ps(v);
#elif SET_VEC_WIDTH == 4 && defined(__SSE2__)
  return _mm_sqrt_ps(v);
#elif SET_VEC_WIDTH == 4 && defined(__aarch64__)
  return vsqrtq_f32(v);
#else
  Vec root{};
  for (size_t lane = 0; lane < kWidth; ++lane) root[lane] = __builtin_sqrtf(v[lane]);
  return root;
#endif
}

/** {sum of a, sum of b, sum of c, sum of d}, in an order fixed by the width. */
SET_INLINE Float4 sums_of(Float4 a, Float4 b, Float4 c, Float4 d) {
#if defined(__SSE2__)
  const Float4 ab = _mm_unpacklo_ps(a, b) + _mm_unpackhi_ps(a, b);
  const Float4 cd = _mm_unpacklo_ps(c, d) + _mm_unpackhi_ps(c, d);
  return _mm_movelh_ps(ab, cd) + _mm_movehl_ps(cd, ab);
#elif defined(__aarch64__)
  return vpaddq_f32(vpaddq_f32(a, b), vpaddq_f32(c, d));
#else
  Float4 sums = {};
  for (size_t lane = 0; lane < 4; ++lane) sums += Float4{a[lane], b[lane], c[lane], d[lane]};
  return sums;
#endif
}
#if SET_VEC_WIDTH >= 8
SET_INLINE Float4 sums_of(Float8 a, Float8 b, Float8 c, Float8 d) {
#if SET_VEC_WIDTH > 4 && defined(__AVX2__)
  const Float8 ab = _mm256_unpacklo_ps(a, b) + _mm256_unpackhi_ps(a, b);
  const Float8 cd = _mm256_unpacklo_ps(c, d) + _mm256_unpackhi_ps(c, d);
  const Float8 abcd = _mm256_shuffle_ps(ab, cd, 0x44) + _mm256_shuffle_ps(ab, cd, 0xee);
  return _mm256_castps256_ps128(abcd) + _mm256_extractf128_ps(abcd, 1);
#else
  Float4 sums = {};
  for (size_t lane = 0; lane < 8; ++lane) sums += Float4{a[lane], b[lane], c[lane], d[lane]};
  return sums;
#endif
}
#endif
#if SET_VEC_WIDTH >= 16
SET_INLINE Float4 sums_of(Float16 a, Float16 b, Float16 c, Float16 d) {
#if defined(__AVX512F__)
  // Zero-masking forms with full masks: the plain ones warn of uninitialised variables inside the headers of
  // GCC 12.
  const Float16 ab = _mm512_maskz_unpacklo_ps(0xffff, a, b) + _mm512_maskz_unpackhi_ps(0xffff, a, b);
  const Float16 cd = _mm512_maskz_unpacklo_ps(0xffff, c, d) + _mm512_maskz_unpackhi_ps(0xffff, c, d);
  const Float16 abcd = _mm512_shuffle_ps(ab, cd, 0x44) + _mm512_shuffle_ps(ab, cd, 0xee);
  const __m256 half =
      _mm512_maskz_extractf32x8_ps(0xff, abcd, 0) + _mm512_maskz_extractf32x8_ps(0xff, abcd, 1);
  return _mm256_castps256_ps128(half) + _mm256_extractf128_ps(half, 1);
#else
  Float4 sums = {};
  for (size_t lane = 0; lane < 16; ++lane) sums += Float4{a[lane], b[lane], c[lane], d[lane]};
  return sums;
#endif
}
#endif

SET_INLINE void store_sums(float* p, Float4 sums) {
  *reinterpret_cast<UnalignedFloat4*>(p) = sums;
}

SET_INLINE Float4 load_sums(const float* p) {
  return *reinterpret_cast<const UnalignedFloat4*>(p);
}

SET_INLINE void prefetch(const float* p) {
  __builtin_prefetch(p);
}

}  // namespace
}  // namespace set_native::cpu::SET_ISA
