#include "core/philox.h"

#include <algorithm>
#include <numeric>

#if defined(__x86_64__) && defined(__GNUC__)
#define SET_PHILOX_X86
#include <immintrin.h>

#include "core/x86_features.h"
#endif

namespace set_native {

namespace {
constexpr uint32_t kMultiplier0 = 0xD2511F53, kMultiplier1 = 0xCD9E8D57;
constexpr uint32_t kWeyl0 = 0x9E3779B9, kWeyl1 = 0xBB67AE85;
}  // namespace

PhiloxBlock philox4x32_10(PhiloxBlock c, std::array<uint32_t, 2> k) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = static_cast<uint64_t>(kMultiplier0) * c[0];
    const uint64_t p1 = static_cast<uint64_t>(kMultiplier1) * c[2];
    c = {static_cast<uint32_t>(p1 >> 32) ^ c[1] ^ k[0], static_cast<uint32_t>(p1),
         static_cast<uint32_t>(p0 >> 32) ^ c[3] ^ k[1], static_cast<uint32_t>(p0)};
    k[0] += kWeyl0;
    k[1] += kWeyl1;
  }
  return c;
}

#ifdef SET_PHILOX_X86
namespace {

/*
 * draw_sse2 and draw_avx2 compute many blocks at once: one block per 64-bit lane, and each of its four words
 * in the low half of the lane in a register of its own. The multiplication ignores the high halves, so what
 * xor leaves there need not be cleared. Two registers in flight hide the latency. They return the number of
 * blocks done, a multiple of what two registers hold.
 */
size_t draw_sse2(uint64_t seed, uint32_t epoch, uint32_t last_word, const uint64_t* index, size_t count,
                 uint64_t* out, uint64_t* second) {
  const auto spread = [](uint32_t word) { return _mm_set1_epi64x(word); };
  const __m128i m0 = spread(kMultiplier0), m1 = spread(kMultiplier1), low = spread(0xffffffff);
  size_t done = 0;
  for (; done + 4 <= count; done += 4) {
    // Counters of four blocks, in two registers per word.
    __m128i c0[2], c1[2], c2[2], c3[2];
    for (int v = 0; v < 2; ++v) {
      c0[v] = _mm_loadu_si128(reinterpret_cast<const __m128i*>(index + done + 2 * v));
      c1[v] = _mm_srli_epi64(c0[v], 32);
      c2[v] = spread(epoch);
      c3[v] = spread(last_word);
    }
    uint32_t k0 = static_cast<uint32_t>(seed), k1 = static_cast<uint32_t>(seed >> 32);
    // Ten rounds.
    for (int r = 0; r < 10; ++r) {
      const __m128i key0 = spread(k0), key1 = spread(k1);
      for (int v = 0; v < 2; ++v) {
        const __m128i p0 = _mm_mul_epu32(c0[v], m0), p1 = _mm_mul_epu32(c2[v], m1);
        c0[v] = _mm_xor_si128(_mm_xor_si128(_mm_srli_epi64(p1, 32), c1[v]), key0);
        c2[v] = _mm_xor_si128(_mm_xor_si128(_mm_srli_epi64(p0, 32), c3[v]), key1);
        c1[v] = p1;
        c3[v] = p0;
      }
      k0 += kWeyl0;
      k1 += kWeyl1;
    }
    // Join the words of each block and store them.
    for (int v = 0; v < 2; ++v) {
      const __m128i words = _mm_or_si128(_mm_slli_epi64(c1[v], 32), _mm_and_si128(c0[v], low));
      _mm_storeu_si128(reinterpret_cast<__m128i*>(out + done + 2 * v), words);
      if (second == nullptr) continue;
      const __m128i others = _mm_or_si128(_mm_slli_epi64(c3[v], 32), _mm_and_si128(c2[v], low));
      _mm_storeu_si128(reinterpret_cast<__m128i*>(second + done + 2 * v), others);
    }
  }
  return done;
}

/** The same as draw_sse2, eight blocks at a time. */
__attribute__((target("avx2"))) size_t draw_avx2(uint64_t seed, uint32_t epoch, uint32_t last_word,
                                                 const uint64_t* index, size_t count, uint64_t* out,
                                                 uint64_t* second) {
  const __m256i m0 = _mm256_set1_epi64x(kMultiplier0), m1 = _mm256_set1_epi64x(kMultiplier1);
  size_t done = 0;
  for (; done + 8 <= count; done += 8) {
    __m256i c0[2], c1[2], c2[2], c3[2];
    for (int v = 0; v < 2; ++v) {
      c0[v] = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(index + done + 4 * v));
      c1[v] = _mm256_srli_epi64(c0[v], 32);
      c2[v] = _mm256_set1_epi64x(epoch);
      c3[v] = _mm256_set1_epi64x(last_word);
    }
    uint32_t k0 = static_cast<uint32_t>(seed), k1 = static_cast<uint32_t>(seed >> 32);
    for (int r = 0; r < 10; ++r) {
      const __m256i key0 = _mm256_set1_epi64x(k0), key1 = _mm256_set1_epi64x(k1);
      for (int v = 0; v < 2; ++v) {
        const __m256i p0 = _mm256_mul_epu32(c0[v], m0), p1 = _mm256_mul_epu32(c2[v], m1);
        c0[v] = _mm256_xor_si256(_mm256_xor_si256(_mm256_srli_epi64(p1, 32), c1[v]), key0);
        c2[v] = _mm256_xor_si256(_mm256_xor_si256(_mm256_srli_epi64(p0, 32), c3[v]), key1);
        c1[v] = p1;
        c3[v] = p0;
      }
      k0 += kWeyl0;
      k1 += kWeyl1;
    }
    for (int v = 0; v < 2; ++v) {
      const __m256i words = _mm256_blend_epi32(c0[v], _mm256_slli_epi64(c1[v], 32), 0xaa);
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + done + 4 * v), words);
      if (second == nullptr) continue;
      const __m256i others = _mm256_blend_epi32(c2[v], _mm256_slli_epi64(c3[v], 32), 0xaa);
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(second + done + 4 * v), others);
    }
  }
  return done;
}

}  // namespace
#endif

void draw_many(uint64_t seed, Stream stream, uint32_t layer, uint32_t epoch, const uint64_t* index,
               uint32_t round, size_t count, uint64_t* out, uint64_t* second) {
  size_t done = 0;
#ifdef SET_PHILOX_X86
  static const bool has_avx2 = x86_features().avx2;
  const uint32_t last = last_word(stream, layer, round);
  if (has_avx2) done = draw_avx2(seed, epoch, last, index, count, out, second);
  done += draw_sse2(seed, epoch, last, index + done, count - done, out + done,
                    second == nullptr ? nullptr : second + done);
#endif
  for (; done < count; ++done) {
    const PhiloxBlock block = draw(seed, stream, layer, epoch, index[done], round);
    out[done] = word64(block, 0);
    if (second != nullptr) second[done] = word64(block, 1);
  }
}

std::vector<uint32_t> random_order(uint64_t seed, Stream stream, uint32_t epoch, uint64_t count) {
  std::vector<uint32_t> order(count);
  std::iota(order.begin(), order.end(), 0u);
  std::vector<uint64_t> draws(count);
  for (uint64_t k = 0; k < count; ++k) draws[k] = word64(draw(seed, stream, 0, epoch, k));
  std::sort(order.begin(), order.end(),
            [&](uint32_t a, uint32_t b) { return draws[a] != draws[b] ? draws[a] < draws[b] : a < b; });
  return order;
}

}  // namespace set_native
