#include "gpu/language.h"

/*
 * Kernels that each break a rule, so that the emulator's checks can be seen to catch it
 * (metal_emulator_test.cpp).
 */
using namespace metal;

struct PlantedParams {
  uint32_t count;
};

/** Numbers go round the threadgroup `count` times, right: what the next one is made of. */
kernel void pass_on(constant PlantedParams& p [[buffer(0)]], device const uint32_t* in [[buffer(1)]],
                    device uint32_t* out [[buffer(2)]], threadgroup uint32_t* places [[threadgroup(0)]],
                    uint32_t lane [[thread_index_in_threadgroup]]) {
  uint32_t number = in[lane];
  for (uint32_t k = 0; k < p.count; ++k) {
    places[lane] = number;
    threadgroup_barrier(mem_flags::mem_threadgroup);
    number = places[(lane + 1) % 64];
    threadgroup_barrier(mem_flags::mem_threadgroup);
  }
  out[lane] = number;
}

/** Without its first barrier. */
kernel void missing_barrier(constant PlantedParams& p [[buffer(0)]], device const uint32_t* in [[buffer(1)]],
                            device uint32_t* out [[buffer(2)]],
                            threadgroup uint32_t* places [[threadgroup(0)]],
                            uint32_t lane [[thread_index_in_threadgroup]]) {
  uint32_t number = in[lane];
  for (uint32_t k = 0; k < p.count; ++k) {
    places[lane] = number;
    number = places[(lane + 1) % 64];
    threadgroup_barrier(mem_flags::mem_threadgroup);
  }
  out[lane] = number;
}

/** One thread reads beyond its buffer. */
kernel void out_of_bounds(constant PlantedParams& p [[buffer(0)]], device const uint32_t* in [[buffer(1)]],
                          device uint32_t* out [[buffer(2)]], uint32_t lane [[thread_index_in_threadgroup]]) {
  out[lane] = in[lane == 0 ? p.count : lane];
}

/** One thread writes beyond the threadgroup's memory. */
kernel void shared_out_of_bounds(constant PlantedParams& p [[buffer(0)]],
                                 device const uint32_t* in [[buffer(1)]], device uint32_t* out [[buffer(2)]],
                                 threadgroup uint32_t* sums [[threadgroup(0)]],
                                 uint32_t lane [[thread_index_in_threadgroup]]) {
  sums[lane == 0 ? p.count : lane] = in[lane];
  threadgroup_barrier(mem_flags::mem_threadgroup);
  out[lane] = sums[lane];
}

/** Only some threads come to the barrier. */
kernel void divergent_barrier(constant PlantedParams& p [[buffer(0)]],
                              device const uint32_t* in [[buffer(1)]], device uint32_t* out [[buffer(2)]],
                              uint32_t lane [[thread_index_in_threadgroup]]) {
  if (lane < p.count) threadgroup_barrier(mem_flags::mem_threadgroup);
  out[lane] = in[lane];
}

/** Half of a simdgroup sums, the other half takes another way. */
kernel void divergent_simd(constant PlantedParams& p [[buffer(0)]], device const uint32_t* in [[buffer(1)]],
                           device uint32_t* out [[buffer(2)]],
                           uint32_t lane [[thread_index_in_threadgroup]]) {
  if (lane < p.count)
    out[lane] = simd_sum(in[lane]);
  else
    out[lane] = simd_or(in[lane]);
}

/** Threads add to one number without an atomic. */
kernel void without_atomic(constant PlantedParams& p [[buffer(0)]], device const uint32_t* in [[buffer(1)]],
                           device uint32_t* out [[buffer(2)]],
                           uint32_t lane [[thread_index_in_threadgroup]]) {
  for (uint32_t k = 0; k < p.count; ++k) out[0] += in[lane];
}

/** A lane that does not exist is asked for its value. */
kernel void beyond_the_simdgroup(constant PlantedParams& p [[buffer(0)]],
                                 device const uint32_t* in [[buffer(1)]], device uint32_t* out [[buffer(2)]],
                                 uint32_t lane [[thread_index_in_threadgroup]]) {
  out[lane] = in[lane] + simd_shuffle_down(in[lane], static_cast<uint16_t>(p.count));
}

/** Relies on a weak compare-and-swap to succeed at once. */
kernel void weak_once(constant PlantedParams& p [[buffer(0)]], device const uint32_t* in [[buffer(1)]],
                      device uint32_t* out [[buffer(2)]], uint32_t lane [[thread_index_in_threadgroup]]) {
  uint32_t expected = in[lane] - lane - 1;  // what is there
  atomic_compare_exchange_weak_explicit(reinterpret_cast<device atomic_uint*>(out + lane), &expected, p.count,
                                        memory_order_relaxed, memory_order_relaxed);
}
