/*
 * Evolution that follows core/evolution.h sentence by sentence, with a map from cell to link, sorted lists
 * and sets. It is slow (it lists all cells where the fast form counts) and shares no code with
 * native/evolution.
 */
#include "reference/evolve.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "core/philox.h"

namespace set_native::reference {

namespace {

using CellId = uint64_t;  // i m + j

/** A link that is kept or has grown. */
struct Link {
  static constexpr uint32_t kGrown = UINT32_MAX;
  float weight;
  uint32_t place;  // number of the link in the layer before evolution, or kGrown
};

using Links = std::map<CellId, Link>;

/** A unit that is pruned as a whole: a slot or a run. */
struct Unit {
  uint64_t number;
  std::vector<CellId> cells;  // occupied cells, by ascending source
};

class Evolution {
 public:
  Evolution(const Layer& layer, const EvolutionPolicy& policy, const EvolutionKey& key,
            const CellScores* scores)
      : n_(layer.inputs),
        m_(layer.outputs),
        g_(policy.motif_size),
        policy_(policy),
        key_(key),
        scores_(scores) {
    for (uint64_t i = 0; i < n_; ++i) {
      for (uint32_t k = layer.links.row_offsets[i]; k < layer.links.row_offsets[i + 1]; ++k) {
        links_[i * m_ + layer.links.col_indices[k]] = {layer.weights[k], k};
      }
    }
    for (const auto& item : links_) held_.insert(item.first);
  }

  /** Prunes and regrows. Returns the numbers of pruned and grown links. */
  LayerEvolution run() {
    const size_t before = links_.size();
    if (policy_.motif_size == 1) {
      const uint64_t removed = policy_.prune == Prune::lowest ? prune_lowest() : prune_by_sign();
      end_pruning(1);
      grow(Stream::regrow, removed, n_ * m_, [](uint64_t c) { return std::vector<CellId>{c}; },
           {n_, [this](uint64_t i, uint64_t a) { return i * m_ + a; }});
    } else {
      evolve_motifs();
    }
    set_new_weights();
    return {before - (links_.size() - grown_.size()), grown_.size()};
  }

  /** Writes the evolved links into the layer that was given to the constructor. */
  void store(Layer& layer) const {
    Csr csr;
    csr.rows = static_cast<uint32_t>(n_);
    csr.cols = static_cast<uint32_t>(m_);
    csr.row_offsets.assign(n_ + 1, 0);
    // Kept links keep all their numbers; of a grown link all numbers are 0 but its weight and its birth.
    Layer before = layer;
    for_each_link_array([](const char*, auto& values) { std::fill(values.begin(), values.end(), 0); }, layer);
    for (const auto& [cell, link] : links_) {
      const size_t to = csr.nnz();
      ++csr.row_offsets[cell / m_ + 1];
      csr.col_indices.push_back(static_cast<uint32_t>(cell % m_));
      if (link.place != Link::kGrown) {
        for_each_link_array(
            [&, from = link.place](const char*, const auto& old, auto& values) {
              if (!values.empty()) values[to] = old[from];
            },
            before, layer);
        continue;
      }
      layer.weights[to] = link.weight;
      layer.birth[to] = birth_of(key_.epoch);
    }
    for (size_t i = 0; i < n_; ++i) csr.row_offsets[i + 1] += csr.row_offsets[i];
    layer.links = std::move(csr);
  }

 private:
  /** Removes the links nearest zero, whatever their sign. Returns their number. */
  uint64_t prune_lowest() {
    std::vector<std::pair<float, CellId>> ranked;
    for (const auto& [cell, link] : links_) ranked.emplace_back(std::fabs(link.weight), cell);
    std::sort(ranked.begin(), ranked.end());
    const auto count =
        static_cast<size_t>(std::floor(policy_.zeta * static_cast<double>(ranked.size()) + 0.5));
    for (size_t t = 0; t < count; ++t) links_.erase(ranked[t].second);
    return count;
  }

