#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

/*
 * Stand-ins for the parts of the Metal shading language that kernels use, for a plain C++ compiler:
 * qualifiers, vectors and the functions of <metal_stdlib>, those between threads made of simt.h. Included by
 * generated code alone, in front of the kernels: the qualifiers are macros.
 *
 * With SET_CHECK_ADDRESS_SPACES, for clang -fsyntax-only, address spaces are real and nothing can run: a
 * pointer to one that is used as a pointer to another is an error, as it is in Metal.
 */
#define __METAL_VERSION__ 300  // NOLINT(bugprone-reserved-identifier): the name is Metal's

#ifndef SET_CHECK_ADDRESS_SPACES
#include "test/emulator/simt.h"
#endif

using uint = unsigned int;
using ushort = unsigned short;

struct uint3 {
  uint x, y, z;
};

#ifdef SET_CHECK_ADDRESS_SPACES
// Built-in vectors may be loaded from any address space; a class would need a constructor for each.
typedef float float4 __attribute__((ext_vector_type(4)));
inline float4 float4_of(float x, float y, float z, float w) {
  return {x, y, z, w};
}
inline float4 float4_of(float v) {
  return {v, v, v, v};
}
#define float4(...) float4_of(__VA_ARGS__)
#else
namespace set_native_metal_vectors {
struct alignas(16) float4 {
  float x, y, z, w;
  float4() = default;
  float4(float a, float b, float c, float d) : x(a), y(b), z(c), w(d) {}
  explicit float4(float a) : x(a), y(a), z(a), w(a) {}
};
inline float4 operator+(float4 a, float4 b) {
  return {a.x + b.x, a.y + b.y, a.z + b.z, a.w + b.w};
}
}  // namespace set_native_metal_vectors
using set_native_metal_vectors::float4;
#endif

