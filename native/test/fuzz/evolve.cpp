#include "evolution/evolve.h"

#include <utility>

#include "core/csr.h"
#include "core/topology.h"
#include "layout/blocks.h"
#include "reference/evolve.h"
#include "test/check.h"
#include "test/evolution/evolution_support.h"
#include "test/fuzz/input.h"
#include "test/fuzz/pools.h"
#include "test/fuzz/targets.h"
#include "test/layout/blocks_support.h"

namespace set_native::test {

namespace {

constexpr double kDensities[] = {0.01, 0.1, 0.3, 0.6, 0.97};
/** Births are exact below kLastBirth. */
constexpr uint32_t kEpochs[] = {10, 10, 10, kLastBirth - 1, kLastBirth, kLastBirth + 1, 0x7fffffff};
constexpr float kWeights[] = {0.0f,   -0.0f,   1.0f,  -1.0f,  0.5f, -0.5f,
                              1e-45f, -1e-45f, 3e38f, -3e38f, 0.7f, 0.1f};

EvolutionPolicy any_policy(Input& in) {
  EvolutionPolicy policy;
  const uint32_t motif_size = 2 + in.below(in.below(4) == 0 ? kMaxMotifSize - 1 : 7);
  policy.motif_size = in.bit() ? 1 : motif_size;
  policy.zeta = (in.number<uint32_t>() + 0.5) * 0x1p-32;
  policy.prune = policy.motif_size > 1 ? Prune::lowest : static_cast<Prune>(in.below(3));
  policy.regrow_init = static_cast<RegrowInit>(in.below(3));
  policy.score = static_cast<MotifScore>(in.below(4));
  policy.parse = in.bit() ? MotifParse::aligned : MotifParse::runs;
  policy.grow = static_cast<Grow>(in.below(3));
  return policy;
}

/** Links drawn by a topology, or each as a bit says; weights by kind, some of them changed one by one. */
Layer any_layer(Input& in, uint32_t motif_size) {
  const uint32_t n = 1 + in.below(48), m = 1 + in.below(48);
  Csr links{n, m, {0}, {}};
  const double density = in.pick(kDensities);
  const TopologyKey key{in.number<uint32_t>(), 0};
  switch (in.below(4)) {
    case 0:
      links = erdos_renyi(n, m, density, key);
      break;
    case 1:
      links = motif(n, m, density, motif_size, key);
      break;
    case 2:
      links = full_pattern(n, m);
      break;
    default:
      for (uint32_t i = 0; i < n; ++i) {
        for (uint32_t j = 0; j < m; ++j) {
          if (in.bit()) links.col_indices.push_back(j);
        }
        links.row_offsets.push_back(static_cast<uint32_t>(links.nnz()));
      }
  }
  Random random(in.number<uint32_t>());
  Layer layer = dress(std::move(links), static_cast<Weights>(in.below(8)), random);
  for (uint32_t changes = in.below(32); changes > 0 && layer.nnz() > 0; --changes) {
    layer.weights[in.number<uint32_t>() % layer.nnz()] = in.pick(kWeights);
  }
  return layer;
}

/** What the definition promises, whatever was pruned and grown. */
void check_promises(const Layer& before, const Layer& after, uint32_t epoch, const LayerEvolution& counts) {
  check_csr(after.links, "evolve");
  CHECK_EQ(after.links.nnz(), before.links.nnz());
  CHECK(same_bits(after.bias, before.bias) && same_bits(after.bias_velocity, before.bias_velocity));
  uint64_t grown = 0;
  for (uint32_t i = 0; i < after.inputs; ++i) {
    uint32_t old = before.links.row_offsets[i];
    for (uint32_t k = after.links.row_offsets[i]; k < after.links.row_offsets[i + 1]; ++k) {
      if (after.birth[k] == birth_of(epoch)) {
        ++grown;
        CHECK(after.velocity[k] == 0 && std::isfinite(after.weights[k]));
        CHECK(after.second_moment.empty() || after.second_moment[k] == 0);
        continue;
      }
      while (old < before.links.row_offsets[i + 1] &&
             before.links.col_indices[old] < after.links.col_indices[k])
        ++old;
      CHECK(old < before.links.row_offsets[i + 1] &&
            before.links.col_indices[old] == after.links.col_indices[k]);
      CHECK(std::memcmp(&before.weights[old], &after.weights[k], sizeof(float)) == 0);
      CHECK(std::memcmp(&before.velocity[old], &after.velocity[k], sizeof(float)) == 0);
      CHECK(before.second_moment.empty() || before.second_moment[old] == after.second_moment[k]);
      CHECK_EQ(before.birth[old], after.birth[k]);
    }
  }
  CHECK_EQ(counts.grown, grown);
  CHECK_EQ(counts.pruned, grown);
}

}  // namespace

void fuzz_evolve(const uint8_t* data, size_t size) {
  Input in(data, size);
  ThreadPool& pool = any_pool(in);
  EvolutionPolicy policy = any_policy(in);
  Layer layer = any_layer(in, std::max(policy.motif_size, 2u));
  EvolutionKey key{in.number<uint64_t>(), in.below(5), in.pick(kEpochs)};
  // Several in a row: later ones find blocks of the height, and the links, that earlier ones left. Of births
  // that are capped only the first tells what grew.
  Layer given = layer;
  AnyBlocks blocks = pack(given, whole_height(layer.links));
  const uint32_t most = key.epoch < kLastBirth - 2 ? 3 : 1;
  for (uint32_t times = 1 + in.below(most); times > 0; --times, ++key.epoch) {
    const Layer before = layer;
    const LayerEvolution expected = reference::evolve_layer(layer, policy, key, &kTestScores);
    const bool evolves = begin_evolution(blocks, policy, key);
    CHECK_EQ(evolves, before.nnz() > 0);
    if (!evolves) return;
    const LayerEvolution counts = evolve_layer(blocks, policy, key, pool, &kTestScores);
    CHECK_EQ(counts.pruned, expected.pruned);
    CHECK_EQ(counts.grown, expected.grown);
    std::visit([](const auto& held) { check_by_target(held); }, blocks);
    AnyBlocks copy = blocks;
    Layer after = before;
    std::visit([&](auto& held) { unpack(held, after); }, copy);
    CHECK(same_layer(after, layer));
    check_promises(before, after, key.epoch, counts);
    if (in.bit()) policy = any_policy(in);
  }
}

}  // namespace set_native::test