  /** Removes zeros and the smallest links of each sign. Returns their number. */
  uint64_t prune_by_sign() {
    std::vector<std::pair<float, CellId>> positive, negative;
    std::vector<CellId> removed;
    for (const auto& [cell, link] : links_) {
      if (link.weight > 0) positive.emplace_back(link.weight, cell);
      if (link.weight < 0) negative.emplace_back(-link.weight, cell);
      if (link.weight == 0) removed.push_back(cell);
    }
    const auto [thesis_negative, thesis_positive] = thesis_counts();
    for (auto* ranked : {&positive, &negative}) {
      std::sort(ranked->begin(), ranked->end());
      auto count = static_cast<size_t>(std::floor(policy_.zeta * static_cast<double>(ranked->size()) + 0.5));
      if (policy_.prune == Prune::thesis) count = ranked == &positive ? thesis_positive : thesis_negative;
      for (size_t t = 0; t < count; ++t) removed.push_back((*ranked)[t].second);
    }
    for (const CellId cell : removed) links_.erase(cell);
    return removed.size();
  }

  /**
   * Counts the negative and the positive links between the thresholds of the thesis' program, by a walk over
   * the sorted weights as in that program.
   */
  std::pair<size_t, size_t> thesis_counts() const {
    std::vector<float> values;
    for (const auto& [cell, link] : links_) values.push_back(link.weight);
    std::sort(values.begin(), values.end());
    // Find the first weight nearest 0, and the position after the last one.
    const size_t size = values.size();
    size_t first = 0, last = 0;
    for (size_t k = 0; k < size; ++k) {
      if (std::fabs(values[k]) < std::fabs(values[first])) first = k;
      if (std::fabs(values[k]) <= std::fabs(values[last])) last = k;
    }
    ++last;
    // Positions of the thresholds.
    const auto low = static_cast<size_t>((1.0 - policy_.zeta) * static_cast<double>(first));
    const auto high = static_cast<size_t>(
        std::min(static_cast<double>(size - 1),
                 static_cast<double>(last) + policy_.zeta * static_cast<double>(size - last)));
    size_t negative = 0, positive = 0;
    for (size_t k = low; k < size && values[k] < 0; ++k) ++negative;
    for (size_t k = 0; k <= high; ++k) positive += values[k] > 0 ? 1 : 0;
    return {negative, positive};
  }

  /** Prunes and regrows motifs. */
  void evolve_motifs() {
    const bool aligned = policy_.parse == MotifParse::aligned;
    const std::vector<Unit> units = aligned ? slots() : runs();
    const uint64_t full_groups = n_ / g_;
    const auto slot = [this](uint64_t id) { return slot_cells(id); };
    const auto last_slot = [this, full_groups](uint64_t j) { return slot_cells(full_groups * m_ + j); };

    // Whole motifs: slots are removed and grown as a whole.
    const auto is_full = [this](const Unit& unit) {
      return unit.cells.size() == slot_cells(unit.number).size();
    };
    if (aligned && std::all_of(units.begin(), units.end(), is_full)) {
      uint64_t full = 0, truncated = 0;
      const auto count =
          static_cast<size_t>(std::floor(policy_.zeta * static_cast<double>(units.size()) + 0.5));
      const std::vector<Unit> ranked = by_score(units);
      for (size_t t = 0; t < count; ++t) {
        for (const CellId cell : ranked[t].cells) links_.erase(cell);
        ++(ranked[t].number < full_groups * m_ ? full : truncated);
      }
      end_pruning(g_);
      grow(Stream::regrow, full, full_groups * m_, slot,
           {full_groups, [this](uint64_t group, uint64_t a) { return group * m_ + a; }});
      grow(Stream::regrow_single, truncated, n_ % g_ > 0 ? m_ : 0, last_slot, {});
      return;
    }

    // Any other layer, and runs: remove links unit by unit.
    const auto wanted =
        static_cast<uint64_t>(std::floor(policy_.zeta * static_cast<double>(links_.size()) + 0.5));
    prune_links(units, wanted);
    end_pruning(1);
    // Grow motifs first, then single links.
    if (aligned) {
      grow(Stream::regrow, wanted / g_, (full_groups + (n_ % g_ > 0)) * m_, slot,
           {n_, [this](uint64_t i, uint64_t a) { return i / g_ * m_ + a; }});
    } else if (n_ >= g_) {
      const auto anchored = [this](uint64_t place) {
        std::vector<CellId> cells;
        for (uint64_t t = 0; t < g_; ++t) cells.push_back(place + t * m_);
        return cells;
      };
      grow(Stream::regrow, wanted / g_, (n_ - g_ + 1) * m_, anchored,
           {n_, [this](uint64_t i, uint64_t a) { return std::min(i, n_ - g_) * m_ + a; }});
    }
    grow(Stream::regrow_single, wanted - grown_.size(), n_ * m_,
         [](uint64_t c) { return std::vector<CellId>{c}; },
         {n_, [this](uint64_t i, uint64_t a) { return i * m_ + a; }});
  }

