#include "layout/blocks.h"

#include <random>

#include "core/topology.h"
#include "test/check.h"
#include "test/layout/blocks_support.h"

namespace set_native {

namespace {

using namespace test;

using Random = std::mt19937_64;

/** Blocks of `rows` x `cols` slots, each full with probability p, of sources that may be fewer in the last
 * group. */
Csr random_motifs(uint32_t inputs, uint32_t outputs, uint32_t height, double p, Random& random) {
  const TopologyKey key{random(), 0};
  return height == 1 ? erdos_renyi(inputs, outputs, p, key) : motif(inputs, outputs, p, height, key);
}

}  // namespace

TEST("blocks: links packed and unpacked are the same, whatever the height and the last group") {
  Random random(test::seed());
  for (int round = 0; round < 300; ++round) {
    const auto n = static_cast<uint32_t>(1 + random() % 40), m = static_cast<uint32_t>(1 + random() % 40);
    const auto height = static_cast<uint32_t>(1 + random() % 9);
    const double p = std::vector<double>{0.001, 0.1, 0.5, 0.97}[random() % 4];
    const Layer layer = numbered(random_motifs(n, m, height, p, random));
    ThreadPool pool(static_cast<unsigned>(1 + random() % 4));
    check_round_trip<uint16_t>(layer, height, pool);
    check_round_trip<uint32_t>(layer, height, pool);
  }
}

TEST("blocks: targets of layers with many links per row and panel, and with few") {
  Random random(test::seed());
  for (const auto& [n, m, p] :
       {std::tuple{300u, 5000u, 0.2}, {40u, 60000u, 0.1}, {20000u, 70000u, 0.00005}}) {
    const Layer layer = numbered(random_motifs(n, m, 1, p, random));
    for (const unsigned threads : {1u, 2u, 5u}) {
      ThreadPool pool(threads);
      check_round_trip<uint32_t>(layer, 1, pool);
    }
  }
}

TEST("blocks: indices are narrow up to 65,536 sources and targets, and wide beyond") {
  const auto is_narrow = [](uint32_t n, uint32_t m) {
    Csr links{n, m, std::vector<uint32_t>(size_t{n} + 1, 1), {m - 1}};
    links.row_offsets[0] = 0;
    Layer layer = numbered(links), given = layer;
    AnyBlocks blocks = pack(given, 1);
    std::visit([&](auto& held) { check_blocks(held, layer, 1), check_by_target(held); }, blocks);
    return std::holds_alternative<Blocks<uint16_t>>(blocks);
  };
  CHECK(is_narrow(65536, 65536));
  CHECK(!is_narrow(65537, 3));
  CHECK(!is_narrow(3, 65537));
}

TEST("blocks: the height is the largest in which all links come") {
  Random random(test::seed());
  const auto height_of = [](const Csr& links) {
    const uint32_t height = whole_height(links);
    for (uint32_t h = 1; h <= kMaxMotifSize; ++h)
      CHECK(h <= height || h > links.rows || links.nnz() == 0 || !is_whole(links, h));
    CHECK(is_whole(links, height));
    return height;
  };
  CHECK_EQ(height_of(erdos_renyi(100, 100, 0.1, {random(), 0})), 1u);
  for (const uint32_t g : {2u, 3u, 4u, 8u, 64u}) {
    CHECK_EQ(height_of(motif(400, 100, 0.1, g, {random(), 0})), g);
    CHECK_EQ(height_of(motif(401, 100, 0.1, g, {random(), 0})), g);
  }
  CHECK_EQ(height_of({3, 2, {0, 0, 0, 0}, {}}), 1u);         // no links
  CHECK_EQ(height_of({1, 2, {0, 1}, {1}}), 1u);              // one source
  CHECK_EQ(height_of({3, 2, {0, 1, 2, 3}, {1, 1, 1}}), 3u);  // all alike
  CHECK_EQ(height_of({5, 2, {0, 1, 2, 3, 4, 5}, {1, 1, 0, 1, 1}}),
           1u);  // changes after 2 and after 3 sources
  CHECK_EQ(height_of({5, 2, {0, 1, 2, 3, 4, 5}, {1, 1, 0, 0, 1}}), 2u);  // the last group is smaller
  CHECK(!is_whole({3, 2, {0, 1, 2, 2}, {0, 1}}, 2));
  CHECK(is_whole({3, 2, {0, 1, 2, 2}, {1, 1}}, 2));
}

}  // namespace set_native
