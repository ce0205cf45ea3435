#pragma once

#include <cstdint>
#include <utility>

#include "layout/blocks.h"
#include "layout/thread_pool.h"
#include "test/check.h"

/*
 * What the tests of blocks share: layers whose values tell their link, and what blocks of a layer must be.
 */
namespace set_native::test {

/** A layer whose values tell their link. */
inline Layer numbered(Csr links) {
  Layer layer;
  layer.inputs = links.rows;
  layer.outputs = links.cols;
  for (uint32_t k = 0; k < links.nnz(); ++k) {
    layer.weights.push_back(static_cast<float>(k + 1));
    layer.velocity.push_back(-static_cast<float>(k + 1));
    layer.second_moment.push_back(2.0f * static_cast<float>(k + 1));
    layer.birth.push_back(static_cast<uint16_t>(k % 1000 + 1));
  }
  layer.bias.assign(links.cols, 0.5f);
  layer.links = std::move(links);
  return layer;
}

inline bool same_links(const Layer& a, const Layer& b) {
  return a.links.rows == b.links.rows && a.links.cols == b.links.cols &&
         a.links.row_offsets == b.links.row_offsets && a.links.col_indices == b.links.col_indices &&
         a.weights == b.weights && a.velocity == b.velocity && a.second_moment == b.second_moment &&
         a.birth == b.birth;
}

/** Every link of the layer is where the header says. */
template <class Index>
void check_blocks(const Blocks<Index>& blocks, const Layer& layer, uint32_t height) {
  CHECK_EQ(blocks.inputs, layer.inputs);
  CHECK_EQ(blocks.outputs, layer.outputs);
  CHECK_EQ(blocks.height, height);
  CHECK_EQ(blocks.groups(), (layer.inputs + height - 1) / height);
  CHECK_EQ(blocks.nnz(), layer.links.nnz());
  CHECK_EQ(blocks.targets.size(), blocks.size());
  CHECK_EQ(blocks.weights.size(), size_t{blocks.size()} * height);
  CHECK_EQ(blocks.velocity.size(), size_t{blocks.size()} * height);
  CHECK_EQ(blocks.birth.size(), size_t{blocks.size()} * height);
  for (uint32_t b = 0; b < blocks.groups(); ++b) {
    for (uint32_t r = 0; r < height; ++r) {
      const uint64_t row = uint64_t{b} * height + r;
      CHECK_EQ(row < layer.inputs, r < blocks.sources_of(b));
      for (uint32_t k = blocks.offsets[b]; k < blocks.offsets[b + 1]; ++k) {
        const size_t place = size_t{k} * height + r;
        if (row >= layer.inputs) {
          CHECK(blocks.weights[place] == 0 && blocks.velocity[place] == 0 && blocks.birth[place] == 0);
          continue;
        }
        const uint32_t link = layer.links.row_offsets[row] + k - blocks.offsets[b];
        CHECK(link < layer.links.row_offsets[row + 1]);
        CHECK_EQ(blocks.targets[k], layer.links.col_indices[link]);
        CHECK_EQ(blocks.weights[place], layer.weights[link]);
        CHECK_EQ(blocks.velocity[place], layer.velocity[link]);
        CHECK_EQ(blocks.birth[place], layer.birth[link]);
      }
    }
  }
}

/** The view from the targets shows the same blocks. */
template <class Index>
void check_by_target(const Blocks<Index>& blocks) {
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

/** Links packed are where they belong, and unpacked the same as before; the pool indexes the targets as the
 * caller does. */
template <class Index>
void check_round_trip(const Layer& layer, uint32_t height, ThreadPool& pool) {
  Layer given = layer;
  Blocks<Index> blocks = pack_as<Index>(given, height);
  CHECK_EQ(given.links.nnz() + given.weights.size() + given.velocity.size() + given.birth.size(), 0u);
  CHECK_EQ(given.bias.size(), layer.bias.size());
  check_blocks(blocks, layer, height);
  check_by_target(blocks);
  blocks.by_target = {};
  blocks.index_targets(pool);
  check_by_target(blocks);
  unpack(blocks, given);
  CHECK(same_links(given, layer));
  CHECK(blocks.targets.empty() && blocks.weights.empty() && blocks.by_target.blocks.empty());
}

}  // namespace set_native::test
