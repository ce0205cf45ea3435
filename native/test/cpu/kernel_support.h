#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "core/aligned.h"
#include "core/backend.h"
#include "cpu/kernels.h"
#include "reference/ops.h"
#include "test/check.h"

/*
 * What the tests of kernels share: instruction sets, guarded arrays, random numbers and tolerances.
 */
namespace set_native {

/** The 16-wide kernels without AVX-512 instructions: their logic is tested on every machine. */
namespace cpu::emulated16 {
extern const KernelTable table;
}

namespace test {

// ---- Instruction sets -------------------------------------------------------------------------------------

inline const cpu::KernelTable& table_or_skip(const char* isa) {
  if (std::strcmp(isa, cpu::emulated16::table.name) == 0) return cpu::emulated16::table;
  const cpu::KernelTable* table = cpu::find_kernels(isa);
  if (table == nullptr) skip(std::string(isa) + " kernels are not built in or this CPU cannot run them");
  return *table;
}

/** Registers function(table) as one test per instruction set. */
#define TEST_EACH_ISA(name, function)                \
  SET_TEST_ISA(name, function, portable, "portable") \
  SET_TEST_ISA(name, function, avx2, "avx2")         \
  SET_TEST_ISA(name, function, avx512, "avx512")     \
  SET_TEST_ISA(name, function, emulated16, "emulated16")
#define SET_TEST_ISA(name, function, isa, isa_name)                                              \
  static const ::set_native::test::Register SET_TEST_JOIN(test_registration_##isa##_, __LINE__)( \
      name ", " isa_name, [] { function(::set_native::test::table_or_skip(isa_name)); });

// ---- Arrays -----------------------------------------------------------------------------------------------

#if defined(__SANITIZE_ADDRESS__)
constexpr size_t kGuard = 0;  // the sanitizer sees reads, too, where the memory ends
#else
constexpr size_t kGuard = 64;  // four vectors of the widest kind; keeps data() aligned
#endif

/** In turn a large number, which any arithmetic in place changes, and a NaN, which spoils even what it adds
 * nothing to.
 */
inline float guard_word(size_t place) {
  const uint32_t bits = place % 2 == 0 ? 0x71c0dead : 0x7fc0dead;
  float word;
  std::memcpy(&word, &bits, sizeof word);
  return word;
}

/** An array of floats at a cache line, between guard words: a write beyond its ends is seen, a read poisons a
 * sum. */
class Guarded {
 public:
  Guarded() : Guarded(0) {}
  explicit Guarded(size_t size, float value = 0.0f) : size_(size), memory_(size + 2 * kGuard, value) {
    for (size_t k = 0; k < kGuard; ++k) memory_[k] = memory_[kGuard + size + k] = guard_word(k);
  }
  template <class Values>
  static Guarded copy_of(const Values& values) {
    Guarded copy(values.size());
    std::copy(values.begin(), values.end(), copy.data());
    return copy;
  }
  float* data() { return memory_.data() + kGuard; }
  const float* data() const { return memory_.data() + kGuard; }
  float& operator[](size_t k) { return data()[k]; }
  float operator[](size_t k) const { return data()[k]; }
  size_t size() const { return size_; }
  bool intact() const {
    for (size_t k = 0; k < kGuard; ++k) {
      const float word = guard_word(k);
      if (std::memcmp(&memory_[k], &word, sizeof word) != 0 ||
          std::memcmp(&memory_[kGuard + size_ + k], &word, sizeof word) != 0)
        return false;
    }
    return true;
  }
  bool same_bits(const Guarded& other) const { return same_bits(other, 0, size_); }
  bool same_bits(const Guarded& other, size_t begin, size_t end) const {
    return begin == end ||
           std::memcmp(data() + begin, other.data() + begin, (end - begin) * sizeof(float)) == 0;
  }
  /** Equal bits everywhere but in [begin, end). */
  bool same_bits_outside(const Guarded& other, size_t begin, size_t end) const {
    return same_bits(other, 0, begin) && same_bits(other, end, size_);
  }

