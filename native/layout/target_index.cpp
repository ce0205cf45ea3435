#include "layout/target_index.h"

#include <algorithm>
#include <utility>

#include "layout/parts.h"

namespace set_native {

namespace {

constexpr uint64_t kPanel = 2048;  // number of targets whose columns stay in the cache while they are filled
constexpr uint64_t kWorthwhile = 4;  // blocks of a group per panel that are worth a pass over the groups
// Groups between a prefetch and its use: a group has too few blocks in a panel for the hardware's prefetcher.
constexpr uint32_t kGroupsAhead = 8;

void prefetch(const void* address) {
#if defined(__GNUC__)
  __builtin_prefetch(address);
  __builtin_prefetch(static_cast<const char*>(address) + kAlignment);
#else
  static_cast<void>(address);
#endif
}

}  // namespace

template <class Index>
TargetIndex<Index>::TargetIndex(Blocks<Index>& blocks, ThreadPool& pool) : blocks_(blocks), pool_(pool) {
  const uint64_t size = std::max(blocks.size(), 1u), m = blocks.outputs, groups = blocks.groups();
  // Each thread has a counter per target; it should count at least as many blocks.
  threads_ = static_cast<unsigned>(std::clamp<uint64_t>(size / m, 1, pool.size()));
  panel_ = static_cast<uint32_t>(std::min(m, std::max(kPanel, kWorthwhile * groups * m / size)));
  next_.resize(threads_);
  for (std::vector<uint32_t>& next : next_) next.resize(m);
  if (panel_ < m) cursors_.resize(groups + threads_);
  blocks.by_target.offsets.resize(m + 1);
}

template <class Index>
void TargetIndex<Index>::count() {
  // Count the blocks of each target, per thread.
  pool_.run(threads_, [&](unsigned t) {
    const Part part = part_of(blocks_.size(), t, threads_);
    std::fill(next_[t].begin(), next_[t].end(), 0);
    uint32_t* const counts = next_[t].data();
    for (size_t k = part.begin; k < part.end; ++k) ++counts[blocks_.targets[k]];
  });
  // Prefix sums turn the counts into each thread's first place per target.
  uint32_t* const offsets = blocks_.by_target.offsets.data();
  uint32_t total = 0;
  for (uint32_t j = 0; j < blocks_.outputs; ++j) {
    offsets[j] = total;
    for (unsigned t = 0; t < threads_; ++t) total += std::exchange(next_[t][j], total);
  }
  offsets[blocks_.outputs] = total;
}

template <class Index>
void TargetIndex<Index>::place() {
  blocks_.by_target.groups.resize(blocks_.size());
  blocks_.by_target.blocks.resize(blocks_.size());
  pool_.run(threads_, [&](unsigned t) { place_range(t); });
}

template <class Index>
void TargetIndex<Index>::place_range(unsigned t) {
  const Part part = part_of(blocks_.size(), t, threads_);
  if (part.begin == part.end) return;
  const std::vector<uint32_t>& offsets = blocks_.offsets;
  // Find the groups that hold the first and the last block of the range.
  const auto group_of = [&](size_t k) {
    return static_cast<uint32_t>(std::upper_bound(offsets.begin(), offsets.end(), k) - offsets.begin() - 1);
  };
  const uint32_t first = group_of(part.begin), last = group_of(part.end - 1);
  const Index* const targets = blocks_.targets.data();
  Index* const groups = blocks_.by_target.groups.data();
  uint32_t* const blocks = blocks_.by_target.blocks.data();
  uint32_t* const next = next_[t].data();
  const auto put = [=](uint32_t k, uint32_t group) {
    const uint32_t place = next[targets[k]]++;
    groups[place] = static_cast<Index>(group);
    blocks[place] = k;
  };
  const auto end_of = [&](uint32_t group) {
    return static_cast<uint32_t>(std::min<size_t>(offsets[group + 1], part.end));
  };
  auto k = static_cast<uint32_t>(part.begin);
  // One panel: a single pass over the groups.
  if (cursors_.empty()) {
    for (uint32_t group = first; group <= last; ++group) {
      for (const uint32_t end = end_of(group); k < end; ++k) put(k, group);
    }
    return;
  }
  // Several panels: set each group's cursor to its first block. Ranges may share a group, hence one entry
  // more per thread.
  uint32_t* const cursors = cursors_.data() + t;
  for (uint32_t group = first; group <= last; ++group) {
    cursors[group] = k;
    k = end_of(group);
  }
  // For each panel, advance the cursors of all groups over its targets.
  for (uint64_t panel_end = panel_; panel_end < uint64_t{blocks_.outputs} + panel_; panel_end += panel_) {
    for (uint32_t group = first; group <= last; ++group) {
      const uint32_t end = end_of(group);
      prefetch(targets + cursors[std::min(group + kGroupsAhead, last)]);
      for (k = cursors[group]; k < end && targets[k] < panel_end; ++k) put(k, group);
      cursors[group] = k;
    }
  }
}

template class TargetIndex<uint16_t>;
template class TargetIndex<uint32_t>;

}  // namespace set_native
