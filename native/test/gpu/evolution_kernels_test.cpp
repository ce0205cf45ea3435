#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <map>
#include <numeric>
#include <set>
#include <vector>

#include "core/evolution.h"
#include "core/philox.h"
#include "gpu/evolve_params.h"
#include "gpu/evolve_step.h"
#include "gpu/philox.h"
#include "test/check.h"
#include "test/evolution/evolution_support.h"
#include "test/gpu/gpu_device.h"

/*
 * Every kernel of evolution on its own, in the emulator, against a plain loop.
 */
namespace set_native::test {

namespace {

using namespace gpu;

using Words = std::vector<uint32_t>;

/** Arrays on a device. */
struct Machine {
  TestDevice device;

  explicit Machine(simt::Order order = simt::Order::forward) : device(in_order(order)) {}
  static EmulatedDevice::Options in_order(simt::Order order) {
    EmulatedDevice::Options options;
    options.schedule = {order, 7};
    return options;
  }
  template <class T>
  std::unique_ptr<Buffer> put(const std::vector<T>& values) {
    std::unique_ptr<Buffer> buffer = device.allocate(values.size() * sizeof(T));
    device.upload(*buffer, 0, values.data(), values.size() * sizeof(T));
    return buffer;
  }
  std::unique_ptr<Buffer> zeros(size_t words) { return put(Words(words, 0)); }
  template <class T = uint32_t>
  std::vector<T> get(const std::unique_ptr<Buffer>& buffer) {
    std::vector<T> values(buffer->bytes() / sizeof(T));
    device.download(values.data(), *buffer, 0, buffer->bytes());
    return values;
  }
};

constexpr simt::Order kOrders[] = {simt::Order::forward, simt::Order::reversed, simt::Order::shuffled};

uint32_t divided(size_t count, size_t by) {
  return static_cast<uint32_t>((count + by - 1) / by);
}

/** A bitmap of rows padded to words, and the plain form of it. */
struct Cells {
  uint32_t rows, cols, words;
  std::vector<std::vector<bool>> set;
  Words bits;

