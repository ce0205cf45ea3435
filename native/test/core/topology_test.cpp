#include "core/topology.h"

#include <cmath>
#include <random>

#include "core/weights.h"
#include "test/check.h"

/*
 * Statistics over random seeds: bounds are five standard deviations of the statistic, so that each check
 * fails by chance about once in a million runs.
 */
namespace set_native {

namespace {

struct Moments {
  double mean = 0.0;
  double variance = 0.0;
};

template <class Values>
Moments moments(const Values& values) {
  Moments result;
  for (const auto v : values) result.mean += v;
  result.mean /= static_cast<double>(values.size());
  for (const auto v : values) result.variance += (v - result.mean) * (v - result.mean);
  result.variance /= static_cast<double>(values.size());
  return result;
}

std::vector<uint32_t> out_degrees(const Csr& csr) {
  std::vector<uint32_t> degrees;
  for (uint32_t i = 0; i < csr.rows; ++i) degrees.push_back(csr.row_offsets[i + 1] - csr.row_offsets[i]);
  return degrees;
}

bool linked(const Csr& csr, uint32_t i, uint32_t j) {
  for (uint32_t k = csr.row_offsets[i]; k < csr.row_offsets[i + 1]; ++k) {
    if (csr.col_indices[k] == j) return true;
  }
  return false;
}

void check_near(double got, double expected, double deviation, const char* what) {
  CHECK_MSG(std::fabs(got - expected) <= 5.0 * deviation + 1e-12,
            what << " is " << got << ", expected " << expected << " +- " << deviation);
}

}  // namespace

TEST("erdos-renyi: number of links and degrees as expected, for any shape and density") {
  std::mt19937_64 random(test::seed());
  for (int round = 0; round < 40; ++round) {
    const uint32_t n = 1 + random() % 400, m = 1 + random() % 400;
    const double p =
        round % 4 == 0 ? 0.9 + 0.099 * (random() % 100 / 100.0) : std::pow(0.5, 1 + random() % 10);
    const Csr csr = erdos_renyi(n, m, p, {random(), 3});
    check_csr(csr, "test");
    CHECK_EQ(csr.rows, n);
    CHECK_EQ(csr.cols, m);
    const double cells = static_cast<double>(n) * m;
    check_near(static_cast<double>(csr.nnz()), p * cells, std::sqrt(p * (1 - p) * cells), "nnz");
  }
}

TEST("erdos-renyi: in- and out-degrees are binomial") {
  const uint32_t n = 2000, m = 3000;
  const double p = 0.01;
  const Csr csr = erdos_renyi(n, m, p, {test::seed(), 0});
  const Moments in = moments(fan_in(csr)), out = moments(out_degrees(csr));
  check_near(in.mean, n * p, std::sqrt(n * p / m), "mean in-degree");
  check_near(out.mean, m * p, std::sqrt(m * p / n), "mean out-degree");
  // The variance of s samples of nearly normal numbers has a relative deviation of sqrt(2 / s).
  check_near(in.variance / (n * p * (1 - p)), 1.0, std::sqrt(2.0 / m) * 1.1, "variance of in-degrees");
  check_near(out.variance / (m * p * (1 - p)), 1.0, std::sqrt(2.0 / n) * 1.1, "variance of out-degrees");
}

TEST("erdos-renyi: every cell is as likely, those at the edges too") {
  const uint32_t n = 5, m = 7, draws = 4000;
  for (const double p : {0.03, 0.5, 0.97}) {
    std::vector<uint32_t> hits(n * m, 0);
    for (uint32_t t = 0; t < draws; ++t) {
      const Csr csr = erdos_renyi(n, m, p, {test::seed() + t, 1});
      for (uint32_t i = 0; i < n; ++i) {
        for (uint32_t k = csr.row_offsets[i]; k < csr.row_offsets[i + 1]; ++k)
          ++hits[i * m + csr.col_indices[k]];
      }
    }
    for (const uint32_t h : hits)
      check_near(h, p * draws, std::sqrt(p * (1 - p) * draws) * 1.1, "hits of a cell");
  }
}

TEST("erdos-renyi: tiny and huge probabilities end") {
  CHECK_EQ(erdos_renyi(100, 4000000000u, 1e-300, {test::seed(), 0}).nnz(), 0u);
  CHECK_EQ(erdos_renyi(100, 100, 5e-324, {test::seed(), 0}).nnz(), 0u);
  CHECK_EQ(erdos_renyi(30, 30, 1.0 - 1e-15, {test::seed(), 0}).nnz(), 900u);
}

TEST("topologies: a function of seed and layer alone") {
  const TopologyKey key{test::seed(), 1}, other_layer{test::seed(), 2}, other_seed{test::seed() + 1, 1};
  for (const auto& make : {+[](TopologyKey k) { return erdos_renyi(60, 50, 0.1, k); },
                           +[](TopologyKey k) { return motif(60, 50, 0.1, 2, k); },
                           +[](TopologyKey k) { return motif_printed(60, 50, 0.5, k); }}) {
    CHECK(make(key).col_indices == make(key).col_indices);
    CHECK(make(key).col_indices != make(other_layer).col_indices);
    CHECK(make(key).col_indices != make(other_seed).col_indices);
  }
}

TEST("motif: slots are full or empty, for any shape and motif size") {
  std::mt19937_64 random(test::seed());
  for (int round = 0; round < 60; ++round) {
    const uint32_t n = 1 + random() % 90, m = 1 + random() % 60, g = 2 + random() % 7;
    const Csr csr = motif(n, m, 0.05 + 0.9 * (random() % 100 / 100.0), g, {random(), 0});
    check_csr(csr, "test");
    for (uint32_t i = 0; i < n; ++i) {
      for (uint32_t j = 0; j < m; ++j) CHECK_EQ(linked(csr, i, j), linked(csr, i / g * g, j));
    }
  }
}

TEST("motif: links and degrees as Erdos-Renyi, in-degree variance motif_size times as large") {
  for (const uint32_t g : {2u, 3u, 8u}) {
    const uint32_t n = 2401, m = 3000;  // not a multiple of any g
    const double p = 0.01;
    const Csr csr = motif(n, m, p, g, {test::seed(), 0});
    const Moments in = moments(fan_in(csr)), out = moments(out_degrees(csr));
    const double cells = static_cast<double>(n) * m;
    check_near(static_cast<double>(csr.nnz()), p * cells, std::sqrt(g * p * cells), "nnz");
    check_near(in.mean, n * p, std::sqrt(g * n * p / m), "mean in-degree");
    check_near(out.mean, m * p, std::sqrt(g * m * p / n), "mean out-degree");
    check_near(in.variance / (n * p * (1 - p)), g, g * std::sqrt(2.5 / m), "variance of in-degrees");
    check_near(out.variance / (m * p * (1 - p)), 1.0, std::sqrt(2.5 * g / n), "variance of out-degrees");
  }
}

TEST("motif-printed: prefixes of the sources, row i of density p^i") {
  const uint32_t n = 50, m = 20000;
  for (const double p : {0.0087, 0.3, 0.9}) {
    const Csr csr = motif_printed(n, m, p, {test::seed(), 0});
    check_csr(csr, "test");
    const std::vector<uint32_t> degrees = out_degrees(csr);
    for (uint32_t i = 0; i < n; ++i) {
      const double density = std::pow(p, i + 1.0);
      if (density * m < 0.01) break;  // too rare for a normal bound
      check_near(degrees[i], density * m, std::sqrt(density * (1 - density) * m) + 0.4, "links of a row");
    }
    std::vector<uint32_t> length(m, 0);
    for (uint32_t i = 0; i < n; ++i) {
      for (uint32_t k = csr.row_offsets[i]; k < csr.row_offsets[i + 1]; ++k) {
        CHECK_EQ(length[csr.col_indices[k]]++, i);  // no gaps
      }
    }
  }
}

TEST("motif-printed: at 3000 x 3000 and epsilon 13 about 26 links, and nothing gets through") {
  const double p = cell_probability(13, 3000, 3000);
  double links = 0;
  for (uint32_t t = 0; t < 200; ++t)
    links += static_cast<double>(motif_printed(3000, 3000, p, {test::seed() + t, 0}).nnz());
  const double expected = 3000 * p / (1 - p);
  check_near(links / 200, expected, std::sqrt(expected * (1 + 2 * p) / 200), "mean nnz");

  ModelSpec spec;
  spec.sizes = {784, 3000, 3000, 3000, 10};
  spec.topology = Topology::motif_printed;
  spec.seed = test::seed();
  const Reachability printed = reachability(build_model(spec));
  CHECK_EQ(printed.inputs, 0u);
  CHECK_EQ(printed.outputs, 0u);
  spec.topology = Topology::erdos_renyi;
  const Reachability drawn = reachability(build_model(spec));
  CHECK_EQ(drawn.inputs, 784u);
  CHECK_EQ(drawn.outputs, 10u);
}

TEST("reachability: counts inputs that matter and outputs that hear") {
  Model model;
  model.layers.resize(2);
  Layer& a = model.layers[0];
  a.inputs = 3;
  a.outputs = 4;
  a.links = {3, 4, {0, 1, 2, 4}, {0, 1, 1, 2}};
  Layer& b = model.layers[1];
  b.inputs = 4;
  b.outputs = 3;
  b.links = {4, 3, {0, 0, 2, 2, 3}, {0, 2, 1}};
  // Hidden 1 alone is both reached (from inputs 1 and 2) and linked on (to outputs 0 and 2).
  CHECK_EQ(reachability(model).inputs, 2u);
  CHECK_EQ(reachability(model).outputs, 2u);
  b.dense = true;
  CHECK_EQ(reachability(model).inputs, 3u);
  CHECK_EQ(reachability(model).outputs, 3u);
  a.links = {3, 4, {0, 0, 0, 0}, {}};
  CHECK_EQ(reachability(model).inputs, 0u);
  CHECK_EQ(reachability(model).outputs, 0u);
}

TEST("weights: he-dense is uniform within sqrt(6 / n), he-fan-in within sqrt(6 / k)") {
  ModelSpec spec;
  spec.sizes = {1000, 1000};
  spec.epsilon = 20;
  spec.seed = test::seed();
  for (const Init init : {Init::he_dense, Init::he_fan_in}) {
    spec.init = init;
    const Layer layer = build_model(spec).layers[0];
    const std::vector<uint32_t> links_into = fan_in(layer.links);
    std::vector<double> relative;
    for (size_t k = 0; k < layer.nnz(); ++k) {
      const double fan = init == Init::he_dense ? 1000 : links_into[layer.links.col_indices[k]];
      relative.push_back(layer.weights[k] / std::sqrt(6.0 / fan));
      CHECK(std::fabs(relative.back()) <= 1.0 + 1e-6);
    }
    const auto size = static_cast<double>(relative.size());
    const Moments got = moments(relative);
    check_near(got.mean, 0.0, std::sqrt(1.0 / 3 / size), "mean");
    check_near(got.variance, 1.0 / 3, std::sqrt(4.0 / 45 / size),
               "variance");  // E[x^4] - E[x^2]^2 = 1/5 - 1/9
  }
}

TEST("weights: normal has mean 0, deviation 0.1 and normal tails") {
  ModelSpec spec;
  spec.sizes = {300, 300};
  spec.topology = Topology::dense;
  spec.init = Init::normal;
  spec.seed = test::seed();
  const Layer layer = build_model(spec).layers[0];
  const auto size = static_cast<double>(layer.nnz());
  const Moments got = moments(layer.weights);
  check_near(got.mean, 0.0, 0.1 / std::sqrt(size), "mean");
  check_near(got.variance, 0.01, 0.01 * std::sqrt(2.0 / size), "variance");
  double beyond = 0;
  for (const float w : layer.weights) beyond += w > 0.2f;
  const double tail = 0.5 * std::erfc(std::sqrt(2.0));
  check_near(beyond / size, tail, std::sqrt(tail / size), "share above two deviations");
}

TEST("weights: topologies that share a cell share its draw") {
  ModelSpec spec;
  spec.sizes = {60, 50};
  spec.epsilon = 10;
  spec.init = Init::he_dense;
  spec.seed = test::seed();
  const Layer sparse = build_model(spec).layers[0];
  spec.topology = Topology::dense;
  const Layer dense = build_model(spec).layers[0];
  for (uint32_t i = 0; i < 60; ++i) {
    for (uint32_t k = sparse.links.row_offsets[i]; k < sparse.links.row_offsets[i + 1]; ++k) {
      CHECK_EQ(sparse.weights[k], dense.weights[i * 50 + sparse.links.col_indices[k]]);
    }
  }
}

TEST("weights: regrown weights follow their rule and differ from epoch to epoch") {
  std::vector<double> dense, fan;
  for (uint64_t cell = 0; cell < 20000; ++cell) {
    CHECK_EQ(regrown_weight(RegrowInit::zero, test::seed(), 1, 2, cell, 600, 24), 0.0f);
    dense.push_back(regrown_weight(RegrowInit::he_dense, test::seed(), 1, 2, cell, 600, 24) / 0.1);
    fan.push_back(regrown_weight(RegrowInit::he_fan_in, test::seed(), 1, 2, cell, 600, 24) / 0.5);
    CHECK(std::fabs(dense.back()) <= 1.0 + 1e-6);
  }
  check_near(moments(dense).mean, 0.0, std::sqrt(1.0 / 3 / 20000), "mean");
  check_near(moments(dense).variance, 1.0 / 3, std::sqrt(4.0 / 45 / 20000), "variance");
  check_near(moments(fan).variance, 1.0 / 3, std::sqrt(4.0 / 45 / 20000), "variance");
  CHECK(regrown_weight(RegrowInit::he_dense, 1, 0, 1, 5, 10, 3) !=
        regrown_weight(RegrowInit::he_dense, 1, 0, 2, 5, 10, 3));
  CHECK(regrown_weight(RegrowInit::he_dense, 1, 0, 1, 5, 10, 3) !=
        regrown_weight(RegrowInit::he_dense, 1, 1, 1, 5, 10, 3));
}

}  // namespace set_native