 private:
  size_t size_;
  AlignedVector<float> memory_;
};

// ---- Random numbers ---------------------------------------------------------------------------------------

/** Uniform numbers; the runner prints the seed. */
class Random {
 public:
  explicit Random(uint64_t stream) : engine_(seed() * 1000003u + stream) {}
  size_t below(size_t count) { return static_cast<size_t>(engine_() % count); }
  float in(float low, float high) {
    return low + (high - low) * (static_cast<float>(engine_() >> 40) * 0x1p-24f);
  }
  std::vector<float> list(size_t count, float low, float high) {
    std::vector<float> values(count);
    for (float& value : values) value = in(low, high);
    return values;
  }

 private:
  std::mt19937_64 engine_;
};

using Range = std::pair<size_t, size_t>;

/** [0, count) cut at random places, empty ranges among them, in random order. */
inline std::vector<Range> random_ranges(size_t count, Random& random) {
  std::vector<size_t> cuts{0, count};
  for (size_t k = 1 + random.below(4); k > 0; --k) cuts.push_back(random.below(count + 1));
  std::sort(cuts.begin(), cuts.end());
  std::vector<Range> ranges;
  for (size_t k = 1; k < cuts.size(); ++k) ranges.push_back({cuts[k - 1], cuts[k]});
  for (size_t k = ranges.size(); k > 1; --k) std::swap(ranges[k - 1], ranges[random.below(k)]);
  return ranges;
}

// ---- Comparing with the reference -------------------------------------------------------------------------

using Doubles = std::vector<double>;

inline Doubles widen(const std::vector<float>& values) {
  return Doubles(values.begin(), values.end());
}

inline Doubles absolute(Doubles values) {
  for (double& value : values) value = std::fabs(value);
  return values;
}

/**
 * |got - want| <= scaled * scale + relative * |want|, where `scale` is the sum of the absolute values of all
 * terms that make up the number: float rounding is a few 1e-7 of it, a term that is missing or wrong is far
 * more.
 */
struct Tolerance {
  double scaled;
  double relative;
};
constexpr Tolerance kForward{1e-6, 1e-6};  // relative: the kernels' own tanh and sigmoid
constexpr Tolerance kInputGradient{1e-6, 0.0};
constexpr Tolerance kWeightGradient{1e-6, 0.0};
constexpr Tolerance kUpdate{1e-6, 0.0};

inline void check_near(const Tolerance& tolerance, float got, double want, double scale,
                       const std::string& what, const char* part, size_t place) {
  const double bound = tolerance.scaled * scale + tolerance.relative * std::fabs(want);
  // Written so that NaN fails.
  CHECK_MSG(std::fabs(got - want) <= bound, what << ": " << part << "[" << place << "] is " << got
                                                 << ", expected " << want << " within " << bound);
}

/** A batch of samples, and the batch that the rows have room for: the last of an epoch may be smaller. */
struct Batch {
  size_t size, room;
};

inline std::vector<Batch> batches() {
  std::vector<Batch> all;
  for (const size_t size : {1, 2, 3, 4, 5, 6, 7, 8, 9, 15, 16, 17, 39, 40, 41, 64, 100, 128, 129})
    all.push_back({size, size});
  for (const Batch& partial : {Batch{1, 2}, {1, 3}, {2, 8}, {5, 8}, {1, 40}, {3, 40}, {17, 100}})
    all.push_back(partial);
  return all;
}

constexpr Activation kActivations[] = {Activation::relu, Activation::tanh, Activation::sigmoid,
                                       Activation::linear};

inline const char* name_of(Activation activation) {
  constexpr const char* kNames[] = {"relu", "tanh", "sigmoid", "linear"};
  return kNames[static_cast<int>(activation)];
}

/** Sample-major [batch][neurons] to rows x stride, with columns of `padding`; rows beyond the neurons are
 * zero. */
inline Guarded by_feature(const std::vector<float>& x, size_t neurons, size_t batch, size_t stride,
                          size_t rows, float padding = 0.0f) {
  Guarded out(rows * stride);
  std::fill_n(out.data(), neurons * stride, padding);
  for (size_t s = 0; s < batch; ++s)
    for (size_t i = 0; i < neurons; ++i) out[i * stride + s] = x[s * neurons + i];
  return out;
}

/** Outputs that an activation can have: half of relu's are zero, the others stay inside the open range. */
inline std::vector<float> outputs_of(Activation activation, size_t count, Random& random) {
  switch (activation) {
    case Activation::relu: {
      std::vector<float> values = random.list(count, -1.0f, 1.0f);
      for (float& value : values) value = std::max(value, 0.0f);
      return values;
    }
    case Activation::sigmoid:
      return random.list(count, 0.001f, 0.999f);
    case Activation::tanh:
      return random.list(count, -0.999f, 0.999f);
    default:
      break;
  }
  return random.list(count, -1.5f, 1.5f);
}

inline TrainOptions rule_options() {
  TrainOptions options;
  options.learning_rate = 0.05f;
  options.momentum = 0.9f;
  options.l2 = 0.01f;
  options.decay = 0.003f;
  return options;
}

inline cpu::UpdateRule update_rule() {
  const TrainOptions options = rule_options();
  return set_native::update_rule(options, Optimizer::sgd, 1);
}

/** Parameters after one update, and for each the sum of the absolute terms. */
struct Updated {
  Doubles weights, velocity, weights_scale, velocity_scale;
};

inline Updated update(const std::vector<float>& weights, const std::vector<float>& velocity,
                      const Doubles& gradient, const Doubles& gradient_scale) {
  const TrainOptions options = rule_options();
  Updated after{widen(weights), widen(velocity), {}, {}};
  reference::momentum_update(after.weights, after.velocity, gradient, options);
  for (size_t k = 0; k < weights.size(); ++k) {
    const double w = std::fabs(weights[k]), v = std::fabs(velocity[k]);
    after.velocity_scale.push_back(options.momentum * v +
                                   options.learning_rate * (gradient_scale[k] + options.l2 * w));
    after.weights_scale.push_back(w + after.velocity_scale[k] + options.decay * w);
  }
  return after;
}

/** A layer's parameters, its inputs and the gradient by its z, and what every pass should make of them, in
 * double. */
struct LayerProblem {
  const Csr links;
  const size_t batch;
  const Activation activation;  // forward: of this layer; backward: of the layer below
  // Inputs of the passes: x and dz sample-major, weights and velocity by link, `bias` of the targets and
  // `bias_below` of the sources.
  std::vector<float> x, dz, weights, velocity, bias, bias_below, velocity_below;
  // Forward.
  Doubles z, z_scale;
  // Backward.
  Doubles dx, dx_scale, gradient, gradient_scale;
  Updated updated, updated_below;

