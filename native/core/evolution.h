#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "core/model.h"
#include "core/weights.h"

namespace set_native {

/**
 * How the links of a layer are replaced: what counts as a motif, how motifs are scored, which are removed and
 * where others grow. The choices are independent, except that pruning by sign looks at single links. The
 * caller decides when to evolve and with which zeta.
 *
 * SET (Mocanu et al. 2018) is {motif_size 1, by_sign}, SET-motif {motif_size g, lowest}.
 */
struct EvolutionPolicy {
  double zeta = 0.3;  // fraction replaced, 0 < zeta < 1
  // g: number of neighbouring sources whose links are removed and grown together, 1 .. kMaxMotifSize.
  // 1 means single links.
  uint32_t motif_size = 1;
  MotifParse parse = MotifParse::aligned;  // where motifs begin
  MotifScore score = MotifScore::mean;     // statistic of |w| over the links of a motif
  Prune prune = Prune::by_sign;
  Grow grow = Grow::random;
  RegrowInit regrow_init = RegrowInit::he_dense;
  bool evolve_output = false;  // whether the output layer evolves, too
};

/** Policy of SET-motif for motifs of `motif_size` sources, or of SET for motif_size 1. */
inline EvolutionPolicy policy_of(uint32_t motif_size) {
  EvolutionPolicy policy;
  policy.motif_size = motif_size;
  if (motif_size > 1) policy.prune = Prune::lowest;
  return policy;
}

/**
 * Scores of `count` cells (sources[k], targets[k]) of a layer, for growth by gradient: the square of the
 * gradient of the loss by the weight that a link there would have, before pruning. Writes scores[k], each a
 * number of at least 0. Threads call it at the same time.
 */
using CellScores =
    std::function<void(const uint32_t* sources, const uint32_t* targets, size_t count, double* scores)>;

/** Time of an evolution. It determines the random draws and the birth of the grown links. */
struct EvolutionTime {
  uint32_t epoch = 0;  // 1-based number of the epoch in training or just trained
  uint32_t step = 0;   // number of steps trained so far, for evolutions between steps; 0: between epochs
};

/** Counter words of one evolution of a layer. Its draws depend on nothing else. */
struct EvolutionKey {
  uint64_t seed;
  uint32_t layer;
  uint32_t epoch;
  uint32_t step = 0;

