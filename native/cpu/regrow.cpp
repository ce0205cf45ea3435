/*
 * Regrow: slots propose places of a space of rows x cols; the lowest slot that proposes a free place gets it.
 *
 * All three kinds of places (cells, motif slots, anchors of runs) are rows of columns, so one routine serves them:
 * proposals are dealt to their rows by a counting sort, the columns of a row that are taken are marked in one array of
 * length cols, and the proposals then claim columns by ascending slot: the first to mark a column is the lowest
 * slot that proposes it. Nothing is sorted by comparison, and no array has rows * cols entries.
 *
 * Per round O(rows + cols + proposals + links of the rows that were proposed). Almost all slots are served in the first
 * round: with density d a share d stays open. Only for more than half full layers are the free places
 * listed, row by row, where rows * cols is O(nnz) anyway; after kOpenRounds so few slots are left that listing the
 * rows they fall into costs little.
 */
#include "cpu/regrow.h"

#include <algorithm>
#include <cstddef>
#include <limits>
#include <numeric>

#include "core/error.h"
#include "core/philox.h"

namespace set_native::cpu {

namespace {

constexpr uint32_t kNone = std::numeric_limits<uint32_t>::max();

/** A set of columns that empties in O(1). */
class ColumnSet {
 public:
  explicit ColumnSet(uint32_t cols) : cols_(cols), stamps_(static_cast<size_t>(cols) + 1, 0) {}
  void clear() {
    size_ = 0;
    if (++now_ == 0) {  // 2^32 clearings later
      std::fill(stamps_.begin(), stamps_.end(), 0);
      now_ = 1;
    }
  }
  bool contains(uint32_t col) const { return stamps_[col] == now_; }
  /** False if it was there already. */
  bool insert(uint32_t col) {
    const bool is_new = stamps_[col] != now_;
    stamps_[col] = now_;
    size_ += is_new;
    return is_new;
  }
  /**
   * Inserts cols[k] for k in [begin, end) with removed[k] == 0. No branch, which would be as unforeseeable as what is
   * removed: the removed go to a place of their own behind the columns.
   */
  void insert_kept(const uint32_t* cols, const uint8_t* removed, uint32_t begin, uint32_t end) {
    uint32_t* const stamps = stamps_.data();
    const uint32_t now = now_, nowhere = cols_;
    uint32_t fresh = 0;
    for (uint32_t k = begin; k < end; ++k) {
      const uint32_t place = cols[k] + (nowhere - cols[k]) * removed[k];
      fresh += (stamps[place] != now) & (removed[k] == 0);
      stamps[place] = now;
    }
    size_ += fresh;
  }
  uint32_t size() const { return size_; }

 private:
  uint32_t cols_;
  std::vector<uint32_t> stamps_;
  uint32_t now_ = 0;
  uint32_t size_ = 0;
};

/** Items dealt to buckets by a stable counting sort: bucket b holds items[offsets[b]] .. items[offsets[b + 1] - 1]. */
template <class Item>
struct Buckets {
  std::vector<uint32_t> offsets;
  std::vector<Item> items;

  template <class BucketOf>
  void deal(const std::vector<Item>& from, uint32_t count, BucketOf bucket_of) {
    offsets.assign(static_cast<size_t>(count) + 2, 0);
    items.resize(from.size());
    // While items are placed, offsets[b + 1] runs from the first to the past-the-end item of bucket b.
    for (const Item& item : from) ++offsets[static_cast<size_t>(bucket_of(item)) + 2];
    for (size_t b = 2; b < offsets.size(); ++b) offsets[b] += offsets[b - 1];
    for (const Item& item : from) items[offsets[static_cast<size_t>(bucket_of(item)) + 1]++] = item;
    offsets.pop_back();
  }
};

/** Where places are, how many are wanted, and how they are drawn. */
struct Space {
  uint32_t rows;
  uint32_t cols;
  uint32_t height;  // a place (row, col) covers rows row .. row + height - 1: 1, or g for anchors
  Stream stream;
  uint64_t wanted;
  bool crowded;  // the kept links fill more than half of the layer: list the free places at once
};

/**
 * Up to `wanted` places that are free and overlap neither the taken ones nor each other; fewer only if no
 * more are free. taken(row, columns) inserts into `columns` all columns of a row whose places are not free.
 */
template <class Taken>
class Proposals {
 public:
  Proposals(const Space& space, const EvolutionKey& key, Taken taken)
      : space_(space), key_(key), taken_(taken), columns_(space.cols), newest_(space.rows, kNone) {}