  LayerProblem(Csr pattern, size_t batch_size, Activation f, Random& random)
      : links(std::move(pattern)), batch(batch_size), activation(f) {
    const size_t n = links.rows, m = links.cols;
    x = outputs_of(f, batch * n, random);
    dz = random.list(batch * m, -1.0f, 1.0f);
    weights = random.list(links.nnz(), -1.0f, 1.0f);
    velocity = random.list(links.nnz(), -0.1f, 0.1f);
    bias = random.list(m, -1.0f, 1.0f);
    bias_below = random.list(n, -1.0f, 1.0f);
    velocity_below = random.list(n, -0.1f, 0.1f);
    const Doubles w = widen(weights), wide_x = widen(x), wide_dz = widen(dz);
    z = reference::forward(links, w, widen(bias), wide_x, batch, f);
    z_scale = reference::forward(links, absolute(w), absolute(widen(bias)), absolute(wide_x), batch,
                                 Activation::linear);
    dx = reference::input_gradient(links, w, wide_x, wide_dz, batch, f);
    dx_scale =
        reference::input_gradient(links, absolute(w), wide_x, absolute(wide_dz), batch, Activation::linear);
    if (f == Activation::relu)  // f' is exactly 0 or 1; elsewhere f' <= 1 is itself rounded
      for (size_t k = 0; k < dx_scale.size(); ++k) dx_scale[k] *= x[k] > 0.0f ? 1.0 : 0.0;
    gradient = reference::weight_gradient(links, wide_x, wide_dz, batch);
    gradient_scale = reference::weight_gradient(links, absolute(wide_x), absolute(wide_dz), batch);
    updated = update(weights, velocity, gradient, gradient_scale);
    updated_below = update(bias_below, velocity_below, reference::bias_gradient(dx, n, batch),
                           reference::bias_gradient(dx_scale, n, batch));
  }
};

/** What a call of a backward kernel is asked for. */
struct BackwardMode {
  bool dx, gradient, update, bias;
  std::string name() const {
    return std::string(dx ? " dx" : "") + (gradient ? " gradient" : "") + (update ? " update" : "") +
           (bias ? " bias" : "");
  }
};

constexpr BackwardMode kBackwardModes[] = {
    {true, true, true, true},    {true, false, true, true},   {false, false, true, false},
    {true, false, false, false}, {false, true, false, false}, {true, true, false, false},
    {false, true, true, false},  {true, false, true, false},  {true, true, true, false},
};

/** All that a backward kernel may write. */
struct BackwardState {
  Guarded weights, velocity, gradient, dx, bias, bias_velocity;

