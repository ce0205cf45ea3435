#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>

#include "test/emulator/simt.h"

/*
 * Stand-ins for the parts of CUDA that kernels use, for a plain C++ compiler: targets that run kernels in the
 * emulator find this file where nvcc finds CUDA's. Warp functions take whole warps only: the mask must name
 * all lanes, which is also all that the kernels need.
 */
// NOLINTBEGIN(bugprone-reserved-identifier): the names are CUDA's.
#define SET_UNROLL
#define SET_UNROLL_2
#define SET_SHARED(name) unsigned char* const name = ::set_native::simt::shared_memory()
#define __global__ inline
#define __device__
#define __host__
#define __launch_bounds__(...)
#define threadIdx (::set_native::simt::place().thread)
#define blockIdx (::set_native::simt::place().block)
#define blockDim (::set_native::simt::place().block_dim)
#define gridDim (::set_native::simt::place().grid_dim)

struct alignas(8) float2 {
  float x, y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
struct alignas(8) uint2 {
  unsigned x, y;
};
struct alignas(16) uint4 {
  unsigned x, y, z, w;
};
inline float2 make_float2(float x, float y) {
  return {x, y};
}
inline float4 make_float4(float x, float y, float z, float w) {
  return {x, y, z, w};
}
inline uint2 make_uint2(unsigned x, unsigned y) {
  return {x, y};
}
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) {
  return {x, y, z, w};
}

using std::isfinite;
using std::max;
using std::min;

// ---- Barriers ---------------------------------------------------------------------------------------------

