#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <random>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "core/evolution.h"
#include "core/topology.h"

/*
 * What the tests of evolution share: layers whose weights make pruning hard, and random scenarios of small
 * layers.
 */
namespace set_native::test {

using Random = std::mt19937_64;

inline double uniform(Random& random) {
  return static_cast<double>(random() >> 11) * 0x1p-53;
}

/** What the weights of a test layer look like. */
enum class Weights { uniform, ties, zeros, all_zero, all_equal, wild, rising, falling };

/** `place` tells where in the layer the link is, from 0 to 1. */
inline float test_weight(Weights kind, double place, Random& random) {
  const double u = 2 * uniform(random) - 1;
  switch (kind) {
    case Weights::uniform:
      return static_cast<float>(u);
    case Weights::ties:
      return static_cast<float>(std::round(u * 3) / 8 + (u < 0 ? -0.125 : 0.125));
    case Weights::zeros:
      return random() % 3 == 0 ? (random() % 2 == 0 ? 0.0f : -0.0f) : static_cast<float>(u);
    case Weights::all_zero:
      return random() % 2 == 0 ? 0.0f : -0.0f;
    case Weights::all_equal:
      return 0.7f;       // not a power of two: the mean of three is rounded
    case Weights::wild:  // denormal to nearly infinite
      return std::ldexp(static_cast<float>(u < 0 ? -1 : 1), static_cast<int>(random() % 270) - 145);
    case Weights::rising:  // all that goes, goes from one end of the layer: its rows move far
      return std::copysign(static_cast<float>(place), static_cast<float>(u));
    case Weights::falling:
      return std::copysign(static_cast<float>(1 - place), static_cast<float>(u));
  }
  return 0.0f;
}

/** Weights, moments and births for a pattern; every other layer is one of AdamW, with second moments. */
inline Layer dress(Csr links, Weights kind, Random& random) {
  Layer layer;
  layer.inputs = links.rows;
  layer.outputs = links.cols;
  for (uint64_t k = 0; k < links.nnz(); ++k) {
    layer.weights.push_back(
        test_weight(kind, (static_cast<double>(k) + 0.5) / static_cast<double>(links.nnz()), random));
    layer.velocity.push_back(static_cast<float>(uniform(random)) + 1.0f);
    layer.birth.push_back(static_cast<uint16_t>(random() % 5));
    if (links.nnz() % 2 != 0) layer.second_moment.push_back(2.0f * layer.velocity.back());
  }
  layer.bias.assign(links.cols, 0.5f);
  layer.bias_velocity.assign(links.cols, 0.25f);
  layer.links = std::move(links);
  return layer;
}

inline Csr full_pattern(uint32_t n, uint32_t m) {
  Csr csr{n, m, {0}, {}};
  for (uint32_t i = 0; i < n; ++i) {
    for (uint32_t j = 0; j < m; ++j) csr.col_indices.push_back(j);
    csr.row_offsets.push_back(static_cast<uint32_t>(csr.nnz()));
  }
  return csr;
}

/** Scores for growth by gradient, with many ties. */
inline void test_scores(const uint32_t* sources, const uint32_t* targets, size_t count, double* scores) {
  for (size_t k = 0; k < count; ++k) scores[k] = (sources[k] * 2654435761u ^ targets[k] * 40503u) >> 4 & 15;
}
inline const CellScores kTestScores = test_scores;

struct Scenario {
  Layer layer;
  EvolutionPolicy policy;
  EvolutionKey key;
  std::string text;
};

constexpr uint32_t kSizes[] = {1, 1, 2, 3, 4, 5, 7, 8, 13, 16, 33};
constexpr uint32_t kMotifSizes[] = {2, 3, 4, 8};

inline Scenario random_scenario(Random& random) {
  const auto pick = [&](const auto& values) { return values[random() % std::size(values)]; };
  const uint32_t n = random() % 2 == 0 ? pick(kSizes) : 1 + static_cast<uint32_t>(random() % 40);
  const uint32_t m = random() % 2 == 0 ? pick(kSizes) : 1 + static_cast<uint32_t>(random() % 40);
  const double density = pick(std::vector<double>{0.001, 0.03, 0.1, 0.3, 0.5, 0.6, 0.9, 0.99, 1.0});
  Scenario s;
  s.policy.zeta = pick(std::vector<double>{0.01, 0.1, 0.3, 0.5, 0.77, 0.95});
  s.policy.regrow_init = static_cast<RegrowInit>(random() % 3);
  const uint32_t motif_size = pick(kMotifSizes);
  const Prune kPrunes[] = {Prune::by_sign, Prune::thesis, Prune::lowest};
  const bool single = random() % 3 == 0;
  s.policy.motif_size = single ? 1 : motif_size;
  s.policy.prune = single ? pick(kPrunes) : Prune::lowest;
  s.policy.score = static_cast<MotifScore>(random() % 4);
  s.policy.parse = random() % 3 == 0 ? MotifParse::runs : MotifParse::aligned;
  const Grow kGrows[] = {Grow::random, Grow::walk, Grow::gradient};
  s.policy.grow = pick(kGrows);
  s.key = {random(), static_cast<uint32_t>(random() % 5), 10 + static_cast<uint32_t>(random() % 90)};
  const bool motifs = random() % 2 == 0;
  const TopologyKey topology{random(), 0};
  Csr links = density == 1.0 ? full_pattern(n, m)
              : motifs       ? motif(n, m, density, motif_size, topology)
                             : erdos_renyi(n, m, density, topology);
  const auto kind = static_cast<Weights>(random() % 8);
  s.layer = dress(std::move(links), kind, random);
  std::ostringstream text;
  text << n << " x " << m << ", " << s.layer.nnz() << " links" << (motifs ? " in motifs" : "") << ", zeta "
       << s.policy.zeta << ", prune " << static_cast<int>(s.policy.prune) << ", size " << s.policy.motif_size
       << ", score " << static_cast<int>(s.policy.score) << ", parse " << static_cast<int>(s.policy.parse)
       << ", grow " << static_cast<int>(s.policy.grow) << ", init " << static_cast<int>(s.policy.regrow_init)
       << ", weights " << static_cast<int>(kind);
  s.text = text.str();
  return s;
}

template <class A, class B>
bool same_bits(const A& a, const B& b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(a[0])) == 0);
}

inline bool same_layer(const Layer& a, const Layer& b) {
  bool same = a.inputs == b.inputs && a.outputs == b.outputs && a.links.rows == b.links.rows &&
              a.links.cols == b.links.cols && a.links.row_offsets == b.links.row_offsets &&
              a.links.col_indices == b.links.col_indices;
  const auto compare = [&](const char*, const auto& p, const auto& q) { same = same && same_bits(p, q); };
  for_each_link_array(compare, a, b);
  for_each_neuron_array(compare, a, b);
  return same;
}

}  // namespace set_native::test