namespace metal {

// ---- Barriers and atomics ---------------------------------------------------------------------------------

enum class mem_flags : uint { mem_none = 0, mem_device = 1, mem_threadgroup = 2 };
constexpr mem_flags operator|(mem_flags a, mem_flags b) {
  return static_cast<mem_flags>(static_cast<uint>(a) | static_cast<uint>(b));
}

enum memory_order { memory_order_relaxed };
struct atomic_uint {
  uint value;
};

#ifdef SET_CHECK_ADDRESS_SPACES

void threadgroup_barrier(mem_flags flags);
// NOLINTBEGIN(bugprone-macro-parentheses)
#define SET_ATOMICS(space)                                                                          \
  uint atomic_load_explicit(const volatile space atomic_uint* p, memory_order order);               \
  void atomic_store_explicit(volatile space atomic_uint* p, uint v, memory_order order);            \
  uint atomic_fetch_add_explicit(volatile space atomic_uint* p, uint v, memory_order order);        \
  uint atomic_fetch_or_explicit(volatile space atomic_uint* p, uint v, memory_order order);         \
  uint atomic_fetch_min_explicit(volatile space atomic_uint* p, uint v, memory_order order);        \
  bool atomic_compare_exchange_weak_explicit(volatile space atomic_uint* p, uint* expected, uint v, \
                                             memory_order, memory_order);
// NOLINTEND(bugprone-macro-parentheses)
SET_ATOMICS(__attribute__((address_space(1))))
SET_ATOMICS(__attribute__((address_space(3))))
#undef SET_ATOMICS

#else

inline void threadgroup_barrier(mem_flags, int line = __builtin_LINE()) {
  ::set_native::simt::block_barrier("threadgroup_barrier", line);
}

inline uint atomic_load_explicit(const atomic_uint* p, memory_order) {
  return __atomic_load_n(&p->value, __ATOMIC_RELAXED);
}
inline void atomic_store_explicit(atomic_uint* p, uint v, memory_order) {
  __atomic_store_n(&p->value, v, __ATOMIC_RELAXED);
}
inline uint atomic_fetch_add_explicit(atomic_uint* p, uint v, memory_order) {
  return __atomic_fetch_add(&p->value, v, __ATOMIC_RELAXED);
}
inline uint atomic_fetch_or_explicit(atomic_uint* p, uint v, memory_order) {
  return __atomic_fetch_or(&p->value, v, __ATOMIC_RELAXED);
}
/** Weak: now and then it fails although the value is the expected one. */
inline bool atomic_compare_exchange_weak_explicit(atomic_uint* p, uint* expected, uint v, memory_order,
                                                  memory_order) {
  static uint calls = 0;
  if (__atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED) % 5 == 0) {
    *expected = __atomic_load_n(&p->value, __ATOMIC_RELAXED);
    return false;
  }
  return __atomic_compare_exchange_n(&p->value, expected, v, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}
inline uint atomic_fetch_min_explicit(atomic_uint* p, uint v, memory_order) {
  uint old = __atomic_load_n(&p->value, __ATOMIC_RELAXED);
  while (v < old &&
         !__atomic_compare_exchange_n(&p->value, &old, v, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
  }
  return old;
}

#endif

// ---- Simdgroups: of 32 lanes ------------------------------------------------------------------------------

#ifdef SET_CHECK_ADDRESS_SPACES

template <class T>
T simd_shuffle_down(T value, ushort delta);
template <class T>
T simd_shuffle_up(T value, ushort delta);
template <class T>
T simd_shuffle_xor(T value, ushort mask);
uint simd_sum(uint value);
uint simd_min(uint value);
uint simd_or(uint value);

#else

namespace emulated {

inline uint lane() {
  return ::set_native::simt::place().thread.x % ::set_native::simt::kWarp;
}
template <class T>
T from_lane(const unsigned char* slots, uint lane) {
  T value;
  // What a lane beyond the simdgroup holds is not defined.
  ::set_native::simt::poison(&value, sizeof value);
  if (lane < ::set_native::simt::kWarp)
    std::memcpy(&value, slots + lane * ::set_native::simt::kSlotBytes, sizeof value);
  return value;
}
template <class T>
T shuffle(T value, uint from, const char* what, int line) {
  static_assert(sizeof(T) <= ::set_native::simt::kSlotBytes, "");
  return from_lane<T>(::set_native::simt::exchange(&value, sizeof value, what, line), from);
}
template <class Join>
uint reduce(uint value, uint start, const char* what, int line, Join&& join) {
  const unsigned char* slots = ::set_native::simt::exchange(&value, sizeof value, what, line);
  for (uint l = 0; l < ::set_native::simt::kWarp; ++l) start = join(start, from_lane<uint>(slots, l));
  return start;
}
struct Sum {
  uint operator()(uint a, uint b) const { return a + b; }
};
struct Or {
  uint operator()(uint a, uint b) const { return a | b; }
};
struct Least {
  uint operator()(uint a, uint b) const { return b < a ? b : a; }
};

}  // namespace emulated

template <class T>
T simd_shuffle_down(T value, ushort delta, int line = __builtin_LINE()) {
  return emulated::shuffle(value, emulated::lane() + delta, "simd_shuffle_down", line);
}
template <class T>
T simd_shuffle_up(T value, ushort delta, int line = __builtin_LINE()) {
  return emulated::shuffle(value, emulated::lane() - delta, "simd_shuffle_up", line);
}
template <class T>
T simd_shuffle_xor(T value, ushort mask, int line = __builtin_LINE()) {
  return emulated::shuffle(value, emulated::lane() ^ mask, "simd_shuffle_xor", line);
}
inline uint simd_sum(uint value, int line = __builtin_LINE()) {
  return emulated::reduce(value, 0, "simd_sum", line, emulated::Sum{});
}
inline uint simd_min(uint value, int line = __builtin_LINE()) {
  return emulated::reduce(value, ~0u, "simd_min", line, emulated::Least{});
}
inline uint simd_or(uint value, int line = __builtin_LINE()) {
  return emulated::reduce(value, 0, "simd_or", line, emulated::Or{});
}

#endif

// ---- Numbers ----------------------------------------------------------------------------------------------

template <class To, class From>
To as_type(From from) {
  static_assert(sizeof(To) == sizeof(From), "");
  To to;
  std::memcpy(&to, &from, sizeof to);
  return to;
}

template <class T>
T min(T a, T b) {
  return b < a ? b : a;
}
template <class T>
T max(T a, T b) {
  return a < b ? b : a;
}
inline uint popcount(uint v) {
  return static_cast<uint>(__builtin_popcount(v));
}
inline uint clz(uint v) {
  return v == 0 ? 32 : static_cast<uint>(__builtin_clz(v));
}
inline uint ctz(uint v) {
  return v == 0 ? 32 : static_cast<uint>(__builtin_ctz(v));
}
inline float fma(float a, float b, float c) {
  return std::fma(a, b, c);
}
inline float4 fma(float4 a, float4 b, float4 c) {
  return float4(fma(a.x, b.x, c.x), fma(a.y, b.y, c.y), fma(a.z, b.z, c.z), fma(a.w, b.w, c.w));
}
inline float fabs(float v) {
  return std::fabs(v);
}
inline bool isfinite(float v) {
  return std::isfinite(v);
}
namespace precise {
inline float divide(float a, float b) {
  return a / b;
}
inline float exp(float v) {
  return std::exp(v);
}
inline float log(float v) {
  return std::log(v);
}
inline float tanh(float v) {
  return std::tanh(v);
}
}  // namespace precise
using precise::exp;
using precise::log;
using precise::tanh;

}  // namespace metal

// ---- Qualifiers: the last thing here, because these are words of C++ elsewhere ----------------------------

#ifdef SET_CHECK_ADDRESS_SPACES
#define device __attribute__((address_space(1)))
#define constant const __attribute__((address_space(2)))
#define threadgroup __attribute__((address_space(3)))
#else
#define device
#define constant const
#define threadgroup
#endif
#define thread
#define kernel
