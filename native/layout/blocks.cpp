#include "layout/blocks.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>

#include "layout/target_index.h"

namespace set_native {

namespace {

/** Whether rows a and b have the same columns. */
bool same_row(const Csr& links, uint32_t a, uint32_t b) {
  const auto cols = links.col_indices.begin();
  const auto& offsets = links.row_offsets;
  return std::equal(cols + offsets[a], cols + offsets[a + 1], cols + offsets[b], cols + offsets[b + 1]);
}

/** Frees the memory of a vector, which clear() does not. */
template <class Vector>
void release(Vector& vector) {
  Vector().swap(vector);
}

/**
 * Moves values from link order, row by row, to block order: the values of a block lie side by side, 0 for
 * sources beyond the layer.
 */
template <class Index, class Values>
void to_blocks(const Blocks<Index>& blocks, Values& from, Values& to) {
  if (blocks.height == 1) {
    to = std::move(from);
    return;
  }
  to.assign(static_cast<size_t>(blocks.size()) * blocks.height, 0);
  size_t link = 0;
  for (uint32_t b = 0; b < blocks.groups(); ++b) {
    for (uint32_t r = 0; r < blocks.sources_of(b); ++r) {
      for (size_t k = blocks.offsets[b]; k < blocks.offsets[b + 1]; ++k)
        to[k * blocks.height + r] = from[link++];
    }
  }
  release(from);
}

/** Moves values from block order back to link order. */
template <class Index, class Values>
void from_blocks(const Blocks<Index>& blocks, Values& from, Values& to) {
  if (blocks.height == 1) {
    to = std::move(from);
    return;
  }
  to.resize(blocks.nnz());
  size_t link = 0;
  for (uint32_t b = 0; b < blocks.groups(); ++b) {
    for (uint32_t r = 0; r < blocks.sources_of(b); ++r) {
      for (size_t k = blocks.offsets[b]; k < blocks.offsets[b + 1]; ++k)
        to[link++] = from[k * blocks.height + r];
    }
  }
  release(from);
}

/** Moves all arrays per link into the blocks, one after another. Arrays that the layer lacks stay empty. */
template <class Index>
void links_to_blocks(Layer& layer, Blocks<Index>& blocks) {
  for_each_link_array(
      [&](const char*, auto& from, auto& to) {
        if (!from.empty()) to_blocks(blocks, from, to);
      },
      layer, blocks);
}

/** Moves all arrays per link back into the layer. */
template <class Index>
void links_from_blocks(Blocks<Index>& blocks, Layer& layer) {
  for_each_link_array(
      [&](const char*, auto& from, auto& to) {
        if (!from.empty()) from_blocks(blocks, from, to);
      },
      blocks, layer);
}

/** Packs a dense layer: every group is linked to every target. */
template <class Index>
Blocks<Index> pack_dense_as(Layer& layer) {
  Blocks<Index> blocks;
  blocks.inputs = layer.inputs;
  blocks.outputs = layer.outputs;
  blocks.height = dense_height(layer.inputs);
  const uint32_t groups = (layer.inputs + blocks.height - 1) / blocks.height;
  for (uint32_t b = 0; b <= groups; ++b) blocks.offsets.push_back(b * layer.outputs);
  blocks.targets.reserve(blocks.size());
  for (uint32_t b = 0; b < groups; ++b) {
    for (uint32_t j = 0; j < layer.outputs; ++j) blocks.targets.push_back(static_cast<Index>(j));
  }
  links_to_blocks(layer, blocks);
  return blocks;
}

}  // namespace

template <class Index>
void Blocks<Index>::index_targets() {
  ThreadPool caller(1);
  index_targets(caller);
}

template <class Index>
void Blocks<Index>::index_targets(ThreadPool& pool) {
  TargetIndex<Index> index(*this, pool);
  index.count();
  index.place();
}

bool is_whole(const Csr& links, uint32_t height) {
  for (uint32_t row = 1; row < links.rows; ++row) {
    if (row % height != 0 && !same_row(links, row - 1, row)) return false;
  }
  return true;
}

uint32_t whole_height(const Csr& links) {
  if (links.nnz() == 0) return 1;
  // Rows within a block are alike, so rows that differ from the row before start a block: the height divides
  // the numbers of all such rows.
  uint32_t divisor = 0;
  for (uint32_t row = 1; row < links.rows && divisor != 1; ++row) {
    if (!same_row(links, row - 1, row)) divisor = std::gcd(divisor, row);
  }
  uint32_t height = std::min(kMaxMotifSize, links.rows);
  while (divisor % height != 0) --height;
  return height;
}

template <class Index>
Blocks<Index> pack_as(Layer& layer, uint32_t height) {
  Blocks<Index> blocks;
  blocks.inputs = layer.inputs;
  blocks.outputs = layer.outputs;
  blocks.height = height;
  Csr& links = layer.links;
  blocks.offsets.push_back(0);
  // The pattern: single links are the CSR itself; of higher blocks the first row of each group.
  if (height == 1) {
    blocks.offsets = std::move(links.row_offsets);
    blocks.targets.assign(links.col_indices.begin(), links.col_indices.end());
  } else {
    uint64_t size = 0;
    for (uint64_t row = 0; row < links.rows; row += height) {
      size += links.row_offsets[row + 1] - links.row_offsets[row];
      blocks.offsets.push_back(static_cast<uint32_t>(size));
    }
    blocks.targets.reserve(size);
    for (uint64_t row = 0; row < links.rows; row += height) {
      const auto cols = links.col_indices.begin();
      blocks.targets.insert(blocks.targets.end(), cols + links.row_offsets[row],
                            cols + links.row_offsets[row + 1]);
    }
  }
  // The arrays per link, and the index by target.
  links = {};
  links_to_blocks(layer, blocks);
  blocks.index_targets();
  return blocks;
}

AnyBlocks pack(Layer& layer, uint32_t height) {
  if (is_narrow(layer.inputs, layer.outputs)) return pack_as<uint16_t>(layer, height);
  return pack_as<uint32_t>(layer, height);
}

template <class Index>
void unpack(Blocks<Index>& blocks, Layer& layer) {
  release(blocks.by_target.groups);
  release(blocks.by_target.blocks);
  Csr& links = layer.links;
  links.rows = layer.inputs;
  links.cols = layer.outputs;
  links.row_offsets.assign(1, 0);
  links.row_offsets.reserve(static_cast<size_t>(layer.inputs) + 1);
  links.col_indices.clear();
  links.col_indices.reserve(blocks.nnz());
  for (uint32_t b = 0; b < blocks.groups(); ++b) {
    const auto targets = blocks.targets.begin();
    for (uint32_t r = 0; r < blocks.sources_of(b); ++r) {
      links.col_indices.insert(links.col_indices.end(), targets + blocks.offsets[b],
                               targets + blocks.offsets[b + 1]);
      links.row_offsets.push_back(static_cast<uint32_t>(links.nnz()));
    }
  }
  release(blocks.targets);
  links_from_blocks(blocks, layer);
  blocks = {};
}

AnyBlocks pack_dense(Layer& layer) {
  if (is_narrow(layer.inputs, layer.outputs)) return pack_dense_as<uint16_t>(layer);
  return pack_dense_as<uint32_t>(layer);
}

template <class Index>
void unpack_dense(Blocks<Index>& blocks, Layer& layer) {
  links_from_blocks(blocks, layer);
  blocks = {};
}

template struct Blocks<uint16_t>;
template struct Blocks<uint32_t>;
template Blocks<uint16_t> pack_as(Layer& layer, uint32_t height);
template Blocks<uint32_t> pack_as(Layer& layer, uint32_t height);
template void unpack(Blocks<uint16_t>& blocks, Layer& layer);
template void unpack(Blocks<uint32_t>& blocks, Layer& layer);
template void unpack_dense(Blocks<uint16_t>& blocks, Layer& layer);
template void unpack_dense(Blocks<uint32_t>& blocks, Layer& layer);

}  // namespace set_native
