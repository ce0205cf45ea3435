#include "evolution/rebuild.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/philox.h"
#include "layout/parts.h"

namespace set_native {

namespace {

constexpr double kGroupCost = 4.0;  // cost of a group beside its blocks, in blocks

template <class T>
using Pointer = T*;

/**
 * Pointers to the targets and the arrays per link, which have kHeight entries per block. kHeight 0 means a
 * height known only at run time. An array that the layer does not have is a null pointer; only kOptional code
 * tests for it, because a test per block and array would take a third more instructions.
 */
template <class Index, size_t kHeight, bool kOptional>
struct Arrays : LinkArrays<Pointer> {
  using IndexType = Index;

  explicit Arrays(Blocks<Index>& blocks) : runtime_height(blocks.height), targets(blocks.targets.data()) {
    for_each_link_array(
        [](const char*, auto& values, auto*& pointer) { pointer = values.empty() ? nullptr : values.data(); },
        blocks, *this);
  }

  size_t height() const { return kHeight > 0 ? kHeight : runtime_height; }

  /** Copies block `from`, target and values, to block `to`. */
  void copy(size_t from, size_t to) const {
    targets[to] = targets[from];
    copy_values(from, to);
  }
  void copy_values(size_t from, size_t to) const {
    const size_t h = height();
    for_each_link_array(
        [=](ArrayName name, auto* values) {
          if (name.optional && (!kOptional || values == nullptr)) return;
          // NOLINTNEXTLINE(clang-analyzer-core.NullDereference): only optional arrays may be absent
          for (size_t r = 0; r < h; ++r) values[to * h + r] = values[from * h + r];
        },
        *this);
  }

  /** Moves `count` blocks, whose ranges may overlap. */
  void move(size_t from, size_t to, size_t count) const {
    const auto move_array = [=](auto* values, size_t unit) {
      if (values == nullptr) return;
      std::memmove(values + to * unit, values + from * unit, count * unit * sizeof *values);
    };
    move_array(targets, 1);
    for_each_link_array([&](const char*, auto* values) { move_array(values, height()); }, *this);
  }

