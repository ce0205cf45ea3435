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
 * Puts grown blocks in the place of the removed ones, in the memory that is there, and indexes the targets
 * anew. O((blocks + groups) / threads + m).
 *
 * Each thread has a part of the groups. In it the kept blocks move together to the front; then the kept
 * blocks of each part move to where the part will begin; and from the last group and target down kept and
 * grown blocks are merged to their final places, which are never below those they come from.
 *
 * The constructor takes all memory but that of by_target: `run` cannot fail when by_target.groups is as long
 * as before.
 */
template <class Index>
class Rebuild {
 public:
  Rebuild(Blocks<Index>& blocks, const EvolutionPolicy& policy, const EvolutionKey& key, ThreadPool& pool);

  /** The columns of `grown` are used up: their memory becomes that of by_target.blocks. */
  void run(const Marks& removed, Places& grown);

 private:
  /** Groups [group, those of the next part), whose kept blocks begin at `from` and will begin at `to`. */
  struct Part {
    uint32_t group;
    uint32_t from;
    uint32_t to;
    uint32_t kept;
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
  std::vector<Part> parts_;    // one per thread, and their end
  std::vector<float> bounds_;  // of the grown weights, by target
};

}  // namespace set_native
