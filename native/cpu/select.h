#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

namespace set_native::cpu {

/** Where a selection ends: items with key < limit are taken whole, and `rest` more of the item with key == limit. */
struct Cut {
  uint64_t limit;
  uint64_t rest;
};

/**
 * Selects the items of lowest key that together weigh a given amount, without sorting.
 *
 * Items 0 .. size - 1 have distinct 64-bit keys key(i) and weights weight(i). The high word of a key holds the bits of
 * a float, so the lower half of the keys belongs to the positive and the upper half to the negative floats; each half
 * is ranked by itself, |float| ascending. A histogram over the top 14 bits finds the bucket in which the cut falls,
 * repeated halving (nth_element) the place inside it: O(size) on average, two passes over the items.
 */
template <class Key, class Weight>
class Selection {
 public:
  Selection(uint32_t size, Key key, Weight weight) : size_(size), key_(key), weight_(weight), buckets_(2 * kHalf, 0) {
    for (uint32_t i = 0; i < size; ++i) buckets_[key_(i) >> kShift] += weight_(i);
  }

  /** Weight of all items of a half. */
  uint64_t total(bool upper) const {
    uint64_t sum = 0;
    for (uint32_t b = upper * kHalf; b < (upper + 1) * kHalf; ++b) sum += buckets_[b];
    return sum;
  }

  Cut cut(bool upper, uint64_t amount) const {
    uint64_t bucket = upper * kHalf;
    const uint64_t end = bucket + kHalf;
    while (bucket < end && buckets_[bucket] <= amount) amount -= buckets_[bucket++];
    if (bucket == end) return {upper ? ~uint64_t{0} : uint64_t{1} << 63, 0};  // the whole half
    std::vector<std::pair<uint64_t, uint32_t>> items;
    for (uint32_t i = 0; i < size_; ++i) {
      if (key_(i) >> kShift == bucket) items.emplace_back(key_(i), weight_(i));
    }
    auto first = items.begin(), last = items.end();
    while (last - first > 1) {
      const auto middle = first + (last - first) / 2;
      std::nth_element(first, middle, last);
      uint64_t below_middle = 0;
      for (auto item = first; item != middle; ++item) below_middle += item->second;
      if (amount < below_middle) {
        last = middle;
      } else {
        amount -= below_middle;
        first = middle;
      }
    }
    return {first->first, amount};
  }

 private:
  static constexpr int kShift = 50;
  static constexpr uint32_t kHalf = 1u << 13;
  uint32_t size_;
  Key key_;
  Weight weight_;
  std::vector<uint32_t> buckets_;
};

}  // namespace set_native::cpu
