#include "evolution/units.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "evolution/select.h"

namespace set_native {

namespace {

/**
 * Links of a layer, cut into units (slots or runs): unit u holds links[offsets[u]] .. links[offsets[u + 1] -
 * 1].
 */
struct Units {
  std::vector<uint32_t> offsets;
  std::vector<uint32_t> links;  // numbers of links, by ascending source within a unit
  // Runs: distinct numbers that order runs of equal scores. Slots: empty, because slots are in order.
  std::vector<uint32_t> ties;

  uint32_t size() const { return static_cast<uint32_t>(offsets.size() - 1); }
  uint32_t tie(uint32_t unit) const { return ties.empty() ? unit : ties[unit]; }
};

/**
 * Cuts a layer into its occupied slots, in slot order. Merges the rows of each group by column, without a
 * branch on which row is next.
 */
template <class Index>
Units cut_into_slots(const Blocks<Index>& layer, uint32_t motif_size) {
  constexpr uint32_t kEnd = std::numeric_limits<uint32_t>::max();  // larger than any column
  /** Place in a row. */
  struct Cursor {
    uint32_t link, end;
    uint32_t col;  // column of the link, or kEnd
  };
  const uint32_t nnz = layer.size();
  Units units;
  // One entry more: each link is written before it is known whether it belongs to the slot.
  units.links.resize(static_cast<size_t>(nnz) + 1);
  units.offsets.resize(static_cast<size_t>(nnz) + 1);
  uint32_t* const links = units.links.data();
  uint32_t* const offsets = units.offsets.data();
  const Index* const cols = layer.targets.data();
  const auto col_of = [=](uint32_t link, uint32_t end) {
    return cols[std::min(link, nnz - 1)] | (link < end ? 0 : kEnd);
  };
  uint32_t count = 0, slots = 0;
  std::vector<Cursor> cursors;
  for (uint64_t first = 0; first < layer.inputs; first += motif_size) {
    // Set a cursor to the first link of each row of the group.
    const auto height = static_cast<uint32_t>(std::min<uint64_t>(motif_size, layer.inputs - first));
    cursors.clear();
    for (uint64_t row = first; row < first + height; ++row) {
      const uint32_t begin = layer.offsets[row], end = layer.offsets[row + 1];
      cursors.push_back({begin, end, col_of(begin, end)});
    }
    // Take the slot of the lowest column, until all rows are at their end.
    Cursor* const group = cursors.data();
    for (;;) {
      uint32_t col = kEnd;
      for (uint32_t r = 0; r < height; ++r) col = std::min(col, group[r].col);
      if (col == kEnd) break;
      for (uint32_t r = 0; r < height; ++r) {
        const bool in_slot = group[r].col == col;
        links[count] = group[r].link;
        count += in_slot;
        group[r].link += in_slot;
        group[r].col = col_of(group[r].link, group[r].end);
      }
      offsets[++slots] = count;
    }
  }
  units.links.resize(nnz);
  units.offsets.resize(static_cast<size_t>(slots) + 1);
  return units;
}

/**
 * Cuts a layer into runs of neighbouring sources per target, from the lowest on of at most `motif_size`
 * links.
 */
template <class Index>
Units cut_into_runs(const Blocks<Index>& layer, uint32_t motif_size) {
  Units units;
  units.offsets.push_back(0);
  const auto& [offsets, sources, links] = layer.by_target;
  units.links.assign(links.begin(), links.end());
  for (uint32_t j = 0; j < layer.outputs; ++j) {
    uint32_t k = offsets[j];
    while (k < offsets[j + 1]) {
      const uint32_t lowest = k;
      do {
        ++k;
      } while (k < offsets[j + 1] && sources[k] == sources[k - 1] + 1 && k - lowest < motif_size);
      units.offsets.push_back(k);
      units.ties.push_back(links[lowest]);
    }
  }
  return units;
}

/** Score of what is left of a unit. */
struct Score {
  uint32_t bits = 0;   // bits of the score, which have its order because it is never negative
  uint32_t links = 0;  // number of links left
};

std::vector<Score> score_units(const float* weights, const Units& units, const Marks& removed,
                               MotifScore kind) {
  std::vector<Score> scores(units.size());
  for (uint32_t u = 0; u < units.size(); ++u) {
    float sum = 0.0f, largest = 0.0f, smallest = std::numeric_limits<float>::infinity();
    uint32_t left = 0;
    for (uint32_t p = units.offsets[u]; p < units.offsets[u + 1]; ++p) {
      if (removed[units.links[p]]) continue;
      const float w = std::fabs(weights[units.links[p]]);
      sum += w;
      largest = std::max(largest, w);
      smallest = std::min(smallest, w);
      ++left;
    }
    if (left == 0) continue;
    const float score = kind == MotifScore::mean  ? sum / static_cast<float>(left)
                        : kind == MotifScore::max ? largest
                        : kind == MotifScore::min ? smallest
                                                  : sum;
    scores[u] = {float_bits(score), left};
  }
  return scores;
}

/** Key that orders by score, then by tie. */
uint64_t key_of(uint32_t bits, uint32_t tie) {
  return static_cast<uint64_t>(bits) << 32 | tie;
}

/**
 * End of a selection: units with a key below `limit` are removed as a whole, and `rest` links of the unit
 * with that key.
 */
struct Cut {
  uint64_t limit;
  uint64_t rest;
};

/**
 * Finds the cut below which the units of lowest (score, tie) hold `amount` links, by a histogram and then by
 * repeated halving.
 */
Cut cut_at(const Units& units, const std::vector<Score>& scores, uint64_t amount) {
  // Find the bucket of scores in which the cut lies.
  constexpr int kShift = 18;
  std::vector<uint64_t> buckets(size_t{1} << (31 - kShift), 0);
  for (const Score& score : scores) buckets[score.bits >> kShift] += score.links;
  uint64_t bucket = 0;
  while (bucket < buckets.size() && buckets[bucket] <= amount) amount -= buckets[bucket++];
  // Collect the units of that bucket.
  std::vector<std::pair<uint64_t, uint32_t>> items;
  for (uint32_t u = 0; u < units.size(); ++u) {
    if (scores[u].bits >> kShift == bucket)
      items.emplace_back(key_of(scores[u].bits, units.tie(u)), scores[u].links);
  }
  if (items.empty()) return {bucket << (kShift + 32), 0};
  // Halve them until one is left, which the cut divides.
  auto first = items.begin(), last = items.end();
  while (last - first > 1) {
    const auto middle = first + (last - first) / 2;
    std::nth_element(first, middle, last);
    uint64_t below_middle = 0;
    for (auto item = first; item != middle; ++item) below_middle += item->second;
    if (amount < below_middle) {
      last = middle;
    } else {
      amount -= below_middle;
      first = middle;
    }
  }
  return {first->first, amount};
}

/** Removes the `count` smallest links of those left in a unit. */
void remove_smallest(const float* weights, const Units& units, uint32_t unit, uint64_t count,
                     Marks& removed) {
  std::vector<uint64_t> members;
  for (uint32_t p = units.offsets[unit]; p < units.offsets[unit + 1]; ++p) {
    const uint32_t k = units.links[p];
    if (!removed[k]) members.push_back(key_of(float_bits(std::fabs(weights[k])), k));
  }
  std::sort(members.begin(), members.end());
  for (uint64_t t = 0; t < count; ++t) removed.mark(static_cast<uint32_t>(members[t]));
}

}  // namespace

template <class Index>
Pruning prune_units(const Blocks<Index>& layer, const EvolutionPolicy& policy) {
  const float* const weights = layer.weights.data();
  const uint64_t wanted = share(policy.zeta, layer.size());
  Pruning pruning;
  pruning.removed = Marks(layer.size());
  // Zeros are removed first, each alone.
  uint64_t removed = 0;
  for (uint32_t k = 0; k < layer.size() && removed < wanted; ++k) {
    pruning.removed.mark(k, weights[k] == 0.0f);
    removed += weights[k] == 0.0f;
  }
  pruning.full = wanted;
  if (removed == wanted) return pruning;
  // Then whole units, each counting the links it has left, and a part of the last one.
  const Units units = policy.parse == MotifParse::aligned ? cut_into_slots(layer, policy.motif_size)
                                                          : cut_into_runs(layer, policy.motif_size);
  const std::vector<Score> scores = score_units(weights, units, pruning.removed, policy.score);
  const Cut cut = cut_at(units, scores, wanted - removed);
  for (uint32_t u = 0; u < units.size(); ++u) {
    const uint64_t key = key_of(scores[u].bits, units.tie(u));
    if (key == cut.limit) remove_smallest(weights, units, u, cut.rest, pruning.removed);
    for (uint32_t p = units.offsets[u]; p < units.offsets[u + 1]; ++p) {
      pruning.removed.mark(units.links[p], key < cut.limit);
    }
  }
  return pruning;
}

template Pruning prune_units(const Blocks<uint16_t>&, const EvolutionPolicy&);
template Pruning prune_units(const Blocks<uint32_t>&, const EvolutionPolicy&);

}  // namespace set_native
