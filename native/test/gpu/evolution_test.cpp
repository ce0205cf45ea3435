#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "core/error.h"
#include "core/evolution.h"
#include "core/topology.h"
#include "evolution/evolve.h"
#include "gpu/evolve.h"
#include "gpu/layer.h"
#include "layout/blocks.h"
#include "layout/network.h"
#include "layout/thread_pool.h"
#include "reference/evolve.h"
#include "test/check.h"
#include "test/evolution/evolution_support.h"
#include "test/gpu/gpu_device.h"

/*
 * Evolution of whole layers on the emulated device, bit for bit against the CPU and the reference.
 */
namespace set_native::test {

namespace {

using simt::Order;

enum class Way { device, host };

/** Rounds of a test; few where every GPU thread is an OS thread. */
int rounds(int count) {
  return simt::kThreads ? 1 + count / 50 : count;
}

/** A layer in blocks, as the CPU holds it and as it comes to the device. */
PackedLayer in_blocks(const Layer& layer, uint32_t height, bool wide) {
  Layer copy = layer;
  PackedLayer held;
  held.inputs = layer.inputs;
  held.outputs = layer.outputs;
  if (wide)
    held.blocks = pack_as<uint32_t>(copy, height);
  else
    held.blocks = pack_as<uint16_t>(copy, height);
  held.bias = layer.bias;
  held.bias_velocity = layer.bias_velocity;
  return held;
}

Layer plain(PackedLayer held) {
  Layer layer;
  layer.inputs = held.inputs;
  layer.outputs = held.outputs;
  std::visit([&](auto& blocks) { unpack(blocks, layer); }, held.blocks);
  layer.bias = held.bias;
  layer.bias_velocity = held.bias_velocity;
  return layer;
}

template <class Index>
bool same_blocks(const Blocks<Index>& a, const Blocks<Index>& b) {
  bool same = true;
  for_each_link_array([&](const char*, const auto& p, const auto& q) { same = same && same_bits(p, q); }, a,
                      b);
  return same && a.inputs == b.inputs && a.outputs == b.outputs && a.height == b.height &&
         a.offsets == b.offsets && a.targets == b.targets && a.by_target.offsets == b.by_target.offsets &&
         a.by_target.groups == b.by_target.groups && a.by_target.blocks == b.by_target.blocks;
}

bool same_blocks(const AnyBlocks& a, const AnyBlocks& b) {
  return a.index() == b.index() && std::visit(
                                       [&](const auto& blocks) {
                                         using Blocks = std::decay_t<decltype(blocks)>;
                                         return same_blocks(blocks, std::get<Blocks>(b));
                                       },
                                       a);
}

ThreadPool& one_thread() {
  static ThreadPool pool(1);
  return pool;
}

/** A device with one layer. */
struct OnDevice {
  TestDevice device;
  gpu::Evolution evolution;
  gpu::Layer layer;