  std::vector<Cell> run() {
    std::vector<uint32_t> open(space_.rows > 0 ? space_.wanted : 0);
    std::iota(open.begin(), open.end(), 0);
    proposed_.resize(open.size());
    older_.resize(open.size());
    won_.resize(open.size());
    for (uint32_t round = 0; !open.empty(); ++round) {
      if (round == kMaxRounds) throw Error(ErrorCode::internal, "[evolve] regrowth did not end; please report");
      const bool listed = space_.crowded || round >= kOpenRounds;
      if (!(listed ? propose_free(open, round) : propose_any(open, round))) break;
      by_row_.deal(open, space_.rows, [this](uint32_t s) { return proposed_[s].row; });
      for (uint32_t row = 0; row < space_.rows; ++row) claim(row, listed);
      if (space_.height > 1) resolve_overlaps(open);
      for (const uint32_t s : open) {
        if (!won_[s]) continue;
        older_[s] = newest_[proposed_[s].row];
        newest_[proposed_[s].row] = s;
      }
      open.erase(std::remove_if(open.begin(), open.end(), [this](uint32_t s) { return won_[s]; }), open.end());
    }
    return served(open);
  }

 private:
  /** All places but those of slots left open, which ran out of free places and hold a proposal that failed. */
  std::vector<Cell> served(const std::vector<uint32_t>& open) {
    size_t count = 0;
    auto next_open = open.begin();
    for (uint32_t s = 0; s < proposed_.size(); ++s) {
      if (next_open != open.end() && *next_open == s) {
        ++next_open;
      } else {
        proposed_[count++] = proposed_[s];
      }
    }
    proposed_.resize(count);
    return std::move(proposed_);
  }

  /** Calls use(slot, first 64 bits of its draw) for all open slots. */
  template <class Use>
  void draw_for(const std::vector<uint32_t>& open, uint32_t round, Use use) const {
    constexpr size_t kBatch = 256;
    uint64_t slots[kBatch], words[kBatch];
    for (size_t begin = 0; begin < open.size(); begin += kBatch) {
      const size_t count = std::min(kBatch, open.size() - begin);
      std::copy_n(open.begin() + static_cast<std::ptrdiff_t>(begin), count, slots);
      draw_many(key_.seed, space_.stream, key_.layer, key_.epoch, slots, round, count, words);
      for (size_t t = 0; t < count; ++t) use(open[begin + t], words[t]);
    }
  }

  bool propose_any(const std::vector<uint32_t>& open, uint32_t round) {
    const uint64_t places = static_cast<uint64_t>(space_.rows) * space_.cols;
    draw_for(open, round, [&](uint32_t s, uint64_t u) {
      // floor(x cols) / cols rounded down is floor(x): the row without a division.
      const uint64_t row = below(u, space_.rows);
      proposed_[s] = {static_cast<uint32_t>(row), static_cast<uint32_t>(below(u, places) - row * space_.cols)};
    });
    return true;
  }

  /** Leaves the rank among the free columns of the row in `col`. False if nothing is free. */
  bool propose_free(const std::vector<uint32_t>& open, uint32_t round) {
    std::vector<uint64_t> free_before(static_cast<size_t>(space_.rows) + 1, 0);
    for (uint32_t row = 0; row < space_.rows; ++row) {
      mark_taken(row);
      free_before[row + 1] = free_before[row] + space_.cols - columns_.size();
    }
    if (free_before.back() == 0) return false;
    draw_for(open, round, [&](uint32_t s, uint64_t u) {
      const uint64_t number = below(u, free_before.back());
      const auto row = std::upper_bound(free_before.begin(), free_before.end(), number) - free_before.begin() - 1;
      proposed_[s] = {static_cast<uint32_t>(row), static_cast<uint32_t>(number - free_before[row])};
    });
    return true;
  }

