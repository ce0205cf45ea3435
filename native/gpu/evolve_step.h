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

/** Memory of evolutions, beside the layers. */
struct EvolutionMemory {
  std::unique_ptr<Buffer> small;    // what SmallParts says
  std::unique_ptr<Buffer> scratch;  // null, or what the last evolution needed
  std::unique_ptr<Buffer> bounds;   // f32: he_bound of 0, 1, ...; null unless a layer grew by fan-in
};

/** Places of counters and states in EvolutionMemory::small. */
struct SmallParts {
  static constexpr size_t flag = 0;
  static constexpr size_t summary = 64;
  static constexpr size_t states = 128;
  static constexpr size_t counts = 192;
  static constexpr size_t histogram = 256;
  static constexpr size_t bytes = histogram + 2 * kSelectBins * sizeof(uint32_t);
};

/** A launch of at least so many threads. */
Launch evolve_launch(Op op, uint64_t threads, bool wide = false);

/** Exclusive sums over arrays on the device. `sums` has room for sums_words(size). */
void scan(Device& device, Binding values, uint32_t size, Binding sums);
/** Ranks of a bitmap: of each word, and behind the last of them the number of set bits. */
void rank(Device& device, Binding bits, uint32_t words, Binding ranks, Binding sums);
uint64_t sums_words(uint64_t size);

/** How much a layer's bitmaps take. */
struct Bitmaps {
  Bitmaps(uint32_t groups, uint32_t cols);
  uint32_t words;      // of a group's row
  uint32_t row_words;  // of a target's column
  uint64_t cell_words, target_words;
  uint64_t bytes() const;  // cells, their transposition, and ranks of one of them
};

/**
 * One evolution of a layer on the device, whose blocks have the height that the policy needs: prune (radix
 * select), regrow (proposals on a bitmap), rebuild and view by target (ranks in the bitmap). Kernels:
 * cuda/select.cuh, propose.cuh, rebuild.cuh, target_index.cuh.
 */
class EvolutionStep {
 public:
  EvolutionStep(Device& device, EvolutionMemory& memory, const Layer& layer, const EvolutionPolicy& policy,
                const EvolutionKey& key);

  LayerEvolution run();

 private:
  /** How many items go: with a positive key and with a negative one, zeros by their sign. */
  struct Amounts {
    uint32_t positive, negative;
  };
  /** Rows of the bitmap in which blocks grow. */
  struct Region {
    uint32_t first_row = 0, rows = 0;
    Stream stream = Stream::regrow;
    uint32_t wanted = 0;  // blocks
    uint32_t base = 0;    // where their slots' arrays begin
  };
  template <class>
  using Place = size_t;
  /** Where in the scratch memory everything is. Arrays of different phases share memory. */
  struct Plan {
    size_t removed, cells, by_target, ranks, sums, slot_rows, slot_cols, entries;  // throughout
    size_t keys, ties;                                                             // prune
    size_t table, open[2], lost, tile_lost;                                        // regrow
    size_t old_offsets, old_targets;                                               // rebuild
    LinkArrays<Place> old;
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
  const uint32_t last_sources_;        // how many sources the last group has
  uint32_t first_truncated_;           // the last group's first block; blocks_ if the group is full
  uint32_t full_ = 0, truncated_ = 0;  // blocks removed in full groups, and in a smaller last one
  bool crowded_ = false;  // more than half of the cells stay occupied: slots draw among the free ones
  Plan plan_{};
  int open_ = 0;  // which of the two lists has the open slots
};

}  // namespace set_native::gpu
