#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <utility>
#include <vector>

#include "core/aligned.h"
#include "core/error.h"
#include "core/evolution.h"
#include "core/philox.h"
#include "evolution/columns.h"
#include "evolution/walk.h"
#include "layout/parts.h"
#include "layout/thread_pool.h"

namespace set_native {

/** Places (row, col) by row: row r has the ascending columns cols[offsets[r]] .. cols[offsets[r + 1] - 1]. */
struct Places {
  std::vector<uint32_t> offsets;  // rows + 1 entries
  AlignedVector<uint32_t> cols;   // offsets.back() entries, perhaps followed by unused ones

  uint32_t size() const { return offsets.back(); }
};

/** Memory that regrowth works in. Regrowth enlarges it where it is too small. */
template <class Index>
struct Workspace {
  AlignedVector<uint32_t> slots;
  AlignedVector<Index> cols;
};

/** Prefetches a cache line that will soon be written. For addresses in random order. */
inline void prefetch_write(const void* address) {
#if defined(__GNUC__)
  __builtin_prefetch(address, 1);
#else
  static_cast<void>(address);
#endif
}

/** Space of places, number of wanted places, and how they are drawn. */
struct Space {
  uint32_t rows;
  uint32_t cols;
  uint32_t height;  // a place (row, col) covers rows row .. row + height - 1: 1, or motif_size for anchors
  Stream stream;
  uint64_t wanted;
  bool crowded;  // whether the kept links fill more than half of the layer: then free places are listed at
                 // once
  // In rounds that do not list free places: whether places that held a link before pruning are void, and the
  // walk that proposes, if any.
  bool avoids = false;
  const Walk* walk = nullptr;
};

/**
 * Rounds of proposals as core/evolution.h defines them, for all kinds of places: cells, motif slots, anchors
 * of runs. Numbered slots propose places of a space of rows x cols, and the lowest slot that proposes a free
 * place gets it.
 *
 * Each round sorts the proposals by row, with a stable counting sort over `drawers`: threads that draw ranges
 * of neighbouring slots, twice (to count, and to place). Rows are then dealt to the threads. The columns of a
 * row that are taken are marked in one array of length cols, and the row's proposals claim columns by
 * ascending slot: the first to mark a column is the lowest slot that proposes it. The winners do not depend
 * on the threads.
 *
 * Per round O((rows + proposals + items of the rows proposed) / threads + rows). With density d a fraction d
 * of the slots stays open. Free places are listed, row by row, only in layers that are more than half full,
 * where rows * cols is O(nnz) anyway, and after kOpenRounds, when few slots are left.
 *
 * `taken(row, columns, avoids)` inserts into a ColumnSet or ColumnCounter all columns of a row whose places
 * are not free or, with `avoids`, were not free before pruning.
 */
template <class Index, class Taken>
class Proposals {
 public:
  Proposals(const Space& space, const EvolutionKey& key, Taken taken, ThreadPool& pool,
            Workspace<Index>& workspace)
      : space_(space), key_(key), taken_(taken), pool_(pool), workspace_(workspace) {
    for (unsigned t = 0; t < pool.size(); ++t) workers_.emplace_back(space);
  }

  /**
   * Returns `wanted` places that overlap neither taken places nor each other, or fewer if no place is free
   * any more.
   */
  Places run() {
    first_.slots = std::move(workspace_.slots);
    first_.cols = std::move(workspace_.cols);
    std::vector<uint32_t> open;
    size_t left = space_.rows > 0 ? space_.wanted : 0;
    first_.fit(left, space_.rows);
    Round later;
    for (uint32_t number = 0; left > 0; ++number) {
      if (number == kMaxRounds)
        throw Error(ErrorCode::internal, "[evolve] regrowth did not end; please report");
      // Set up the round for the open slots.
      Round& round = number == 0 ? first_ : later;
      round.number = number;
      round.open = number == 0 ? nullptr : open.data();
      round.size = left;
      round.threads = number == 0
                          ? pool_.size()
                          : static_cast<unsigned>(std::min<size_t>(pool_.size(), 1 + left / kWorthAThread));
      round.listed = space_.crowded || number >= kOpenRounds;
      round.walks = space_.walk != nullptr && !round.listed;
      if (number > 0) round.fit(left, space_.rows);
      if (round.listed && !count_free(round)) break;
      // Draw the proposals, and decide each row on its own.
      deal(round);
      lost_ = std::vector<std::atomic<uint64_t>>((left + 63) / 64);
      for_rows(round, [&](Worker& worker, uint32_t row) {
        claim(round, worker, row);
        if (space_.height == 1) settle(round, row);
      });
      // Anchors overlap across rows: the lowest slot of each cell wins.
      if (space_.height > 1) {
        for_rows(round, [&](Worker& worker, uint32_t row) { yield_to_lower(round, worker, row); });
        for_rows(round, [&](Worker&, uint32_t row) { settle(round, row); });
      }
      // The losers propose again.
      open = still_open(round);
      left = open.size();
      if (number == 0 && left > 0) {
        newest_.assign(space_.rows, kNone);
        later_.resize(left);
      }
    }
    return in_order();
  }