  void mark_taken(uint32_t row) {
    columns_.clear();
    taken_(row, columns_);
    const uint32_t lowest = row - std::min(row, space_.height - 1);
    const uint32_t highest = row + std::min(space_.rows - 1 - row, space_.height - 1);
    for (uint32_t r = lowest; r <= highest; ++r) {
      for (uint32_t s = newest_[r]; s != kNone; s = older_[s]) columns_.insert(proposed_[s].col);
    }
  }

  /** Decides the proposals of a row, by ascending slot, as far as that row is concerned. */
  void claim(uint32_t row, bool listed) {
    const uint32_t begin = by_row_.offsets[row], end = by_row_.offsets[row + 1];
    if (begin == end) return;
    mark_taken(row);
    if (listed) {
      free_.clear();
      for (uint32_t col = 0; col < space_.cols; ++col) {
        if (!columns_.contains(col)) free_.push_back(col);
      }
      for (uint32_t p = begin; p < end; ++p) {
        uint32_t& col = proposed_[by_row_.items[p]].col;
        col = free_[col];
      }
    }
    const uint32_t* const slots = by_row_.items.data();
    const Cell* const proposed = proposed_.data();
    uint8_t* const won = won_.data();
    for (uint32_t p = begin; p < end; ++p) won[slots[p]] = columns_.insert(proposed[slots[p]].col);
  }

  /** Of proposals that won in different rows but share cells of a column, the lowest slot of each cell wins. */
  void resolve_overlaps(const std::vector<uint32_t>& open) {
    candidates_.clear();
    for (const uint32_t s : open) {
      if (won_[s]) candidates_.push_back(s);
    }
    by_col_.deal(candidates_, space_.cols, [this](uint32_t s) { return proposed_[s].col; });
    ColumnSet claimed(space_.rows + space_.height - 1);  // here: the cells of one column
    for (uint32_t col = 0; col < space_.cols; ++col) {
      claimed.clear();
      for (uint32_t p = by_col_.offsets[col]; p < by_col_.offsets[col + 1]; ++p) {
        const uint32_t s = by_col_.items[p];
        bool all = true;
        for (uint32_t r = 0; r < space_.height; ++r) all &= claimed.insert(proposed_[s].row + r);
        won_[s] = all;
      }
    }
  }

  const Space space_;
  const EvolutionKey key_;
  const Taken taken_;
  ColumnSet columns_;
  std::vector<Cell> proposed_;    // per slot: its proposal in this round, or the place it has got
  std::vector<uint8_t> won_;      // per slot: whether it got it in this round
  std::vector<uint32_t> newest_;  // per row: the last slot that got a place there, or kNone,
  std::vector<uint32_t> older_;   //   and per slot that has one: the slot before it in the same row
  Buckets<uint32_t> by_row_, by_col_;
  std::vector<uint32_t> candidates_, free_;
};

template <class Taken>
std::vector<Cell> propose(const Space& space, const EvolutionKey& key, Taken taken) {
  return Proposals<Taken>(space, key, taken).run();
}

/** Sorts by (row, col) in two stable counting sorts; offsets[row] is where a row begins, as in a CSR. */
Buckets<Cell> sorted(const std::vector<Cell>& cells, uint32_t rows, uint32_t cols) {
  Buckets<Cell> by_col, by_row;
  by_col.deal(cells, cols, [](const Cell& cell) { return cell.col; });
  by_row.deal(by_col.items, rows, [](const Cell& cell) { return cell.row; });
  return by_row;
}

/** The regrowth of one layer. */
class Regrowth {
 public:
  Regrowth(const Layer& layer, const Pruning& pruning, const EvolutionPolicy& policy, const EvolutionKey& key)
      : links_(layer.links), pruning_(pruning), policy_(policy), key_(key), n_(layer.inputs), m_(layer.outputs) {
    crowded_ = 2 * (layer.nnz() - pruning.links) > static_cast<uint64_t>(n_) * m_;
  }