  Cells(uint32_t n, uint32_t m, double density, Random& random)
      : rows(n), cols(m), words(divided(m, 32)), set(n, std::vector<bool>(m)), bits(size_t{n} * words, 0) {
    for (uint32_t i = 0; i < n; ++i)
      for (uint32_t j = 0; j < m; ++j)
        if (uniform(random) < density) insert(i, j);
  }
  void insert(uint32_t i, uint32_t j) {
    set[i][j] = true;
    bits[size_t{i} * words + j / 32] |= 1u << (j % 32);
  }
  Words ranks() const {
    Words all(1, 0);
    for (const uint32_t word : bits)
      all.push_back(all.back() + static_cast<uint32_t>(__builtin_popcount(word)));
    return all;
  }
  /** As blocks of single links. */
  void links(Words& offsets, Words& targets) const {
    offsets.assign(1, 0);
    for (uint32_t i = 0; i < rows; ++i) {
      for (uint32_t j = 0; j < cols; ++j)
        if (set[i][j]) targets.push_back(j);
      offsets.push_back(static_cast<uint32_t>(targets.size()));
    }
  }
  Cells transposed() const {
    Cells other = *this;
    other.rows = cols;
    other.cols = rows;
    other.words = divided(rows, 32);
    other.set.assign(cols, std::vector<bool>(rows));
    other.bits.assign(size_t{cols} * other.words, 0);
    for (uint32_t i = 0; i < rows; ++i)
      for (uint32_t j = 0; j < cols; ++j)
        if (set[i][j]) other.insert(j, i);
    return other;
  }
};

using Shape = std::array<uint32_t, 2>;

/** Fewer with an OS thread for each GPU thread. */
std::vector<Shape> shapes() {
  if (simt::kThreads) return {{33, 64}};
  return {{1, 1}, {1, 100}, {100, 1}, {31, 33}, {32, 32}, {33, 64}, {65, 70}};
}

}  // namespace

TEST("gpu philox: the words, numbers and floats of the host") {
  Random random(seed());
  for (int k = 0; k < 2000; ++k) {
    const uint64_t key_seed = random(), index = random();
    const auto layer = static_cast<uint32_t>(random() % kMaxLayers),
               epoch = static_cast<uint32_t>(random() % 65536);
    const auto round = static_cast<uint32_t>(random() % kMaxRounds);
    DrawKey key = draw_key(key_seed, Stream::regrow, layer, epoch);
    key.last_word += round;
    const gpu::PhiloxWords got = gpu::draw(key, index);
    const PhiloxBlock want = set_native::draw(key_seed, Stream::regrow, layer, epoch, index, round);
    CHECK(got.x == want[0] && got.y == want[1] && got.z == want[2] && got.w == want[3]);
    const uint64_t u = gpu::first_64(got);
    CHECK_EQ(u, word64(want));
    CHECK_EQ(gpu::symmetric_unit(got.x), set_native::symmetric_unit(want[0]));
    const uint64_t count = random() >> random() % 64;
    for (const uint64_t draw_of : {u, ~uint64_t{0}, uint64_t{0}}) {
      CHECK_EQ(gpu::below(draw_of, count), set_native::below(draw_of, count));
      const auto rows = static_cast<uint32_t>(random() >> (32 + random() % 32)),
                 cols = static_cast<uint32_t>(random());
      uint64_t fraction;
      const uint64_t row = gpu::below(draw_of, rows, fraction), col = gpu::below(fraction, cols, fraction);
      CHECK_EQ(row * cols + col, set_native::below(draw_of, static_cast<uint64_t>(rows) * cols));
    }
  }
}

TEST("gpu scan: numbers before, over one tile and many, and tiles of tiles") {
  Random random(seed());
  for (const simt::Order order : kOrders) {
    for (const uint32_t size : {1u, 2u, 33u, 1023u, 1024u, 1025u, 5000u, kScanTile * kScanTile + 3}) {
      if (size > 10000 && (simt::kThreads || order != simt::Order::reversed)) continue;
      Machine machine(order);
      Words values(size);
      for (uint32_t& value : values)
        value = static_cast<uint32_t>(random() % 4 == 0 ? random() : random() % 5);
      Words want(size, 0);
      for (uint32_t i = 1; i < size; ++i) want[i] = want[i - 1] + values[i - 1];
      const auto on_device = machine.put(values);
      const auto sums = machine.device.allocate(sums_words(size) * 4);
      scan(machine.device, on_device, size, sums);
      CHECK_MSG(machine.get(on_device) == want, size << " numbers");
    }
  }
}

TEST("gpu rank: set bits before every word, and all of them") {
  Random random(seed());
  for (const uint32_t words : {1u, 31u, 1023u, 1024u, 3000u}) {
    Machine machine;
    Words bits(words), want(1, 0);
    for (uint32_t& word : bits) {
      word = random() % 3 == 0 ? 0 : static_cast<uint32_t>(random());
      want.push_back(want.back() + static_cast<uint32_t>(__builtin_popcount(word)));
    }
    const auto on_device = machine.put(bits), ranks = machine.device.allocate((words + 1) * 4);
    const auto sums = machine.device.allocate(sums_words(words + 1) * 4);
    rank(machine.device, on_device, words, ranks, sums);
    CHECK_MSG(machine.get(ranks) == want, words << " words");
  }
}

TEST("gpu check: one weight that is not finite, wherever it is") {
  Random random(seed());
  for (const size_t size : {1u, 5u, 1000u, 3000u}) {
    for (const float bad : {1.0f, 3e38f, -1e-40f, INFINITY, -INFINITY, NAN, -NAN}) {
      Machine machine(simt::Order::shuffled);
      std::vector<float> weights(size, -0.5f);
      weights[random() % size] = bad;
      const auto on_device = machine.put(weights), flag = machine.zeros(1);
      machine.device.dispatch(evolve_launch(Op::check_finite, divided(size, kThreadItems)),
                              CheckParams{static_cast<uint32_t>(size), 0}, CheckBuffers{on_device, flag});
      CHECK_EQ(machine.get(flag)[0], std::isfinite(bad) ? 0u : 1u);
    }
  }
}

TEST("gpu prune: scores of blocks, as the CPU sums them, the truncated ones too") {
  Random random(seed());
  for (const uint32_t height : {2u, 3u, 8u}) {
    const uint32_t blocks = 300, first_truncated = 290, sources = height - 1;
    std::vector<float> weights(size_t{blocks} * height);
    for (float& w : weights) w = test_weight(random() % 2 == 0 ? Weights::wild : Weights::zeros, 0.5, random);
    for (const MotifScore kind : {MotifScore::mean, MotifScore::max, MotifScore::min, MotifScore::sum}) {
      std::vector<float> want(blocks);
      for (uint32_t k = 0; k < blocks; ++k) {
        const uint32_t count = k < first_truncated ? height : sources;
        float sum = 0.0f, largest = 0.0f, smallest = INFINITY;
        for (uint32_t r = 0; r < count; ++r) {
          const float size = std::fabs(weights[size_t{k} * height + r]);
          sum += size;
          largest = std::max(largest, size);
          smallest = std::min(smallest, size);
        }
        want[k] = kind == MotifScore::mean  ? sum / static_cast<float>(count)
                  : kind == MotifScore::max ? largest
                  : kind == MotifScore::min ? smallest
                                            : sum;
      }
      Machine machine;
      const auto on_device = machine.put(weights), keys = machine.zeros(blocks);
      machine.device.dispatch(evolve_launch(Op::block_scores, blocks),
                              ScoreParams{blocks, height, first_truncated, sources, kind},
                              ScoreBuffers{on_device, keys});
      CHECK(same_bits(machine.get<float>(keys), want));
    }
  }
}

TEST("gpu prune: positive, negative and zero weights, and those nearest zero") {
  Random random(seed());
  for (const Weights kind :
       {Weights::uniform, Weights::ties, Weights::zeros, Weights::all_zero, Weights::wild}) {
    Machine machine(simt::Order::shuffled);
    std::vector<float> weights(2500);
    for (float& w : weights) w = test_weight(kind, 0.5, random);
    SignSummary want{};
    float nearest = INFINITY;
    for (const float w : weights) {
      want.positive += w > 0;
      want.negative += w < 0;
      want.positive_zero += w == 0 && !std::signbit(w);
      want.negative_zero += w == 0 && std::signbit(w);
      if (w != 0) nearest = std::min(nearest, std::fabs(w));
    }
    for (const float w : weights) {
      want.nearest_positive += w == nearest;
      want.nearest_negative += w == -nearest;
    }
    std::memcpy(&want.nearest, &nearest, 4);
    if (want.positive + want.negative == 0) want.nearest = kNone;
    SignSummary start{};
    start.nearest = kNone;
    const auto keys = machine.put(weights), summary = machine.put(std::vector<SignSummary>{start});
    const SignParams params{static_cast<uint32_t>(weights.size())};
    for (const Op op : {Op::count_signs, Op::count_nearest})
      machine.device.dispatch(evolve_launch(op, divided(weights.size(), kThreadItems)), params,
                              SignBuffers{keys, summary});
    const SignSummary got = machine.get<SignSummary>(summary)[0];
    CHECK_MSG(std::memcmp(&got, &want, sizeof got) == 0, "weights " << static_cast<int>(kind));
  }
}

namespace {

/** What goes of `keys`, by sorting: the lowest of either sign by (|key|, item). */
Words pruned_by_sorting(const std::vector<float>& keys, size_t positive, size_t negative) {
  Words removed(divided(keys.size(), 32), 0);
  for (const bool sign : {false, true}) {
    std::vector<std::pair<float, uint32_t>> items;
    for (uint32_t k = 0; k < keys.size(); ++k)
      if (std::signbit(keys[k]) == sign) items.emplace_back(std::fabs(keys[k]), k);
    std::sort(items.begin(), items.end());
    for (size_t t = 0; t < (sign ? negative : positive); ++t)
      removed[items[t].second / 32] |= 1u << (items[t].second % 32);
  }
  return removed;
}

Words pruned_on_device(Machine& machine, const std::vector<float>& keys, uint32_t positive, uint32_t negative,
                       uint32_t first_truncated, PruneCounts& counts) {
  const auto size = static_cast<uint32_t>(keys.size());
  const uint32_t tiles = divided(size, kWarpTile);
  const auto items = machine.put(keys), states = machine.zeros(4), histogram = machine.zeros(2 * kSelectBins);
  const auto ties = machine.device.allocate(size_t{tiles} * 8),
             sums = machine.device.allocate(sums_words(2 * tiles) * 4);
  const auto removed = machine.device.allocate(size_t{divided(size, 32)} * 4), totals = machine.zeros(2);
  for (const auto& [shift, width] : {std::pair{20u, 11u}, {10u, 10u}, {0u, 10u}}) {
    const SelectParams params{size, shift, width, shift == 20, positive, negative};
    Launch count = evolve_launch(Op::select_histogram, divided(size, kThreadItems));
    count.shared_bytes = 8 * kSelectBins;
    machine.device.dispatch(count, params, SelectHistogramBuffers{items, states, histogram});
    Launch choose = evolve_launch(Op::select_digit, 2 * kEvolveThreads);
    choose.shared_bytes = 128;
    machine.device.dispatch(choose, params, SelectDigitBuffers{states, histogram});
  }
  CHECK(machine.get(histogram) == Words(2 * kSelectBins, 0));
  const MarkParams params{size, tiles, first_truncated};
  machine.device.dispatch(evolve_launch(Op::count_ties, tiles * 32), params, TieBuffers{items, states, ties});
  scan(machine.device, ties, 2 * tiles, sums);
  machine.device.dispatch(evolve_launch(Op::mark_pruned, tiles * 32), params,
                          MarkBuffers{items, states, ties, removed, totals});
  counts = machine.get<PruneCounts>(totals)[0];
  return machine.get(removed);
}

}  // namespace

TEST("gpu prune: the lowest by radix, ties by item, as by sorting") {
  Random random(seed());
  for (const uint32_t size : {1u, 31u, 300u, 2600u}) {
    if (simt::kThreads && size != 300) continue;  // an OS thread per item
    for (const Weights kind : {Weights::uniform, Weights::ties, Weights::zeros, Weights::all_zero,
                               Weights::all_equal, Weights::wild, Weights::rising}) {
      std::vector<float> keys(size);
      for (float& key : keys) key = test_weight(kind, uniform(random), random);
      const auto negatives = static_cast<uint32_t>(
          std::count_if(keys.begin(), keys.end(), [](float key) { return std::signbit(key); }));
      const uint32_t positives = size - negatives;
      for (const double part : {0.0, 0.3, 1.0}) {
        if (simt::kThreads && (kind != Weights::ties || part != 0.3)) continue;
        Machine machine(kOrders[random() % 3]);
        const auto positive = static_cast<uint32_t>(part * positives),
                   negative = static_cast<uint32_t>(part * negatives);
        const auto truncated_from = static_cast<uint32_t>(random() % (size + 1));
        PruneCounts counts{};
        const Words got = pruned_on_device(machine, keys, positive, negative, truncated_from, counts);
        CHECK_MSG(got == pruned_by_sorting(keys, positive, negative), size << " keys, " << positive << " and "
                                                                           << negative << " go, kind "
                                                                           << static_cast<int>(kind));
        CHECK_EQ(counts.full + counts.truncated, positive + negative);
        uint32_t truncated = 0;
        for (uint32_t k = truncated_from; k < size; ++k) truncated += got[k / 32] >> (k % 32) & 1;
        CHECK_EQ(counts.truncated, truncated);
      }
    }
  }
}

TEST("gpu cells: bits of kept blocks, and their transposition") {
  Random random(seed());
  for (const auto& [n, m] : shapes()) {
    const Cells all(n, m, 0.4, random);
    Words offsets, targets;
    all.links(offsets, targets);
    Cells kept(n, m, 0.0, random);
    Words removed(divided(targets.size(), 32) + 1, 0);
    for (uint32_t i = 0; i < n; ++i)
      for (uint32_t k = offsets[i]; k < offsets[i + 1]; ++k) {
        if (random() % 3 == 0)
          removed[k / 32] |= 1u << (k % 32);
        else
          kept.insert(i, targets[k]);
      }
    for (const bool wide : {false, true}) {
      Machine machine(simt::Order::reversed);
      const auto on_device =
          wide ? machine.put(targets) : machine.put(std::vector<uint16_t>(targets.begin(), targets.end()));
      const auto begins = machine.put(offsets), marks = machine.put(removed),
                 cells = machine.zeros(all.bits.size());
      machine.device.dispatch(evolve_launch(Op::occupy, n * 32, wide), OccupyParams{n, all.words},
                              OccupyBuffers{begins, on_device, marks, cells});
      CHECK(machine.get(cells) == kept.bits);
      const Cells other = kept.transposed();
      const auto by_target = machine.device.allocate(other.bits.size() * 4);
      machine.device.dispatch(evolve_launch(Op::transpose_bits, kept.words * other.words * 32),
                              TransposeParams{n, m, kept.words, other.words},
                              TransposeBuffers{cells, by_target});
      CHECK(machine.get(by_target) == other.bits);
    }
  }
}

namespace {

/** What an open slot proposes, by the rules of core/evolution.h. */
std::pair<uint32_t, uint32_t> proposal(const Cells& cells, const DrawKey& key, const RoundParams& p,
                                       uint32_t slot) {
  const PhiloxBlock block = philox4x32_10({slot, 0, key.epoch, key.last_word}, {key.seed_low, key.seed_high});
  if (p.listed == 0) {
    const uint64_t place = set_native::below(word64(block), static_cast<uint64_t>(p.rows) * p.cols);
    return {p.first_row + static_cast<uint32_t>(place / p.cols), static_cast<uint32_t>(place % p.cols)};
  }
  std::vector<std::pair<uint32_t, uint32_t>> free;
  for (uint32_t i = p.first_row; i < p.first_row + p.rows; ++i)
    for (uint32_t j = 0; j < p.cols; ++j)
      if (!cells.set[i][j]) free.emplace_back(i, j);
  return free[set_native::below(word64(block), free.size())];
}

/** One round for the open slots: places of the winners go into `cells` and `won`, the others stay open. */
void round_by_hand(Cells& cells, const RoundParams& p, Words& open,
                   std::map<uint32_t, std::pair<uint32_t, uint32_t>>& won) {
  std::set<std::pair<uint32_t, uint32_t>> claimed;
  Words lost;
  for (const uint32_t slot : open) {
    const auto place = proposal(cells, p.key, p, slot);
    if (cells.set[place.first][place.second] || !claimed.insert(place).second)
      lost.push_back(slot);
    else
      won[slot] = place;
  }
  for (const auto& place : claimed) cells.insert(place.first, place.second);
  open = lost;
}

RoundParams round_params(const Cells& cells, uint64_t draw_seed, uint32_t first_row, bool listed) {
  RoundParams p{};
  p.key = draw_key(draw_seed, Stream::regrow, 3, 17);
  p.first_row = first_row;
  p.rows = cells.rows - first_row;
  p.cols = cells.cols;
  p.words = cells.words;
  p.listed = listed;
  return p;
}

}  // namespace

TEST("gpu regrow: a round of proposals, among all places and among free ones, as by hand") {
  Random random(seed());
  for (const auto& [n, m] : shapes()) {
    for (const double density : {0.0, 0.3, 0.9}) {
      if (simt::kThreads && density != 0.9) continue;
      for (const bool listed : {false, true}) {
        for (const bool later : {false, true}) {
          Machine machine(kOrders[random() % 3]);
          Cells cells(n, m, density, random);
          RoundParams p = round_params(cells, random(), n > 3 ? 2 : 0, listed);
          size_t free = 0;
          for (uint32_t i = p.first_row; i < n; ++i)
            free += static_cast<size_t>(std::count(cells.set[i].begin(), cells.set[i].end(), false));
          if (free == 0) continue;
          Words open;
          const uint32_t slots = static_cast<uint32_t>(1 + random() % (n * m / 2 + 1));
          for (uint32_t slot = 0; slot < slots; ++slot)
            if (!later || random() % 2 == 0) open.push_back(slot);
          if (open.empty()) continue;
          p.count = static_cast<uint32_t>(open.size());
          p.table_mask = 63;
          while (p.table_mask + 1 < 2 * p.count) p.table_mask = 2 * p.table_mask + 1;
          const uint32_t tiles = divided(p.count, kWarpTile);
          const auto numbers = later ? machine.put(open) : nullptr;
          const auto bits = machine.put(cells.bits), ranks = machine.put(cells.ranks());
          const auto rows = machine.zeros(slots), cols = machine.zeros(slots), entries = machine.zeros(slots);
          const auto table = machine.zeros(p.table_mask + 1), lost = machine.zeros(divided(p.count, 32));
          const auto tile_lost = machine.zeros(tiles + 1), next = machine.zeros(p.count);
          const auto sums = machine.zeros(sums_words(tiles + 1));
          const Launch threads = evolve_launch(Op::propose, p.count);
          const auto launch = [&](Op op, uint64_t count) { return evolve_launch(op, count); };
          machine.device.dispatch(threads, p, ProposeBuffers{numbers, bits, ranks, rows, cols, entries});
          machine.device.dispatch(launch(Op::claim, p.count), p,
                                  ClaimBuffers{numbers, rows, cols, entries, table});
          machine.device.dispatch(launch(Op::settle, tiles * 32), p,
                                  SettleBuffers{numbers, rows, cols, entries, table, bits, lost, tile_lost});
          scan(machine.device, tile_lost, tiles + 1, sums);
          machine.device.dispatch(launch(Op::compact, tiles * 32), p,
                                  CompactBuffers{numbers, lost, tile_lost, next});
          std::map<uint32_t, std::pair<uint32_t, uint32_t>> won;
          round_by_hand(cells, p, open, won);
          CHECK(machine.get(bits) == cells.bits);
          Words still_open = machine.get(next);
          CHECK_EQ(machine.get(tile_lost)[tiles], open.size());
          still_open.resize(open.size());
          CHECK_MSG(still_open == open,
                    n << " x " << m << ", density " << density << (listed ? ", listed" : ""));
          const Words got_rows = machine.get(rows), got_cols = machine.get(cols);
          for (const auto& [slot, place] : won)
            CHECK(got_rows[slot] == place.first && got_cols[slot] == place.second);
        }
      }
    }
  }
}

TEST("gpu regrow: the last rounds in one block, as by hand; too many slots are left alone") {
  Random random(seed());
  for (const uint32_t slots : {1u, 40u, kRestThreads, kRestThreads + 1}) {
    for (const simt::Order order : kOrders) {
      Machine machine(order);
      Cells cells(40, 45, 0.6, random);
      RoundParams p = round_params(cells, random(), 1, false);
      p.round = 1;
      p.end_round = 4;
      Words open;
      for (uint32_t slot = 0; slot < slots; ++slot) open.push_back(3 * slot + 1);
      const auto numbers = machine.put(open), bits = machine.put(cells.bits),
                 left = machine.put(Words{slots});
      const auto rows = machine.zeros(3 * slots), cols = machine.zeros(3 * slots);
      Launch launch = evolve_launch(Op::propose_rest, 1);
      launch.shared_bytes = 8 * kRestThreads + 128;
      machine.device.dispatch(launch, p, ProposeRestBuffers{numbers, bits, rows, cols, left});
      std::map<uint32_t, std::pair<uint32_t, uint32_t>> won;
      for (RoundParams r = p; r.round < p.end_round && slots <= kRestThreads; ++r.round, ++r.key.last_word)
        round_by_hand(cells, r, open, won);
      CHECK(machine.get(bits) == cells.bits);
      CHECK_EQ(machine.get(left)[0], open.size());
      Words still_open = machine.get(numbers);
      still_open.resize(open.size());
      CHECK(still_open == open);
      const Words got_rows = machine.get(rows), got_cols = machine.get(cols);
      for (const auto& [slot, place] : won)
        CHECK(got_rows[slot] == place.first && got_cols[slot] == place.second);
    }
  }
}

TEST("gpu rebuild: blocks where the bitmap puts them, and both views of them") {
  Random random(seed());
  for (const auto& [n, m] : shapes()) {
    for (const uint32_t height : {1u, 3u}) {
      const Cells old(n, m, 0.4, random);
      Words old_offsets, old_targets;
      old.links(old_offsets, old_targets);
      const size_t size = old_targets.size();
      Words removed(divided(size, 32) + 1, 0);
      Words weights(size * height), momentum(size * height);
      std::vector<uint16_t> birth(size * height + 1);
      for (uint32_t& w : weights) w = static_cast<uint32_t>(random());
      for (uint32_t& v : momentum) v = static_cast<uint32_t>(random());
      for (uint16_t& b : birth) b = static_cast<uint16_t>(random());
      // A third goes; grown blocks take free places anywhere.
      Cells cells(n, m, 0.0, random);
      std::map<std::pair<uint32_t, uint32_t>, size_t> from;
      Words grown_rows, grown_cols;
      for (uint32_t i = 0; i < n; ++i)
        for (uint32_t k = old_offsets[i]; k < old_offsets[i + 1]; ++k) {
          if (random() % 3 == 0) {
            removed[k / 32] |= 1u << (k % 32);
            continue;
          }
          cells.insert(i, old_targets[k]);
          from[{i, old_targets[k]}] = k;
        }
      for (uint32_t t = 0; t < size / 3; ++t) {
        const auto i = static_cast<uint32_t>(random() % n), j = static_cast<uint32_t>(random() % m);
        if (cells.set[i][j]) continue;
        cells.insert(i, j);
        grown_rows.push_back(i);
        grown_cols.push_back(j);
      }
      Words offsets, targets;
      cells.links(offsets, targets);
      const Cells other = cells.transposed();
      Words target_offsets, target_groups;
      other.links(target_offsets, target_groups);

      Machine machine(simt::Order::shuffled);
      const auto narrow = [](const Words& words) {
        return std::vector<uint16_t>(words.begin(), words.end());
      };
      const auto grown = static_cast<uint32_t>(grown_rows.size());
      const auto out = [&](size_t bytes) { return machine.device.allocate(bytes); };
      const auto bits = machine.put(cells.bits), ranks = machine.put(cells.ranks());
      const auto new_offsets = out((n + 1) * 4), new_targets = out(targets.size() * 2),
                 new_weights = machine.zeros(targets.size() * height),
                 new_momentum = machine.zeros(targets.size() * height),
                 new_birth = machine.put(std::vector<uint16_t>(targets.size() * height, 0));
      const auto in_offsets = machine.put(old_offsets), in_targets = machine.put(narrow(old_targets)),
                 marks = machine.put(removed), in_weights = machine.put(weights),
                 in_momentum = machine.put(momentum), in_birth = machine.put(birth);
      machine.device.dispatch(evolve_launch(Op::set_offsets, n + 1), OffsetParams{n, cells.words},
                              OffsetBuffers{ranks, new_offsets});
      MoveBuffers move;
      move.old_offsets = in_offsets;
      move.old_targets = in_targets;
      move.removed = marks;
      move.old_weights = in_weights;
      move.old_velocity = in_momentum;
      move.old_birth = in_birth;
      move.cells = bits;
      move.ranks = ranks;
      move.targets = new_targets;
      move.weights = new_weights;
      move.velocity = new_momentum;
      move.birth = new_birth;
      machine.device.dispatch(evolve_launch(Op::move_kept, n * 32), MoveParams{n, cells.words, height}, move);
      const auto rows = machine.put(grown_rows), cols = machine.put(grown_cols),
                 positions = machine.zeros(grown);
      if (grown > 0)
        machine.device.dispatch(evolve_launch(Op::place_grown, grown), PlaceParams{grown, cells.words},
                                PlaceBuffers{rows, cols, bits, ranks, positions, new_targets});
      CHECK(machine.get(new_offsets) == offsets);
      CHECK(machine.get<uint16_t>(new_targets) == narrow(targets));
      const Words got_weights = machine.get(new_weights), got_momentum = machine.get(new_momentum);
      const auto got_birth = machine.get<uint16_t>(new_birth);
      for (uint32_t i = 0; i < n; ++i)
        for (uint32_t k = offsets[i]; k < offsets[i + 1]; ++k)
          for (uint32_t r = 0; r < height; ++r) {
            const auto kept = from.find({i, targets[k]});
            const size_t to = size_t{k} * height + r;
            if (kept == from.end()) {
              CHECK(got_weights[to] == 0 && got_momentum[to] == 0 && got_birth[to] == 0);
              continue;
            }
            const size_t source = kept->second * height + r;
            CHECK(got_weights[to] == weights[source] && got_momentum[to] == momentum[source] &&
                  got_birth[to] == birth[source]);
          }
      const Words got_positions = machine.get(positions);
      for (uint32_t s = 0; s < grown; ++s)
        CHECK(got_positions[s] >= offsets[grown_rows[s]] && targets[got_positions[s]] == grown_cols[s]);

      const auto other_bits = machine.put(other.bits), other_ranks = machine.put(other.ranks());
      const auto groups = out(targets.size() * 2), blocks = out(targets.size() * 4),
                 by_target_offsets = out((m + 1) * 4);
      machine.device.dispatch(evolve_launch(Op::set_offsets, m + 1), OffsetParams{m, other.words},
                              OffsetBuffers{other_ranks, by_target_offsets});
      machine.device.dispatch(
          evolve_launch(Op::index_targets, n * 32), IndexParams{n, other.words},
          IndexBuffers{new_offsets, new_targets, other_bits, other_ranks, groups, blocks});
      CHECK(machine.get(by_target_offsets) == target_offsets);
      CHECK(machine.get<uint16_t>(groups) == narrow(target_groups));
      const Words numbers = machine.get(blocks);
      for (uint32_t j = 0; j < m; ++j)
        for (uint32_t p = target_offsets[j]; p < target_offsets[j + 1]; ++p) {
          CHECK_EQ(targets[numbers[p]], j);
          CHECK(numbers[p] >= offsets[target_groups[p]] && numbers[p] < offsets[target_groups[p] + 1]);
        }
    }
  }
}

}  // namespace set_native::test
