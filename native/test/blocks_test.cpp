#include "cpu/blocks.h"

#include <cstring>
#include <random>
#include <type_traits>

#include "core/topology.h"
#include "cpu/thread_pool.h"
#include "test/check.h"

namespace set_native {

namespace {

using Random = std::mt19937_64;

/** A layer whose values tell their link. */
Layer numbered(Csr links) {
  Layer layer;
  layer.inputs = links.rows;
  layer.outputs = links.cols;
  for (uint32_t k = 0; k < links.nnz(); ++k) {
    layer.weights.push_back(static_cast<float>(k + 1));
    layer.momentum.push_back(-static_cast<float>(k + 1));
    layer.birth.push_back(static_cast<uint16_t>(k % 1000 + 1));
  }
  layer.bias.assign(links.cols, 0.5f);
  layer.links = std::move(links);
  return layer;
}

bool same_links(const Layer& a, const Layer& b) {
  return a.links.rows == b.links.rows && a.links.cols == b.links.cols && a.links.row_offsets == b.links.row_offsets &&
         a.links.col_indices == b.links.col_indices && a.weights == b.weights && a.momentum == b.momentum &&
         a.birth == b.birth;
}

/** Blocks of `rows` x `cols` slots, each full with probability p, of sources that may be fewer in the last group. */
Csr random_motifs(uint32_t inputs, uint32_t outputs, uint32_t height, double p, Random& random) {
  const TopologyKey key{random(), 0};
  return height == 1 ? erdos_renyi(inputs, outputs, p, key) : motif(inputs, outputs, p, height, key);
}

/** Every link of the layer is where the header says, and the view from the targets shows the same blocks. */
template <class Index>
void check_blocks(const cpu::Blocks<Index>& blocks, const Layer& layer, uint32_t height) {
  CHECK_EQ(blocks.inputs, layer.inputs);
  CHECK_EQ(blocks.outputs, layer.outputs);
  CHECK_EQ(blocks.height, height);
  CHECK_EQ(blocks.groups(), (layer.inputs + height - 1) / height);
  CHECK_EQ(blocks.nnz(), layer.links.nnz());
  CHECK_EQ(blocks.targets.size(), blocks.size());
  CHECK_EQ(blocks.weights.size(), size_t{blocks.size()} * height);
  CHECK_EQ(blocks.momentum.size(), size_t{blocks.size()} * height);
  CHECK_EQ(blocks.birth.size(), size_t{blocks.size()} * height);
  for (uint32_t b = 0; b < blocks.groups(); ++b) {
    for (uint32_t r = 0; r < height; ++r) {
      const uint64_t row = uint64_t{b} * height + r;
      CHECK_EQ(row < layer.inputs, r < blocks.sources_of(b));
      for (uint32_t k = blocks.offsets[b]; k < blocks.offsets[b + 1]; ++k) {
        const size_t place = size_t{k} * height + r;
        if (row >= layer.inputs) {
          CHECK(blocks.weights[place] == 0 && blocks.momentum[place] == 0 && blocks.birth[place] == 0);
          continue;
        }
        const uint32_t link = layer.links.row_offsets[row] + k - blocks.offsets[b];
        CHECK(link < layer.links.row_offsets[row + 1]);
        CHECK_EQ(blocks.targets[k], layer.links.col_indices[link]);
        CHECK_EQ(blocks.weights[place], layer.weights[link]);
        CHECK_EQ(blocks.momentum[place], layer.momentum[link]);
        CHECK_EQ(blocks.birth[place], layer.birth[link]);
      }
    }
  }
}

template <class Index>
void check_by_target(const cpu::Blocks<Index>& blocks) {
  const auto& view = blocks.by_target;
  CHECK_EQ(view.offsets.size(), size_t{blocks.outputs} + 1);
  CHECK_EQ(view.groups.size(), blocks.size());
  CHECK_EQ(view.blocks.size(), blocks.size());
  CHECK_EQ(view.offsets.front(), 0u);
  CHECK_EQ(view.offsets.back(), blocks.size());
  for (uint32_t j = 0; j < blocks.outputs; ++j) {
    CHECK(view.offsets[j] <= view.offsets[j + 1]);
    for (uint32_t p = view.offsets[j]; p < view.offsets[j + 1]; ++p) {
      const uint32_t k = view.blocks[p], b = view.groups[p];
      CHECK_EQ(blocks.targets[k], j);
      CHECK(blocks.offsets[b] <= k && k < blocks.offsets[b + 1]);
      CHECK(p == view.offsets[j] || view.groups[p - 1] < b);
    }
  }
}

template <class Index>
void check_round_trip(const Layer& layer, uint32_t height, unsigned threads) {
  Layer given = layer;
  cpu::Blocks<Index> blocks = cpu::pack_as<Index>(given, height);
  CHECK_EQ(given.links.nnz() + given.weights.size() + given.momentum.size() + given.birth.size(), 0u);
  CHECK_EQ(given.bias.size(), layer.bias.size());
  check_blocks(blocks, layer, height);
  check_by_target(blocks);
  cpu::ThreadPool pool(threads);
  blocks.by_target = {};
  blocks.index_targets(pool);
  check_by_target(blocks);
  cpu::unpack(blocks, given);
  CHECK(same_links(given, layer));
  CHECK(blocks.targets.empty() && blocks.weights.empty() && blocks.by_target.blocks.empty());
}

}  // namespace

TEST("blocks: links packed and unpacked are the same, whatever the height and the last group") {
  Random random(test::seed());
  for (int round = 0; round < 300; ++round) {
    const auto n = static_cast<uint32_t>(1 + random() % 40), m = static_cast<uint32_t>(1 + random() % 40);
    const auto height = static_cast<uint32_t>(1 + random() % 9);
    const double p = std::vector<double>{0.001, 0.1, 0.5, 0.97}[random() % 4];
    const Layer layer = numbered(random_motifs(n, m, height, p, random));
    const auto threads = static_cast<unsigned>(1 + random() % 4);
    check_round_trip<uint16_t>(layer, height, threads);
    check_round_trip<uint32_t>(layer, height, threads);
  }
}

TEST("blocks: targets of layers with many links per row and panel, and with few") {
  Random random(test::seed());
  for (const auto& [n, m, p] : {std::tuple{300u, 5000u, 0.2}, {40u, 60000u, 0.1}, {20000u, 70000u, 0.00005}}) {
    const Layer layer = numbered(random_motifs(n, m, 1, p, random));
    for (const unsigned threads : {1u, 2u, 5u}) check_round_trip<uint32_t>(layer, 1, threads);
  }
}

TEST("blocks: indices are narrow up to 65,536 sources and targets, and wide beyond") {
  const auto is_narrow = [](uint32_t n, uint32_t m) {
    Csr links{n, m, std::vector<uint32_t>(size_t{n} + 1, 1), {m - 1}};
    links.row_offsets[0] = 0;
    Layer layer = numbered(links), given = layer;
    cpu::AnyBlocks blocks = cpu::pack(given, 1);
    std::visit([&](auto& held) { check_blocks(held, layer, 1), check_by_target(held); }, blocks);
    return std::holds_alternative<cpu::Blocks<uint16_t>>(blocks);
  };
  CHECK(is_narrow(65536, 65536));
  CHECK(!is_narrow(65537, 3));
  CHECK(!is_narrow(3, 65537));
}

TEST("blocks: the height is the largest in which all links come") {
  Random random(test::seed());
  const auto height_of = [](const Csr& links) {
    const uint32_t height = cpu::whole_height(links);
    for (uint32_t h = 1; h <= kMaxMotifSize; ++h)
      CHECK(h <= height || h > links.rows || links.nnz() == 0 || !cpu::is_whole(links, h));
    CHECK(cpu::is_whole(links, height));
    return height;
  };
  CHECK_EQ(height_of(erdos_renyi(100, 100, 0.1, {random(), 0})), 1u);
  for (const uint32_t g : {2u, 3u, 4u, 8u, 64u}) {
    CHECK_EQ(height_of(motif(400, 100, 0.1, g, {random(), 0})), g);
    CHECK_EQ(height_of(motif(401, 100, 0.1, g, {random(), 0})), g);
  }
  CHECK_EQ(height_of({3, 2, {0, 0, 0, 0}, {}}), 1u);                     // no links
  CHECK_EQ(height_of({1, 2, {0, 1}, {1}}), 1u);                          // one source
  CHECK_EQ(height_of({3, 2, {0, 1, 2, 3}, {1, 1, 1}}), 3u);              // all alike
  CHECK_EQ(height_of({5, 2, {0, 1, 2, 3, 4, 5}, {1, 1, 0, 1, 1}}), 1u);  // changes after 2 and after 3 sources
  CHECK_EQ(height_of({5, 2, {0, 1, 2, 3, 4, 5}, {1, 1, 0, 0, 1}}), 2u);  // the last group is smaller
  CHECK(!cpu::is_whole({3, 2, {0, 1, 2, 2}, {0, 1}}, 2));
  CHECK(cpu::is_whole({3, 2, {0, 1, 2, 2}, {1, 1}}, 2));
}

}  // namespace set_native
