#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "evolution/marks.h"

namespace set_native {

/** A set of columns that is cleared in O(1). */
class ColumnSet {
 public:
  explicit ColumnSet(uint32_t cols) : cols_(cols), stamps_(static_cast<size_t>(cols) + 1, 0) {}

  void clear() {
    if (++now_ == 0) {  // after 2^16 clearings the old stamps would count again
      std::fill(stamps_.begin(), stamps_.end(), uint16_t{0});
      now_ = 1;
    }
  }
  bool contains(uint32_t col) const { return stamps_[col] == now_; }
  /** Inserts a column. Returns false if the set contained it already. */
  bool insert(uint32_t col) { return std::exchange(stamps_[col], now_) != now_; }
  /** Inserts cols[k] for all k in [begin, end). */
  template <class Index>
  void insert_all(const Index* cols, size_t begin, size_t end) {
    for (size_t k = begin; k < end; ++k) stamps_[cols[k]] = now_;
  }
  /**
   * Inserts cols[k] for those k in [begin, end) that are not `removed`. A branch on `removed` could not be
   * predicted; instead removed columns write to an extra place behind all columns.
   */
  template <class Index>
  void insert_kept(const Index* cols, const Marks& removed, size_t begin, size_t end) {
    uint16_t* const stamps = stamps_.data();
    const uint16_t now = now_;
    const uint32_t nowhere = cols_;
    for (size_t k = begin; k < end; ++k) {
      const uint32_t col = cols[k];
      stamps[col + (nowhere - col) * removed.bit(k)] = now;
    }
  }

 private:
  uint32_t cols_;
  std::vector<uint16_t> stamps_;
  uint16_t now_ = 0;
};

/** Inserts into a ColumnSet and counts the columns that are new in it. */
struct ColumnCounter {
  ColumnSet& columns;
  uint32_t size = 0;

  void insert(uint32_t col) { size += columns.insert(col); }
  template <class Index>
  void insert_all(const Index* cols, size_t begin, size_t end) {
    for (size_t k = begin; k < end; ++k) insert(cols[k]);
  }
  template <class Index>
  void insert_kept(const Index* cols, const Marks& removed, size_t begin, size_t end) {
    for (size_t k = begin; k < end; ++k) {
      if (!removed[k]) insert(cols[k]);
    }
  }
};

/**
 * A set of numbers that returns them in order. Level 0 has a bit per number; each level above has a bit per
 * word of the level below, set if that word is not empty, up to a level of one word. It sorts a row's columns
 * without comparisons.
 */
class OrderedSet {
 public:
  explicit OrderedSet(uint32_t size) {
    do {
      size = size / 64 + 1;
      levels_.emplace_back(size, 0);
    } while (size > 1);
  }

  void insert(uint32_t member) {
    for (std::vector<uint64_t>& level : levels_) {
      uint64_t& word = level[member / 64];
      const bool known = word != 0;
      word |= uint64_t{1} << (member % 64);
      if (known) return;
      member /= 64;
    }
  }

  /** Calls use(member) for all members in ascending order and empties the set. */
  template <class Use>
  void drain(Use&& use) {
    drain(levels_.size() - 1, 0, use);
  }

 private:
  template <class Use>
  void drain(size_t level, uint32_t word, Use& use) {
    for (uint64_t bits = std::exchange(levels_[level][word], 0); bits != 0; bits &= bits - 1) {
      const uint32_t member = 64 * word + static_cast<uint32_t>(__builtin_ctzll(bits));
      level == 0 ? use(member) : drain(level - 1, member, use);
    }
  }

  std::vector<std::vector<uint64_t>> levels_;
};

constexpr uint32_t kFew = 96;  // largest count that sort_few sorts

/**
 * Sorts at most kFew distinct numbers: the place of each is the count of smaller ones. It compares all with
 * all, in vectors and without branches, which for so few numbers is faster than an OrderedSet.
 */
inline void sort_few(const uint32_t* values, uint32_t count, uint32_t* sorted) {
  constexpr uint32_t kLanes = 16;
  uint32_t padded[kFew] = {}, places[kFew];
  std::copy_n(values, count, padded);
  for (uint32_t first = 0; first < count; first += kLanes) {
    uint32_t own[kLanes], place[kLanes] = {};
    std::copy_n(padded + first, kLanes, own);
    for (uint32_t other = 0; other < count; ++other) {
      for (uint32_t lane = 0; lane < kLanes; ++lane) place[lane] += padded[other] < own[lane];
    }
    std::copy_n(place, kLanes, places + first);
  }
  for (uint32_t k = 0; k < count; ++k) sorted[places[k]] = padded[k];
}

}  // namespace set_native