  std::vector<Cell> run() {
    if (policy_.method == Method::set) {
      grow_cells(Stream::regrow);
    } else if (pruning_.whole_motifs) {
      grow_like_for_like();
    } else {
      policy_.motif_parse == MotifParse::aligned ? grow_slots() : grow_runs();
      if (grown_.size() < pruning_.links) grow_cells(Stream::regrow_single);
    }
    if (grown_.size() != pruning_.links) throw Error(ErrorCode::internal, "[evolve] nnz changed; please report");
    return sorted(grown_, n_, m_).items;
  }

 private:
  /** Inserts the columns of the kept links of rows begin .. end - 1. */
  void insert_kept(uint32_t begin, uint32_t end, ColumnSet& columns) const {
    columns.insert_kept(links_.col_indices.data(), pruning_.removed.data(), links_.row_offsets[begin],
                        links_.row_offsets[end]);
  }

  void grow_column(uint32_t first_row, uint32_t height, uint32_t col) {
    for (uint32_t r = 0; r < height; ++r) grown_.push_back({first_row + r, col});
  }

  /** All links that are still missing, one by one. */
  void grow_cells(Stream stream) {
    const Buckets<Cell> before = sorted(grown_, n_, m_);
    const auto taken = [&](uint32_t row, ColumnSet& columns) {
      insert_kept(row, row + 1, columns);
      for (uint32_t c = before.offsets[row]; c < before.offsets[row + 1]; ++c) columns.insert(before.items[c].col);
    };
    const Space cells{n_, m_, 1, stream, pruning_.links - grown_.size(), crowded_};
    std::vector<Cell> singles = propose(cells, key_, taken);
    grown_.insert(grown_.end(), singles.begin(), singles.end());
  }

  /** Slots of `groups` groups from number `first` on; the last group of the layer may be smaller. */
  void grow_slots(uint32_t first, uint32_t groups, Stream stream, uint64_t wanted) {
    const auto begin = [&](uint32_t group) { return (first + group) * policy_.motif_size; };
    const auto height = [&](uint32_t group) { return std::min(policy_.motif_size, n_ - begin(group)); };
    const auto taken = [&](uint32_t group, ColumnSet& columns) {
      insert_kept(begin(group), begin(group) + height(group), columns);
    };
    for (const Cell& slot : propose({groups, m_, 1, stream, wanted, crowded_}, key_, taken)) {
      grow_column(begin(slot.row), height(slot.row), slot.col);
    }
  }

  void grow_slots() {
    const uint32_t g = policy_.motif_size;
    grow_slots(0, n_ / g + (n_ % g > 0), Stream::regrow, pruning_.links / g);
  }

  void grow_like_for_like() {
    const uint32_t full_groups = n_ / policy_.motif_size;
    grow_slots(0, full_groups, Stream::regrow, pruning_.full_slots);
    grow_slots(full_groups, n_ % policy_.motif_size > 0, Stream::regrow_single, pruning_.truncated_slots);
  }

  void grow_runs() {
    const uint32_t g = policy_.motif_size;
    if (n_ < g) return;
    const auto taken = [&](uint32_t anchor, ColumnSet& columns) { insert_kept(anchor, anchor + g, columns); };
    for (const Cell& anchor : propose({n_ - g + 1, m_, g, Stream::regrow, pruning_.links / g, crowded_}, key_, taken)) {
      grow_column(anchor.row, g, anchor.col);
    }
  }

  const Csr& links_;
  const Pruning& pruning_;
  const EvolutionPolicy& policy_;
  const EvolutionKey& key_;
  const uint32_t n_, m_;
  bool crowded_;
  std::vector<Cell> grown_;
};

}  // namespace

std::vector<Cell> regrow(const Layer& layer, const Pruning& pruning, const EvolutionPolicy& policy,
                         const EvolutionKey& key) {
  return Regrowth(layer, pruning, policy, key).run();
}

}  // namespace set_native::cpu