  bool intact() const {
    return weights.intact() && velocity.intact() && gradient.intact() && dx.intact() && bias.intact() &&
           bias_velocity.intact();
  }
  bool same_bits(const BackwardState& other) const {
    return weights.same_bits(other.weights) && velocity.same_bits(other.velocity) &&
           gradient.same_bits(other.gradient) && dx.same_bits(other.dx) && bias.same_bits(other.bias) &&
           bias_velocity.same_bits(other.bias_velocity);
  }
  /** Whether what was not asked for is as it was. */
  bool only(const BackwardMode& mode, const BackwardState& before) const {
    return (mode.update || (weights.same_bits(before.weights) && velocity.same_bits(before.velocity))) &&
           (mode.gradient || gradient.same_bits(before.gradient)) && (mode.dx || dx.same_bits(before.dx)) &&
           (mode.bias || (bias.same_bits(before.bias) && bias_velocity.same_bits(before.bias_velocity)));
  }
};

/** Places of a list in the arrays of a kernel: place[k] is where number k lies. */
using Places = std::vector<size_t>;

inline void check_all(const Tolerance& tolerance, const Guarded& got, const Doubles& want,
                      const Doubles& scale, const Places& place, const std::string& what, const char* part) {
  for (size_t k = 0; k < want.size(); ++k)
    check_near(tolerance, got[place[k]], want[k], scale[k], what, part, k);
}

/** Rows of `neurons` against sample-major numbers; their padding columns must be zero when `zero_padding`. */
inline void check_rows(const Tolerance& tolerance, const Guarded& got, size_t neurons, size_t batch,
                       size_t stride, const Doubles& want, const Doubles& scale, bool zero_padding,
                       const std::string& what, const char* part) {
  for (size_t i = 0; i < neurons; ++i) {
    for (size_t s = 0; s < batch; ++s)
      check_near(tolerance, got[i * stride + s], want[s * neurons + i], scale[s * neurons + i], what, part,
                 s * neurons + i);
    for (size_t s = batch; zero_padding && s < stride; ++s)
      CHECK_MSG(got[i * stride + s] == 0.0f,
                what << ": " << part << " of neuron " << i << ", padding column " << s);
  }
}

/** The results that `mode` asked for against the problem's; `place` of the links, the neurons are in order.
 */
inline void check_backward(const BackwardState& got, const LayerProblem& want, const BackwardMode& mode,
                           size_t stride, const Places& place, const std::string& what) {
  const size_t n = want.links.rows;
  Places sources(n);
  for (size_t i = 0; i < n; ++i) sources[i] = i;
  if (mode.dx)
    check_rows(kInputGradient, got.dx, n, want.batch, stride, want.dx, want.dx_scale, true, what, "dx");
  if (mode.gradient)
    check_all(kWeightGradient, got.gradient, want.gradient, want.gradient_scale, place, what, "gradient");
  if (mode.update) {
    check_all(kUpdate, got.weights, want.updated.weights, want.updated.weights_scale, place, what, "weights");
    check_all(kUpdate, got.velocity, want.updated.velocity, want.updated.velocity_scale, place, what,
              "velocity");
  }
  if (mode.bias) {
    check_all(kUpdate, got.bias, want.updated_below.weights, want.updated_below.weights_scale, sources, what,
              "bias");
    check_all(kUpdate, got.bias_velocity, want.updated_below.velocity, want.updated_below.velocity_scale,
              sources, what, "bias velocity");
  }
}

}  // namespace test
}  // namespace set_native
