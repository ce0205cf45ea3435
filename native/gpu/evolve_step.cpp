#include "gpu/evolve_step.h"

#include <algorithm>

#include "core/error.h"
#include "core/weights.h"

namespace set_native::gpu {

namespace {

constexpr uint32_t kWarpSums = 32 * sizeof(uint32_t);  // shared memory that a team's scan needs
// Shift and width of the digits of a radix select: the 31 bits below the sign, the highest first.
constexpr uint32_t kDigits[][2] = {{20, 11}, {10, 10}, {0, 10}};

uint64_t divided(uint64_t count, uint64_t by) {
  return (count + by - 1) / by;
}

/** Lays out arrays in memory, one behind the other, each aligned to 256 bytes. */
class Layout {
 public:
  explicit Layout(size_t begin) : end_(begin) {}
  size_t add(uint64_t bytes) {
    const size_t place = end_;
    end_ += divided(bytes, 256) * 256;
    return place;
  }
  size_t words(uint64_t count) { return add(count * sizeof(uint32_t)); }
  size_t end() const { return end_; }

 private:
  size_t end_;
};

uint32_t table_entries(uint32_t slots) {
  uint32_t entries = 64;
  while (entries < 2 * uint64_t{slots}) entries *= 2;
  return entries;
}

}  // namespace

Launch evolve_launch(Op op, uint64_t threads, bool wide) {
  return {kernel_of(op, wide),
          static_cast<uint32_t>(std::max<uint64_t>(1, divided(threads, info_of(op).threads)))};
}

namespace {

Binding behind(const Binding& binding, uint64_t words) {
  return {binding.buffer, binding.offset + words * sizeof(uint32_t)};
}

/** Scans the sums of tiles, and adds to each tile the sum of the tiles before it. */
void join_tiles(Device& device, Binding values, uint32_t size, Binding sums) {
  const auto tiles = static_cast<uint32_t>(divided(size, kScanTile));
  if (tiles <= 1) return;
  scan(device, sums, tiles, behind(sums, tiles));
  device.dispatch(evolve_launch(Op::scan_add, size), ScanParams{size}, ScanBuffers{values, sums});
}

Launch tile_launch(Op op, uint32_t size) {
  Launch launch = evolve_launch(op, divided(size, kScanTile) * kEvolveThreads);
  launch.shared_bytes = kWarpSums;
  return launch;
}

}  // namespace

void scan(Device& device, Binding values, uint32_t size, Binding sums) {
  device.dispatch(tile_launch(Op::scan_tiles, size), ScanParams{size}, ScanBuffers{values, sums});
  join_tiles(device, values, size, sums);
}

void rank(Device& device, Binding bits, uint32_t words, Binding ranks, Binding sums) {
  device.dispatch(tile_launch(Op::rank_bits, words + 1), RankParams{words}, RankBuffers{bits, ranks, sums});
  join_tiles(device, ranks, words + 1, sums);
}

uint64_t sums_words(uint64_t size) {
  uint64_t words = 0;
  do {
    size = divided(size, kScanTile);
    words += size;
  } while (size > 1);
  return words;
}

Bitmaps::Bitmaps(uint32_t groups, uint32_t cols)
    : words(static_cast<uint32_t>(divided(cols, 32))),
      row_words(static_cast<uint32_t>(divided(groups, 32))),
      cell_words(static_cast<uint64_t>(groups) * words),
      target_words(static_cast<uint64_t>(cols) * row_words) {}

uint64_t Bitmaps::bytes() const {
  return (cell_words + target_words + std::max(cell_words, target_words) + 1) * sizeof(uint32_t);
}

EvolutionStep::EvolutionStep(Device& device, EvolutionMemory& memory, const Layer& layer,
                             const EvolutionPolicy& policy, const EvolutionKey& key)
    : device_(device),
      memory_(memory),
      layer_(layer),
      policy_(policy),
      key_(key),
      bitmaps_(layer.groups, layer.outputs),
      blocks_(layer.blocks),
      groups_(layer.groups),
      height_(layer.height),
      last_sources_(layer.inputs - (layer.groups - 1) * layer.height),
      first_truncated_(layer.blocks) {}

LayerEvolution EvolutionStep::run() {
  // Prune: mark the blocks to remove.
  if (last_sources_ < height_) {
    device_.download(&first_truncated_, *layer_.offsets, (groups_ - 1) * sizeof(uint32_t), sizeof(uint32_t));
  }
  const Amounts amounts = policy_.prune != Prune::lowest
                              ? count_set()
                              : Amounts{static_cast<uint32_t>(share(policy_.zeta, blocks_)), 0};
  full_ = amounts.positive + amounts.negative;
  if (full_ == 0) return {};
  make_plan();
  select(amounts);
  mark();

  // Regrow: make the bitmap of the kept blocks; slots win places in it, first in full groups, then in a
  // smaller last one.
  const uint64_t links =
      static_cast<uint64_t>(full_) * height_ + static_cast<uint64_t>(truncated_) * last_sources_;
  const uint64_t nnz = static_cast<uint64_t>(first_truncated_) * height_ +
                       static_cast<uint64_t>(blocks_ - first_truncated_) * last_sources_;
  crowded_ = 2 * (nnz - links) > static_cast<uint64_t>(layer_.inputs) * layer_.outputs;
  device_.clear(*memory_.scratch, plan_.cells, bitmaps_.cell_words * sizeof(uint32_t));
  device_.dispatch(evolve_launch(Op::occupy, uint64_t{groups_} * 32, layer_.wide),
                   OccupyParams{groups_, bitmaps_.words},
                   OccupyBuffers{layer_.offsets, layer_.targets, at(plan_.removed), at(plan_.cells)});
  const uint32_t full_groups = layer_.inputs / height_;
  Region full;
  full.rows = full_groups;
  full.stream = Stream::regrow;
  full.wanted = full_;
  grow(full);
  Region last;
  last.first_row = full_groups;
  last.rows = groups_ - full_groups;
  last.stream = Stream::regrow_single;
  last.wanted = truncated_;
  last.base = full_;
  grow(last);

  // Rebuild: move all blocks to their new places.
  rebuild();
  index_targets();
  return {links, links};
}

/** Returns the keys of the selection: weights of single links, scores of motifs. */
Binding EvolutionStep::keys() const {
  if (policy_.prune != Prune::lowest) return layer_.weights;
  return at(plan_.keys);
}

/** Returns how many single links go by the rules by_sign and thesis (core/evolution.h). */
EvolutionStep::Amounts EvolutionStep::count_set() {
  SignSummary found{};
  found.nearest = kNone;
  const SignParams params{blocks_};
  const SignBuffers buffers{layer_.weights, small(SmallParts::summary)};
  const auto count = [&](Op op) {
    device_.dispatch(evolve_launch(op, divided(blocks_, kThreadItems)), params, buffers);
    device_.download(&found, *memory_.small, SmallParts::summary, sizeof found);
  };
  device_.upload(*memory_.small, SmallParts::summary, &found, sizeof found);
  count(Op::count_signs);
  const uint32_t zeros = found.positive_zero + found.negative_zero;
  PrunedBySign amount{share(policy_.zeta, found.negative), share(policy_.zeta, found.positive)};
  if (policy_.prune == Prune::thesis) {
    if (zeros == 0) count(Op::count_nearest);
    SignCounts counts{};
    counts.negative = found.negative;
    counts.zero = zeros;
    counts.positive = found.positive;
    counts.nearest_negative = found.nearest_negative;
    counts.nearest_positive = found.nearest_positive;
    amount = by_thesis(policy_.zeta, counts);
  }
  return {found.positive_zero + static_cast<uint32_t>(amount.positive),
          found.negative_zero + static_cast<uint32_t>(amount.negative)};
}

/** Lays out the scratch memory and allocates it, before the layer changes. */
void EvolutionStep::make_plan() {
  const uint32_t slots = full_;
  const uint64_t warp_tiles = divided(blocks_, kWarpTile),
                 rank_size = std::max(bitmaps_.cell_words, bitmaps_.target_words) + 1;
  // Arrays of all phases.
  Layout always(0);
  plan_.removed = always.words(divided(blocks_, 32));
  plan_.cells = always.words(bitmaps_.cell_words);
  plan_.by_target = always.words(bitmaps_.target_words);
  plan_.ranks = always.words(rank_size);
  plan_.sums = always.words(sums_words(std::max(rank_size, 2 * warp_tiles + 1)));
  plan_.slot_rows = always.words(slots);
  plan_.slot_cols = always.words(slots);
  plan_.entries = always.words(slots);

  // Behind them the arrays of one phase at a time.
  Layout prune(always.end());
  if (policy_.prune == Prune::lowest) plan_.keys = prune.words(blocks_);
  plan_.ties = prune.words(2 * warp_tiles);

  Layout regrow(always.end());
  plan_.table = regrow.words(table_entries(slots));
  for (size_t& open : plan_.open) open = regrow.words(slots);
  plan_.lost = regrow.words(divided(slots, 32));
  plan_.tile_lost = regrow.words(divided(slots, kWarpTile) + 1);

  Layout rebuild(always.end());
  plan_.old_offsets = rebuild.words(uint64_t{groups_} + 1);
  plan_.old_targets = rebuild.add(layer_.targets->bytes());
  for_each_link_array(
      [&](const char*, size_t& place, const auto& array) {
        if (array != nullptr) place = rebuild.add(array->bytes());
      },
      plan_.old, layer_);

  plan_.bytes = std::max({prune.end(), regrow.end(), rebuild.end()});
  if (memory_.scratch != nullptr && memory_.scratch->bytes() >= plan_.bytes) return;
  memory_.scratch.reset();
  memory_.scratch = device_.allocate(plan_.bytes);
}

/** Finds the thresholds below which items go, one per sign, and leaves them in the states. */
void EvolutionStep::select(Amounts amounts) {
  if (policy_.prune == Prune::lowest) {
    ScoreParams params{};
    params.blocks = blocks_;
    params.height = height_;
    params.first_truncated = first_truncated_;
    params.sources = last_sources_;
    params.score = policy_.score;
    device_.dispatch(evolve_launch(Op::block_scores, blocks_), params,
                     ScoreBuffers{layer_.weights, at(plan_.keys)});
  }
  device_.clear(*memory_.small, SmallParts::histogram, SmallParts::bytes - SmallParts::histogram);
  const Binding states = small(SmallParts::states), histogram = small(SmallParts::histogram);
  for (const auto& digit : kDigits) {
    SelectParams params{};
    params.size = blocks_;
    params.shift = digit[0];
    params.width = digit[1];
    params.first = &digit == &kDigits[0] ? 1 : 0;
    params.positive = amounts.positive;
    params.negative = amounts.negative;
    Launch count = evolve_launch(Op::select_histogram, divided(blocks_, kThreadItems));
    count.shared_bytes = 2 * kSelectBins * sizeof(uint32_t);
    device_.dispatch(count, params, SelectHistogramBuffers{keys(), states, histogram});
    Launch choose = evolve_launch(Op::select_digit, 2 * kEvolveThreads);
    choose.shared_bytes = kWarpSums;
    device_.dispatch(choose, params, SelectDigitBuffers{states, histogram});
  }
}

/** Marks the blocks to remove, and counts them where the last group is smaller. */
void EvolutionStep::mark() {
  const auto tiles = static_cast<uint32_t>(divided(blocks_, kWarpTile));
  const MarkParams params{blocks_, tiles, first_truncated_};
  const Binding states = small(SmallParts::states);
  device_.dispatch(evolve_launch(Op::count_ties, uint64_t{tiles} * 32), params,
                   TieBuffers{keys(), states, at(plan_.ties)});
  scan(device_, at(plan_.ties), 2 * tiles, at(plan_.sums));
  device_.clear(*memory_.small, SmallParts::counts, sizeof(PruneCounts));
  MarkBuffers buffers;
  buffers.keys = keys();
  buffers.states = states;
  buffers.ties = at(plan_.ties);
  buffers.removed = at(plan_.removed);
  buffers.counts = small(SmallParts::counts);
  device_.dispatch(evolve_launch(Op::mark_pruned, uint64_t{tiles} * 32), params, buffers);
  if (first_truncated_ == blocks_) return;  // all removed blocks are full
  PruneCounts counts{};
  device_.download(&counts, *memory_.small, SmallParts::counts, sizeof counts);
  full_ = counts.full;
  truncated_ = counts.truncated;
}

/** Gives every slot of a region a free place, round by round. */
void EvolutionStep::grow(const Region& region) {
  RoundParams params{};
  params.key = draw_key(key_.seed, region.stream, key_.layer, key_.draws());
  params.first_row = region.first_row;
  params.rows = region.rows;
  params.cols = layer_.outputs;
  params.words = bitmaps_.words;
  const DrawKey key = params.key;
  params.count = region.wanted;
  while (params.count > 0) {
    if (params.round >= kMaxRounds)
      throw Error(ErrorCode::internal, "[evolve] regrowth did not end; please report");
    params.key.last_word = key.last_word + params.round;
    params.listed = crowded_ || params.round >= kOpenRounds;
    // Few slots are open after a round among all places; one team runs the other such rounds for them.
    const bool rest = params.listed == 0 && params.round + 1 < kOpenRounds;
    const uint32_t left = run_round(region, params, params.round == 0, rest);
    params.round = rest && left <= kRestThreads ? kOpenRounds : params.round + 1;
    params.count = left;
  }
}

/** Runs a round, or more of them if `rest` is set, and returns how many slots are still open. */
uint32_t EvolutionStep::run_round(const Region& region, RoundParams params, bool first, bool rest) {
  // Arrays of the region's slots; an empty table, and the ranks that draws among the free places need.
  const uint32_t count = params.count;
  const auto tiles = static_cast<uint32_t>(divided(count, kWarpTile));
  const uint32_t entries = table_entries(count);
  params.table_mask = entries - 1;
  const Binding open = first ? Binding{} : at(plan_.open[open_]), open_next = at(plan_.open[1 - open_]);
  const Binding cells = at(plan_.cells), table = at(plan_.table), ranks = at(plan_.ranks);
  const Binding slot_rows = at(plan_.slot_rows, region.base), slot_cols = at(plan_.slot_cols, region.base),
                slot_entries = at(plan_.entries, region.base);
  const Binding lost = at(plan_.lost), tile_lost = at(plan_.tile_lost), left = at(plan_.tile_lost, tiles);
  if (params.listed != 0) {
    rank(device_, cells, static_cast<uint32_t>(bitmaps_.cell_words), ranks, at(plan_.sums));
  }
  device_.clear(*memory_.scratch, plan_.table, entries * sizeof(uint32_t));
  device_.clear(*memory_.scratch, left.offset, sizeof(uint32_t));

  // Open slots propose places; the lowest slot that proposes a free place gets it.
  ProposeBuffers propose;
  propose.open = open;
  propose.cells = cells;
  propose.ranks = ranks;
  propose.slot_rows = slot_rows;
  propose.slot_cols = slot_cols;
  propose.entries = slot_entries;
  device_.dispatch(evolve_launch(Op::propose, count), params, propose);
  ClaimBuffers claim;
  claim.open = open;
  claim.slot_rows = slot_rows;
  claim.slot_cols = slot_cols;
  claim.entries = slot_entries;
  claim.table = table;
  device_.dispatch(evolve_launch(Op::claim, count), params, claim);
  SettleBuffers settle;
  settle.open = open;
  settle.slot_rows = slot_rows;
  settle.slot_cols = slot_cols;
  settle.entries = slot_entries;
  settle.table = table;
  settle.cells = cells;
  settle.lost = lost;
  settle.tile_lost = tile_lost;
  device_.dispatch(evolve_launch(Op::settle, uint64_t{tiles} * 32), params, settle);

  // The others are the open slots of the next round; one team may run the rounds that are left.
  scan(device_, tile_lost, tiles + 1, at(plan_.sums));
  device_.dispatch(evolve_launch(Op::compact, uint64_t{tiles} * 32), params,
                   CompactBuffers{open, lost, tile_lost, open_next});
  if (rest) {
    RoundParams further = params;
    ++further.round;
    ++further.key.last_word;
    further.end_round = kOpenRounds;
    ProposeRestBuffers buffers;
    buffers.open = open_next;
    buffers.cells = cells;
    buffers.slot_rows = slot_rows;
    buffers.slot_cols = slot_cols;
    buffers.left = left;
    Launch launch = evolve_launch(Op::propose_rest, kRestThreads);
    launch.shared_bytes = 2 * kRestThreads * sizeof(uint32_t) + kWarpSums;
    device_.dispatch(launch, further, buffers);
  }
  open_ = 1 - open_;
  uint32_t open_slots = 0;
  device_.download(&open_slots, *memory_.scratch, left.offset, sizeof open_slots);
  return open_slots;
}

/** Moves kept blocks to their new places, and gives grown ones theirs. */
void EvolutionStep::rebuild() {
  // Copy the layer, because its arrays are overwritten.
  const auto keep = [this](size_t to, const Buffer& from) {
    device_.copy(*memory_.scratch, to, from, 0, from.bytes());
  };
  device_.copy(*memory_.scratch, plan_.old_offsets, *layer_.offsets, 0,
               (size_t{groups_} + 1) * sizeof(uint32_t));
  keep(plan_.old_targets, *layer_.targets);
  for_each_link_array(
      [&](const char*, size_t place, const auto& array) {
        if (array != nullptr) keep(place, *array);
      },
      plan_.old, layer_);

  // Move the kept blocks: the place of a block is its rank in the bitmap.
  const Binding cells = at(plan_.cells), ranks = at(plan_.ranks);
  rank(device_, cells, static_cast<uint32_t>(bitmaps_.cell_words), ranks, at(plan_.sums));
  device_.dispatch(evolve_launch(Op::set_offsets, uint64_t{groups_} + 1),
                   OffsetParams{groups_, bitmaps_.words}, OffsetBuffers{ranks, layer_.offsets});
  MoveBuffers move;
  move.old_offsets = at(plan_.old_offsets);
  move.old_targets = at(plan_.old_targets);
  move.removed = at(plan_.removed);
  move.old_weights = at(plan_.old.weights);
  move.old_velocity = at(plan_.old.velocity);
  if (layer_.second_moment != nullptr) move.old_second_moment = at(plan_.old.second_moment);
  move.old_birth = at(plan_.old.birth);
  move.cells = cells;
  move.ranks = ranks;
  move.targets = layer_.targets;
  move.weights = layer_.weights;
  move.velocity = layer_.velocity;
  move.second_moment = layer_.second_moment;
  move.birth = layer_.birth;
  device_.dispatch(evolve_launch(Op::move_kept, uint64_t{groups_} * 32, layer_.wide),
                   MoveParams{groups_, bitmaps_.words, height_}, move);
  // Place the grown blocks.
  const uint32_t grown = full_ + truncated_;
  PlaceBuffers place;
  place.slot_rows = at(plan_.slot_rows);
  place.slot_cols = at(plan_.slot_cols);
  place.cells = cells;
  place.ranks = ranks;
  place.positions = at(plan_.entries);
  place.targets = layer_.targets;
  device_.dispatch(evolve_launch(Op::place_grown, grown, layer_.wide), PlaceParams{grown, bitmaps_.words},
                   place);
}

/** Makes the view by target, and the weights of grown links, which need it. */
void EvolutionStep::index_targets() {
  // The view by target: ranks in the transposed bitmap.
  const uint32_t cols = layer_.outputs, row_words = bitmaps_.row_words;
  const Binding by_target = at(plan_.by_target), ranks = at(plan_.ranks);
  device_.dispatch(evolve_launch(Op::transpose_bits, uint64_t{bitmaps_.words} * row_words * 32),
                   TransposeParams{groups_, cols, bitmaps_.words, row_words},
                   TransposeBuffers{at(plan_.cells), by_target});
  rank(device_, by_target, static_cast<uint32_t>(bitmaps_.target_words), ranks, at(plan_.sums));
  device_.dispatch(evolve_launch(Op::set_offsets, uint64_t{cols} + 1), OffsetParams{cols, row_words},
                   OffsetBuffers{ranks, layer_.target_offsets});
  IndexBuffers index;
  index.offsets = layer_.offsets;
  index.targets = layer_.targets;
  index.by_target = by_target;
  index.ranks = ranks;
  index.target_groups = layer_.target_groups;
  index.target_blocks = layer_.target_blocks;
  device_.dispatch(evolve_launch(Op::index_targets, uint64_t{groups_} * 32, layer_.wide),
                   IndexParams{groups_, row_words}, index);

  // Weights of the grown links.
  GrowParams params{};
  params.key = draw_key(key_.seed, Stream::regrow_weights, key_.layer, key_.draws());
  params.count = full_ + truncated_;
  params.height = height_;
  params.inputs = layer_.inputs;
  params.cols = cols;
  params.row_words = row_words;
  params.init = policy_.regrow_init;
  params.birth = birth_of(key_.epoch);
  params.dense_bound = he_bound(layer_.inputs);
  GrowBuffers grow;
  grow.slot_rows = at(plan_.slot_rows);
  grow.slot_cols = at(plan_.slot_cols);
  grow.positions = at(plan_.entries);
  grow.target_offsets = layer_.target_offsets;
  grow.by_target = by_target;
  grow.bounds = memory_.bounds;
  grow.weights = layer_.weights;
  grow.velocity = layer_.velocity;
  grow.second_moment = layer_.second_moment;
  grow.birth = layer_.birth;
  device_.dispatch(evolve_launch(Op::grow_weights, uint64_t{params.count} * height_), params, grow);
}

}  // namespace set_native::gpu
