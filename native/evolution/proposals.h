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
#include "layout/parts.h"
#include "layout/thread_pool.h"

namespace set_native {

/** Places (row, col) by row: those of row r have the ascending columns cols[offsets[r]] .. cols[offsets[r +
 * 1] - 1]. */
struct Places {
  std::vector<uint32_t> offsets;  // rows + 1
  AlignedVector<uint32_t> cols;   // offsets.back(), and perhaps more memory behind them

  uint32_t size() const { return offsets.back(); }
};

/** Memory that regrowth works in; what it lacks it takes. */
template <class Index>
struct Workspace {
  AlignedVector<uint32_t> slots;
  AlignedVector<Index> cols;
};

/** Fetches the cache line of an address that will soon be written, where addresses are in no order. */
inline void prefetch_write(const void* address) {
#if defined(__GNUC__)
  __builtin_prefetch(address, 1);
#else
  static_cast<void>(address);
#endif
}

/** Where places are, how many are wanted, and how they are drawn. */
struct Space {
  uint32_t rows;
  uint32_t cols;
  uint32_t height;  // a place (row, col) covers rows row .. row + height - 1: 1, or motif_size for anchors
  Stream stream;
  uint64_t wanted;
  bool crowded;  // the kept links fill more than half of the layer: list the free places at once
};

/**
 * Numbered slots propose places of a space of rows x cols; the lowest slot that proposes a free place gets
 * it. The rounds of core/evolution.h, for all kinds of places: cells, motif slots, anchors of runs.
 *
 * Each round deals the proposals to their rows by a stable counting sort over `drawers`, threads that draw
 * neighbouring slots (twice: to count, and to place). Rows then go to the threads. The columns of a row that
 * are taken are marked in one array of length cols, and the row's proposals claim columns by ascending slot:
 * the first to mark a column is the lowest slot that proposes it. Who wins depends on no thread.
 *
 * Per round O((rows + proposals + items of the rows proposed) / threads + rows). With density d a share d of
 * the slots stays open. Only for more than half full layers are the free places listed, row by row, where
 * rows * cols is O(nnz) anyway; after kOpenRounds so few slots are left that listing the rows they fall into
 * costs little.
 *
 * `taken(row, columns)` inserts into a ColumnSet or ColumnCounter all columns of a row whose places are not
 * free.
 */
template <class Index, class Taken>
class Proposals {
 public:
  Proposals(const Space& space, const EvolutionKey& key, Taken taken, ThreadPool& pool,
            Workspace<Index>& workspace)
      : space_(space), key_(key), taken_(taken), pool_(pool), workspace_(workspace) {
    for (unsigned t = 0; t < pool.size(); ++t) workers_.emplace_back(space);
  }

  /** Up to `wanted` places that are free and overlap neither the taken ones nor each other; fewer only if no
   * more are.
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
      Round& round = number == 0 ? first_ : later;
      round.number = number;
      round.open = number == 0 ? nullptr : open.data();
      round.size = left;
      round.threads = number == 0
                          ? pool_.size()
                          : static_cast<unsigned>(std::min<size_t>(pool_.size(), 1 + left / kWorthAThread));
      round.listed = space_.crowded || number >= kOpenRounds;
      if (number > 0) round.fit(left, space_.rows);
      if (round.listed && !count_free(round)) break;
      deal(round);
      lost_ = std::vector<std::atomic<uint64_t>>((left + 63) / 64);
      for_rows(round, [&](Worker& worker, uint32_t row) {
        claim(round, worker, row);
        if (space_.height == 1) settle(round, row);
      });
      if (space_.height > 1) {
        for_rows(round, [&](Worker& worker, uint32_t row) { yield_to_lower(round, worker, row); });
        for_rows(round, [&](Worker&, uint32_t row) { settle(round, row); });
      }
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
  static constexpr size_t kWorthAThread = 2048;  // proposals of a later round

  /** What a thread marks columns in. */
  struct Worker {
    explicit Worker(const Space& space)
        : columns(space.cols), winners(space.cols), slot_of(space.height > 1 ? space.cols : 0) {}
    ColumnSet columns;
    OrderedSet winners;
    std::vector<uint32_t> slot_of;  // anchors: by column
    std::vector<uint32_t> free;     // columns of a row, when places are listed
  };

  /** Proposals of a round: position p is that of the slot open[p], or in round 0 of slot p. */
  struct Round {
    uint32_t number = 0;
    const uint32_t* open = nullptr;
    size_t size = 0;
    unsigned threads = 1;
    bool listed = false;
    std::vector<uint64_t> free_before;  // listed: free places in the rows before
    // The proposals of row r are offsets[r] .. offsets[r + 1] - 1, by slot; the won[r] first of them got
    // their place.
    std::vector<uint32_t> offsets, won;
    AlignedVector<uint32_t> slots;  // positions
    AlignedVector<Index> cols;

    void fit(size_t proposals, uint32_t rows) {
      offsets.assign(static_cast<size_t>(rows) + 1, 0);
      won.assign(rows, 0);
      if (slots.size() < proposals) slots.resize(proposals);
      if (cols.size() < proposals) cols.resize(proposals);
    }
  };

