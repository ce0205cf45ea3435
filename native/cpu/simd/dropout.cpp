#include "cpu/simd/dropout.h"

#include "cpu/simd/rows.h"

/*
 * Dropout of outputs, in place. A block of Philox holds 16 bits for each of eight neighbouring rows of one
 * sample, so that vectors along the samples hold the draws of each row in the order of its numbers, and
 * nothing is moved between lanes. The 32 x 32 bit products of Philox take a lane of 64 bits: samples of even
 * and of odd places are drawn apart, and their words joined. A vector of samples takes about 160
 * instructions, half of them if it has 16 lanes, for eight vectors of numbers.
 *
 * Rows of one or two samples take the blocks of several groups of rows to a vector.
 */
namespace set_native::cpu::SET_ISA {
namespace {

constexpr size_t kShared = 8;  // rows that share a block

typedef uint32_t Words __attribute__((vector_size(sizeof(Vec))));
typedef uint64_t Lanes __attribute__((vector_size(sizeof(Vec))));

/** Products of the low halves of a's lanes with b. */
SET_INLINE Lanes product(Lanes a, uint32_t b) {
#if defined(__AVX512F__)
  return reinterpret_cast<Lanes>(
      _mm512_maskz_mul_epu32(0xff, reinterpret_cast<__m512i>(a), _mm512_set1_epi64(b)));
#elif SET_VEC_WIDTH == 8 && defined(__AVX2__)
  return reinterpret_cast<Lanes>(_mm256_mul_epu32(reinterpret_cast<__m256i>(a), _mm256_set1_epi64x(b)));
#elif SET_VEC_WIDTH == 4 && defined(__SSE2__)
  return reinterpret_cast<Lanes>(_mm_mul_epu32(reinterpret_cast<__m128i>(a), _mm_set1_epi64x(b)));
#elif SET_VEC_WIDTH == 4 && defined(__aarch64__)
  return reinterpret_cast<Lanes>(vmull_u32(vmovn_u64(reinterpret_cast<uint64x2_t>(a)), vdup_n_u32(b)));
#else
  return (a & 0xffffffff) * b;
#endif
}

/** The draws of eight rows, each for kWidth samples. */
struct Draws {
  Ints of_row[kShared];
};

/** Draws for the samples at the given places and groups of rows. */
SET_INLINE Draws draw(const DropOutputs& op, Words place, Words group) {
  constexpr uint32_t kMultiplier0 = 0xD2511F53, kMultiplier1 = 0xCD9E8D57;
  constexpr uint32_t kWeyl0 = 0x9E3779B9, kWeyl1 = 0xBB67AE85;
  // The counter, in even and in odd lanes. What is in the high half of a lane has no effect on the low one.
  const Lanes places = reinterpret_cast<Lanes>(place), groups = reinterpret_cast<Lanes>(group);
  Lanes c[2][4];
  for (size_t odd = 0; odd < 2; ++odd) {
    c[odd][0] = places >> 32 * odd;
    c[odd][1] = groups >> 32 * odd;
    c[odd][2] = Lanes{} + op.epoch;
    c[odd][3] = Lanes{} + op.last_word;
  }
  uint32_t k0 = op.key[0], k1 = op.key[1];
  for (int round = 0; round < 10; ++round) {
    for (size_t odd = 0; odd < 2; ++odd) {
      const Lanes p0 = product(c[odd][0], kMultiplier0), p1 = product(c[odd][2], kMultiplier1);
      c[odd][0] = (p1 >> 32) ^ c[odd][1] ^ k0;
      c[odd][2] = (p0 >> 32) ^ c[odd][3] ^ k1;
      c[odd][1] = p1;
      c[odd][3] = p0;
    }
    k0 += kWeyl0;
    k1 += kWeyl1;
  }
  Draws draws;
  for (size_t k = 0; k < 4; ++k) {
    const Words words = reinterpret_cast<Words>((c[0][k] & 0xffffffff) | c[1][k] << 32);
    draws.of_row[2 * k] = reinterpret_cast<Ints>(words & 0xffff);
    draws.of_row[2 * k + 1] = reinterpret_cast<Ints>(words >> 16);
  }
  return draws;
}

/*
 * The outputs z after dropout by these draws. Adding 0 turns -0 into 0. Denormal numbers do not get there,
 * they count as 0, and gain makes none.
 */
// NOLINTBEGIN(bugprone-macro-parentheses): V and I are types.
#define SET_DROP(V, I)                                            \
  SET_INLINE V drop(V z, I draws, const DropOutputs& op) {        \
    const I threshold = I{} + static_cast<int32_t>(op.threshold); \
    return draws < threshold ? -V{} : fma(z, op.gain - V{}, V{}); \
  }
// NOLINTEND(bugprone-macro-parentheses)
SET_DROP(Vec, Ints)
#if SET_VEC_WIDTH > 4
SET_DROP(Half, HalfInts)
#endif
SET_INLINE float drop(float z, int32_t draw, const DropOutputs& op) {
  return draw < static_cast<int32_t>(op.threshold) ? -0.0f : fma(z, op.gain, 0.0f);
}

/** The numbers 0, 1, 2 ... divided by `by`, or the remainders. */
SET_INLINE Words quotients(uint32_t by) {
  Words out{};
  for (uint32_t lane = 0; lane < kWidth; ++lane) out[lane] = lane / by;
  return out;
}
SET_INLINE Words remainders(uint32_t by) {
  Words out{};
  for (uint32_t lane = 0; lane < kWidth; ++lane) out[lane] = lane % by;
  return out;
}

/** Drops in rows of S samples. */
template <uint32_t S>
void drop_small(const DropOutputs& op, size_t begin, size_t end) {
  constexpr uint32_t kGroups = kWidth / S;  // groups of rows in a vector
  const Words places = remainders(S) + op.place, groups = quotients(S);
  for (size_t group = begin / kShared; group * kShared < end; group += kGroups) {
    const Draws draws = draw(op, places, groups + static_cast<uint32_t>(group));
    for (size_t k = 0; k < kShared; ++k) {
      for (size_t lane = 0; lane < kWidth; ++lane) {
        const size_t row = (group + lane / S) * kShared + k;
        if (row < begin || row >= end) continue;
        float& z = op.z[row * S + lane % S];
        z = drop(z, draws.of_row[k][lane], op);
      }
    }
  }
}

}  // namespace

void drop_outputs(const DropOutputs& op, size_t begin, size_t end) {
  if (op.stride == 1) return drop_small<1>(op, begin, end);
  if (op.stride == 2) return drop_small<2>(op, begin, end);
  const Words lanes = quotients(1);
  for (size_t group = begin / kShared; group * kShared < end; ++group) {
    const size_t rows = group * kShared;
    const size_t first = begin > rows ? begin - rows : 0, last = end - rows < kShared ? end - rows : kShared;
    for (size_t c = 0; c < op.stride; c += kWidth) {
      const Draws draws =
          draw(op, lanes + op.place + static_cast<uint32_t>(c), Words{} + static_cast<uint32_t>(group));
      float* const z = op.z + rows * op.stride + c;
      if (c + kWidth <= op.stride) {
        for (size_t k = first; k < last; ++k)
          store(z + k * op.stride, drop(load(z + k * op.stride), draws.of_row[k], op));
      } else {
        for (size_t k = first; k < last; ++k) {
          const HalfInts low = reinterpret_cast<HalfInts>(lower(reinterpret_cast<Vec>(draws.of_row[k])));
          store_half(z + k * op.stride, drop(load_half(z + k * op.stride), low, op));
        }
      }
    }
  }
}

}  // namespace set_native::cpu::SET_ISA
