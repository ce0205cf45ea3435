#pragma once

#include <cstdint>
#include <variant>
#include <vector>

#include "core/aligned.h"
#include "core/model.h"
#include "layout/thread_pool.h"

namespace set_native {

/**
 * The links of a sparse n x m layer as the CPU back end holds them: blocks of `height` neighbouring sources
 * linked to one target, in compressed sparse row form with one row per group of sources.
 *
 * The arrays per link have `height` entries per block. Group b holds the sources b height .. b height +
 * height - 1; the last group may stick out over the layer. Block k of group b and target j holds the links (b
 * height + r, j), r = 0 .. height - 1, whose weights lie side by side in weights[k height + r]; those of
 * sources beyond the layer are 0 and stay 0. Height 1 is the plain CSR of single links. One index per block
 * instead of one per link, and kernels load the row of a target once per block.
 *
 * `by_target` is the same blocks seen from the targets: for target j the blocks by_target.blocks[p] and their
 * groups, p in [offsets[j], offsets[j + 1]), groups ascending.
 *
 * Index: uint16_t where a layer has at most 65,536 sources and targets, else uint32_t. Bytes per block: 10
 * height + 4 + 2 sizeof(Index): 18 per link for single links with narrow indices, 22 with wide ones, 14 in
 * narrow blocks of two.
 */
template <class Index>
struct Blocks : LinkArrays<AlignedVector> {
  using IndexType = Index;

  struct ByTarget {
    std::vector<uint32_t> offsets;  // m + 1
    AlignedVector<Index> groups;
    AlignedVector<uint32_t> blocks;
  };

  uint32_t inputs = 0;   // n
  uint32_t outputs = 0;  // m
  uint32_t height = 1;
  std::vector<uint32_t> offsets;  // groups + 1
  AlignedVector<Index> targets;   // per block; ascending in a group
  ByTarget by_target;

  uint32_t groups() const { return static_cast<uint32_t>(offsets.size() - 1); }
  uint32_t size() const { return offsets.back(); }
  /** Sources of group b that exist: height, or fewer in the last group. */
  uint32_t sources_of(uint32_t group) const {
    const uint64_t left = inputs - static_cast<uint64_t>(group) * height;
    return static_cast<uint32_t>(left < height ? left : height);
  }
  /** Links that exist: those of sources beyond the layer are not counted. */
  uint64_t nnz() const {
    const uint32_t last = groups() - 1;
    return static_cast<uint64_t>(offsets[last]) * height +
           static_cast<uint64_t>(offsets[last + 1] - offsets[last]) * sources_of(last);
  }

  /** Rebuilds `by_target`, on all threads of the pool or on the caller's. O(groups + m + blocks). */
  void index_targets(ThreadPool& pool);
  void index_targets();
};

using AnyBlocks = std::variant<Blocks<uint16_t>, Blocks<uint32_t>>;

/** Whether indices of 16 bits tell the neurons of a layer apart. */
inline bool is_narrow(uint32_t inputs, uint32_t outputs) {
  constexpr uint32_t kNarrow = uint32_t{1} << 16;
  return inputs <= kNarrow && outputs <= kNarrow;
}

/** Whether all links of a layer come in whole motifs: every (group of `height` sources, target) is full or
 * empty. */
bool is_whole(const Csr& links, uint32_t height);

/**
 * The largest height, at most kMaxMotifSize and the number of sources, in whose blocks the links come: 1 for
 * most layers, and for one without links. O(n + nnz).
 */
uint32_t whole_height(const Csr& links);

/**
 * Takes the links of a sparse layer over (the layer keeps its sizes and the arrays per neuron)
 * and indexes the targets. Requires is_whole(layer.links, height). One array after the other is laid out anew
 * and the old one freed; at height 1 all but the columns are moved.
 */
AnyBlocks pack(Layer& layer, uint32_t height);
/** With indices of a given width, which must hold the layer's largest source and target. */
template <class Index>
Blocks<Index> pack_as(Layer& layer, uint32_t height);

/** The reverse of `pack`: gives the links back to the layer, leaving `blocks` empty. */
template <class Index>
void unpack(Blocks<Index>& blocks, Layer& layer);

/** Sources per block of a dense layer: as many as the kernels take at once, or for the fewest sources no more
 * than that. */
inline uint32_t dense_height(uint32_t inputs) {
  return inputs > 4 ? 8 : inputs > 2 ? 4 : 2;
}

/** Takes the cells of a dense layer over, without indexing the targets. */
AnyBlocks pack_dense(Layer& layer);
/** The reverse: gives the cells back, leaving `blocks` empty. */
template <class Index>
void unpack_dense(Blocks<Index>& blocks, Layer& layer);

}  // namespace set_native
