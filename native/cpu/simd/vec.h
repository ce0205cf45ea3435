#pragma once

#include <cstddef>

#if defined(__SSE2__)
#include <immintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#endif

/*
 * One vector of floats, as wide as the instruction set for which a kernel file is compiled: 16 (AVX-512), 8 (AVX2
 * with FMA) or 4 (SSE2, NEON or whatever the compiler makes of four floats).
 *
 * SET_ISA names the instruction set and the namespace. SET_VEC_WIDTH may be given to build the logic of another width
 * without its instructions: how the 16-wide kernels are tested on machines without AVX-512.
 *
 * Everything here and in the kernel files is a plain function or has internal linkage. A template or inline function
 * with external linkage would be emitted once per instruction set under one name, and the linker would be free to keep
 * the AVX-512 copy for everybody.
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

typedef float Vec __attribute__((vector_size(SET_VEC_WIDTH * sizeof(float)), may_alias));
typedef float UnalignedVec
    __attribute__((vector_size(SET_VEC_WIDTH * sizeof(float)), may_alias, aligned(sizeof(float))));
typedef float Float4 __attribute__((vector_size(16), may_alias));
typedef float UnalignedFloat4 __attribute__((vector_size(16), may_alias, aligned(sizeof(float))));

SET_INLINE Vec load(const float* p) {
  return *reinterpret_cast<const Vec*>(p);
}
SET_INLINE void store(float* p, Vec v) {
  *reinterpret_cast<Vec*>(p) = v;
}
SET_INLINE Vec load_unaligned(const float* p) {
  return *reinterpret_cast<const UnalignedVec*>(p);
}
SET_INLINE void store_unaligned(float* p, Vec v) {
  *reinterpret_cast<UnalignedVec*>(p) = v;
}

/** v, kept in a register: GCC would otherwise load it again in each fma that uses it, and load ports bind GEMM. */
SET_INLINE Vec in_register(Vec v) {
#if SET_VEC_WIDTH == 16 && defined(__AVX512F__)
  __asm__("" : "+v"(v));
#elif SET_VEC_WIDTH == 8 && defined(__AVX2__)
  __asm__("" : "+x"(v));
#endif
  return v;
}

/** All lanes s. Written as a subtraction because s - 0 is s for every s, -0 and NaN included. */
SET_INLINE Vec broadcast(float s) {
  return s - Vec{};
}

/** a b + c, rounded once where the instruction set can, twice elsewhere (the build turns contraction off). */
SET_INLINE Vec fma(Vec a, Vec b, Vec c) {
#if SET_VEC_WIDTH == 16 && defined(__AVX512F__)
  return _mm512_fmadd_ps(a, b, c);
#elif SET_VEC_WIDTH == 8 && defined(__FMA__)
  return _mm256_fmadd_ps(a, b, c);
#elif SET_VEC_WIDTH == 4 && defined(__ARM_FEATURE_FMA) && defined(__ARM_NEON)
  return vfmaq_f32(c, a, b);
#else
  return a * b + c;
#endif
}

/** The same for the elements left over by a vector loop: same rounding as a lane of the vector. */
SET_INLINE float fma(float a, float b, float c) {
#if (SET_VEC_WIDTH > 4 && defined(__FMA__)) || (defined(__ARM_FEATURE_FMA) && defined(__ARM_NEON))
  return __builtin_fmaf(a, b, c);
#else
  return a * b + c;
#endif
}

/** max(0, v); NaN stays NaN, so a diverged network shows in its loss. */
SET_INLINE Vec positive_part(Vec v) {
  return v < Vec{} ? Vec{} : v;
}

/** v where x > 0, else 0. */
SET_INLINE Vec where_positive(Vec x, Vec v) {
  return x > Vec{} ? v : Vec{};
}

/** {sum of a, sum of b, sum of c, sum of d}, in an order fixed by the width. */
SET_INLINE Float4 sums_of(Vec a, Vec b, Vec c, Vec d) {
#if SET_VEC_WIDTH == 16 && defined(__AVX512F__)
  // Zero-masking forms with full masks: the plain ones warn of uninitialised variables inside the headers of GCC 12.
  const Vec ab = _mm512_maskz_unpacklo_ps(0xffff, a, b) + _mm512_maskz_unpackhi_ps(0xffff, a, b);
  const Vec cd = _mm512_maskz_unpacklo_ps(0xffff, c, d) + _mm512_maskz_unpackhi_ps(0xffff, c, d);
  const Vec abcd = _mm512_shuffle_ps(ab, cd, 0x44) + _mm512_shuffle_ps(ab, cd, 0xee);
  const __m256 half = _mm512_maskz_extractf32x8_ps(0xff, abcd, 0) + _mm512_maskz_extractf32x8_ps(0xff, abcd, 1);
  return _mm256_castps256_ps128(half) + _mm256_extractf128_ps(half, 1);
#elif SET_VEC_WIDTH == 8 && defined(__AVX2__)
  const Vec ab = _mm256_unpacklo_ps(a, b) + _mm256_unpackhi_ps(a, b);
  const Vec cd = _mm256_unpacklo_ps(c, d) + _mm256_unpackhi_ps(c, d);
  const Vec abcd = _mm256_shuffle_ps(ab, cd, 0x44) + _mm256_shuffle_ps(ab, cd, 0xee);
  return _mm256_castps256_ps128(abcd) + _mm256_extractf128_ps(abcd, 1);
#elif SET_VEC_WIDTH == 4 && defined(__SSE2__)
  const Vec ab = _mm_unpacklo_ps(a, b) + _mm_unpackhi_ps(a, b);
  const Vec cd = _mm_unpacklo_ps(c, d) + _mm_unpackhi_ps(c, d);
  return _mm_movelh_ps(ab, cd) + _mm_movehl_ps(cd, ab);
#elif SET_VEC_WIDTH == 4 && defined(__aarch64__)
  return vpaddq_f32(vpaddq_f32(a, b), vpaddq_f32(c, d));
#else
  Float4 sums = {};
  for (size_t lane = 0; lane < kWidth; ++lane) sums += Float4{a[lane], b[lane], c[lane], d[lane]};
  return sums;
#endif
}

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
