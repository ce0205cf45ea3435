#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "core/evolution.h"
#include "core/philox.h"
#include "gpu/device.h"
#include "gpu/evolve_params.h"
#include "gpu/layer.h"

namespace set_native::gpu {

/** Memory that evolutions of all layers share. */
struct EvolutionMemory {
  std::unique_ptr<Buffer> small;    // counters and states, at the places that SmallParts names
  std::unique_ptr<Buffer> scratch;  // null, or as much as the last evolution needed
  std::unique_ptr<Buffer> bounds;   // f32: he_bound of 0, 1, ...; null unless a layer grew by fan-in
};

/** Offsets in bytes of counters and states in EvolutionMemory::small. */
struct SmallParts {
  static constexpr size_t flag = 0;
  static constexpr size_t summary = 64;
  static constexpr size_t states = 128;
  static constexpr size_t counts = 192;
  static constexpr size_t histogram = 256;
  static constexpr size_t bytes = histogram + 2 * kSelectBins * sizeof(uint32_t);
};

/** Returns a launch of at least `threads` threads. */
Launch evolve_launch(Op op, uint64_t threads, bool wide = false);

/** Queues the exclusive sums of an array, in place. `sums` is scratch memory of sums_words(size) words. */
void scan(Device& device, Binding values, uint32_t size, Binding sums);
/**
 * Queues the ranks of a bitmap: for each word the number of set bits before it, and behind the last one the
 * number of all set bits. `sums` is scratch memory of sums_words(words + 1) words.
 */
void rank(Device& device, Binding bits, uint32_t words, Binding ranks, Binding sums);
/** Returns the words of scratch memory that a scan of `size` numbers needs. */
uint64_t sums_words(uint64_t size);

/** Sizes of a layer's bitmaps. */
struct Bitmaps {
  Bitmaps(uint32_t groups, uint32_t cols);
  uint32_t words;                     // words in the row of a group
  uint32_t row_words;                 // words in the row of a target, in the transposed bitmap
  uint64_t cell_words, target_words;  // words of the bitmap, and of the transposed one
  /** Returns the bytes of both bitmaps, and of the ranks of one of them. */
  uint64_t bytes() const;
};

/**
 * One evolution on the device of a layer whose blocks have the height that the policy needs: prune (radix
 * select), regrow (proposals on a bitmap), rebuild and view by target (ranks in the bitmap). Its kernels are
 * in cuda/select.cuh, propose.cuh, rebuild.cuh and target_index.cuh, and in Metal's files of the same names.
 */
class EvolutionStep {
 public:
  EvolutionStep(Device& device, EvolutionMemory& memory, const Layer& layer, const EvolutionPolicy& policy,
                const EvolutionKey& key);

  LayerEvolution run();

 private:
  /** Numbers of items to remove by the sign of their keys; a zero counts by its sign bit. */
  struct Amounts {
    uint32_t positive, negative;
  };
  /** Rows of the bitmap in which blocks grow. */
  struct Region {
    uint32_t first_row = 0, rows = 0;
    Stream stream = Stream::regrow;
    uint32_t wanted = 0;  // number of blocks to grow
    uint32_t base = 0;    // number of the first slot
  };
  template <class>
  using Place = size_t;
  /** Offsets in bytes of all arrays in the scratch memory. Arrays of different phases share memory. */
  struct Plan {
    size_t removed, cells, by_target, ranks, sums, slot_rows, slot_cols, entries;  // all phases
    size_t keys, ties;                                                             // prune
    size_t table, open[2], lost, tile_lost;                                        // regrow
    size_t old_offsets, old_targets;                                               // rebuild
    LinkArrays<Place> old;                                                         // rebuild
    size_t bytes;
  };

  Amounts count_set();
  void make_plan();
  void select(Amounts amounts);
  void mark();
  void grow(const Region& region);
  uint32_t run_round(const Region& region, RoundParams params, bool first, bool rest);
  void rebuild();
  void index_targets();

  Binding at(size_t offset, size_t index = 0) const { return {memory_.scratch.get(), offset + index * 4}; }
  Binding small(size_t offset) const { return {memory_.small.get(), offset}; }
  Binding keys() const;

  Device& device_;
  EvolutionMemory& memory_;
  const Layer& layer_;
  const EvolutionPolicy& policy_;
  const EvolutionKey& key_;
  const Bitmaps bitmaps_;
  const uint32_t blocks_, groups_, height_;
  const uint32_t last_sources_;        // sources of the last group
  uint32_t first_truncated_;           // first block of the last group; blocks_ if the group is full
  uint32_t full_ = 0, truncated_ = 0;  // removed blocks in full groups, and in a smaller last one
  bool crowded_ = false;  // more than half of the cells stay occupied: slots draw among the free ones
  Plan plan_{};
  int open_ = 0;  // which of the two lists has the open slots
};

}  // namespace set_native::gpu
