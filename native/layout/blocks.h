#pragma once

#include <cstdint>
#include <variant>
#include <vector>

#include "core/aligned.h"
#include "core/model.h"
#include "layout/thread_pool.h"

namespace set_native {

/**
 * Links of a sparse n x m layer as the CPU back end holds them: blocks of `height` neighbouring sources
 * linked to one target, in compressed sparse row form with one row per group of sources.
 *
 * The arrays per link have `height` entries per block. Group b consists of the sources b height .. b height +
 * height - 1; the last group may extend beyond the layer. Block k of group b and target j holds the links
 * (b height + r, j), r = 0 .. height - 1, whose weights lie side by side in weights[k height + r]. Weights of
 * sources beyond the layer are 0 and stay 0. Height 1 is the plain CSR of single links. Blocks need one index
 * each instead of one per link, and kernels load the row of a target once per block.
 *
 * `by_target` lists the same blocks by target: target j has the blocks by_target.blocks[p] of the groups
 * by_target.groups[p], p in [offsets[j], offsets[j + 1]), in ascending order of groups.
 *
 * Index is uint16_t for layers of at most 65,536 sources and targets, else uint32_t. Bytes per block: 10
 * height
 * + 4 + 2 sizeof(Index), which is 18 per link for single links with narrow indices, 22 with wide ones, and 14
 * in narrow blocks of two; 4 height more with AdamW.
 */
template <class Index>
struct Blocks : LinkArrays<AlignedVector> {
  using IndexType = Index;

  struct ByTarget {
    std::vector<uint32_t> offsets;   // m + 1 entries
    AlignedVector<Index> groups;     // group of each block
    AlignedVector<uint32_t> blocks;  // number of each block in the order by group
  };

  uint32_t inputs = 0;            // number of sources, n
  uint32_t outputs = 0;           // number of targets, m
  uint32_t height = 1;            // number of sources per block
  std::vector<uint32_t> offsets;  // first block of each group; groups + 1 entries
  AlignedVector<Index> targets;   // target of each block, ascending within a group
  ByTarget by_target;

  uint32_t groups() const { return static_cast<uint32_t>(offsets.size() - 1); }
  /** Number of blocks. */
  uint32_t size() const { return offsets.back(); }
  /** Number of sources of a group that exist: height, or fewer in the last group. */
  uint32_t sources_of(uint32_t group) const {
    const uint64_t left = inputs - static_cast<uint64_t>(group) * height;
    return static_cast<uint32_t>(left < height ? left : height);
  }
  /** Number of links, without those of sources beyond the layer. */
  uint64_t nnz() const {
    const uint32_t last = groups() - 1;
    return static_cast<uint64_t>(offsets[last]) * height +
           static_cast<uint64_t>(offsets[last + 1] - offsets[last]) * sources_of(last);
  }

  /** Rebuilds `by_target`, on all threads of the pool or on the calling thread. O(groups + m + blocks). */
  void index_targets(ThreadPool& pool);
  void index_targets();
};

using AnyBlocks = std::variant<Blocks<uint16_t>, Blocks<uint32_t>>;

/** Whether indices of 16 bits suffice for the neurons of a layer. */
inline bool is_narrow(uint32_t inputs, uint32_t outputs) {
  constexpr uint32_t kNarrow = uint32_t{1} << 16;
  return inputs <= kNarrow && outputs <= kNarrow;
}

/**
 * Whether all links of a layer form whole motifs: every slot (group of `height` sources, target) is full or
 * empty.
 */
bool is_whole(const Csr& links, uint32_t height);

/**
 * Returns the largest height for which is_whole(links, height), at most kMaxMotifSize and the number of
 * sources. It is 1 for most layers and for layers without links. O(n + nnz).
 */
uint32_t whole_height(const Csr& links);

/**
 * Moves the links of a sparse layer into blocks and indexes the targets. The layer keeps its sizes and the
 * arrays per neuron. Requires is_whole(layer.links, height). Arrays are copied and freed one after another;
 * at height 1 all but the columns are moved instead.
 */
AnyBlocks pack(Layer& layer, uint32_t height);
/** Does what `pack` does, with an Index that must hold the layer's largest source and target. */
template <class Index>
Blocks<Index> pack_as(Layer& layer, uint32_t height);

/** Reverses `pack`: moves the links back into the layer and leaves `blocks` empty. */
template <class Index>
void unpack(Blocks<Index>& blocks, Layer& layer);

/**
 * Height of the blocks of a dense layer: 8, as many sources as kernels process at once, or less for a layer
 * of few sources.
 */
inline uint32_t dense_height(uint32_t inputs) {
  return inputs > 4 ? 8 : inputs > 2 ? 4 : 2;
}

/** Moves the cells of a dense layer into blocks, without indexing the targets. */
AnyBlocks pack_dense(Layer& layer);
/** Reverses `pack_dense`: moves the cells back into the layer and leaves `blocks` empty. */
template <class Index>
void unpack_dense(Blocks<Index>& blocks, Layer& layer);

}  // namespace set_native
