#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <numeric>
#include <vector>

#include "core/aligned.h"
#include "layout/parts.h"
#include "layout/thread_pool.h"

namespace set_native {

/** Bits of a float. Bits of floats of one sign have the order of their absolute values. */
inline uint32_t float_bits(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

/** Selection of items around zero: those with low < value < high and, at a bound, those before an item. */
struct Around {
  float low;
  float high;
  uint32_t low_item;   // items below it with value == low are selected
  uint32_t high_item;  // items below it with value == high are selected

  bool inside(float value) const { return (value > low) & (value < high); }
  bool at_bound(float value) const { return (value == low) | (value == high); }
  bool tied(float value, uint32_t item) const {
    return ((value == low) & (item < low_item)) | ((value == high) & (item < high_item));
  }
};

/**
 * Finds the items of lowest |value|, separately among positive and negative ones, ties by item, without
 * sorting. +0 is the lowest positive, -0 the lowest negative value. O(size / threads), two passes over the
 * values.
 *
 * Histograms over the top 12 bits, one per thread, give the bucket in which a cut lies. Only the values of
 * that bucket are collected, and nth_element finds the cut in them.
 */
template <class Value>
class Selection {
 public:
  /** Builds the histograms. value(i) is the value of item i < size, never NaN. */
  Selection(uint32_t size, Value value, ThreadPool& pool)
      : size_(size), value_(value), pool_(pool), histograms_(pool.size()), buckets_(2 * kHalf, 0) {
    pool_.run([this](unsigned t) {
      histograms_[t].assign(2 * kHalf, 0);
      uint32_t* const counts = histograms_[t].data();
      const Part part = part_of(size_, t, pool_.size());
      for (size_t i = part.begin; i < part.end; ++i) ++counts[bucket_of(bits_of(i))];
    });
    for (const std::vector<uint32_t>& counts : histograms_) {
      for (size_t b = 0; b < buckets_.size(); ++b) buckets_[b] += counts[b];
    }
  }

  /** Number of positive (half 0) or negative (half 1) items other than zeros. */
  uint64_t non_zeros(int half) const {
    const auto begin = buckets_.begin() + half * kHalf;
    return std::accumulate(begin, begin + kHalf - 1, uint64_t{0});
  }
  /** Number of +0 (half 0) or -0 (half 1). */
  uint64_t zeros(int half) const { return buckets_[zeros_of(half)]; }

  /** Selects the `positive` lowest positive and the `negative` lowest negative items, zeros included. */
  Around lowest(uint64_t positive, uint64_t negative) const {
    Cut high = cut_in_buckets(0, positive), low = cut_in_buckets(1, negative);
    AlignedVector<uint32_t> members = collect(high.bucket, low.bucket);
    const auto in = [](const Cut& cut) {
      return [&cut](uint32_t bits) { return bucket_of(bits) == cut.bucket; };
    };
    const auto end_high = std::partition(members.begin(), members.end(), in(high));
    const auto end_low = std::partition(end_high, members.end(), in(low));
    pool_.run([&](unsigned t) {
      if (t == 0) place(high, members.begin(), end_high);
      if (t + 1 == pool_.size()) place(low, end_high, end_low);
    });
    return {-low.bound, high.bound, low.item, high.item};
  }

 private:
  using Member = AlignedVector<uint32_t>::iterator;

  static constexpr int kShift = 20;
  static constexpr uint32_t kHalf = 1u << 11;      // number of buckets of one sign
  static constexpr uint32_t kNowhere = 2 * kHalf;  // no bucket

  /** A cut. The items below it have |value| < bound, or |value| == bound and a number below `item`. */
  struct Cut {
    float bound = std::numeric_limits<float>::infinity();
    uint32_t item = std::numeric_limits<uint32_t>::max();
    uint32_t bucket = kNowhere;  // bucket in which the cut lies
    uint64_t rest = 0;           // number of the bucket's items below the cut
  };

  uint32_t bits_of(size_t item) const { return float_bits(value_(static_cast<uint32_t>(item))); }
  /**
   * Bucket of a value. Subtracting 1 sends a zero to the last bucket of the other half, which only NaNs would
   * use: zeros have this bucket for themselves.
   */
  static uint32_t bucket_of(uint32_t bits) { return (bits - 1) >> kShift; }
  static uint32_t zeros_of(int half) { return half == 0 ? 2 * kHalf - 1 : kHalf - 1; }

  /** Finds the bucket in which the cut after `amount` items of a half lies. */
  Cut cut_in_buckets(int half, uint64_t amount) const {
    Cut cut;
    uint32_t bucket = zeros_of(half), next = half * kHalf;
    const uint32_t end = next + kHalf - 1;
    while (bucket != end && buckets_[bucket] <= amount) {
      amount -= buckets_[bucket];
      bucket = next++;
    }
    if (bucket == end) return cut;  // the whole half is below the cut
    cut.bucket = bucket;
    cut.rest = amount;
    return cut;
  }

  /** Collects the bits of all items of two buckets; entries of kOther lie between them. */
  AlignedVector<uint32_t> collect(uint32_t a, uint32_t b) const {
    std::vector<size_t> begin(1, 0);
    for (const std::vector<uint32_t>& counts : histograms_) {
      // One entry more: each item is written before it is known whether it belongs.
      begin.push_back(begin.back() + (a == kNowhere ? 0 : counts[a]) + (b == kNowhere ? 0 : counts[b]) + 1);
    }
    AlignedVector<uint32_t> members(begin.back());
    pool_.run([&](unsigned t) {
      const Part part = part_of(size_, t, pool_.size());
      uint32_t* to = members.data() + begin[t];
      for (size_t i = part.begin; i < part.end; ++i) {
        const uint32_t bits = bits_of(i), bucket = bucket_of(bits);
        *to = bits;
        to += (bucket == a) | (bucket == b);
      }
      *to = kOther;
    });
    return members;
  }

  /** Completes a cut from the members of its bucket: the bound is the first member that is not selected. */
  void place(Cut& cut, Member begin, Member end) const {
    if (cut.bucket == kNowhere) return;
    const Member nth = begin + static_cast<std::ptrdiff_t>(cut.rest);
    std::nth_element(begin, nth, end);
    const uint32_t bits = *nth, magnitude = bits & 0x7fffffffu;
    std::memcpy(&cut.bound, &magnitude, sizeof magnitude);
    cut.item = 0;
    for (auto ties = std::count(begin, nth, bits); ties > 0; ++cut.item) ties -= bits_of(cut.item) == bits;
  }

  static constexpr uint32_t kOther = 0x7fc00000u;  // bits of a NaN, which no item has

  uint32_t size_;
  Value value_;
  ThreadPool& pool_;
  std::vector<std::vector<uint32_t>> histograms_;
  std::vector<uint32_t> buckets_;
};

}  // namespace set_native
