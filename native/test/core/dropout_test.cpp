#include <cmath>

#include "core/dropout.h"
#include "core/training.h"
#include "test/check.h"

/* Which outputs are dropped. */
namespace set_native {
namespace {

bool is_dropped_at(uint64_t seed, uint32_t layer, uint32_t epoch, uint32_t place, uint32_t neuron,
                   const Dropout& dropout) {
  const uint64_t index = dropout_index(place, neuron);
  return is_dropped(draw(seed, Stream::dropout, layer, epoch, index), neuron, dropout.threshold);
}

TEST("dropout: probabilities are multiples of 2^-16 below 1") {
  CHECK(!dropout_of(0.0f).any());
  CHECK(!dropout_of(0x1p-18f).any());
  const struct {
    float p;
    uint32_t threshold;
  } cases[] = {{0.5f, 32768},   {0.25f, 16384}, {0.1f, 6554},      {0x1p-16f, 1},          {0x1.8p-16f, 2},
               {0x1.7p-16f, 1}, {0.9f, 58982},  {0.99999f, 65535}, {0x1.fffffep-1f, 65535}};
  for (const auto& [p, threshold] : cases) {
    const Dropout dropout = dropout_of(p);
    CHECK_MSG(dropout.any() && dropout.threshold == threshold, p << ": " << dropout.threshold);
    CHECK_EQ(dropout.keep, static_cast<float>(65536 - threshold) * 0x1p-16f);
    CHECK_EQ(dropout.gain, static_cast<float>(65536.0 / (65536.0 - threshold)));
  }
}

TEST("dropout: each neuron has 16 bits of its own, neighbours of eight one block") {
  for (uint32_t place = 0; place < 3; ++place)
    for (uint32_t neuron = 0; neuron < 100; ++neuron) {
      CHECK_EQ(dropout_index(place, neuron) & 0xffffffff, place);
      CHECK_EQ(dropout_index(place, neuron) >> 32, neuron / 8);
    }
  const PhiloxBlock block{0x22221111, 0x44443333, 0x66665555, 0x88887777};
  for (uint32_t neuron = 0; neuron < 24; ++neuron) {
    const uint32_t own = (neuron % 8 + 1) * 0x1111;
    CHECK(!is_dropped(block, neuron, own) && is_dropped(block, neuron, own + 1));
  }
}

TEST("dropout: the share is p, for every neuron and sample, and other draws are independent") {
  constexpr uint32_t kNeurons = 203, kSamples = 500;
  for (const float p : {0.001f, 0.1f, 0.5f, 0.9f}) {
    const Dropout dropout = dropout_of(p);
    const double expected = dropout.threshold / 65536.0;
    uint32_t all = 0, both[4] = {};
    for (uint32_t j = 0; j < kNeurons; ++j) {
      uint32_t of_neuron = 0;
      for (uint32_t s = 0; s < kSamples; ++s) {
        const bool is = is_dropped_at(7, 0, 1, s, j, dropout);
        of_neuron += is;
        // Dropped in another epoch, layer, under another seed, in the neighbour too?
        both[0] += is && is_dropped_at(7, 0, 2, s, j, dropout);
        both[1] += is && is_dropped_at(7, 1, 1, s, j, dropout);
        both[2] += is && is_dropped_at(8, 0, 1, s, j, dropout);
        both[3] += is && is_dropped_at(7, 0, 1, s, j + 1, dropout);
      }
      all += of_neuron;
      const double deviation = std::sqrt(kSamples * expected * (1.0 - expected));
      CHECK_MSG(std::fabs(of_neuron - kSamples * expected) < 5.0 * deviation + 1.0,
                "p " << p << ": neuron " << j << " dropped " << of_neuron << " times");
    }
    const double count = double{kNeurons} * kSamples;
    const auto check = [&](uint32_t got, double share, const char* what) {
      CHECK_MSG(std::fabs(got - count * share) < 4.0 * std::sqrt(count * share * (1.0 - share)) + 1.0,
                "p " << p << ": " << what << " " << got / count << ", expected " << share);
    };
    check(all, expected, "share");
    for (const uint32_t pairs : both) check(pairs, expected * expected, "share of pairs");
  }
}

TEST("dropout: a probability of 1, below 0 or that is no number is refused") {
  TrainOptions options;
  for (const float p : {1.0f, -0.1f, NAN, INFINITY}) {
    options.dropout = p;
    CHECK_THROWS(out_of_range, check_options(options, "train"));
  }
  options.dropout = 0.999f;
  check_options(options, "train");
}

}  // namespace
}  // namespace set_native