inline void __syncthreads(int line = __builtin_LINE()) {
  ::set_native::simt::block_barrier("__syncthreads", line);
}
inline int __syncthreads_count(int predicate, int line = __builtin_LINE()) {
  return static_cast<int>(::set_native::simt::block_sum(predicate != 0, "__syncthreads_count", line));
}
inline int __syncthreads_or(int predicate, int line = __builtin_LINE()) {
  return ::set_native::simt::block_sum(predicate != 0, "__syncthreads_or", line) != 0;
}
inline int __syncthreads_and(int predicate, int line = __builtin_LINE()) {
  return ::set_native::simt::block_sum(predicate == 0, "__syncthreads_and", line) == 0;
}
inline void __threadfence() {
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
}
inline void __threadfence_block() {
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

// ---- Warps ------------------------------------------------------------------------------------------------

namespace set_native::simt {

inline unsigned lane() {
  return place().thread.x % kWarp;
}
inline void require_whole(unsigned mask, const char* what, int line) {
  if (mask != 0xffffffffu)
    throw Fault(std::string(what) + " (line " + std::to_string(line) +
                ") without all lanes of the warp in its mask");
}
template <class T>
T from_lane(const unsigned char* slots, unsigned lane) {
  T value;
  std::memcpy(&value, slots + lane * kSlotBytes, sizeof value);
  return value;
}
/** The value of lane source(lane within its segment, start of the segment), or the thread's own. */
template <class T, class Source>
T shuffle(unsigned mask, T value, unsigned width, const char* what, int line, Source&& source) {
  static_assert(sizeof(T) <= kSlotBytes, "");
  require_whole(mask, what, line);
  const unsigned char* slots = exchange(&value, sizeof value, what, line);
  const unsigned self = lane(), from = source(self % width);
  return from_lane<T>(slots, from < width ? self / width * width + from : self);
}
inline unsigned ballot(unsigned mask, int predicate, const char* what, int line) {
  require_whole(mask, what, line);
  const unsigned value = predicate != 0;
  const unsigned char* slots = exchange(&value, sizeof value, what, line);
  unsigned bits = 0;
  for (unsigned l = 0; l < kWarp; ++l) bits |= from_lane<unsigned>(slots, l) << l;
  return bits;
}
template <class T, class Join>
T reduce(unsigned mask, T value, const char* what, int line, Join&& join) {
  require_whole(mask, what, line);
  const unsigned char* slots = exchange(&value, sizeof value, what, line);
  T all = from_lane<T>(slots, 0);
  for (unsigned l = 1; l < kWarp; ++l) all = join(all, from_lane<T>(slots, l));
  return all;
}

}  // namespace set_native::simt

inline void __syncwarp(unsigned mask = 0xffffffffu, int line = __builtin_LINE()) {
  ::set_native::simt::require_whole(mask, "__syncwarp", line);
  const char nothing = 0;
  ::set_native::simt::exchange(&nothing, 1, "__syncwarp", line);
}
template <class T>
T __shfl_sync(unsigned mask, T value, int source, int width = 32, int line = __builtin_LINE()) {
  const auto w = static_cast<unsigned>(width);
  return ::set_native::simt::shuffle(mask, value, w, "__shfl_sync", line,
                                     [=](unsigned) { return static_cast<unsigned>(source) % w; });
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32, int line = __builtin_LINE()) {
  return ::set_native::simt::shuffle(mask, value, static_cast<unsigned>(width), "__shfl_down_sync", line,
                                     [=](unsigned self) { return self + delta; });
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32, int line = __builtin_LINE()) {
  return ::set_native::simt::shuffle(mask, value, static_cast<unsigned>(width), "__shfl_up_sync", line,
                                     [=](unsigned self) { return self - delta; });
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int lanes, int width = 32, int line = __builtin_LINE()) {
  return ::set_native::simt::shuffle(mask, value, static_cast<unsigned>(width), "__shfl_xor_sync", line,
                                     [=](unsigned self) { return self ^ static_cast<unsigned>(lanes); });
}
inline unsigned __ballot_sync(unsigned mask, int predicate, int line = __builtin_LINE()) {
  return ::set_native::simt::ballot(mask, predicate, "__ballot_sync", line);
}
inline int __any_sync(unsigned mask, int predicate, int line = __builtin_LINE()) {
  return ::set_native::simt::ballot(mask, predicate, "__any_sync", line) != 0;
}
inline int __all_sync(unsigned mask, int predicate, int line = __builtin_LINE()) {
  return ::set_native::simt::ballot(mask, predicate, "__all_sync", line) == 0xffffffffu;
}
inline unsigned __reduce_add_sync(unsigned mask, unsigned value, int line = __builtin_LINE()) {
  return ::set_native::simt::reduce(mask, value, "__reduce_add_sync", line,
                                    [](unsigned a, unsigned b) { return a + b; });
}
inline unsigned __reduce_min_sync(unsigned mask, unsigned value, int line = __builtin_LINE()) {
  return ::set_native::simt::reduce(mask, value, "__reduce_min_sync", line,
                                    [](unsigned a, unsigned b) { return a < b ? a : b; });
}
inline unsigned __reduce_max_sync(unsigned mask, unsigned value, int line = __builtin_LINE()) {
  return ::set_native::simt::reduce(mask, value, "__reduce_max_sync", line,
                                    [](unsigned a, unsigned b) { return a < b ? b : a; });
}
inline unsigned __match_any_sync(unsigned mask, unsigned value, int line = __builtin_LINE()) {
  ::set_native::simt::require_whole(mask, "__match_any_sync", line);
  const unsigned char* slots = ::set_native::simt::exchange(&value, sizeof value, "__match_any_sync", line);
  unsigned same = 0;
  for (unsigned l = 0; l < 32; ++l)
    same |= static_cast<unsigned>(::set_native::simt::from_lane<unsigned>(slots, l) == value) << l;
  return same;
}

// ---- Memory -----------------------------------------------------------------------------------------------

template <class T>
T __ldg(const T* p) {
  return *p;
}
inline unsigned atomicAdd(unsigned* p, unsigned v) {
  return __atomic_fetch_add(p, v, __ATOMIC_RELAXED);
}
inline unsigned atomicSub(unsigned* p, unsigned v) {
  return __atomic_fetch_sub(p, v, __ATOMIC_RELAXED);
}
inline unsigned atomicOr(unsigned* p, unsigned v) {
  return __atomic_fetch_or(p, v, __ATOMIC_RELAXED);
}
inline unsigned atomicAnd(unsigned* p, unsigned v) {
  return __atomic_fetch_and(p, v, __ATOMIC_RELAXED);
}
inline unsigned atomicExch(unsigned* p, unsigned v) {
  return __atomic_exchange_n(p, v, __ATOMIC_RELAXED);
}
inline unsigned atomicCAS(unsigned* p, unsigned expected, unsigned v) {
  __atomic_compare_exchange_n(p, &expected, v, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
  return expected;
}
inline unsigned atomicMin(unsigned* p, unsigned v) {
  unsigned old = __atomic_load_n(p, __ATOMIC_RELAXED);
  while (v < old && !__atomic_compare_exchange_n(p, &old, v, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
  }
  return old;
}
inline unsigned atomicMax(unsigned* p, unsigned v) {
  unsigned old = __atomic_load_n(p, __ATOMIC_RELAXED);
  while (v > old && !__atomic_compare_exchange_n(p, &old, v, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
  }
  return old;
}

// ---- Numbers ----------------------------------------------------------------------------------------------

inline unsigned __float_as_uint(float v) {
  unsigned bits;
  std::memcpy(&bits, &v, sizeof bits);
  return bits;
}
inline float __uint_as_float(unsigned bits) {
  float v;
  std::memcpy(&v, &bits, sizeof v);
  return v;
}
inline int __popc(unsigned v) {
  return __builtin_popcount(v);
}
inline int __clz(unsigned v) {
  return v == 0 ? 32 : __builtin_clz(v);
}
inline int __ffs(unsigned v) {
  return __builtin_ffs(static_cast<int>(v));
}
inline unsigned __umulhi(unsigned a, unsigned b) {
  return static_cast<unsigned>(static_cast<uint64_t>(a) * b >> 32);
}
inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
  return static_cast<unsigned long long>(static_cast<unsigned __int128>(a) * b >> 64);
}
// NOLINTEND(bugprone-reserved-identifier)