  /** Counter word of this evolution: the epoch, or the step plus 2^31, which lies above all real epochs. */
  uint32_t draws() const { return step == 0 ? epoch : uint32_t{1} << 31 | step; }
};

struct LayerEvolution {
  uint64_t pruned = 0;
  uint64_t grown = 0;
};

/*
 * The rules below fix one evolution completely: every implementation gives the same links and weights, bit
 * for bit.
 *
 * Layer n x m with N links; link (i, j) has cell number c = i m + j, which orders like the link's number in
 * the CSR. -0 is a zero. Where zeros are not removed first, |w| orders; all ties go by c (or slot, or unit)
 * ascending.
 *
 * Prune, by_sign (single links): of the positive links the share(zeta, positives) smallest, of the negative
 * ones likewise, all zeros.
 *
 * Prune, thesis (single links): the same by the arithmetic of its program: numbers and ties as by_thesis
 * says, all zeros.
 *
 * Prune, lowest, aligned: sources are tiled into groups of g = motif_size, the last may be smaller; slot
 * number b m + j holds the links of group b into target j. The score of a slot is the mean (max, min, sum) of
 * |w| over its links, in float, summed by ascending source. Layer of whole motifs (every occupied slot is
 * full; with g = 1 any layer): of the S occupied slots the share(zeta, S) of lowest (score, slot); S is N / g
 * where g divides n. Any other layer: K = share(zeta, N) links: first exact zeros, each alone, by c; then
 * slots by (score of what is left in them, slot) until K links are gone, of the last slot only the smallest
 * by (|w|, c) that are needed.
 *
 * Prune, lowest, runs: as for any other layer, with units instead of slots: per target the sorted sources are
 * cut into maximal runs of neighbours, and these from the lowest on into pieces of g, the rest smaller. A
 * unit's number is the cell of its lowest link; units are cut before zeros go. With g = 1 it is the same as
 * aligned.
 *
 * Grow, random: numbered slots propose places in rounds r = 0, 1, ...; in round r open slot s takes the first
 * 64 bits u of draw(seed, stream, layer, key.draws(), s, r) and proposes place below(u, places). A proposal
 * of a place that is not free is void. Of the others s gets its place if for each cell of it s is the lowest
 * slot proposing that cell in this round. All others go to the next round with their number. Where the links
 * left by pruning fill more than half of all cells, and from round kOpenRounds on, the proposal is number
 * below(u, free) of the places free at the start of the round, in ascending order. It ends when no slot is
 * open or no place is free.
 *
 * g = 1: as many slots as links were removed; places: all cells; stream regrow.
 *
 * aligned, whole motifs: like for like. As many full-size slots as were removed, among the slots of full
 * groups, stream regrow; as many of the smaller last group, by target, stream regrow_single.
 *
 * aligned, any other layer: floor(K / g) slots, free when empty, stream regrow; then the links still missing
 * one by one among all cells, stream regrow_single.
 *
 * runs: the same with anchors: place a m + j stands for the cells (a .. a + g - 1, j), all to be free.
 *
 * Grow, walk: a sampled rule of Cannistraci and Hebb, that links grow where paths of three links lead
 * (Muscoloni, Michieli, Zhang and Cannistraci 2022). As random, but a round that lists no free places takes
 * steps along the E kept items: slots in a layer of whole motifs, else links, each from its row (group or
 * source) to its target, numbered by (row, target). With the halves u, v of its draw, slot s starts at item
 * below(u, E), which goes from row i to target b; takes of the items into b, by row, number below32(v >> 32,
 * count), which comes from row j; and of those out of j, by target, number below32(v mod 2^32, count), which
 * goes to target a. It proposes the place of (i, a): the place of that row and target where places have rows
 * like the items; else the slot of cell (i, a), or the anchor (min(i, n - g), a). Such a round also finds
 * places void that held a link before pruning. Full-size slots start at items of full groups alone. Where E
 * is 0, and for the smaller last group, walk is random.
 *
 * Grow, gradient (Evci et al. 2020, with candidates in place of all cells): where random would draw slots for
 * W places, C slots do, of the streams candidate and candidate_single, in rounds that find void what walk
 * does. C is W, or floor(W kept / removed) if that is more, both counted in links. Of the places that they
 * got, the W of highest score grow, ties by place; the score of a place is the sum over its cells, by source,
 * of CellScores.
 *
 * Grown links have the weight regrown_weight(...) and the birth birth_of(epoch); their other numbers are 0.
 * Nothing else changes, nnz included.
 */

/** Number of rounds that propose among all places. Later rounds propose among the enumerated free ones. */
constexpr uint32_t kOpenRounds = 16;

/** Integer in 0 .. count - 1 from 32 random bits, for counts of items of a row or target. */
inline uint32_t below32(uint32_t u, uint32_t count) {
  return static_cast<uint32_t>((uint64_t{u} * count) >> 32);
}

/** Number of candidates for `wanted` places, where `kept` links stay and `removed` go. */
inline uint64_t candidates_for(uint64_t wanted, uint64_t kept, uint64_t removed) {
  return removed > 0 && kept > removed ? wanted * kept / removed : wanted;
}

/**
 * Number of samples whose gradients growth by gradient looks at, the first in the random order of the epoch:
 * 512, or so many multiples of 128 that their activations and gradients take at most 256 MB, at least one;
 * all where there are fewer. `neurons` counts those of all layers, inputs too.
 */
size_t probe_samples(uint64_t neurons, uint64_t samples);

/** Number of links (or motifs) in the fraction `zeta` of `count`: floor(zeta * count + 0.5). */
inline uint64_t share(double zeta, uint64_t count) {
  return static_cast<uint64_t>(std::floor(zeta * static_cast<double>(count) + 0.5));
}

/**
 * Number of weights of a layer by sign, and how many of each sign have the least |w|. The latter are 0 if
 * some weights are 0.
 */
struct SignCounts {
  uint64_t negative, zero, positive;
  uint64_t nearest_negative, nearest_positive;
};

struct PrunedBySign {
  uint64_t negative, positive;
};

/**
 * Number of links of each sign that the program of the thesis removes. It sorts the N weights in ascending
 * order; `first` is the position of the first weight nearest 0, `last` the position after the last of them.
 * It reads a lower threshold at position floor((1 - zeta) first) and an upper one at floor(min(N - 1, last +
 * zeta (N - last))), and removes all weights between them, both included: up to two links of a sign more than
 * share() says. The program removes equal weights together; here ties go by cell c.
 */
inline PrunedBySign by_thesis(double zeta, const SignCounts& counts) {
  const auto up_to_zeros = static_cast<double>(counts.negative + counts.zero);
  const double total = up_to_zeros + static_cast<double>(counts.positive);
  const auto first = static_cast<double>(counts.negative - counts.nearest_negative);
  const double last = up_to_zeros + static_cast<double>(counts.nearest_positive);
  const double low = std::floor((1.0 - zeta) * first);
  const double high = std::floor(std::min(total - 1.0, last + zeta * (total - last)));
  return {counts.negative - static_cast<uint64_t>(low),
          static_cast<uint64_t>(std::max(0.0, high + 1.0 - up_to_zeros))};
}

/**
 * Throws out_of_range for a zeta outside (0, 1) or a motif size outside 1 .. kMaxMotifSize, and
 * invalid_argument for motifs that are to be pruned by sign.
 */
void check_policy(const EvolutionPolicy& policy);

/** Throws invalid_argument where a policy grows by gradient and has no scores. */
void require_scores(const EvolutionPolicy& policy, const CellScores* scores);

/** Throws out_of_range for a bad policy or a key beyond the counter words. */
void check_evolution(const EvolutionPolicy& policy, const EvolutionKey& key);

/** Throws non_finite for a weight that is not finite, naming the link. */
[[noreturn]] void refuse_weight(float weight, uint64_t source, uint64_t target, uint32_t layer);

/**
 * Checks everything that may refuse an evolution, before anything changes: policy and key (out_of_range), and
 * that all weights are finite (non_finite, naming the link). Returns false if there is nothing to do: the
 * layer is dense or has no links.
 */
bool begin_evolution(const Layer& layer, const EvolutionPolicy& policy, const EvolutionKey& key);

/**
 * Evolves a model of `layers` layers, on every back end: begin(l, key) checks layer l and returns whether
 * there is something to do, run(l, key) evolves it. All layers are checked before the first one changes, so a
 * refused evolution leaves the model as it was.
 */
template <class Begin, class Run>
std::vector<LayerEvolution> evolve_layers(size_t layers, uint64_t seed, const EvolutionPolicy& policy,
                                          const EvolutionTime& time, Begin&& begin, Run&& run) {
  const size_t evolving = layers - (policy.evolve_output ? 0 : 1);
  const auto key = [&](size_t l) {
    return EvolutionKey{seed, static_cast<uint32_t>(l), time.epoch, time.step};
  };
  std::vector<size_t> ready;
  for (size_t l = 0; l < evolving; ++l)
    if (begin(l, key(l))) ready.push_back(l);
  std::vector<LayerEvolution> done(layers);
  for (const size_t l : ready) done[l] = run(l, key(l));
  return done;
}

}  // namespace set_native