 private:
  static constexpr uint32_t kNone = std::numeric_limits<uint32_t>::max();
  static constexpr size_t kWorthAThread = 2048;  // proposals of a later round per thread

  /** Sets of columns that a thread works with. */
  struct Worker {
    explicit Worker(const Space& space)
        : columns(space.cols), winners(space.cols), slot_of(space.height > 1 ? space.cols : 0) {}
    ColumnSet columns;
    OrderedSet winners;
    std::vector<uint32_t> slot_of;  // for anchors: slot that won each column of the row
    std::vector<uint32_t> free;     // free columns of a row, when places are listed
  };

  /** Proposals of a round. Position p belongs to slot open[p], in round 0 to slot p. */
  struct Round {
    uint32_t number = 0;
    const uint32_t* open = nullptr;
    size_t size = 0;
    unsigned threads = 1;
    bool listed = false;
    bool walks = false;
    std::vector<uint64_t> free_before;  // if listed: number of free places in the rows before each row
    // Row r has the proposals offsets[r] .. offsets[r + 1] - 1, by ascending slot. Once the row is decided,
    // the winners are its first won[r].
    std::vector<uint32_t> offsets, won;
    AlignedVector<uint32_t> slots;  // position of each proposal
    AlignedVector<Index> cols;      // column of each proposal

    void fit(size_t proposals, uint32_t rows) {
      offsets.assign(static_cast<size_t>(rows) + 1, 0);
      won.assign(rows, 0);
      if (slots.size() < proposals) slots.resize(proposals);
      if (cols.size() < proposals) cols.resize(proposals);
    }
  };

  /** A place won after round 0, linked to an older one of the same row. */
  struct Later {
    uint32_t col;
    uint32_t older;
  };

  /** Calls use(worker, row) for all rows with proposals, on the threads of the round. */
  template <class Use>
  void for_rows(const Round& round, Use use) {
    deal_rows(pool_, round.threads, space_.rows, [&](unsigned t, uint32_t begin, uint32_t end) {
      const uint32_t* const offsets = round.offsets.data();
      for (uint32_t row = begin;; ++row) {
        while (row < end && offsets[row] == offsets[row + 1]) ++row;
        if (row == end) break;
        use(workers_[t], row);
      }
    });
  }

  static constexpr size_t kBatch = 256;  // number of draws made at once

  /**
   * Calls use(first position, words, count) for batches of the part. `words` are the first 64 bits of the
   * draws or, in a round that walks, the places that these lead to.
   */
  template <class Use>
  void draw_for(const Round& round, Part part, Use use) const {
    uint64_t slots[kBatch], words[kBatch], second[kBatch];
    for (size_t begin = part.begin; begin < part.end; begin += kBatch) {
      const size_t count = std::min(kBatch, part.end - begin);
      for (size_t k = 0; k < count; ++k) slots[k] = round.open != nullptr ? round.open[begin + k] : begin + k;
      draw_many(key_.seed, space_.stream, key_.layer, key_.draws(), slots, round.number, count, words,
                round.walks ? second : nullptr);
      for (size_t k = 0; round.walks && k < count; ++k) words[k] = space_.walk->place(words[k], second[k]);
      use(static_cast<uint32_t>(begin), words, count);
    }
  }

  /** Row of the place that a draw proposes. */
  uint32_t row_of(const Round& round, uint64_t word) const {
    if (round.walks) return static_cast<uint32_t>(word >> 32);
    if (!round.listed) return static_cast<uint32_t>(below(word, space_.rows));
    const uint64_t number = below(word, round.free_before.back());
    const auto after = std::upper_bound(round.free_before.begin(), round.free_before.end(), number);
    return static_cast<uint32_t>(after - round.free_before.begin() - 1);
  }
  /** Column of the place or, where places are listed, its rank among the free columns of the row. */
  uint32_t col_of(const Round& round, uint64_t word, uint32_t row) const {
    if (round.walks) return static_cast<uint32_t>(word);
    if (round.listed)
      return static_cast<uint32_t>(below(word, round.free_before.back()) - round.free_before[row]);
    // floor(floor(x rows cols) / cols) = floor(x rows), which is the row; so no division is needed.
    const uint64_t places = static_cast<uint64_t>(space_.rows) * space_.cols;
    return static_cast<uint32_t>(below(word, places) - static_cast<uint64_t>(row) * space_.cols);
  }

