#include "core/geometric.h"

#include <cmath>
#include <cstring>

#if defined(__x86_64__) && defined(__GNUC__)
#include "core/x86_features.h"
#endif

/*
 * This code is written so that compilers vectorise it: it has no branch, no call and no conversion that SSE2
 * or AVX2 lacks. GCC and clang compile it twice on x86-64, since vectors of four are twice as fast as those
 * of two.
 */
namespace set_native {

namespace {

#if defined(__GNUC__)
#define SET_INLINE inline __attribute__((always_inline))
#else
#define SET_INLINE inline
#endif

SET_INLINE uint64_t bits_of(double value) {
  uint64_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

SET_INLINE double double_of(uint64_t bits) {
  double value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

/** Converts an integer below 2^52 to a double: its bits become the fraction of 2^52, which is subtracted. */
SET_INLINE double converted(uint64_t integer) {
  return double_of(integer | 0x4330000000000000u) - 0x1p52;
}

/**
 * log(x) for positive normal x, as in fdlibm's e_log.c: x = 2^e m with m near 1, and log(m) comes from the
 * series in (m - 1) / (m + 1).
 */
SET_INLINE double log_of(double x) {
  constexpr uint64_t kSqrtHalf = 0x3fe6a09e00000000u, kOne = 0x3ff0000000000000u,
                     kFraction = 0x000fffffffffffffu;
  const uint64_t shifted = bits_of(x) + (kOne - kSqrtHalf);
  const double e = converted(shifted >> 52) - 1023.0;
  const double f = double_of((shifted & kFraction) + kSqrtHalf) - 1.0;
  const double half_square = 0.5 * f * f;
  const double s = f / (2.0 + f), z = s * s, w = z * z;
  const double odd =
      w * (3.999999999940941908e-01 + w * (2.222219843214978396e-01 + w * 1.531383769920937332e-01));
  const double even =
      z * (6.666666666666735130e-01 +
           w * (2.857142874366239149e-01 + w * (1.818357216161805012e-01 + w * 1.479819860511658591e-01)));
  const double low = s * (half_square + (odd + even)) + e * 1.90821492927058770002e-10;
  return low - half_square + f + e * 6.93147180369123816490e-01;
}

/** floor(x) for 0 <= x <= 2^52, by rounding to an integer and correcting; some large number for larger x. */
SET_INLINE double floor_of(double x) {
  const double rounded = (x + 0x1p52) - 0x1p52;
  const uint64_t above = rounded > x;
  return rounded - double_of((0 - above) & bits_of(1.0));
}

/** Writes the skips of `count` words to every second place of `skips`. */
SET_INLINE void skips_of(const uint64_t* words, size_t count, double log_miss, double* skips) {
  for (size_t k = 0; k < count; ++k) {
    const double u = (converted(words[k] >> 12) + 0.5) * 0x1p-52;
    skips[2 * k] = floor_of(log_of(u) / log_miss);
  }
}

#if defined(__x86_64__) && defined(__GNUC__)
__attribute__((target("avx2"))) void skips_avx2(const uint64_t* words, size_t count, double log_miss,
                                                double* skips) {
  skips_of(words, count, log_miss, skips);
}
#endif

void skips_plain(const uint64_t* words, size_t count, double log_miss, double* skips) {
  skips_of(words, count, log_miss, skips);
}

}  // namespace

void geometric_skips(const uint64_t* first, const uint64_t* second, size_t count, double log_miss,
                     double* skips) {
  auto* skips_into = &skips_plain;
#if defined(__x86_64__) && defined(__GNUC__)
  static const bool has_avx2 = x86_features().avx2;
  if (has_avx2) skips_into = &skips_avx2;
#endif
  skips_into(first, count, log_miss, skips);
  skips_into(second, count, log_miss, skips + 1);
}

}  // namespace set_native
