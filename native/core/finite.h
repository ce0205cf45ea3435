#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>

namespace set_native {

/** Whether all `count` values are finite. */
inline bool all_finite(const float* values, size_t count) {
  int finite = 1;  // the loop has no early exit, so that compilers vectorise it
  for (size_t k = 0; k < count; ++k)
    finite &= std::fabs(values[k]) <= std::numeric_limits<float>::max() ? 1 : 0;
  return finite != 0;
}

/**
 * Returns the first row of values [count][outputs] with a number that is not finite, or `count` if none has.
 */
template <class Number>
uint64_t first_overflow(const Number* values, uint64_t count, size_t outputs) {
  const Number* const end = values + count * outputs;
  const Number* const found = std::find_if(values, end, [](Number value) { return !std::isfinite(value); });
  return static_cast<uint64_t>(found - values) / outputs;
}

}  // namespace set_native