  /** Counts the free places of all rows. Returns whether there are any. */
  bool count_free(Round& round) {
    round.free_before.assign(static_cast<size_t>(space_.rows) + 1, 0);
    deal_rows(pool_, pool_.size(), space_.rows, [&](unsigned t, uint32_t begin, uint32_t end) {
      for (uint32_t row = begin; row < end; ++row) {
        workers_[t].columns.clear();
        ColumnCounter taken{workers_[t].columns};
        insert_taken(round, row, taken);
        round.free_before[row + 1] = space_.cols - taken.size;
      }
    });
    std::partial_sum(round.free_before.begin(), round.free_before.end(), round.free_before.begin());
    return round.free_before.back() > 0;
  }

  /** Draws the proposals of a round and sorts them by row, keeping the order of slots. */
  void deal(Round& round) {
    // Each drawer has a counter per row; it should draw at least as many proposals.
    const auto drawers =
        static_cast<unsigned>(std::clamp<size_t>(round.size / std::max(space_.rows, 1u), 1, round.threads));
    // Count the proposals of each row, per drawer.
    std::vector<std::vector<uint32_t>> next(drawers);
    pool_.run(drawers, [&](unsigned t) {
      next[t].assign(space_.rows, 0);
      uint32_t* const counts = next[t].data();
      draw_for(round, part_of(round.size, t, drawers), [&](uint32_t, const uint64_t* words, size_t count) {
        for (size_t k = 0; k < count; ++k) ++counts[row_of(round, words[k])];
      });
    });
    // Prefix sums turn the counts into each drawer's first place per row.
    uint32_t total = 0;
    for (uint32_t row = 0; row < space_.rows; ++row) {
      round.offsets[row] = total;
      for (unsigned t = 0; t < drawers; ++t) total += std::exchange(next[t][row], total);
    }
    round.offsets[space_.rows] = total;
    // Draw again and place the proposals, whose cache lines are prefetched a batch at a time.
    pool_.run(drawers, [&](unsigned t) {
      uint32_t* const to = next[t].data();
      uint32_t* const slots = round.slots.data();
      Index* const cols = round.cols.data();
      draw_for(round, part_of(round.size, t, drawers),
               [&](uint32_t position, const uint64_t* words, size_t count) {
                 uint32_t places[kBatch];
                 Index batch_cols[kBatch];
                 for (size_t k = 0; k < count; ++k) {
                   const uint32_t row = row_of(round, words[k]);
                   places[k] = to[row]++;
                   batch_cols[k] = static_cast<Index>(col_of(round, words[k], row));
                   prefetch_write(slots + places[k]);
                   prefetch_write(cols + places[k]);
                 }
                 for (size_t k = 0; k < count; ++k) {
                   slots[places[k]] = position + static_cast<uint32_t>(k);
                   cols[places[k]] = batch_cols[k];
                 }
               });
    });
  }

  /** Calls use(col) for the places that were won in a row in earlier rounds. */
  template <class Use>
  void for_earlier(uint32_t row, Use&& use) const {
    for (uint32_t p = 0; p < first_.won[row]; ++p) use(first_.cols[first_.offsets[row] + p]);
    for_later(row, use);
  }
  /** Calls use(col) for the places that were won in a row after round 0. */
  template <class Use>
  void for_later(uint32_t row, Use& use) const {
    if (newest_.empty()) return;
    for (uint32_t p = newest_[row]; p != kNone; p = later_[p].older) use(later_[p].col);
  }

  /** Inserts the columns of a row whose places are not free. */
  template <class Columns>
  void insert_taken(const Round& round, uint32_t row, Columns& columns) const {
    taken_(row, columns, space_.avoids && !round.listed);
    if (round.number == 0) return;
    const uint32_t reach = space_.height - 1;
    for (uint32_t r = row - std::min(row, reach); r <= row + std::min(space_.rows - 1 - row, reach); ++r) {
      for_earlier(r, [&](uint32_t col) { columns.insert(col); });
    }
  }

  /** Marks a proposal as lost. */
  void lose(uint32_t position) {
    lost_[position / 64].fetch_or(uint64_t{1} << (position % 64), std::memory_order_relaxed);
  }
  bool has_lost(uint32_t position) const {
    return (lost_[position / 64].load(std::memory_order_relaxed) >> (position % 64) & 1) != 0;
  }

  /** Decides between the proposals of one row, by ascending slot. Winners move to the front of the row. */
  void claim(Round& round, Worker& worker, uint32_t row) {
    worker.columns.clear();
    insert_taken(round, row, worker.columns);
    if (round.listed) {
      worker.free.clear();
      for (uint32_t col = 0; col < space_.cols; ++col) {
        if (!worker.columns.contains(col)) worker.free.push_back(col);
      }
    }
    uint32_t to = round.offsets[row];
    for (uint32_t p = to; p < round.offsets[row + 1]; ++p) {
      const uint32_t col = round.listed ? worker.free[round.cols[p]] : round.cols[p];
      if (worker.columns.insert(col)) {
        round.cols[to] = static_cast<Index>(col);
        round.slots[to] = round.slots[p];
        ++to;
      } else {
        lose(round.slots[p]);
      }
    }
    round.won[row] = to - round.offsets[row];
  }

