#pragma once

#include <cstdint>
#include <vector>

#include "layout/blocks.h"
#include "layout/thread_pool.h"

namespace set_native {

/**
 * Builds by_target of a layer: a stable counting sort of the blocks by target, on all threads of a pool.
 * O((groups + blocks) / threads + m). The constructor allocates all memory except by_target.groups and
 * by_target.blocks.
 *
 * Each thread counts and places a range of the blocks. Where the columns of by_target would not stay in the
 * cache while they are filled, a thread passes over its groups once per panel of neighbouring targets; the
 * blocks of a panel lie side by side in every group.
 */
template <class Index>
class TargetIndex {
 public:
  TargetIndex(Blocks<Index>& blocks, ThreadPool& pool);

  /** Computes by_target.offsets of the current blocks. Their number must be the one at construction. */
  void count();
  /** Computes by_target.groups and by_target.blocks. Call it after `count`. */
  void place();

 private:
  void place_range(unsigned t);

  Blocks<Index>& blocks_;
  ThreadPool& pool_;
  unsigned threads_;
  uint32_t panel_;  // number of targets per panel
  // By thread and target: number of blocks, later the place of the next block.
  std::vector<std::vector<uint32_t>> next_;
  std::vector<uint32_t> cursors_;  // next block of each group; empty if there is one panel
};

}  // namespace set_native
