#include "evolution/prune.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "evolution/select.h"
#include "layout/parts.h"

namespace set_native {

namespace {

/** Value that SET ranks links by: the weight itself, so that positive and negative links are ranked apart. */
struct Weight {
  const float* weights;
  float operator()(uint32_t link) const { return weights[link]; }
};

/** Value that SET-motif ranks blocks by: their score, which is never negative. */
struct Score {
  const float* weights;
  uint32_t height;
  uint32_t first_truncated;  // first block of the last group, if that has only `sources` sources
  uint32_t sources;
  MotifScore kind;

  float operator()(uint32_t block) const {
    const float* const w = weights + static_cast<size_t>(block) * height;
    const uint32_t count = block < first_truncated ? height : sources;
    float score = std::fabs(w[0]);
    switch (kind) {
      case MotifScore::max:
        for (uint32_t r = 1; r < count; ++r) score = std::max(score, std::fabs(w[r]));
        return score;
      case MotifScore::min:
        for (uint32_t r = 1; r < count; ++r) score = std::min(score, std::fabs(w[r]));
        return score;
      case MotifScore::mean:
      case MotifScore::sum:
        for (uint32_t r = 1; r < count; ++r) score += std::fabs(w[r]);
    }
    return kind == MotifScore::mean ? score / static_cast<float>(count) : score;
  }
};

/** Marks the items to remove, and counts those before item `first_truncated` and those from it on. */
template <class Value>
Pruning mark(uint32_t size, const Value& value, const Around& goes, uint32_t first_truncated,
             ThreadPool& pool) {
  Pruning pruning;
  pruning.removed = Marks(size);
  std::vector<uint64_t> full(pool.size()), truncated(pool.size());
  pool.run([&, value, goes](unsigned t) {
    const Part part = part_of(size, t, pool.size(), 64);
    uint64_t all = 0, in_last_group = 0;
    for (size_t begin = part.begin; begin < part.end; begin += 64) {
      const auto count = static_cast<uint32_t>(std::min<size_t>(64, part.end - begin));
      // Flag the items inside the bounds without branches; ties at a bound are rare.
      uint8_t flags[64] = {};
      uint8_t any_at_bound = 0;
      for (uint32_t i = 0; i < count; ++i) {
        const float v = value(static_cast<uint32_t>(begin + i));
        flags[i] = goes.inside(v);
        any_at_bound |= goes.at_bound(v);
      }
      for (uint32_t i = 0; any_at_bound && i < count; ++i) {
        const auto item = static_cast<uint32_t>(begin + i);
        flags[i] |= goes.tied(value(item), item);
      }
      // Store the flags as bits, and count those of full groups and of the last group apart.
      const uint64_t word = Marks::pack(flags);
      const uint64_t late = begin + 64 <= first_truncated ? 0
                            : begin >= first_truncated    ? ~uint64_t{0}
                                                          : ~uint64_t{0} << (first_truncated - begin);
      pruning.removed.word(begin / 64) = word;
      all += static_cast<uint64_t>(__builtin_popcountll(word));
      in_last_group += static_cast<uint64_t>(__builtin_popcountll(word & late));
    }
    full[t] = all - in_last_group;
    truncated[t] = in_last_group;
  });
  pruning.full = std::accumulate(full.begin(), full.end(), uint64_t{0});
  pruning.truncated = std::accumulate(truncated.begin(), truncated.end(), uint64_t{0});
  return pruning;
}

/** Counts the weights of each sign with the least |w|. No weight may be 0. */
void count_nearest(const float* weights, uint32_t size, SignCounts& counts) {
  float nearest = std::fabs(weights[0]);
  for (uint32_t k = 1; k < size; ++k) nearest = std::min(nearest, std::fabs(weights[k]));
  counts.nearest_negative = static_cast<uint64_t>(std::count(weights, weights + size, -nearest));
  counts.nearest_positive = static_cast<uint64_t>(std::count(weights, weights + size, nearest));
}

}  // namespace

template <class Index>
Pruning prune_blocks(const Blocks<Index>& blocks, const EvolutionPolicy& policy, ThreadPool& pool) {
  const uint32_t size = blocks.size();
  if (policy.prune != Prune::lowest) {
    const Weight weight{blocks.weights.data()};
    const Selection<Weight> selection(size, weight, pool);
    PrunedBySign amount{share(policy.zeta, selection.non_zeros(1)),
                        share(policy.zeta, selection.non_zeros(0))};
    if (policy.prune == Prune::thesis) {
      SignCounts counts{selection.non_zeros(1), selection.zeros(0) + selection.zeros(1),
                        selection.non_zeros(0), 0, 0};
      if (counts.zero == 0) count_nearest(blocks.weights.data(), size, counts);
      amount = by_thesis(policy.zeta, counts);
    }
    const Around goes =
        selection.lowest(selection.zeros(0) + amount.positive, selection.zeros(1) + amount.negative);
    return mark(size, weight, goes, size, pool);
  }
  const uint32_t last = blocks.groups() - 1;
  const uint32_t first_truncated = blocks.sources_of(last) < blocks.height ? blocks.offsets[last] : size;
  const Score score{blocks.weights.data(), blocks.height, first_truncated, blocks.sources_of(last),
                    policy.score};
  const Selection<Score> selection(size, score, pool);
  return mark(size, score, selection.lowest(share(policy.zeta, size), 0), first_truncated, pool);
}

template Pruning prune_blocks(const Blocks<uint16_t>&, const EvolutionPolicy&, ThreadPool&);
template Pruning prune_blocks(const Blocks<uint32_t>&, const EvolutionPolicy&, ThreadPool&);

}  // namespace set_native
