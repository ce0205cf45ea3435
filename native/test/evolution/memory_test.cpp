#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>
#include <random>

#include "core/evolution.h"
#include "core/topology.h"
#include "evolution/evolve.h"
#include "layout/blocks.h"
#include "layout/thread_pool.h"
#include "test/check.h"

/*
 * Memory that runs out when a test wants it to. The operators of the whole test program are replaced; they
 * fail only while `left` counts down.
 */
namespace set_native::test {

namespace {

enum class Fail { never, once, from_then_on };

std::atomic<Fail> mode{Fail::never};
std::atomic<int64_t> left{0};  // allocations that still succeed

bool runs_out() {
  if (mode == Fail::never || left.fetch_sub(1) > 0) return false;
  if (mode == Fail::once) mode = Fail::never;
  return true;
}

void* allocate(size_t size, size_t alignment) {
  void* memory = nullptr;
  if (!runs_out() && posix_memalign(&memory, alignment, size) != 0) memory = nullptr;
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

}  // namespace set_native::test

void* operator new(size_t size) {
  return set_native::test::allocate(size, alignof(std::max_align_t));
}
void* operator new(size_t size, std::align_val_t alignment) {
  return set_native::test::allocate(size, static_cast<size_t>(alignment));
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, size_t) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::align_val_t) noexcept {
  std::free(memory);
}
void operator delete(void* memory, size_t, std::align_val_t) noexcept {
  std::free(memory);
}

namespace set_native {

namespace {

Layer test_layer(uint32_t motif_size, std::mt19937_64& random) {
  Layer layer;
  layer.inputs = 61;
  layer.outputs = 50;
  const TopologyKey key{random(), 0};
  layer.links = motif_size > 1 ? motif(61, 50, 0.3, motif_size, key) : erdos_renyi(61, 50, 0.3, key);
  for (uint64_t k = 0; k < layer.links.nnz(); ++k) {
    layer.weights.push_back(static_cast<float>(random() % 1000 + 1) * (random() % 2 == 0 ? 0.01f : -0.01f));
    layer.velocity.push_back(static_cast<float>(k));
    layer.birth.push_back(static_cast<uint16_t>(k % 7));
  }
  return layer;
}

bool same_links(const Layer& a, const Layer& b) {
  return a.links.row_offsets == b.links.row_offsets && a.links.col_indices == b.links.col_indices &&
         a.weights == b.weights && a.velocity == b.velocity && a.birth == b.birth;
}

/** The links as they are now, and whether by_target shows them. */
Layer links_of(const AnyBlocks& blocks, bool& indexed) {
  return std::visit(
      [&](auto copy) {
        const auto by_target = copy.by_target;
        copy.index_targets();
        indexed = by_target.offsets == copy.by_target.offsets && by_target.groups == copy.by_target.groups &&
                  by_target.blocks == copy.by_target.blocks;
        Layer layer;
        layer.inputs = copy.inputs;
        layer.outputs = copy.outputs;
        unpack(copy, layer);
        return layer;
      },
      blocks);
}

}  // namespace

TEST("evolution: whenever memory runs out, a layer has its old links or its new ones") {
  std::mt19937_64 random(test::seed());
  ThreadPool pool(2);
  struct Case {
    EvolutionPolicy policy;
    uint32_t stored;  // height of the blocks
  };
  EvolutionPolicy set, motifs = policy_of(2), runs = policy_of(2), walk, gradient = policy_of(2);
  runs.parse = MotifParse::runs;
  walk.grow = Grow::walk;
  gradient.grow = Grow::gradient;
  const CellScores scores = [](const uint32_t* sources, const uint32_t* targets, size_t count, double* out) {
    for (size_t k = 0; k < count; ++k) out[k] = sources[k] * 31 % 17 + targets[k];
  };
  for (const auto& [policy, stored] : {Case{set, 1},
                                       {set, 4},
                                       {motifs, 1},
                                       {motifs, 2},
                                       {motifs, 4},
                                       {runs, 1},
                                       {walk, 1},
                                       {gradient, 1},
                                       {gradient, 2}}) {
    const Layer before = test_layer(stored, random);
    Layer given = before;
    const AnyBlocks start = pack(given, stored);
    AnyBlocks evolved = start;
    evolve_layer(evolved, policy, {3, 0, 9}, pool, &scores);
    bool indexed = false;
    const Layer after = links_of(evolved, indexed);
    CHECK(indexed);
    for (const test::Fail fail : {test::Fail::once, test::Fail::from_then_on}) {
      bool failed = true;
      int64_t allocations = 0;
      for (; failed && allocations < 10000; ++allocations) {
        AnyBlocks blocks = start;
        test::left = allocations;
        test::mode = fail;
        try {
          evolve_layer(blocks, policy, {3, 0, 9}, pool, &scores);
          failed = false;
        } catch (const std::bad_alloc&) {
        }
        test::mode = test::Fail::never;
        const Layer now = links_of(blocks, indexed);
        CHECK(same_links(now, failed ? before : after));
        const bool empty =
            std::visit([](const auto& held) { return held.by_target.offsets.empty(); }, blocks);
        CHECK(fail == test::Fail::once ? indexed : indexed || empty);
      }
      CHECK(!failed);
      CHECK(allocations > 5);
    }
  }
}

}  // namespace set_native
