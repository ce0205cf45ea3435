#include "layout/blocks.h"

#include <utility>

#include "test/check.h"
#include "test/fuzz/input.h"
#include "test/fuzz/pools.h"
#include "test/fuzz/targets.h"
#include "test/layout/blocks_support.h"

namespace set_native::test {

namespace {

/** Blocks of `height` sources, each full or empty as a bit says; then perhaps one link more or less. */
Csr any_links(Input& in, uint32_t height) {
  Csr links{1 + in.below(80), 1 + in.below(40), {0}, {}};
  std::vector<uint32_t> row;
  for (uint32_t i = 0; i < links.rows; ++i) {
    if (i % height == 0) {
      row.clear();
      for (uint32_t j = 0; j < links.cols; ++j) {
        if (in.bit()) row.push_back(j);
      }
    }
    links.col_indices.insert(links.col_indices.end(), row.begin(), row.end());
    links.row_offsets.push_back(static_cast<uint32_t>(links.nnz()));
  }
  if (in.below(4) == 0 && links.nnz() > 0) {
    const uint32_t gone = in.number<uint32_t>() % links.nnz();
    links.col_indices.erase(links.col_indices.begin() + gone);
    for (uint32_t& offset : links.row_offsets) offset -= offset > gone ? 1 : 0;
  }
  return links;
}

/** By the definition: in each group of `height` rows all are alike. */
bool whole_by_definition(const Csr& links, uint32_t height) {
  const auto row = [&](uint32_t i) {
    const auto columns = links.col_indices.begin();
    return std::vector<uint32_t>(columns + links.row_offsets[i], columns + links.row_offsets[i + 1]);
  };
  for (uint32_t i = 0; i < links.rows; ++i) {
    if (row(i) != row(i / height * height)) return false;
  }
  return true;
}

void check_dense_round_trip(uint32_t inputs, uint32_t outputs) {
  Layer layer;
  layer.inputs = inputs;
  layer.outputs = outputs;
  layer.dense = true;
  for (uint32_t cell = 0; cell < inputs * outputs; ++cell) {
    layer.weights.push_back(static_cast<float>(cell + 1));
    layer.velocity.push_back(-static_cast<float>(cell + 1));
  }
  Layer given = layer;
  AnyBlocks blocks = pack_dense(given);
  std::visit([&](auto& held) { unpack_dense(held, given); }, blocks);
  CHECK(given.weights == layer.weights && given.velocity == layer.velocity);
}

}  // namespace

void fuzz_blocks(const uint8_t* data, size_t size) {
  Input in(data, size);
  ThreadPool& pool = any_pool(in);
  const uint32_t drawn = 1 + in.below(in.bit() ? kMaxMotifSize : 9);
  const Layer layer = numbered(any_links(in, drawn));
  const uint32_t largest = whole_height(layer.links);
  for (const uint32_t height : {1u, drawn, largest}) {
    CHECK_EQ(is_whole(layer.links, height), whole_by_definition(layer.links, height));
    if (!whole_by_definition(layer.links, height)) continue;
    CHECK(height <= largest || height > layer.inputs || layer.links.nnz() == 0);
    check_round_trip<uint16_t>(layer, height, pool);
    check_round_trip<uint32_t>(layer, height, pool);
  }
  CHECK(whole_by_definition(layer.links, largest));
  if (in.bit()) check_dense_round_trip(layer.inputs, layer.outputs);
}

}  // namespace set_native::test
