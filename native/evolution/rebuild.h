#pragma once

#include <cstdint>
#include <vector>

#include "core/evolution.h"
#include "evolution/marks.h"
#include "evolution/proposals.h"
#include "layout/blocks.h"
#include "layout/target_index.h"
#include "layout/thread_pool.h"

namespace set_native {

/**
 * Replaces removed blocks by grown ones, in the memory of the blocks, and indexes the targets again.
 * O((blocks + groups) / threads + m).
 *
 * Each thread has a part of the groups. First the kept blocks of each part move to its front. Then they move
 * to where the part will begin. At last kept and grown blocks are merged, from the last group and target
 * down, to their final places, which are never below those they come from.
 *
 * The constructor allocates all memory except that of by_target: `run` cannot fail if by_target.groups has
 * its old length.
 */
template <class Index>
class Rebuild {
 public:
  Rebuild(Blocks<Index>& blocks, const EvolutionPolicy& policy, const EvolutionKey& key, ThreadPool& pool);

  /**
   * Replaces the `removed` blocks by the `grown` ones. The memory of grown.cols becomes that of
   * by_target.blocks.
   */
  void run(const Marks& removed, Places& grown);

 private:
  /** Part of the groups: those from `group` up to the next part's. */
  struct Part {
    uint32_t group;  // first group
    uint32_t from;   // first block before the rebuild
    uint32_t to;     // first block after the rebuild
    uint32_t kept;   // number of kept blocks
  };

  template <bool kOptional>
  void merge_blocks(const Marks& removed, Places& grown);
  template <class Arrays>
  void merge(const Marks& removed, Places& grown);
  template <class Arrays>
  void compact(Part& part, const Part& next, const Marks& removed);
  void place_parts(const Places& grown);
  template <class Arrays>
  void expand(const Part& part, const Part& next, Places& grown);
  void clear_link(size_t place);
  void clear_beyond_layer();
  void set_grown_weights(const Places& grown);
  void set_bounds();

  Blocks<Index>& blocks_;
  const EvolutionPolicy policy_;
  const EvolutionKey key_;
  ThreadPool& pool_;
  TargetIndex<Index> index_;
  std::vector<Part> parts_;    // one per thread, and an end marker
  std::vector<float> bounds_;  // bound of the weights of grown links, by target
};

}  // namespace set_native
