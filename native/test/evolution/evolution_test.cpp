#include "core/evolution.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <map>
#include <random>
#include <set>

#include "core/topology.h"
#include "evolution/evolve.h"
#include "layout/blocks.h"
#include "layout/thread_pool.h"
#include "reference/evolve.h"
#include "test/check.h"
#include "test/evolution/evolution_support.h"

namespace set_native {

namespace {

using namespace test;

constexpr unsigned kThreads[] = {1, 2, 3, 5};

struct Link {
  float weight;
  float momentum;
  uint16_t birth;
};

std::map<uint64_t, Link> by_cell(const Layer& layer) {
  std::map<uint64_t, Link> links;
  for (uint64_t i = 0; i < layer.inputs; ++i) {
    for (uint32_t k = layer.links.row_offsets[i]; k < layer.links.row_offsets[i + 1]; ++k) {
      links[i * layer.outputs + layer.links.col_indices[k]] = {layer.weights[k], layer.velocity[k],
                                                               layer.birth[k]};
    }
  }
  return links;
}

/** Links before evolution, dealt by what became of them. Grown links are known by their birth, the current
 * epoch. */
struct Fate {
  std::map<uint64_t, Link> kept, pruned, grown;
};

Fate fate_of(const Layer& before, const Layer& after, uint32_t epoch) {
  Fate fate;
  fate.pruned = by_cell(before);
  for (const auto& [cell, link] : by_cell(after)) {
    if (link.birth == epoch) {
      fate.grown[cell] = link;
      continue;
    }
    const auto old = fate.pruned.find(cell);
    CHECK_MSG(old != fate.pruned.end(), "cell " << cell << " is neither old nor born now");
    if (old == fate.pruned.end()) continue;
    CHECK(std::memcmp(&old->second.weight, &link.weight, 4) == 0);
    CHECK(std::memcmp(&old->second.momentum, &link.momentum, 4) == 0);
    CHECK_EQ(old->second.birth, link.birth);
    fate.kept.insert(*old);
    fate.pruned.erase(old);
  }
  return fate;
}

uint64_t rounded(double count) {
  return static_cast<uint64_t>(std::floor(count + 0.5));
}

std::vector<std::pair<float, uint64_t>> ranked(const std::map<uint64_t, Link>& links, int sign) {
  std::vector<std::pair<float, uint64_t>> result;
  for (const auto& [cell, link] : links) {
    if (sign * link.weight > 0) result.emplace_back(std::fabs(link.weight), cell);
  }
  std::sort(result.begin(), result.end());
  return result;
}

/** Per sign: as many as zeta says, and each of them before each kept one in (|w|, cell); no zero is kept. How
 * many the rule of the thesis removes is left to the reference. */
void check_pruned_by_sign(const Fate& fate, double zeta, Prune rule) {
  for (const int sign : {1, -1}) {
    const auto pruned = ranked(fate.pruned, sign), kept = ranked(fate.kept, sign);
    if (rule == Prune::by_sign)
      CHECK_EQ(pruned.size(), rounded(zeta * static_cast<double>(pruned.size() + kept.size())));
    if (!pruned.empty() && !kept.empty()) CHECK(pruned.back() < kept.front());
  }
  for (const auto& item : fate.kept) CHECK(item.second.weight != 0.0f);
}

TEST("prune: the thresholds of the thesis' program, counted by hand") {
  const auto removed = [](double zeta, const SignCounts& counts) {
    const PrunedBySign by_sign = by_thesis(zeta, counts);
    return std::pair<uint64_t, uint64_t>{by_sign.negative, by_sign.positive};
  };
  using Pair = std::pair<uint64_t, uint64_t>;
  // -4 -3 -2 -1 1 2 3 4 5 6: first 3, last 5, thresholds at positions 2 and 6.
  CHECK(removed(0.3, {4, 0, 6, 1, 1}) == (Pair{2, 3}));
  // -4 -3 -2 1 2 3 4 5 6 7: first 3, last 4, positions 2 and 5.
  CHECK(removed(0.3, {3, 0, 7, 0, 1}) == (Pair{1, 3}));
  // -3 -2 0 0 4 5: first 2, last 4, positions 1 and 4.
  CHECK(removed(0.3, {2, 2, 2, 0, 0}) == (Pair{1, 1}));
  // Only positive, only negative, a single one, zeros alone.
  CHECK(removed(0.3, {0, 0, 10, 0, 1}) == (Pair{0, 4}));
  CHECK(removed(0.3, {10, 0, 0, 1, 0}) == (Pair{4, 0}));
  CHECK(removed(0.3, {0, 0, 1, 0, 1}) == (Pair{0, 1}));
  CHECK(removed(0.3, {0, 5, 0, 0, 0}) == (Pair{0, 0}));
  // All weights equal: all go.
  CHECK(removed(0.3, {0, 0, 8, 0, 8}) == (Pair{0, 8}));
}

/** Slots as sets of links: number of links left and, in float and by ascending source, the sum of |w|. */
struct Slot {
  uint32_t count = 0;
  float sum = 0.0f, largest = 0.0f, smallest = std::numeric_limits<float>::infinity();
  void add(float w) {
    ++count;
    sum += std::fabs(w);
    largest = std::max(largest, std::fabs(w));
    smallest = std::min(smallest, std::fabs(w));
  }
  float score(MotifScore kind) const {
    return kind == MotifScore::mean  ? sum / static_cast<float>(count)
           : kind == MotifScore::max ? largest
           : kind == MotifScore::min ? smallest
                                     : sum;
  }
};

std::map<uint64_t, Slot> slots_of(const std::map<uint64_t, Link>& links, uint64_t m, uint64_t g) {
  std::map<uint64_t, Slot> slots;
  for (const auto& [cell, link] : links) slots[cell / m / g * m + cell % m].add(link.weight);
  return slots;
}

uint64_t slot_capacity(uint64_t slot, uint64_t n, uint64_t m, uint64_t g) {
  return std::min(g, n - slot / m * g);
}

bool whole(const std::map<uint64_t, Slot>& slots, uint64_t n, uint64_t m, uint64_t g) {
  return std::all_of(slots.begin(), slots.end(), [&](const auto& slot) {
    return slot.second.count == slot_capacity(slot.first, n, m, g);
  });
}

/** Layers of whole motifs: whole slots go, those of lowest score, and come back like for like. */
void check_whole_motifs(const Scenario& s, const Layer& after, const Fate& fate) {
  const uint64_t n = s.layer.inputs, m = s.layer.outputs, g = s.policy.motif_size;
  const auto pruned = slots_of(fate.pruned, m, g), kept = slots_of(fate.kept, m, g),
             grown = slots_of(fate.grown, m, g);
  CHECK(whole(slots_of(by_cell(after), m, g), n, m, g));
  CHECK(whole(pruned, n, m, g));
  const size_t occupied = slots_of(by_cell(s.layer), m, g).size();
  CHECK_EQ(pruned.size(), rounded(s.policy.zeta * static_cast<double>(occupied)));
  std::set<std::pair<float, uint64_t>> pruned_ranks, kept_ranks;
  for (const auto& [id, slot] : pruned) pruned_ranks.emplace(slot.score(s.policy.score), id);
  for (const auto& [id, slot] : kept) kept_ranks.emplace(slot.score(s.policy.score), id);
  if (!pruned.empty() && !kept.empty()) CHECK(*pruned_ranks.rbegin() < *kept_ranks.begin());
  CHECK_EQ(pruned.size(), grown.size());
  for (const uint64_t capacity : {g, n % g}) {
    const auto of_capacity = [&](const auto& slot) { return slot_capacity(slot.first, n, m, g) == capacity; };
    CHECK_EQ(std::count_if(pruned.begin(), pruned.end(), of_capacity),
             std::count_if(grown.begin(), grown.end(), of_capacity));
  }
}

/** Any other layer: K links; zeros first; of the slots touched beyond zeros all but one are empty. */
void check_links_by_slot(const Scenario& s, const Fate& fate) {
  const uint64_t m = s.layer.outputs, g = s.policy.motif_size;
  const uint64_t count = rounded(s.policy.zeta * static_cast<double>(s.layer.nnz()));
  CHECK_EQ(fate.pruned.size(), count);
  uint64_t zeros_kept = 0, others_pruned = 0;
  int64_t last_zero_pruned = -1;
  for (const auto& [cell, link] : fate.kept) zeros_kept += link.weight == 0;
  for (const auto& [cell, link] : fate.pruned) {
    others_pruned += link.weight != 0;
    if (link.weight == 0) last_zero_pruned = static_cast<int64_t>(cell);
  }
  if (zeros_kept > 0) {
    CHECK_EQ(others_pruned, 0u);
    for (const auto& [cell, link] : fate.kept) {
      CHECK(link.weight != 0 || static_cast<int64_t>(cell) > last_zero_pruned);
    }
    return;
  }
  if (s.policy.parse == MotifParse::runs) return;     // the reference is the judge of runs
  std::map<uint64_t, Link> ranked_links = fate.kept;  // all but the zeros, which went before
  for (const auto& [cell, link] : fate.pruned) {
    if (link.weight != 0) ranked_links[cell] = link;
  }
  const auto all = slots_of(ranked_links, m, g);
  auto pruned = slots_of(fate.pruned, m, g);
  const auto kept = slots_of(fate.kept, m, g);
  std::pair<float, uint64_t> highest_touched{-1.0f, 0};
  uint32_t split = 0;
  std::map<uint64_t, bool> touched;
  for (const auto& [cell, link] : fate.pruned) {
    if (link.weight != 0) touched[cell / m / g * m + cell % m] = true;
  }
  for (const auto& item : touched) {
    highest_touched = std::max(highest_touched, {all.at(item.first).score(s.policy.score), item.first});
    if (kept.count(item.first) == 0) continue;
    ++split;
    CHECK(pruned.at(item.first).largest <= kept.at(item.first).smallest);
  }
  CHECK(split <= 1);
  for (const auto& [id, slot] : kept) {
    const std::pair<float, uint64_t> rank{all.at(id).score(s.policy.score), id};
    CHECK(touched.count(id) > 0 ? rank == highest_touched : highest_touched < rank);
  }
}

void check_grown_weights(const Scenario& s, const Layer& after, const Fate& fate) {
  const std::vector<uint32_t> links_into = fan_in(after.links);
  for (const auto& [cell, link] : fate.grown) {
    const float expected = regrown_weight(s.policy.regrow_init, s.key.seed, s.key.layer, s.key.epoch, cell,
                                          s.layer.inputs, links_into[cell % s.layer.outputs]);
    CHECK(std::memcmp(&expected, &link.weight, 4) == 0);
    CHECK_EQ(link.momentum, 0.0f);
  }
}

/** How the CPU back end holds a layer and evolves it: none of this may be seen in the result. */
struct Form {
  unsigned threads = 2;
  uint32_t height = 1;
  bool wide = false;
};

ThreadPool& pool_of(unsigned threads) {
  static std::map<unsigned, ThreadPool> pools;
  return pools.try_emplace(threads, threads).first->second;
}

template <class Index>
void check_blocks(const Blocks<Index>& blocks) {
  Blocks<Index> indexed = blocks;
  indexed.by_target = {};
  indexed.index_targets();
  CHECK(blocks.by_target.offsets == indexed.by_target.offsets);
  CHECK(blocks.by_target.groups == indexed.by_target.groups);
  CHECK(blocks.by_target.blocks == indexed.by_target.blocks);
  const uint32_t last = blocks.groups() - 1;
  for (size_t k = blocks.offsets[last]; k < blocks.size(); ++k) {
    for (size_t r = blocks.sources_of(last); r < blocks.height; ++r) {
      const size_t beyond = k * blocks.height + r;
      CHECK(blocks.weights[beyond] == 0 && blocks.velocity[beyond] == 0 && blocks.birth[beyond] == 0);
    }
  }
}

LayerEvolution evolve_in(const Form& form, Layer& layer, const EvolutionPolicy& policy,
                         const EvolutionKey& key) {
  if (layer.dense) return {};
  Layer copy = layer;
  AnyBlocks blocks;
  if (form.wide) {
    blocks = pack_as<uint32_t>(copy, form.height);
  } else {
    blocks = pack(copy, form.height);
  }
  if (!begin_evolution(blocks, policy, key)) return {};
  const LayerEvolution result = evolve_layer(blocks, policy, key, pool_of(form.threads), &kTestScores);
  std::visit([&](auto& held) { check_blocks(held), unpack(held, copy); }, blocks);
  layer = std::move(copy);
  return result;
}

LayerEvolution cpu_evolve(Layer& layer, const EvolutionPolicy& policy, const EvolutionKey& key) {
  return evolve_in({2, layer.dense ? 1 : whole_height(layer.links), false}, layer, policy, key);
}

/** One random scenario against every invariant, and against the reference, in every form. */
void check_scenario(const Scenario& s) {
  Layer after = s.layer, oracle = s.layer;
  const LayerEvolution result = cpu_evolve(after, s.policy, s.key);
  const LayerEvolution expected = reference::evolve_layer(oracle, s.policy, s.key, &kTestScores);
  CHECK_MSG(same_layer(after, oracle), "cpu and reference differ: " << s.text);
  CHECK_EQ(result.pruned, expected.pruned);
  CHECK_EQ(result.grown, expected.grown);
  CHECK_EQ(result.pruned, result.grown);
  for (const uint32_t height : {1u, 2u, 3u, 4u, 8u}) {
    if (!is_whole(s.layer.links, height)) continue;
    const Form form{kThreads[(s.key.seed + height) % std::size(kThreads)], height, s.key.seed / 4 % 2 == 0};
    Layer other = s.layer;
    const LayerEvolution evolved = evolve_in(form, other, s.policy, s.key);
    CHECK_MSG(same_layer(other, oracle), "cpu and reference differ: " << s.text << ", " << form.threads
                                                                      << " threads, blocks of " << height
                                                                      << (form.wide ? ", wide" : ""));
    CHECK_EQ(evolved.pruned, expected.pruned);
    CHECK_EQ(evolved.grown, expected.grown);
  }
  CHECK_EQ(after.nnz(), s.layer.nnz());
  CHECK_EQ(after.links.nnz(), s.layer.nnz());
  CHECK_EQ(after.velocity.size(), s.layer.nnz());
  CHECK_EQ(after.birth.size(), s.layer.nnz());
  check_csr(after.links, "test");
  CHECK(same_bits(after.bias, s.layer.bias));
  CHECK(same_bits(after.bias_velocity, s.layer.bias_velocity));

  const Fate fate = fate_of(s.layer, after, s.key.epoch);
  CHECK_EQ(fate.grown.size(), result.grown);
  CHECK_EQ(fate.pruned.size(), result.pruned);
  CHECK_EQ(fate.kept.size() + result.pruned, s.layer.nnz());
  check_grown_weights(s, after, fate);
  const uint64_t n = s.layer.inputs, m = s.layer.outputs, g = s.policy.motif_size;
  if (s.policy.prune != Prune::lowest) {
    check_pruned_by_sign(fate, s.policy.zeta, s.policy.prune);
  } else if (s.policy.parse == MotifParse::aligned && whole(slots_of(by_cell(s.layer), m, g), n, m, g)) {
    check_whole_motifs(s, after, fate);
  } else {
    check_links_by_slot(s, fate);
  }
}

using Evolve = LayerEvolution (*)(Layer&, const EvolutionPolicy&, const EvolutionKey&);
LayerEvolution reference_evolve(Layer& layer, const EvolutionPolicy& policy, const EvolutionKey& key) {
  return reference::evolve_layer(layer, policy, key, &kTestScores);
}
constexpr Evolve kImplementations[] = {&cpu_evolve, &reference_evolve};

/**
 * Chi-square of observed counts against equal expectation, as a number of standard normal deviations
 * (Wilson and Hilferty 1931). 3.72 is p = 1e-4.
 */
double chi_square_deviation(const std::vector<uint64_t>& observed) {
  double total = 0, chi = 0;
  for (const uint64_t o : observed) total += static_cast<double>(o);
  const double expected = total / static_cast<double>(observed.size());
  for (const uint64_t o : observed) chi += std::pow(static_cast<double>(o) - expected, 2) / expected;
  const double degrees = static_cast<double>(observed.size()) - 1, v = 2 / (9 * degrees);
  return (std::cbrt(chi / degrees) - (1 - v)) / std::sqrt(v);
}

/** Layer in which `kept` cells hold large weights and all others that are linked hold zeros, which always go.
 */
Layer kept_and_zeros(uint32_t n, uint32_t m, const std::set<uint64_t>& kept,
                     const std::set<uint64_t>& zeros) {
  Layer layer;
  layer.inputs = n;
  layer.outputs = m;
  layer.links = {n, m, {0}, {}};
  for (uint64_t c = 0; c < static_cast<uint64_t>(n) * m; ++c) {
    if (kept.count(c) + zeros.count(c) > 0) {
      layer.links.col_indices.push_back(static_cast<uint32_t>(c % m));
      layer.weights.push_back(kept.count(c) > 0 ? 1.0f : 0.0f);
    }
    if (c % m == m - 1) layer.links.row_offsets.push_back(static_cast<uint32_t>(layer.links.nnz()));
  }
  layer.velocity.assign(layer.nnz(), 0.5f);
  layer.birth.assign(layer.nnz(), 0);
  layer.bias.assign(m, 0.0f);
  layer.bias_velocity.assign(m, 0.0f);
  return layer;
}

}  // namespace

TEST("evolution: all invariants, and cpu equal to the reference, in random scenarios") {
  Random random(test::seed());
  for (int round = 0; round < 3000; ++round) check_scenario(random_scenario(random));
}

TEST("evolution: invariants hold over many epochs, and whole motifs stay whole") {
  Random random(test::seed() + 1);
  for (int round = 0; round < 40; ++round) {
    Scenario s = random_scenario(random);
    for (uint32_t epoch = 200; epoch < 215; ++epoch) {
      s.key.epoch = epoch;
      check_scenario(s);
      cpu_evolve(s.layer, s.policy, s.key);
    }
  }
}

TEST("evolution: larger layers, cpu equal to the reference") {
  Random random(test::seed() + 2);
  for (const uint32_t size : {1u, 2u + static_cast<uint32_t>(random() % 3)}) {
    for (const MotifParse parse : {MotifParse::aligned, MotifParse::runs}) {
      for (const bool motifs : {false, true}) {
        Scenario s;
        const TopologyKey key{random(), 0};
        s.policy = policy_of(size);
        s.policy.parse = parse;
        s.key = {random(), 1, 9};
        s.layer =
            dress(motifs ? motif(301, 283, 0.05, std::max(size, 2u), key) : erdos_renyi(301, 283, 0.05, key),
                  Weights::uniform, random);
        s.text = "301 x 283";
        check_scenario(s);
      }
    }
  }
}

TEST("evolution: layers so full that thousands of proposals fail, on several threads") {
  Random random(test::seed() + 3);
  for (const double density : {0.35, 0.48, 0.7}) {
    for (const uint32_t g : {1u, 2u, 3u}) {
      Scenario s;
      s.policy = policy_of(g);
      s.policy.zeta = 0.6;
      s.key = {random(), 1, 9};
      const TopologyKey key{random(), 0};
      const uint32_t n = 200 * g + 1, m = 300;
      s.layer = dress(g > 1 ? motif(n, m, density, g, key) : erdos_renyi(n, m, density, key),
                      Weights::uniform, random);
      s.text = std::to_string(n) + " x 300, density " + std::to_string(density);
      Layer oracle = s.layer;
      reference::evolve_layer(oracle, s.policy, s.key);
      for (const unsigned threads : kThreads) {
        Layer layer = s.layer;
        evolve_in({threads, g, threads == 3}, layer, s.policy, s.key);
        CHECK_MSG(same_layer(layer, oracle), s.text << ", " << threads << " threads");
      }
    }
  }
}

TEST("evolution: SET on a layer small enough to follow by hand") {
  // 2 x 4, weights 0.1 0.2 0.3 0.4 | -0.1 -0.2 0 -0: zeta 0.5 removes 0.1, 0.2, -0.1 and both zeros.
  for (const Evolve evolve : kImplementations) {
    Random random(1);
    Layer layer = dress(full_pattern(2, 4), Weights::uniform, random);
    layer.birth.assign(8, 0);
    const float weights[] = {0.4f, 0.1f, 0.3f, 0.2f, -0.2f, 0.0f, -0.1f, -0.0f};
    std::copy(std::begin(weights), std::end(weights), layer.weights.begin());
    EvolutionPolicy policy;
    policy.zeta = 0.5;
    policy.regrow_init = RegrowInit::zero;
    const LayerEvolution result = evolve(layer, policy, {5, 0, 3});
    CHECK_EQ(result.pruned, 5u);
    CHECK_EQ(result.grown, 5u);
    const float expected[] = {0.4f, 0.0f, 0.3f, 0.0f, -0.2f, 0.0f, 0.0f, 0.0f};
    const uint16_t births[] = {0, 3, 0, 3, 0, 3, 3, 3};  // the layer is full: each pruned cell must return
    for (int k = 0; k < 8; ++k) {
      CHECK_EQ(layer.weights[k], expected[k]);
      CHECK_EQ(layer.birth[k], births[k]);
      CHECK_EQ(layer.velocity[k] == 0.0f, births[k] == 3);
    }
  }
}

TEST("evolution: motif pruning on a layer small enough to follow by hand") {
  // Sources 0, 1 | 2, target 0: 0.1, 0.9 | 0.4; target 1: 0.3, - | -. Not of whole motifs: slot (0, 1) is
  // half full. Mean: slots (0, 0) 0.5, (0, 1) 0.3, (1, 0) 0.4. zeta 0.5 of 4: 2 links: slot (0, 1), then slot
  // (1, 0). Min: slot (0, 0) has 0.1 and goes first, whole.
  for (const Evolve evolve : kImplementations) {
    const auto survivors = [&](MotifScore score, double zeta) {
      Random random(1);
      Layer layer = dress({3, 2, {0, 2, 3, 4}, {0, 1, 0, 0}}, Weights::uniform, random);
      layer.birth.assign(4, 0);
      const float weights[] = {0.1f, -0.3f, -0.9f, 0.4f};
      std::copy(std::begin(weights), std::end(weights), layer.weights.begin());
      EvolutionPolicy policy = policy_of(2);
      policy.zeta = zeta;
      policy.score = score;
      evolve(layer, policy, {5, 0, 3});
      std::set<float> kept;
      for (size_t k = 0; k < 4; ++k) {
        if (layer.birth[k] == 0) kept.insert(layer.weights[k]);
      }
      return kept;
    };
    CHECK((survivors(MotifScore::mean, 0.5) == std::set<float>{0.1f, -0.9f}));
    CHECK((survivors(MotifScore::mean, 0.75) ==
           std::set<float>{-0.9f}));  // of the last slot the smaller member
    CHECK((survivors(MotifScore::min, 0.5) == std::set<float>{-0.3f, 0.4f}));
    CHECK((survivors(MotifScore::max, 0.25) == std::set<float>{0.1f, -0.9f, 0.4f}));
    CHECK((survivors(MotifScore::sum, 0.5) == std::set<float>{0.1f, -0.9f}));
  }
}

TEST("evolution: the share of motifs is one of occupied slots, whatever the last group holds") {
  Random random(7);
  for (const auto& [n, g] : {std::pair{4u, 8u}, {1u, 2u}, {5u, 4u}, {3u, 2u}, {8u, 4u}}) {
    Layer layer = dress(motif(n, 1000, 0.5, g, {3, 0}), Weights{}, random);
    const size_t occupied = slots_of(by_cell(layer), 1000, g).size();
    const EvolutionPolicy policy = policy_of(g);
    constexpr uint16_t kEpoch = 60000;  // no link is born then yet
    cpu_evolve(layer, policy, {3, 0, kEpoch});
    std::map<uint64_t, Link> kept;
    for (const auto& [cell, link] : by_cell(layer))
      if (link.birth != kEpoch) kept.emplace(cell, link);
    CHECK_EQ(occupied - slots_of(kept, 1000, g).size(), rounded(0.3 * static_cast<double>(occupied)));
  }
}

TEST("evolution: runs cut neighbours from the lowest source on") {
  // One target, sources 0 1 2 and 4 5: runs of two are (0, 1), (2), (4, 5). Means 0.5, 0.6, 0.55.
  for (const Evolve evolve : kImplementations) {
    Random random(1);
    Layer layer = dress({7, 1, {0, 1, 2, 3, 3, 4, 5, 5}, {0, 0, 0, 0, 0}}, Weights::uniform, random);
    layer.birth.assign(5, 0);
    const float weights[] = {0.9f, 0.1f, 0.6f, 0.2f, 0.9f};
    std::copy(std::begin(weights), std::end(weights), layer.weights.begin());
    EvolutionPolicy policy = policy_of(2);
    policy.parse = MotifParse::runs;
    policy.zeta = 0.7;  // 4 of 5 links
    evolve(layer, policy, {5, 0, 3});
    uint32_t kept = 0;
    for (size_t k = 0; k < 5; ++k) {
      if (layer.birth[k] != 0) continue;
      ++kept;
      CHECK_EQ(layer.weights[k], 0.6f);
    }
    CHECK_EQ(kept, 1u);
  }
}

TEST("evolution: another epoch, layer or seed grows elsewhere") {
  Random random(test::seed());
  const Layer start = dress(erdos_renyi(80, 80, 0.1, {random(), 0}), Weights::uniform, random);
  const auto grown = [&](EvolutionKey key) {
    Layer layer = start;
    cpu_evolve(layer, {}, key);
    return layer.links.col_indices;
  };
  const auto base = grown({7, 1, 20});
  CHECK(base == grown({7, 1, 20}));
  CHECK(base != grown({7, 1, 21}));
  CHECK(base != grown({7, 2, 20}));
  CHECK(base != grown({8, 1, 20}));
}

TEST("evolution: nothing happens to dense or empty layers") {
  Random random(test::seed());
  Layer dense = dress(full_pattern(5, 4), Weights::uniform, random);
  dense.dense = true;
  dense.links = {};
  dense.birth.clear();
  Layer empty = dress({3, 3, {0, 0, 0, 0}, {}}, Weights::uniform, random);
  for (const Evolve evolve : kImplementations) {
    for (const Layer& layer : {dense, empty}) {
      Layer after = layer;
      const LayerEvolution result = evolve(after, {}, {1, 0, 1});
      CHECK_EQ(result.pruned, 0u);
      CHECK_EQ(result.grown, 0u);
      CHECK(same_layer(after, layer));
    }
  }
}

TEST("evolution: refuses weights that are not numbers, and bad policies, before any change") {
  Random random(test::seed());
  const Layer good = dress(erdos_renyi(20, 20, 0.3, {1, 0}), Weights::uniform, random);
  for (const Evolve evolve : kImplementations) {
    for (const float bad : {NAN, -NAN, INFINITY, -INFINITY}) {
      for (const uint32_t motif_size : {1u, 2u}) {
        Layer layer = good;
        const EvolutionPolicy policy = policy_of(motif_size);
        layer.weights[layer.nnz() / 2] = bad;
        const Layer before = layer;
        CHECK_THROWS(non_finite, evolve(layer, policy, {1, 0, 1}));
        CHECK(same_layer(layer, before));
      }
    }
    for (const double zeta : {0.0, 1.0, -0.5, 7.0, std::nan("")}) {
      Layer layer = good;
      EvolutionPolicy policy;
      policy.zeta = zeta;
      CHECK_THROWS(out_of_range, evolve(layer, policy, {1, 0, 1}));
      CHECK(same_layer(layer, good));
    }
    Layer layer = good;
    EvolutionPolicy policy;
    policy.motif_size = 0;
    CHECK_THROWS(out_of_range, evolve(layer, policy, {1, 0, 1}));
    policy.motif_size = 2;  // by sign, which looks at single links
    CHECK_THROWS(invalid_argument, evolve(layer, policy, {1, 0, 1}));
    CHECK_THROWS(out_of_range, evolve(layer, {}, {1, 1u << 12, 1}));
    CHECK(same_layer(layer, good));
  }
  Layer layer = good;
  layer.weights[0] = NAN;
  uint32_t row = 0;
  while (layer.links.row_offsets[row + 1] == 0) ++row;
  std::ostringstream place;
  place << "link " << row << " -> " << layer.links.col_indices[0] << " of layer 4";
  try {
    cpu_evolve(layer, {}, {1, 4, 1});
  } catch (const Error& error) {
    CHECK_MSG(std::string(error.what()).find(place.str()) != std::string::npos, error.what());
  }
}

TEST("regrow: every free cell is as likely, pruned ones too, for sparse and for crowded layers") {
  for (const uint32_t kept_of_ten : {1u, 4u, 8u}) {
    const uint32_t n = 23, m = 17;
    std::set<uint64_t> kept, zeros;
    for (uint64_t c = 0; c < n * m; ++c) {
      if ((c * 7 + c / m) % 10 < kept_of_ten) {
        kept.insert(c);
      } else if (zeros.size() < 30 && c % 3 == 0) {
        zeros.insert(c);
      }
    }
    const Layer start = kept_and_zeros(n, m, kept, zeros);
    EvolutionPolicy policy;
    policy.zeta = 1e-6;  // the zeros alone go
    std::map<uint64_t, uint64_t> hits;
    for (uint32_t epoch = 1; epoch <= 3000; ++epoch) {
      Layer layer = start;
      CHECK_EQ(cpu_evolve(layer, policy, {42, 3, epoch}).grown, zeros.size());
      for (const auto& item : fate_of(start, layer, epoch).grown) ++hits[item.first];
    }
    CHECK_EQ(hits.size(), n * m - kept.size());
    std::vector<uint64_t> counts;
    for (const auto& item : hits) counts.push_back(item.second);
    // Without replacement counts vary less than by chance, hence no lower bound; a bias shows as an excess.
    const double deviation = chi_square_deviation(counts);
    CHECK_MSG(deviation < 3.72, kept_of_ten << " tenths kept: " << deviation << " deviations");
  }
}

TEST("regrow: every empty motif slot and every free anchor is as likely") {
  const uint32_t n = 21, m = 15, g = 2;
  std::set<uint64_t> kept, zeros;
  for (uint64_t slot = 0; slot < n / g * m; ++slot) {
    const uint64_t cell = slot / m * g * m + slot % m;
    if (slot % 5 == 0) kept.insert({cell, cell + m});
    if (slot % 13 == 1 && slot % 5 != 0) zeros.insert({cell, cell + m});
  }
  const Layer start = kept_and_zeros(n, m, kept, zeros);
  EvolutionPolicy policy = policy_of(2);
  policy.zeta = (static_cast<double>(zeros.size()) + 0.1) / static_cast<double>(start.nnz());
  std::map<uint64_t, uint64_t> hits;
  for (uint32_t epoch = 1; epoch <= 3000; ++epoch) {
    Layer layer = start;
    cpu_evolve(layer, policy, {42, 3, epoch});
    const Fate fate = fate_of(start, layer, epoch);
    CHECK_EQ(fate.grown.size(), zeros.size());
    for (const auto& slot : slots_of(fate.grown, m, g)) ++hits[slot.first];
  }
  CHECK_EQ(hits.size(), n / g * m - kept.size() / g);
  std::vector<uint64_t> counts;
  for (const auto& item : hits) counts.push_back(item.second);
  CHECK_MSG(chi_square_deviation(counts) < 3.72, chi_square_deviation(counts) << " deviations, slots");

  // One run at a time, so that no overlap can favour an anchor.
  const Layer lone = kept_and_zeros(n, m, kept, {1, 1 + m});
  const std::map<uint64_t, Link> lone_links = by_cell(lone);
  policy.parse = MotifParse::runs;
  policy.zeta = 2.1 / static_cast<double>(lone.nnz());
  std::map<uint64_t, uint64_t> anchors;
  for (uint32_t epoch = 1; epoch <= 20000; ++epoch) {
    Layer layer = lone;
    cpu_evolve(layer, policy, {42, 3, epoch});
    ++anchors[fate_of(lone, layer, epoch).grown.begin()->first];
  }
  size_t free_anchors = 0;
  for (uint64_t c = 0; c < static_cast<uint64_t>(n - 1) * m; ++c)
    free_anchors += kept.count(c) + kept.count(c + m) == 0;
  CHECK_EQ(anchors.size(), free_anchors);
  counts.clear();
  for (const auto& item : anchors) counts.push_back(item.second);
  CHECK_MSG(chi_square_deviation(counts) < 3.72, chi_square_deviation(counts) << " deviations, anchors");
}

}  // namespace set_native