  /** Notes what pruning kept: links or, with a height above 1, slots of so many sources. */
  void end_pruning(uint64_t height) {
    kept_ = links_.size();
    crowded_ = 2 * kept_ > n_ * m_;
    std::set<std::pair<uint64_t, uint64_t>> items;
    for (const auto& item : links_) items.emplace(item.first / m_ / height, item.first % m_);
    items_.assign(items.begin(), items.end());
  }

  /** Removes `wanted` links: zeros first, then units by score, of the last unit only the smallest links. */
  void prune_links(const std::vector<Unit>& units, uint64_t wanted) {
    uint64_t removed = 0;
    const Links all = links_;
    for (const auto& [cell, link] : all) {
      if (link.weight == 0 && removed < wanted) removed += links_.erase(cell);
    }
    std::vector<Unit> left;
    for (const Unit& unit : units) {
      Unit rest{unit.number, {}};
      for (const CellId cell : unit.cells) {
        if (links_.count(cell) > 0) rest.cells.push_back(cell);
      }
      if (!rest.cells.empty()) left.push_back(rest);
    }
    for (Unit unit : by_score(left)) {
      if (removed + unit.cells.size() > wanted) {
        std::sort(unit.cells.begin(), unit.cells.end(), [this](CellId a, CellId b) {
          return std::make_pair(std::fabs(links_[a].weight), a) <
                 std::make_pair(std::fabs(links_[b].weight), b);
        });
      }
      for (const CellId cell : unit.cells) {
        if (removed < wanted) removed += links_.erase(cell);
      }
    }
  }

  /** Cells of a slot, occupied or not. */
  std::vector<CellId> slot_cells(uint64_t id) const {
    std::vector<CellId> cells;
    for (uint64_t i = id / m_ * g_; i < std::min(n_, (id / m_ + 1) * g_); ++i)
      cells.push_back(i * m_ + id % m_);
    return cells;
  }

  /** Occupied slots, in slot order. */
  std::vector<Unit> slots() const {
    std::map<uint64_t, std::vector<CellId>> occupied;
    for (const auto& item : links_)
      occupied[item.first / m_ / g_ * m_ + item.first % m_].push_back(item.first);
    std::vector<Unit> units;
    for (const auto& [id, cells] : occupied) units.push_back({id, cells});
    return units;
  }

  /** Runs of neighbouring sources per target, in pieces of at most g cells. */
  std::vector<Unit> runs() const {
    std::vector<Unit> units;
    for (uint64_t j = 0; j < m_; ++j) {
      Unit run{0, {}};
      for (uint64_t i = 0; i <= n_; ++i) {
        const CellId cell = i * m_ + j;
        const bool linked = i < n_ && links_.count(cell) > 0;
        if (!run.cells.empty() && (!linked || run.cells.size() == g_)) {
          units.push_back(run);
          run.cells.clear();
        }
        if (!linked) continue;
        if (run.cells.empty()) run.number = cell;
        run.cells.push_back(cell);
      }
    }
    return units;
  }

