#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>

namespace set_native {

/** Whether all `count` values are finite. */
inline bool all_finite(const float* values, size_t count) {
  int finite = 1;  // without an early end, so that compilers take a vector at a time
  for (size_t k = 0; k < count; ++k)
    finite &= std::fabs(values[k]) <= std::numeric_limits<float>::max() ? 1 : 0;
  return finite != 0;
}

/** The first row of values [count][outputs] with a number that is not finite; `count` where all are. */
template <class Number>
uint64_t first_overflow(const Number* values, uint64_t count, size_t outputs) {
  const Number* const end = values + count * outputs;
  const Number* const found = std::find_if(values, end, [](Number value) { return !std::isfinite(value); });
  return static_cast<uint64_t>(found - values) / outputs;
}

}  // namespace set_native
