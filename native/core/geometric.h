#pragma once

#include <cstddef>
#include <cstdint>

namespace set_native {

/**
 * Computes the number of misses before each hit of a biased coin: floor(log(u) / log_miss), u =
 * unit_open(word), as integral doubles.
 *
 * skips[2 k] is the number for first[k] and skips[2 k + 1] the one for second[k], k < count. log_miss =
 * log(1 - p) < 0, where p is the probability of a hit. The logarithm is fdlibm's, in plain double arithmetic,
 * and gives the same bits on every machine and in vectors of any width.
 */
void geometric_skips(const uint64_t* first, const uint64_t* second, size_t count, double log_miss,
                     double* skips);

}  // namespace set_native