  /** Mean, max, min or sum of |w| over the links of a unit. */
  float score(const Unit& unit) {
    std::vector<float> sizes;
    for (const CellId cell : unit.cells) sizes.push_back(std::fabs(links_[cell].weight));
    float sum = 0.0f;
    for (const float size : sizes) sum += size;
    switch (policy_.score) {
      case MotifScore::mean:
        return sum / static_cast<float>(sizes.size());
      case MotifScore::max:
        return *std::max_element(sizes.begin(), sizes.end());
      case MotifScore::min:
        return *std::min_element(sizes.begin(), sizes.end());
      case MotifScore::sum:
        break;
    }
    return sum;
  }

  /** Units in ascending order of (score, number). */
  std::vector<Unit> by_score(const std::vector<Unit>& units) {
    std::map<std::pair<float, uint64_t>, Unit> ranked;
    for (const Unit& unit : units) ranked[{score(unit), unit.number}] = unit;
    std::vector<Unit> result;
    for (const auto& item : ranked) result.push_back(item.second);
    return result;
  }

  /** How growth by walk goes: from items of the first `rows` rows; place(row, target) is where it leads. */
  struct Steps {
    uint64_t rows = 0;
    std::function<uint64_t(uint64_t row, uint64_t target)> place;
  };

  /** Place that a walk with the draw of a slot leads to. */
  uint64_t walked(const PhiloxBlock& block, const Steps& steps, uint64_t starts) const {
    const uint64_t v = word64(block, 1);
    const auto [row, middle] = items_[below(word64(block, 0), starts)];
    std::vector<uint64_t> into, out;
    for (const auto& [i, j] : items_)
      if (j == middle) into.push_back(i);
    const uint64_t other = into[(v >> 32) * into.size() >> 32];
    for (const auto& [i, j] : items_)
      if (i == other) out.push_back(j);
    return steps.place(row, out[(v & 0xffffffffu) * out.size() >> 32]);
  }

  /**
   * Grows `wanted` links or motifs by the rule of the policy. cells_of(place) returns the cells that a place
   * stands for.
   */
  void grow(Stream stream, uint64_t wanted, uint64_t places,
            const std::function<std::vector<CellId>(uint64_t)>& cells_of, const Steps& steps) {
    std::vector<uint64_t> chosen;
    if (policy_.grow != Grow::gradient) {
      chosen = win_places(stream, wanted, places, cells_of, steps);
    } else {
      const uint64_t removed = held_.size() - kept_;
      const uint64_t count = wanted > 0 && kept_ > removed ? wanted * kept_ / removed : wanted;
      stream = stream == Stream::regrow ? Stream::candidate : Stream::candidate_single;
      std::vector<std::pair<double, uint64_t>> ranked;
      for (const uint64_t place : win_places(stream, count, places, cells_of, {}))
        ranked.emplace_back(-score_of(cells_of(place)), place);
      std::sort(ranked.begin(), ranked.end());
      for (size_t k = 0; k < std::min<size_t>(wanted, ranked.size()); ++k) chosen.push_back(ranked[k].second);
    }
    for (const uint64_t place : chosen) {
      for (const CellId cell : cells_of(place)) {
        links_[cell] = {0.0f, Link::kGrown};
        grown_.insert(cell);
      }
    }
  }

  double score_of(const std::vector<CellId>& cells) const {
    double sum = 0.0;
    for (const CellId cell : cells) {
      const auto source = static_cast<uint32_t>(cell / m_), target = static_cast<uint32_t>(cell % m_);
      double score = 0.0;
      (*scores_)(&source, &target, 1, &score);
      sum += score;
    }
    return sum;
  }

