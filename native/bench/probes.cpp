#include "bench/probes.h"

#include <cstring>

#if defined(SET_HAVE_X86_KERNELS)
#include <immintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#endif

namespace set_native::bench {

namespace {

// Independent chains: 4 cycles of latency on 2 units need 8; 16 registers hold 12 and two constants.
constexpr size_t kChains = 12;
constexpr size_t kSums = 8;

/*
 * The two loops for one vector type. Macros, because a template does not take the target attribute of its
 * caller, and vector types as arguments would depend on it.
 */
#define SET_PROBES(name, target, Vector, MULTIPLY_ADD)                                                   \
  target float name##_multiply_add(size_t rounds) {                                                      \
    const Vector factor = Vector{} + 0.999f, term = Vector{} + 0.001f;                                   \
    Vector chain[kChains];                                                                               \
    for (size_t c = 0; c < kChains; ++c) chain[c] = Vector{} + static_cast<float>(c);                    \
    for (size_t round = 0; round < rounds; ++round) {                                                    \
      for (size_t c = 0; c < kChains; ++c) chain[c] = MULTIPLY_ADD(chain[c], factor, term);              \
    }                                                                                                    \
    Vector sum = chain[0];                                                                               \
    for (size_t c = 1; c < kChains; ++c) sum += chain[c];                                                \
    return sum[0];                                                                                       \
  }                                                                                                      \
  target float name##_read(const float* values, size_t count, size_t rounds) {                           \
    constexpr size_t kLanes = sizeof(Vector) / sizeof(float);                                            \
    Vector sum[kSums] = {};                                                                              \
    for (size_t round = 0; round < rounds; ++round) {                                                    \
      __asm__ volatile("" ::: "memory");                                                                 \
      for (size_t k = 0; k < count; k += kSums * kLanes) {                                               \
        for (size_t s = 0; s < kSums; ++s)                                                               \
          sum[s] += *reinterpret_cast<const Vector*>(values + k + s * kLanes);                           \
      }                                                                                                  \
    }                                                                                                    \
    for (size_t s = 1; s < kSums; ++s) sum[0] += sum[s];                                                 \
    return sum[0][0];                                                                                    \
  }                                                                                                      \
  constexpr Probes name##_probes = {2.0 * kChains * sizeof(Vector) / sizeof(float), name##_multiply_add, \
                                    name##_read};

typedef float Float4 __attribute__((vector_size(16), may_alias));
#if !defined(SET_HAVE_X86_KERNELS) && defined(__ARM_FEATURE_FMA) && defined(__ARM_NEON)
#define SET_FMA4(a, b, c) vfmaq_f32(c, a, b)
#else
#define SET_FMA4(a, b, c) ((a) * (b) + (c))  // portable kernels have no fused multiply-add on x86
#endif
SET_PROBES(portable, , Float4, SET_FMA4)

#if defined(SET_HAVE_X86_KERNELS)
typedef float Float8 __attribute__((vector_size(32), may_alias));
typedef float Float16 __attribute__((vector_size(64), may_alias));
SET_PROBES(avx2, __attribute__((target("avx2,fma"))), Float8, _mm256_fmadd_ps)
#if defined(__clang__) && __clang_major__ >= 18 && \
    __clang_major__ <= 21  // 512 bits are a feature of their own there
SET_PROBES(avx512, __attribute__((target("avx512f,evex512"))), Float16, _mm512_fmadd_ps)
#else
SET_PROBES(avx512, __attribute__((target("avx512f"))), Float16, _mm512_fmadd_ps)
#endif
#endif

}  // namespace

const Probes& probes(const char* isa) {
#if defined(SET_HAVE_X86_KERNELS)
  if (std::strcmp(isa, "avx512") == 0) return avx512_probes;
  if (std::strcmp(isa, "avx2") == 0) return avx2_probes;
#endif
  (void)isa;
  return portable_probes;
}

namespace {

constexpr size_t kLine = 64, kAhead = 16;

/**
 * Reads from every cache line of rows. It adds integers, whose latency is too short to limit it. kLines 0
 * stands for any number of lines.
 */
template <size_t kLines, bool kPrefetch>
uint32_t touch(const char* rows, size_t row_bytes, const uint32_t* order, size_t count) {
  const size_t end = kLines > 0 ? kLines * kLine : row_bytes;
  uint32_t sum = 0;
  for (size_t k = 0; k < count; ++k) {
    const char* row = rows + order[k] * row_bytes;
    const char* later = rows + order[k + kAhead] * row_bytes;
    for (size_t at = 0; at < end; at += kLine) {
      if (kPrefetch) __builtin_prefetch(later + at);
      sum += *reinterpret_cast<const unsigned char*>(row + at);
    }
  }
  return sum;
}

template <bool kPrefetch>
uint32_t touch_any(const char* rows, size_t row_bytes, const uint32_t* order, size_t count) {
  switch ((row_bytes + kLine - 1) / kLine) {
    case 1:
      return touch<1, kPrefetch>(rows, row_bytes, order, count);
    case 2:
      return touch<2, kPrefetch>(rows, row_bytes, order, count);
    case 3:
      return touch<3, kPrefetch>(rows, row_bytes, order, count);
    default:
      return touch<0, kPrefetch>(rows, row_bytes, order, count);
  }
}

}  // namespace

uint32_t touch_rows(const char* rows, size_t row_bytes, const uint32_t* order, size_t count,
                    bool prefetch_ahead) {
  const size_t last = count > kAhead ? count - kAhead : 0;  // later rows have none to prefetch
  return (prefetch_ahead ? touch_any<true> : touch_any<false>)(rows, row_bytes, order, last);
}

}  // namespace set_native::bench