  size_t runtime_height;
  Index* targets;
};

/** Kept blocks [first_kept, end_kept) and grown blocks [first_grown, end_grown) of a group. */
struct Row {
  uint32_t first_kept, end_kept;
  uint32_t first_grown, end_grown;
};

/**
 * Merges a group from its last block down: the last block goes to end_kept + end_grown - 1. cols[g], the
 * target of grown block g, becomes its number. Of a grown block only the target is set here; its values
 * follow later.
 *
 * Whether a kept or a grown block is next could not be predicted, so the loop has no branch on it: each step
 * copies a kept block's values even for a grown block, and overwrites cols[g - 1] until it is right. It uses
 * masks because compilers turn conditional expressions into branches.
 */
template <class Arrays>
[[gnu::noinline]] void merge_row(const Arrays arrays, uint32_t* cols, const Row row) {
  // Merge while both kinds of blocks are left.
  uint32_t kept = row.end_kept, g = row.end_grown;
  uint32_t col = g > row.first_grown ? cols[g - 1] : 0;
  while (g > row.first_grown && kept > row.first_kept) {
    const uint32_t to = kept + g - 1;
    const uint32_t kept_col = arrays.targets[kept - 1], col_below = cols[std::max(g, 2u) - 2];
    const uint32_t take_kept = kept_col > col, mask = 0 - take_kept;
    arrays.copy_values(kept - 1, to);
    arrays.targets[to] = static_cast<typename Arrays::IndexType>(col ^ ((col ^ kept_col) & mask));
    cols[g - 1] = to;
    col = col_below ^ ((col_below ^ col) & mask);
    kept -= take_kept;
    g -= 1 - take_kept;
  }
  // Only one kind is left.
  for (; g > row.first_grown; --g) {
    arrays.targets[kept + g - 1] = static_cast<typename Arrays::IndexType>(col);
    cols[g - 1] = kept + g - 1;
    col = cols[std::max(g, 2u) - 2];
  }
  for (; kept > row.first_kept; --kept) arrays.copy(kept - 1, kept + g - 1);
}

}  // namespace

template <class Index>
Rebuild<Index>::Rebuild(Blocks<Index>& blocks, const EvolutionPolicy& policy, const EvolutionKey& key,
                        ThreadPool& pool)
    : blocks_(blocks),
      policy_(policy),
      key_(key),
      pool_(pool),
      index_(blocks, pool),
      bounds_(blocks.outputs, he_bound(blocks.inputs)) {
  for (const uint32_t group : parts_of_rows(blocks.offsets, pool.size(), kGroupCost)) {
    parts_.push_back({group, blocks.offsets[group], 0, 0});
  }
}

template <class Index>
void Rebuild<Index>::run(const Marks& removed, Places& grown) {
  bool optional = false;
  for_each_link_array(
      [&](ArrayName name, const auto& values) { optional |= name.optional && !values.empty(); }, blocks_);
  optional ? merge_blocks<true>(removed, grown) : merge_blocks<false>(removed, grown);
  index_.count();
  set_grown_weights(grown);
  clear_beyond_layer();
  blocks_.by_target.blocks = std::move(grown.cols);
  index_.place();
}

template <class Index>
template <bool kOptional>
void Rebuild<Index>::merge_blocks(const Marks& removed, Places& grown) {
  switch (blocks_.height) {
    case 1:
      return merge<Arrays<Index, 1, kOptional>>(removed, grown);
    case 2:
      return merge<Arrays<Index, 2, kOptional>>(removed, grown);
    case 4:
      return merge<Arrays<Index, 4, kOptional>>(removed, grown);
    default:
      return merge<Arrays<Index, 0, kOptional>>(removed, grown);
  }
}

template <class Index>
template <class Arrays>
void Rebuild<Index>::merge(const Marks& removed, Places& grown) {
  pool_.run([&](unsigned t) { compact<Arrays>(parts_[t], parts_[t + 1], removed); });
  place_parts(grown);
  // Parts that move down move first, in order, then those that move up, in reverse: no part overwrites one
  // that has yet to move.
  const Arrays arrays(blocks_);
  const auto move = [&](const Part& part) { arrays.move(part.from, part.to, part.kept); };
  for (auto part = parts_.begin(); part != parts_.end(); ++part) {
    if (part->to < part->from) move(*part);
  }
  for (auto part = parts_.rbegin(); part != parts_.rend(); ++part) {
    if (part->to > part->from) move(*part);
  }
  pool_.run([&](unsigned t) { expand<Arrays>(parts_[t], parts_[t + 1], grown); });
}

/**
 * Moves the kept blocks to the front of the part. offsets[b + 1] becomes the end of group b's kept blocks.
 */
template <class Index>
template <class Arrays>
void Rebuild<Index>::compact(Part& part, const Part& next, const Marks& removed) {
  const Arrays arrays(blocks_);
  uint32_t* const offsets = blocks_.offsets.data();
  uint32_t to = part.from, k = part.from;
  for (uint32_t b = part.group; b < next.group; ++b) {
    const uint32_t end = b + 1 == next.group ? next.from : offsets[b + 1];
    for (; k < end; ++k) {
      arrays.copy(k, to);
      to += 1 - removed.bit(k);
    }
    offsets[b + 1] = to;
  }
  part.kept = to - part.from;
}

/** Computes where each part will begin. */
template <class Index>
void Rebuild<Index>::place_parts(const Places& grown) {
  for (size_t t = 0; t + 1 < parts_.size(); ++t) {
    const uint32_t grown_in_part = grown.offsets[parts_[t + 1].group] - grown.offsets[parts_[t].group];
    parts_[t + 1].to = parts_[t].to + parts_[t].kept + grown_in_part;
  }
}

/** Merges kept and grown blocks of all groups of a part. offsets[b + 1] becomes the final end of group b. */
template <class Index>
template <class Arrays>
void Rebuild<Index>::expand(const Part& part, const Part& next, Places& grown) {
  const Arrays arrays(blocks_);
  uint32_t* const cols = grown.cols.data() + grown.offsets[part.group];
  uint32_t* const offsets = blocks_.offsets.data();
  uint32_t kept = part.to + part.kept;
  uint32_t g = grown.offsets[next.group] - grown.offsets[part.group];  // grown blocks left to merge
  for (uint32_t b = next.group; b-- > part.group;) {
    const uint32_t first_kept = (b == part.group ? part.from : offsets[b]) - part.from + part.to;
    const uint32_t first_grown = grown.offsets[b] - grown.offsets[part.group];
    offsets[b + 1] = kept + g;
    merge_row(arrays, cols, {first_kept, kept, first_grown, g});
    kept = first_kept;
    g = first_grown;
  }
}

/** Sets all numbers of a link to 0. */
template <class Index>
void Rebuild<Index>::clear_link(size_t place) {
  for_each_link_array(
      [=](const char*, auto& values) {
        if (!values.empty()) values[place] = 0;
      },
      blocks_);
}

/** Sets all numbers of links of sources beyond the layer to 0: these links do not exist. */
template <class Index>
void Rebuild<Index>::clear_beyond_layer() {
  const uint32_t last = blocks_.groups() - 1;
  for (size_t k = blocks_.offsets[last]; k < blocks_.offsets[last + 1]; ++k) {
    for (size_t r = blocks_.sources_of(last); r < blocks_.height; ++r) {
      clear_link(k * blocks_.height + r);
    }
  }
}

/** Computes the bounds of the weights of grown links. by_target.offsets give the fan-in. */
template <class Index>
void Rebuild<Index>::set_bounds() {
  if (policy_.regrow_init != RegrowInit::he_fan_in) return;
  const std::vector<uint32_t>& begins = blocks_.by_target.offsets;
  for (uint32_t j = 0; j < blocks_.outputs; ++j) {
    bounds_[j] = he_bound((begins[j + 1] - begins[j]) * blocks_.height);
  }
  // A block of a truncated last group has fewer links.
  const uint32_t last = blocks_.groups() - 1, missing = blocks_.height - blocks_.sources_of(last);
  for (size_t k = blocks_.offsets[last]; missing > 0 && k < blocks_.offsets[last + 1]; ++k) {
    const uint32_t j = blocks_.targets[k];
    bounds_[j] = he_bound((begins[j + 1] - begins[j]) * blocks_.height - missing);
  }
}

/**
 * Sets the arrays per link of the grown blocks, whose numbers `grown.cols` holds. Draws weights in batches.
 */
template <class Index>
void Rebuild<Index>::set_grown_weights(const Places& grown) {
  set_bounds();
  deal_rows(pool_, pool_.size(), blocks_.groups(), [&](unsigned, uint32_t begin, uint32_t end) {
    constexpr size_t kBatch = 256;
    const bool zero = policy_.regrow_init == RegrowInit::zero;
    uint64_t cells[kBatch] = {}, words[kBatch] = {};
    size_t links[kBatch];
    Index targets[kBatch];
    size_t count = 0;
    // Sets the links collected so far.
    const auto draw_weights = [&] {
      if (!zero)
        draw_many(key_.seed, Stream::regrow_weights, key_.layer, key_.draws(), cells, 0, count, words);
      // All numbers of a grown link are 0 except its weight and its birth.
      for (size_t t = 0; t < count; ++t) {
        clear_link(links[t]);
        const float unit = symmetric_unit(static_cast<uint32_t>(words[t]));
        blocks_.weights[links[t]] = zero ? 0.0f : bounds_[targets[t]] * unit;
        blocks_.birth[links[t]] = birth_of(key_.epoch);
      }
      count = 0;
    };
    // Collect the links of all grown blocks.
    const size_t height = blocks_.height;
    for (uint32_t b = begin; b < end; ++b) {
      for (uint32_t p = grown.offsets[b]; p < grown.offsets[b + 1]; ++p) {
        const Index target = blocks_.targets[grown.cols[p]];
        for (size_t r = 0; r < height; ++r) {
          cells[count] = (b * height + r) * blocks_.outputs + target;
          links[count] = grown.cols[p] * height + r;
          targets[count] = target;
          if (++count == kBatch) draw_weights();
        }
      }
    }
    draw_weights();
  });
}

template class Rebuild<uint16_t>;
template class Rebuild<uint32_t>;

}  // namespace set_native