  /** Places that numbered slots win by rounds of proposals. */
  std::vector<uint64_t> win_places(Stream stream, uint64_t wanted, uint64_t places,
                                   const std::function<std::vector<CellId>(uint64_t)>& cells_of,
                                   const Steps& steps) const {
    std::set<CellId> taken;
    for (const auto& item : links_) taken.insert(item.first);
    uint64_t starts = 0;
    for (const auto& item : items_) starts += item.first < steps.rows;
    const bool walks = policy_.grow == Grow::walk && starts > 0;
    const auto is_free = [&](uint64_t place, const std::set<CellId>& among) {
      const std::vector<CellId> cells = cells_of(place);
      return std::none_of(cells.begin(), cells.end(), [&](CellId c) { return among.count(c) > 0; });
    };
    std::vector<uint64_t> won;
    std::set<uint64_t> open;
    for (uint64_t s = 0; s < wanted; ++s) open.insert(s);
    for (uint32_t round = 0; places > 0 && !open.empty(); ++round) {
      // List the free places if this round proposes among them.
      std::vector<uint64_t> free_places;
      const bool listed = crowded_ || round >= kOpenRounds;
      if (listed) {
        for (uint64_t place = 0; place < places; ++place) {
          if (is_free(place, taken)) free_places.push_back(place);
        }
        if (free_places.empty()) break;
      }
      const bool avoids = !listed && (walks || policy_.grow == Grow::gradient);
      // Draw a proposal for each open slot.
      std::map<uint64_t, uint64_t> proposals;  // slot -> free place
      std::map<CellId, uint64_t> lowest;       // cell -> lowest slot proposing it
      for (const uint64_t s : open) {
        const PhiloxBlock block = draw(key_.seed, stream, key_.layer, key_.draws(), s, round);
        const uint64_t u = word64(block);
        const uint64_t place = listed  ? free_places[below(u, free_places.size())]
                               : walks ? walked(block, steps, starts)
                                       : below(u, places);
        if (!is_free(place, taken) || (avoids && !is_free(place, held_))) continue;
        proposals[s] = place;
        for (const CellId cell : cells_of(place)) lowest.emplace(cell, s);
      }
      // A slot gets its place if it is the lowest slot in all cells of it.
      for (const auto& [s, place] : proposals) {
        const uint64_t slot = s;
        const std::vector<CellId> cells = cells_of(place);
        if (!std::all_of(cells.begin(), cells.end(), [&](CellId c) { return lowest[c] == slot; })) continue;
        taken.insert(cells.begin(), cells.end());
        won.push_back(place);
        open.erase(slot);
      }
    }
    return won;
  }

  /** Sets the weights of grown links. */
  void set_new_weights() {
    std::vector<uint32_t> fan_in(m_, 0);
    for (const auto& item : links_) ++fan_in[item.first % m_];
    for (const CellId cell : grown_) {
      links_[cell].weight = regrown_weight(policy_.regrow_init, key_.seed, key_.layer, key_.draws(), cell,
                                           static_cast<uint32_t>(n_), fan_in[cell % m_]);
    }
  }

  const uint64_t n_, m_, g_;
  const EvolutionPolicy policy_;
  const EvolutionKey key_;
  const CellScores* const scores_;
  Links links_;
  std::set<CellId> held_, grown_;                     // cells linked before pruning; cells of grown links
  std::vector<std::pair<uint64_t, uint64_t>> items_;  // row and target of what pruning kept, in order
  uint64_t kept_ = 0;                                 // links that pruning kept
  bool crowded_ = false;
};

}  // namespace

LayerEvolution evolve_layer(Layer& layer, const EvolutionPolicy& policy, const EvolutionKey& key,
                            const CellScores* scores) {
  if (!begin_evolution(layer, policy, key)) return {};
  require_scores(policy, scores);
  Evolution evolution(layer, policy, key, scores);
  const LayerEvolution result = evolution.run();
  evolution.store(layer);
  return result;
}

}  // namespace set_native::reference