  /** Marks as lost the anchors of a row that share a cell with a lower slot's anchor of a nearby row. */
  void yield_to_lower(Round& round, Worker& worker, uint32_t row) {
    worker.columns.clear();
    const uint32_t begin = round.offsets[row], end = begin + round.won[row];
    for (uint32_t p = begin; p < end; ++p) {
      worker.columns.insert(round.cols[p]);
      worker.slot_of[round.cols[p]] = round.slots[p];
    }
    const uint32_t reach = space_.height - 1;
    for (uint32_t r = row - std::min(row, reach); r <= row + std::min(space_.rows - 1 - row, reach); ++r) {
      for (uint32_t p = round.offsets[r]; p < round.offsets[r] + round.won[r]; ++p) {
        const uint32_t col = round.cols[p];
        if (worker.columns.contains(col) && round.slots[p] < worker.slot_of[col]) lose(worker.slot_of[col]);
      }
    }
  }

  /** Records the winners of a row: those of round 0 stay in place, later ones are chained in `later_`. */
  void settle(Round& round, uint32_t row) {
    const uint32_t begin = round.offsets[row], end = begin + round.won[row];
    uint32_t to = begin;
    for (uint32_t p = begin; p < end; ++p) {
      if (space_.height > 1 && has_lost(round.slots[p])) continue;
      if (round.number == 0) {
        round.cols[to++] = round.cols[p];
      } else {
        const uint32_t entry = later_size_.fetch_add(1, std::memory_order_relaxed);
        later_[entry] = {round.cols[p], newest_[row]};
        newest_[row] = entry;
      }
    }
    if (round.number == 0) round.won[row] = to - begin;
  }

  /** Slots whose proposals lost, in ascending order. */
  std::vector<uint32_t> still_open(const Round& round) const {
    std::vector<uint32_t> open;
    for (size_t word = 0; word < lost_.size(); ++word) {
      for (uint64_t bits = lost_[word].load(std::memory_order_relaxed); bits != 0; bits &= bits - 1) {
        const auto position = static_cast<uint32_t>(64 * word + static_cast<size_t>(__builtin_ctzll(bits)));
        open.push_back(round.open != nullptr ? round.open[position] : position);
      }
    }
    return open;
  }

  /**
   * Returns all places won, in order. They take the memory of round 0's slots, which are no longer needed.
   */
  Places in_order() {
    Places places{std::vector<uint32_t>(static_cast<size_t>(space_.rows) + 1, 0), std::move(first_.slots)};
    for (uint32_t row = 0; row < space_.rows; ++row) {
      places.offsets[row + 1] = places.offsets[row] + first_.won[row];
      const auto count = [&](uint32_t) { ++places.offsets[row + 1]; };
      for_later(row, count);
    }
    deal_rows(pool_, pool_.size(), space_.rows, [&](unsigned t, uint32_t begin, uint32_t end) {
      for (uint32_t row = begin; row < end; ++row) {
        const uint32_t count = places.offsets[row + 1] - places.offsets[row];
        uint32_t* to = places.cols.data() + places.offsets[row];
        if (count <= kFew) {
          uint32_t cols[kFew];
          for_earlier(row, [next = cols](uint32_t col) mutable { *next++ = col; });
          sort_few(cols, count, to);
        } else {
          OrderedSet& cols = workers_[t].winners;
          for_earlier(row, [&](uint32_t col) { cols.insert(col); });
          cols.drain([&](uint32_t col) { *to++ = col; });
        }
      }
    });
    workspace_.cols = std::move(first_.cols);
    return places;
  }

  const Space space_;
  const EvolutionKey key_;
  const Taken taken_;
  ThreadPool& pool_;
  Workspace<Index>& workspace_;
  std::vector<Worker> workers_;
  Round first_;
  std::vector<std::atomic<uint64_t>> lost_;  // one bit per position of the round
  std::vector<uint32_t> newest_;             // per row: index of its newest place in `later_`, or kNone
  std::vector<Later> later_;
  std::atomic<uint32_t> later_size_{0};
};

/** Runs the proposals of a space. Returns the places won. */
template <class Index, class Taken>
Places propose(const Space& space, const EvolutionKey& key, Taken taken, ThreadPool& pool,
               Workspace<Index>& workspace) {
  return Proposals<Index, Taken>(space, key, taken, pool, workspace).run();
}

}  // namespace set_native