  explicit OnDevice(PackedLayer held, Order order = Order::forward, size_t memory = size_t{1} << 32)
      : device(options(order, memory)), evolution(device), layer(gpu::upload_layer(device, held)) {}
  static EmulatedDevice::Options options(Order order, size_t memory) {
    EmulatedDevice::Options chosen;
    chosen.schedule = {order, 5};
    chosen.memory = memory;
    return chosen;
  }
  LayerEvolution evolve(const EvolutionPolicy& policy, const EvolutionKey& key) {
    if (!evolution.begin(layer, policy, key)) return {};
    return evolution.run(layer, policy, key, &kTestScores);
  }
  PackedLayer held() { return gpu::download_layer(device, layer); }
};

constexpr Order kOrders[] = {Order::forward, Order::reversed, Order::shuffled};

/** `times` evolutions in a row, each compared. */
void check_evolutions(Scenario s, uint32_t height, bool wide, Order order, Way way, int times = 1) {
  s.text += ", blocks of " + std::to_string(height) + (wide ? ", wide" : "");
  PackedLayer on_cpu = in_blocks(s.layer, height, wide);
  OnDevice on_device(on_cpu, order);
  const gpu::Buffer* const weights = on_device.layer.weights.get();
  for (int t = 0; t < times; ++t, ++s.key.epoch) {
    on_device.device.take_launches();
    const LayerEvolution got = on_device.evolve(s.policy, {s.key});
    const size_t launches = on_device.device.take_launches();
    const LayerEvolution expected = reference::evolve_layer(s.layer, s.policy, s.key, &kTestScores);
    CHECK_EQ(got.pruned, expected.pruned);
    CHECK_EQ(got.grown, expected.grown);
    if (begin_evolution(on_cpu.blocks, s.policy, s.key))
      evolve_layer(on_cpu.blocks, s.policy, s.key, one_thread(), &kTestScores);
    CHECK_MSG(same_blocks(on_device.held().blocks, on_cpu.blocks), "device and cpu differ: " << s.text);
    CHECK_MSG(same_layer(plain(on_device.held()), s.layer), "device and reference differ: " << s.text);
    if (expected.pruned > 0) CHECK_EQ(launches > 1, way == Way::device);
    if (way == Way::device) CHECK(on_device.layer.weights.get() == weights);
  }
}

/** A random scenario in which blocks of `height` evolve as a whole. */
Scenario scenario_for_device(Random& random, uint32_t height) {
  Scenario s = random_scenario(random);
  const Prune kPrunes[] = {Prune::by_sign, Prune::thesis, Prune::lowest};
  s.policy.prune = height == 1 ? kPrunes[random() % 3] : Prune::lowest;
  s.policy.parse = height == 1 ? s.policy.parse : MotifParse::aligned;
  s.policy.motif_size = height;
  s.policy.grow = Grow::random;
  const double densities[] = {0.01, 0.1, 0.3, 0.5, 0.6, 0.95};
  const double density = densities[random() % std::size(densities)];
  const auto n = 1 + static_cast<uint32_t>(random() % 50), m = 1 + static_cast<uint32_t>(random() % 50);
  const TopologyKey key{random(), 0};
  s.layer = dress(height > 1 ? motif(n, m, density, height, key) : erdos_renyi(n, m, density, key),
                  static_cast<Weights>(random() % 8), random);
  s.text = std::to_string(n) + " x " + std::to_string(m) + ", " + std::to_string(s.layer.nnz()) +
           " links, of " + s.text;
  return s;
}

}  // namespace

TEST("gpu evolution: equal to cpu and reference in random scenarios, on the device") {
  Random random(seed());
  for (int round = 0; round < rounds(200); ++round) {
    for (const uint32_t height : {1u, 2u, 3u, 4u, 8u}) {
      if (height != 1 && round % 3 != 0) continue;
      check_evolutions(scenario_for_device(random, height), height, random() % 2 == 0, kOrders[random() % 3],
                       Way::device);
    }
  }
}

TEST("gpu evolution: equal over the host, where blocks do not fit the policy or growth is not random") {
  Random random(seed() + 1);
  for (int round = 0; round < rounds(150); ++round) {
    const Scenario s = random_scenario(random);
    for (const uint32_t height : {1u, 2u, 4u}) {
      if (!is_whole(s.layer.links, height)) continue;
      const bool fits =
          height == s.policy.motif_size && (height == 1 || s.policy.parse == MotifParse::aligned);
      if (!fits || s.policy.grow != Grow::random)
        check_evolutions(s, height, random() % 2 == 0, Order::forward, Way::host);
    }
  }
}

TEST("gpu evolution: three in a row, in the same buffers") {
  Random random(seed() + 2);
  for (int round = 0; round < rounds(8); ++round)
    for (const uint32_t height : {1u, 2u, 4u})
      check_evolutions(scenario_for_device(random, height), height, round % 2 == 0, kOrders[round % 3],
                       Way::device, 3);
}

TEST("gpu evolution: larger layers, and such that thousands of proposals fail") {
  if (simt::kThreads) skip("every GPU thread is an OS thread here: too slow");
  Random random(seed() + 3);
  for (const double density : {0.05, 0.48, 0.7}) {
    for (const uint32_t height : {1u, 2u, 3u}) {
      Scenario s;
      s.policy = policy_of(height);
      s.policy.zeta = density < 0.1 ? 0.3 : 0.6;
      s.policy.regrow_init = RegrowInit::he_fan_in;
      s.key = {random(), 1, 9};
      const TopologyKey key{random(), 0};
      const uint32_t n = 150 * height + 1, m = 203;
      s.layer = dress(height > 1 ? motif(n, m, density, height, key) : erdos_renyi(n, m, density, key),
                      Weights::uniform, random);
      s.text = std::to_string(n) + " x 203, density " + std::to_string(density);
      check_evolutions(s, height, height == 2, Order::forward, Way::device);
    }
  }
}

TEST("gpu evolution: one link, one source, one target, rows without links, a row with all") {
  Random random(seed() + 4);
  const auto check = [&](Csr links, double zeta) {
    for (const Prune rule : {Prune::by_sign, Prune::thesis, Prune::lowest}) {
      Scenario s;
      s.policy.prune = rule;
      s.policy.zeta = zeta;
      s.key = {random(), 2, 30};
      s.text = std::to_string(links.rows) + " x " + std::to_string(links.cols);
      s.layer = dress(links, Weights::uniform, random);
      check_evolutions(s, 1, false, Order::reversed, Way::device, simt::kThreads ? 1 : 2);
    }
  };
  for (const double zeta : {0.3, 0.9}) {
    if (simt::kThreads && zeta < 0.5) continue;  // an OS thread per GPU thread is slow
    check({1, 1, {0, 1}, {0}}, zeta);
    check({5, 4, {0, 0, 0, 1, 1, 1}, {2}}, zeta);
    check(full_pattern(1, 300), zeta);
    check(full_pattern(300, 1), zeta);
    check({3, 3, {0, 0, 3, 3}, {0, 1, 2}}, zeta);
  }
  Csr long_row{40, 200, {0, 0, 200}, {}};
  for (uint32_t j = 0; j < 200; ++j) long_row.col_indices.push_back(j);
  for (uint32_t i = 2; i < 40; ++i) {
    if (i % 3 == 0) long_row.col_indices.push_back(i);
    long_row.row_offsets.push_back(static_cast<uint32_t>(long_row.nnz()));
  }
  check(long_row, 0.5);
}

TEST("gpu evolution: epochs beyond 65,535, on the device and over the host") {
  Random random(seed() + 8);
  for (const auto& [height, way] : {std::pair{1u, Way::device}, {2u, Way::device}, {1u, Way::host}}) {
    Scenario s;
    s.policy = policy_of(way == Way::host || height > 1 ? 2 : 1);
    s.key = {random(), 1, 65534};
    s.layer = dress(height == 1 ? erdos_renyi(20, 20, 0.3, {1, 0}) : motif(20, 20, 0.3, 2, {1, 0}),
                    Weights::uniform, random);
    s.text = "from epoch 65,534 on";
    check_evolutions(s, height, false, Order::forward, way, 4);
    s.key.epoch = 4294967295u;
    check_evolutions(s, height, false, Order::forward, way);
  }
}

TEST("gpu evolution: a layer too large for bitmaps goes over the host") {
  need_emulator();  // its memory can be made small
  Random random(seed() + 5);
  Scenario s;
  s.key = {3, 0, 5};
  s.layer = dress(erdos_renyi(8000, 8000, 1e-5, {9, 0}), Weights::uniform, random);
  const PackedLayer held = in_blocks(s.layer, 1, false);
  OnDevice on_device(held, Order::forward, size_t{32} << 20);
  on_device.device.take_launches();
  on_device.evolve(s.policy, {s.key});
  CHECK_EQ(on_device.device.take_launches(), 1u);
  reference::evolve_layer(s.layer, s.policy, s.key);
  CHECK(same_layer(plain(on_device.held()), s.layer));
}

TEST("gpu evolution: nothing to do for dense and empty layers") {
  Random random(seed() + 6);
  const Layer sparse = dress(erdos_renyi(20, 20, 0.3, {1, 0}), Weights::uniform, random);
  OnDevice a(in_blocks(sparse, 1, false));
  OnDevice b(in_blocks(dress({3, 3, {0, 0, 0, 0}, {}}, Weights::uniform, random), 1, false));
  CHECK(!b.evolution.begin(b.layer, {}, {1, 0, 1}));
  a.layer.dense = true;
  CHECK(!a.evolution.begin(a.layer, {}, {1, 0, 1}));
}

TEST("gpu evolution: refuses weights that are not numbers, naming the link, and bad policies") {
  Random random(seed() + 7);
  for (const float bad : {NAN, INFINITY, -INFINITY}) {
    Layer layer = dress(motif(21, 20, 0.3, 2, {1, 0}), Weights::uniform, random);
    layer.weights[random() % layer.nnz()] = bad;
    const PackedLayer held = in_blocks(layer, 2, false);
    const auto refusal = [](const auto& begin) {
      try {
        begin();
      } catch (const Error& error) {
        CHECK(error.code() == ErrorCode::non_finite);
        return std::string(error.what());
      }
      return std::string("no refusal");
    };
    OnDevice on_device(held);
    const std::string got = refusal([&] { on_device.evolution.begin(on_device.layer, {}, {1, 4, 1}); });
    CHECK_EQ(got == refusal([&] { begin_evolution(held.blocks, {}, {1, 4, 1}); }), true);
    CHECK(got.find("of layer 4") != std::string::npos);
    CHECK(same_blocks(on_device.held().blocks, held.blocks));
  }
  OnDevice on_device(in_blocks(dress(erdos_renyi(20, 20, 0.3, {1, 0}), Weights::uniform, random), 1, false));
  EvolutionPolicy bad;
  bad.zeta = 1.0;
  CHECK_THROWS(out_of_range, on_device.evolution.begin(on_device.layer, bad, {1, 0, 1}));
  CHECK_THROWS(out_of_range, on_device.evolution.begin(on_device.layer, {}, {1, 1u << 12, 1}));
}

TEST("gpu evolution: without memory the layer stays as it was, and evolves when there is some") {
  need_emulator();
  Random random(seed() + 8);
  for (const uint32_t height : {1u, 2u, 4u}) {  // 4: over the host, with buffers of another size
    Scenario s;
    s.policy = policy_of(std::min(height, 2u));
    s.policy.regrow_init = RegrowInit::he_fan_in;
    s.key = {11, 1, 9};
    s.layer = dress(motif(41, 33, 0.2, height, {9, 0}), Weights::uniform, random);
    const PackedLayer held = in_blocks(s.layer, height, false);
    size_t refused = 0;
    for (size_t n = 0;; ++n) {
      OnDevice on_device(held);
      CHECK(on_device.evolution.begin(on_device.layer, s.policy, s.key));
      const size_t before = on_device.device.allocations_made();
      on_device.device.emulated().fail_allocation(n);
      bool failed = false;
      try {
        on_device.evolution.run(on_device.layer, s.policy, s.key);
      } catch (const Error& error) {
        CHECK(error.code() == ErrorCode::out_of_memory);
        failed = true;
      }
      if (!failed) {
        CHECK_EQ(on_device.device.allocations_made() - before, n);
        break;
      }
      ++refused;
      CHECK(same_blocks(on_device.held().blocks, held.blocks));
      on_device.device.emulated().fail_no_allocation();
      on_device.evolve(s.policy, {s.key});
      Layer oracle = s.layer;
      reference::evolve_layer(oracle, s.policy, s.key);
      CHECK(same_layer(plain(on_device.held()), oracle));
    }
    CHECK(refused >= 2);
  }
}

TEST("gpu evolution: scratch memory is kept for the next layer, and grows with it") {
  need_emulator();
  Random random(seed() + 9);
  EmulatedDevice device;
  gpu::Evolution evolution(device);
  const auto make = [&](uint32_t n, uint32_t m) {
    return in_blocks(dress(erdos_renyi(n, m, 0.2, {random(), 0}), Weights::uniform, random), 1, false);
  };
  PackedLayer small_host = make(20, 30), large_host = make(90, 80);
  gpu::Layer small = gpu::upload_layer(device, small_host), large = gpu::upload_layer(device, large_host);
  // As it was at first: what a layer needs follows from how many links go, which an evolution changes a
  // little.
  gpu::Layer large_again = gpu::upload_layer(device, large_host);
  EvolutionPolicy policy;
  const auto allocations_for = [&](gpu::Layer& layer) {
    const size_t before = device.allocations_made();
    CHECK(evolution.begin(layer, policy, {1, 0, 1}));
    evolution.run(layer, policy, {1, 0, 1});
    return device.allocations_made() - before;
  };
  CHECK_EQ(allocations_for(small), 1u);
  CHECK_EQ(allocations_for(large), 1u);
  CHECK_EQ(allocations_for(small), 0u);
  CHECK_EQ(allocations_for(large_again), 0u);
}

}  // namespace set_native::test