  /** A place got after round 0, and the one before it in the same row. */
  struct Later {
    uint32_t col;
    uint32_t older;
  };

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

  static constexpr size_t kBatch = 256;

  /** Calls use(first position, words, count) for batches of the part: first 64 bits of the slots' draws. */
  template <class Use>
  void draw_for(const Round& round, Part part, Use use) const {
    uint64_t slots[kBatch], words[kBatch];
    for (size_t begin = part.begin; begin < part.end; begin += kBatch) {
      const size_t count = std::min(kBatch, part.end - begin);
      for (size_t k = 0; k < count; ++k) slots[k] = round.open != nullptr ? round.open[begin + k] : begin + k;
      draw_many(key_.seed, space_.stream, key_.layer, key_.draws(), slots, round.number, count, words);
      use(static_cast<uint32_t>(begin), words, count);
    }
  }

  /** Row that a slot proposes, and its column or, where places are listed, the rank among the row's free
   * columns. */
  uint32_t row_of(const Round& round, uint64_t word) const {
    if (!round.listed) return static_cast<uint32_t>(below(word, space_.rows));
    const uint64_t number = below(word, round.free_before.back());
    const auto after = std::upper_bound(round.free_before.begin(), round.free_before.end(), number);
    return static_cast<uint32_t>(after - round.free_before.begin() - 1);
  }
  uint32_t col_of(const Round& round, uint64_t word, uint32_t row) const {
    if (round.listed)
      return static_cast<uint32_t>(below(word, round.free_before.back()) - round.free_before[row]);
    // floor(x cols) / cols rounded down is floor(x): the row without a division.
    const uint64_t places = static_cast<uint64_t>(space_.rows) * space_.cols;
    return static_cast<uint32_t>(below(word, places) - static_cast<uint64_t>(row) * space_.cols);
  }

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

  void deal(Round& round) {
    // No more drawers than make their counters worth while.
    const auto drawers =
        static_cast<unsigned>(std::clamp<size_t>(round.size / std::max(space_.rows, 1u), 1, round.threads));
    std::vector<std::vector<uint32_t>> next(drawers);
    pool_.run(drawers, [&](unsigned t) {
      next[t].assign(space_.rows, 0);
      uint32_t* const counts = next[t].data();
      draw_for(round, part_of(round.size, t, drawers), [&](uint32_t, const uint64_t* words, size_t count) {
        for (size_t k = 0; k < count; ++k) ++counts[row_of(round, words[k])];
      });
    });
    uint32_t total = 0;
    for (uint32_t row = 0; row < space_.rows; ++row) {
      round.offsets[row] = total;
      for (unsigned t = 0; t < drawers; ++t) total += std::exchange(next[t][row], total);
    }
    round.offsets[space_.rows] = total;
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

  /** Calls use(col) for the places that a row got in earlier rounds. */
  template <class Use>
  void for_earlier(uint32_t row, Use&& use) const {
    for (uint32_t p = 0; p < first_.won[row]; ++p) use(first_.cols[first_.offsets[row] + p]);
    for_later(row, use);
  }
  /** The same without round 0. */
  template <class Use>
  void for_later(uint32_t row, Use& use) const {
    if (newest_.empty()) return;
    for (uint32_t p = newest_[row]; p != kNone; p = later_[p].older) use(later_[p].col);
  }

  /** Inserts the columns of a row whose places are not free. */
  template <class Columns>
  void insert_taken(const Round& round, uint32_t row, Columns& columns) const {
    taken_(row, columns);
    if (round.number == 0) return;
    const uint32_t reach = space_.height - 1;
    for (uint32_t r = row - std::min(row, reach); r <= row + std::min(space_.rows - 1 - row, reach); ++r) {
      for_earlier(r, [&](uint32_t col) { columns.insert(col); });
    }
  }

  void lose(uint32_t position) {
    lost_[position / 64].fetch_or(uint64_t{1} << (position % 64), std::memory_order_relaxed);
  }
  bool has_lost(uint32_t position) const {
    return (lost_[position / 64].load(std::memory_order_relaxed) >> (position % 64) & 1) != 0;
  }

  /** Decides the proposals of a row, by ascending slot, as far as that row is concerned; winners move to its
   * front. */
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

  /** Of anchors that won in different rows but share cells of a column, the lowest slot of each cell wins. */
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

  /** Records the winners of a row: those of round 0 stay where they are, others are chained. */
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

  /** All places that were got. The slots of round 0 are not needed any more: their memory takes them. */
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
  std::vector<std::atomic<uint64_t>> lost_;  // of the round, by position: one bit each
  std::vector<uint32_t> newest_;             // per row: its last place in `later_`, or kNone
  std::vector<Later> later_;
  std::atomic<uint32_t> later_size_{0};
};

template <class Index, class Taken>
Places propose(const Space& space, const EvolutionKey& key, Taken taken, ThreadPool& pool,
               Workspace<Index>& workspace) {
  return Proposals<Index, Taken>(space, key, taken, pool, workspace).run();
}

}  // namespace set_native
