#pragma once

#include <cstdint>
#include <vector>

#include "layout/blocks.h"
#include "layout/thread_pool.h"

namespace set_native {

/**
 * Builds by_target of a layer: a stable counting sort of the blocks by target, on all threads of a pool.
 * O((groups + blocks) / threads + m). The constructor takes all memory but that of by_target itself.
 *
 * Each thread counts and places a range of the blocks. Where the columns of by_target that are being filled
 * would not stay in the cache, a thread goes over its rows once per panel of neighbouring targets, which lie
 * side by side in every row.
 */
template <class Index>
class TargetIndex {
 public:
  TargetIndex(Blocks<Index>& blocks, ThreadPool& pool);

  /** by_target.offsets of the blocks as they are now, whose number must be that at construction. */
  void count();
  /** by_target.groups and by_target.blocks, after `count`. */
  void place();

 private:
  void place_range(unsigned t);

  Blocks<Index>& blocks_;
  ThreadPool& pool_;
  unsigned threads_;
  uint32_t panel_;  // targets of a panel
  std::vector<std::vector<uint32_t>>
      next_;                       // by thread and target: number of blocks, then the place of the next
  std::vector<uint32_t> cursors_;  // by group: the next block, when there are several panels
};

}  // namespace set_native
