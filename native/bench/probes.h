#pragma once

#include <cstddef>
#include <cstdint>

namespace set_native::bench {

/**
 * Loops that do one thing as fast as an instruction set can. Their results only keep the compiler from
 * dropping them.
 */
struct Probes {
  double flops_per_round;
  /** Runs a dozen independent chains of multiply-add, `rounds` times. */
  float (*multiply_add)(size_t rounds);
  /** Reads `count` floats, a multiple of 128, from the start of a cache line, `rounds` times. */
  float (*read)(const float* values, size_t count, size_t rounds);
};

/** Returns the probes of the kernel table "portable", "avx2" or "avx512". */
const Probes& probes(const char* isa);

/**
 * Reads from every cache line of the rows `order[0 .. count - 17]`, each `row_bytes` long, in that order.
 * With `prefetch_ahead` it first prefetches the row 16 places ahead, as the kernels do.
 */
uint32_t touch_rows(const char* rows, size_t row_bytes, const uint32_t* order, size_t count,
                    bool prefetch_ahead);

}  // namespace set_native::bench
