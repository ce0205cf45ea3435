#include "cpu/prune.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "cpu/select.h"

namespace set_native::cpu {

namespace {

constexpr uint32_t kSign = 0x80000000u;

uint32_t float_bits(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

float magnitude(float value) {
  const uint32_t bits = float_bits(value) & ~kSign;
  float result;
  std::memcpy(&result, &bits, sizeof result);
  return result;
}

uint64_t key_of(uint32_t bits, uint32_t tie) {
  return static_cast<uint64_t>(bits) << 32 | tie;
}

/**
 * +0 opens the keys of the positive and -0 those of the negative weights, so "all zeros and t positive ones" is
 * the t + (number of +0) lowest keys of that half.
 */
Pruning prune_set(const Layer& layer, double zeta) {
  const float* weights = layer.weights.data();
  const auto size = static_cast<uint32_t>(layer.nnz());
  const auto key = [weights](uint32_t k) { return key_of(float_bits(weights[k]), k); };
  const Selection selection(size, key, [](uint32_t) { return 1u; });
  uint64_t zeros[2] = {0, 0};
  for (uint32_t k = 0; k < size; ++k) {
    zeros[0] += float_bits(weights[k]) == 0;
    zeros[1] += float_bits(weights[k]) == kSign;
  }
  uint64_t limit[2];
  for (const int sign : {0, 1}) {
    limit[sign] = selection.cut(sign != 0, zeros[sign] + share(zeta, selection.total(sign != 0) - zeros[sign])).limit;
  }
  Pruning pruning;
  pruning.removed.resize(size);
  for (uint32_t k = 0; k < size; ++k) {
    pruning.removed[k] = key(k) < limit[float_bits(weights[k]) >> 31];
    pruning.links += pruning.removed[k];
  }
  return pruning;
}

/** The links of a layer cut into units (slots or runs): unit u holds links[offsets[u]] .. links[offsets[u + 1] - 1]. */
struct Units {
  std::vector<uint32_t> offsets;
  std::vector<uint32_t> links;  // by ascending source within a unit
  std::vector<uint32_t> ties;   // runs: order among equal scores, distinct; slots: they are in order
  bool whole = true;            // slots: every occupied slot is full
  uint32_t first_truncated = std::numeric_limits<uint32_t>::max();  // slots: first unit of the smaller last group

  uint32_t size() const { return static_cast<uint32_t>(offsets.size() - 1); }
  uint32_t tie(uint32_t unit) const { return ties.empty() ? unit : ties[unit]; }
};

/** Occupied slots in slot order: the rows of each group merged by column, without branches on what comes next. */
Units cut_into_slots(const Csr& csr, uint32_t motif_size) {
  constexpr uint32_t kEnd = std::numeric_limits<uint32_t>::max();  // no column is as large
  struct Cursor {
    uint32_t link, end;
    uint32_t col;  // of the link, or kEnd
  };
  const auto nnz = static_cast<uint32_t>(csr.nnz());
  Units units;
  units.links.resize(static_cast<size_t>(nnz) + 1);  // one more: a link is written before it is known to belong
  units.offsets.resize(static_cast<size_t>(nnz) + 1);
  uint32_t* const links = units.links.data();
  uint32_t* const offsets = units.offsets.data();
  const uint32_t* const cols = csr.col_indices.data();
  const auto col_of = [=](uint32_t link, uint32_t end) {
    return cols[std::min(link, nnz - 1)] | (link < end ? 0 : kEnd);
  };
  uint32_t count = 0, slots = 0;
  std::vector<Cursor> cursors;
  for (uint64_t first = 0; first < csr.rows; first += motif_size) {
    const auto height = static_cast<uint32_t>(std::min<uint64_t>(motif_size, csr.rows - first));
    if (height < motif_size) units.first_truncated = slots;
    cursors.clear();
    for (uint64_t row = first; row < first + height; ++row) {
      const uint32_t begin = csr.row_offsets[row], end = csr.row_offsets[row + 1];
      cursors.push_back({begin, end, col_of(begin, end)});
    }
    Cursor* const group = cursors.data();
    for (;;) {
      uint32_t col = kEnd;
      for (uint32_t r = 0; r < height; ++r) col = std::min(col, group[r].col);
      if (col == kEnd) break;
      const uint32_t begin = count;
      for (uint32_t r = 0; r < height; ++r) {
        const bool in_slot = group[r].col == col;
        links[count] = group[r].link;
        count += in_slot;
        group[r].link += in_slot;
        group[r].col = col_of(group[r].link, group[r].end);
      }
      units.whole &= count - begin == height;
      offsets[++slots] = count;
    }
  }
  units.links.resize(nnz);
  units.offsets.resize(static_cast<size_t>(slots) + 1);
  return units;
}

/** Runs of neighbouring sources per target, cut from the lowest on into pieces of at most `motif_size`. */
Units cut_into_runs(const Csr& csr, uint32_t motif_size) {
  Units units;
  units.offsets.push_back(0);
  units.links.reserve(csr.nnz());
  TargetView view;
  build_target_view(csr, view);
  for (uint32_t j = 0; j < csr.cols; ++j) {
    uint32_t k = view.offsets[j];
    while (k < view.offsets[j + 1]) {
      const uint32_t lowest = k;
      do {
        units.links.push_back(view.links[k++]);
      } while (k < view.offsets[j + 1] && view.sources[k] == view.sources[k - 1] + 1 && k - lowest < motif_size);
      units.offsets.push_back(k);
      units.ties.push_back(view.links[lowest]);
    }
  }
  return units;
}

/** What is left of a unit: the bits of its score, which is never negative and so orders like them, and its links. */
struct Score {
  uint32_t bits = 0;
  uint32_t links = 0;
};

std::vector<Score> score_units(const Layer& layer, const Units& units, const std::vector<uint8_t>& removed,
                               MotifScore kind) {
  std::vector<Score> scores(units.size());
  for (uint32_t u = 0; u < units.size(); ++u) {
    float sum = 0.0f, largest = 0.0f, smallest = std::numeric_limits<float>::infinity();
    uint32_t left = 0;
    for (uint32_t p = units.offsets[u]; p < units.offsets[u + 1]; ++p) {
      if (removed[units.links[p]]) continue;
      const float w = magnitude(layer.weights[units.links[p]]);
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

void remove_whole_slots(const Layer& layer, const EvolutionPolicy& policy, const Units& units, Pruning& pruning) {
  const std::vector<Score> scores = score_units(layer, units, pruning.removed, policy.motif_score);
  const auto key = [&](uint32_t u) { return key_of(scores[u].bits, units.tie(u)); };
  const uint64_t slots = share(policy.zeta, units.size());
  const uint64_t limit = Selection(units.size(), key, [](uint32_t) { return 1u; }).cut(false, slots).limit;
  for (uint32_t u = 0; u < units.size(); ++u) {
    const bool goes = key(u) < limit;
    for (uint32_t p = units.offsets[u]; p < units.offsets[u + 1]; ++p) pruning.removed[units.links[p]] = goes;
    pruning.links += goes ? scores[u].links : 0;
    (u < units.first_truncated ? pruning.full_slots : pruning.truncated_slots) += goes;
  }
}

/** Removes the `count` smallest of what is left of a unit. */
void remove_smallest(const Layer& layer, const Units& units, uint32_t unit, uint64_t count, Pruning& pruning) {
  std::vector<uint64_t> members;
  for (uint32_t p = units.offsets[unit]; p < units.offsets[unit + 1]; ++p) {
    const uint32_t k = units.links[p];
    if (!pruning.removed[k]) members.push_back(key_of(float_bits(magnitude(layer.weights[k])), k));
  }
  std::sort(members.begin(), members.end());
  for (uint64_t t = 0; t < count; ++t) pruning.removed[static_cast<uint32_t>(members[t])] = 1;
}

void remove_links_by_unit(const Layer& layer, const EvolutionPolicy& policy, const Units& units, Pruning& pruning) {
  const auto size = static_cast<uint32_t>(layer.nnz());
  const uint64_t wanted = share(policy.zeta, size);
  for (uint32_t k = 0; k < size && pruning.links < wanted; ++k) {
    pruning.removed[k] = layer.weights[k] == 0.0f;
    pruning.links += pruning.removed[k];
  }
  if (pruning.links == wanted) return;
  // The zeros are gone; now units, each weighing the links it has left.
  const std::vector<Score> scores = score_units(layer, units, pruning.removed, policy.motif_score);
  const auto key = [&](uint32_t u) { return key_of(scores[u].bits, units.tie(u)); };
  const auto links_left = [&](uint32_t u) { return scores[u].links; };
  const Cut cut = Selection(units.size(), key, links_left).cut(false, wanted - pruning.links);
  for (uint32_t u = 0; u < units.size(); ++u) {
    if (key(u) == cut.limit) remove_smallest(layer, units, u, cut.rest, pruning);
    const bool goes = key(u) < cut.limit;
    for (uint32_t p = units.offsets[u]; p < units.offsets[u + 1]; ++p) pruning.removed[units.links[p]] |= goes;
  }
  pruning.links = wanted;
}

Pruning prune_motif(const Layer& layer, const EvolutionPolicy& policy) {
  Pruning pruning;
  pruning.removed.resize(layer.nnz());
  const bool aligned = policy.motif_parse == MotifParse::aligned;
  const Units units =
      aligned ? cut_into_slots(layer.links, policy.motif_size) : cut_into_runs(layer.links, policy.motif_size);
  pruning.whole_motifs = aligned && units.whole;
  (pruning.whole_motifs ? remove_whole_slots : remove_links_by_unit)(layer, policy, units, pruning);
  return pruning;
}

}  // namespace

Pruning prune(const Layer& layer, const EvolutionPolicy& policy) {
  return policy.method == Method::set ? prune_set(layer, policy.zeta) : prune_motif(layer, policy);
}

}  // namespace set_native::cpu
