#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "core/aligned.h"
#include "core/csr.h"
#include "cpu/kernels.h"
#include "cpu/loss.h"
#include "reference/ops.h"
#include "test/check.h"

/*
 * Every kernel of every instruction set against reference/ops.h, on the same float inputs, over shapes chosen to
 * hurt. Around every array lie guard words (NaN): a write beyond the end is seen, and a read beyond it poisons a sum.
 */
namespace set_native {

/** The 16-wide kernels without AVX-512 instructions: their logic is tested on every machine. */
namespace cpu::emulated16 {
extern const KernelTable table;
}

namespace {

using Doubles = std::vector<double>;

/**
 * |got - want| <= scaled * scale + relative * |want|, where `scale` is the sum of the absolute values of all terms
 * that make up the number: float rounding is a few 1e-7 of it, a term that is missing or wrong is far more.
 */
struct Tolerance {
  double scaled;
  double relative;
};
constexpr Tolerance kForward{1e-6, 1e-6};  // relative: the kernels' own tanh and sigmoid
constexpr Tolerance kInputGradient{1e-6, 0.0};
constexpr Tolerance kWeightGradient{1e-6, 0.0};
constexpr Tolerance kUpdate{1e-6, 0.0};
constexpr Tolerance kLoss{1e-7, 1e-7};
constexpr Tolerance kLossGradient{1e-7, 2e-7};
constexpr Tolerance kOutput{1e-7, 2e-7};

void check_near(const Tolerance& tolerance, float got, double want, double scale, const std::string& what,
                const char* part, size_t place) {
  const double bound = tolerance.scaled * scale + tolerance.relative * std::fabs(want);
  // Written so that NaN fails.
  CHECK_MSG(std::fabs(got - want) <= bound,
            what << ": " << part << "[" << place << "] is " << got << ", expected " << want << " within " << bound);
}

const std::vector<size_t> kBatches{1, 2, 3, 8, 16, 17, 40, 100, 128, 130};
const std::vector<Activation> kActivations{Activation::relu, Activation::tanh, Activation::sigmoid, Activation::linear};
const char* const kActivationNames[] = {"relu", "tanh", "sigmoid", "linear"};

size_t round_up(size_t count, size_t multiple) {
  return (count + multiple - 1) / multiple * multiple;
}

const cpu::KernelTable& table_or_skip(const char* isa) {
  if (std::strcmp(isa, cpu::emulated16::table.name) == 0) return cpu::emulated16::table;
  const cpu::KernelTable* table = cpu::find_kernels(isa);
  if (table == nullptr) test::skip(std::string(isa) + " kernels are not built in or this CPU cannot run them");
  return *table;
}

/** An array of floats, 64-byte aligned, between guard words. */
class Guarded {
 public:
  explicit Guarded(size_t size, float value = 0.0f) : size_(size), memory_(size + 2 * kGuard, guard()) {
    std::fill_n(data(), size, value);
  }
  explicit Guarded(const std::vector<float>& values) : Guarded(values.size()) {
    std::copy(values.begin(), values.end(), data());
  }
  float* data() { return memory_.data() + kGuard; }
  const float* data() const { return memory_.data() + kGuard; }
  float& operator[](size_t k) { return data()[k]; }
  float operator[](size_t k) const { return data()[k]; }
  size_t size() const { return size_; }
  bool intact() const {
    const float word = guard();
    for (size_t k = 0; k < kGuard; ++k)
      if (std::memcmp(&memory_[k], &word, sizeof word) != 0 ||
          std::memcmp(&memory_[kGuard + size_ + k], &word, sizeof word) != 0)
        return false;
    return true;
  }
  bool same_bits(const Guarded& other) const { return same_bits(other, 0, size_); }
  bool same_bits(const Guarded& other, size_t begin, size_t end) const {
    return begin == end || std::memcmp(data() + begin, other.data() + begin, (end - begin) * sizeof(float)) == 0;
  }

 private:
  static constexpr size_t kGuard = 64;  // four vectors of the widest kind; keeps data() aligned
  static float guard() {
    const uint32_t bits = 0x7fc0dead;  // a NaN that no arithmetic makes
    float word;
    std::memcpy(&word, &bits, sizeof word);
    return word;
  }
  size_t size_;
  AlignedVector<float> memory_;
};

/** Uniform numbers; the runner prints the seed. */
class Random {
 public:
  explicit Random(uint64_t stream) : engine_(test::seed() * 1000003u + stream) {}
  size_t below(size_t count) { return static_cast<size_t>(engine_() % count); }
  float in(float low, float high) { return low + (high - low) * (static_cast<float>(engine_() >> 40) * 0x1p-24f); }
  std::vector<float> list(size_t count, float low, float high) {
    std::vector<float> values(count);
    for (float& value : values) value = in(low, high);
    return values;
  }

 private:
  std::mt19937_64 engine_;
};

Doubles widen(const std::vector<float>& values) {
  return Doubles(values.begin(), values.end());
}

Doubles absolute(Doubles values) {
  for (double& value : values) value = std::fabs(value);
  return values;
}

/** Sample-major [batch][neurons] to feature-major with padding columns of `padding`. */
Guarded by_feature(const std::vector<float>& x, size_t neurons, size_t batch, size_t stride, float padding = 0.0f) {
  Guarded out(neurons * stride, padding);
  for (size_t s = 0; s < batch; ++s)
    for (size_t i = 0; i < neurons; ++i) out[i * stride + s] = x[s * neurons + i];
  return out;
}

/** Outputs that an activation can have: half of relu's are zero, the others stay inside the open range. */
std::vector<float> outputs_of(Activation activation, size_t count, Random& random) {
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
    case Activation::linear:
      break;
  }
  return random.list(count, -1.5f, 1.5f);
}

struct Shape {
  std::string name;
  Csr links;
};

Shape shape(const std::string& name, uint32_t rows, uint32_t cols,
            const std::function<bool(uint32_t, uint32_t)>& present) {
  Csr csr;
  csr.rows = rows;
  csr.cols = cols;
  csr.row_offsets.push_back(0);
  for (uint32_t i = 0; i < rows; ++i) {
    for (uint32_t j = 0; j < cols; ++j)
      if (present(i, j)) csr.col_indices.push_back(j);
    csr.row_offsets.push_back(static_cast<uint32_t>(csr.nnz()));
  }
  return {name, csr};
}

std::vector<Shape> sparse_shapes() {
  Random random(1);
  const auto chance = [&](size_t one_in) { return random.below(one_in) == 0; };
  return {
      shape("1x1, one link", 1, 1, [](uint32_t, uint32_t) { return true; }),
      shape("1x1, no link", 1, 1, [](uint32_t, uint32_t) { return false; }),
      shape("17x9, no link", 17, 9, [](uint32_t, uint32_t) { return false; }),
      shape("23x19, empty rows and columns", 23, 19,
            [&](uint32_t i, uint32_t j) { return i % 3 != 1 && j % 4 != 2 && chance(2); }),
      shape("7x3000, one long row", 7, 3000, [&](uint32_t i, uint32_t) { return i == 3 || chance(500); }),
      shape("3000x7, one long column", 3000, 7, [&](uint32_t, uint32_t j) { return j == 3 || chance(500); }),
      shape("300x260, a cross", 300, 260, [&](uint32_t i, uint32_t j) { return i == 299 || j == 0 || chance(200); }),
      shape("41x40, every fan-out from 0 to 40", 41, 40, [](uint32_t i, uint32_t j) { return j < i; }),
      shape("40x41, every fan-in from 0 to 40", 40, 41, [](uint32_t i, uint32_t j) { return i < j; }),
      shape("33x50, motifs", 33, 50, [](uint32_t i, uint32_t j) { return (i / 2 * 7 + j) % 5 == 0; }),
      shape("784x33", 784, 33, [&](uint32_t, uint32_t) { return chance(12); }),
      shape("17x16, full", 17, 16, [](uint32_t, uint32_t) { return true; }),
  };
}

std::vector<Shape> dense_shapes() {
  std::vector<Shape> shapes;
  for (const auto& [n, m] : std::vector<std::pair<uint32_t, uint32_t>>{
           {1, 1}, {1, 100}, {100, 1}, {3, 17}, {17, 3}, {16, 16}, {31, 97}, {64, 48}, {784, 33}})
    shapes.push_back({std::to_string(n) + "x" + std::to_string(m), reference::full_pattern(n, m)});
  return shapes;
}

/** [0, count) cut at random places, empty ranges among them, in random order. */
std::vector<std::pair<size_t, size_t>> random_ranges(size_t count, Random& random) {
  std::vector<size_t> cuts{0, count};
  for (size_t k = 1 + random.below(4); k > 0; --k) cuts.push_back(random.below(count + 1));
  std::sort(cuts.begin(), cuts.end());
  std::vector<std::pair<size_t, size_t>> ranges;
  for (size_t k = 1; k < cuts.size(); ++k) ranges.push_back({cuts[k - 1], cuts[k]});
  for (size_t k = ranges.size(); k > 1; --k) std::swap(ranges[k - 1], ranges[random.below(k)]);
  return ranges;
}

/** Calls body(shape, batch, stride, activation, what) for every combination; every other batch has a wider stride. */
template <class Body>
void for_each_case(const cpu::KernelTable& table, const std::vector<Shape>& shapes, Body body) {
  for (const Shape& shape : shapes)
    for (size_t b = 0; b < kBatches.size(); ++b)
      for (const Activation activation : kActivations)
        body(shape, kBatches[b], round_up(kBatches[b], table.width) + (b % 2 == 0 ? 0 : table.width), activation,
             std::string(table.name) + ", " + shape.name + ", batch " + std::to_string(kBatches[b]) + ", " +
                 kActivationNames[static_cast<int>(activation)]);
}

// Forward ----------------------------------------------------------------------------------------------------------

void forward_parity(const char* isa, bool dense) {
  const cpu::KernelTable& table = table_or_skip(isa);
  for_each_case(
      table, dense ? dense_shapes() : sparse_shapes(),
      [&](const Shape& shape, size_t batch, size_t stride, Activation activation, const std::string& what) {
        const Csr& links = shape.links;
        const size_t n = links.rows, m = links.cols;
        Random random(2);
        const std::vector<float> x = random.list(batch * n, -1.0f, 1.0f),
                                 weights = random.list(links.nnz(), -1.0f, 1.0f), bias = random.list(m, -1.0f, 1.0f);
        const Doubles want = reference::forward(links, widen(weights), widen(bias), widen(x), batch, activation);
        const Doubles scale = reference::forward(links, absolute(widen(weights)), absolute(widen(bias)),
                                                 absolute(widen(x)), batch, Activation::linear);

        TargetView view;
        build_target_view(links, view);
        const Guarded guarded_x = by_feature(x, n, batch, stride), w(weights), b(bias);
        const auto kind = static_cast<cpu::ActivationKind>(activation);
        const auto run = [&](Guarded& z, size_t begin, size_t end) {
          if (dense) {
            const cpu::DenseForward args{w.data(), b.data(), guarded_x.data(), z.data(), n, m, stride, kind};
            table.dense_forward(args, begin, end);
          } else {
            const cpu::SparseForward args{view.offsets.data(),
                                          view.sources.data(),
                                          view.links.data(),
                                          w.data(),
                                          b.data(),
                                          guarded_x.data(),
                                          z.data(),
                                          stride,
                                          kind};
            table.sparse_forward(args, begin, end);
          }
          CHECK_MSG(z.intact(), what << ": wrote outside z");
        };

        const Guarded blank(m * stride, 12345.0f);
        Guarded whole = blank;
        run(whole, 0, m);
        for (size_t s = 0; s < batch; ++s)
          for (size_t j = 0; j < m; ++j)
            check_near(kForward, whole[j * stride + s], want[s * m + j], scale[s * m + j], what, "z", s * m + j);

        Guarded pieces = blank;
        for (const auto& [begin, end] : random_ranges(m, random)) run(pieces, begin, end);
        CHECK_MSG(pieces.same_bits(whole), what << ": the bits depend on how rows are dealt");

        const size_t begin = m / 3, end = m - m / 4;
        Guarded part = blank;
        run(part, begin, end);
        CHECK_MSG(part.same_bits(blank, 0, begin * stride) && part.same_bits(blank, end * stride, m * stride),
                  what << ": wrote rows outside [begin, end)");
        CHECK_MSG(part.same_bits(whole, begin * stride, end * stride), what << ": a part differs from the whole");
      });
}

TEST("parity: sparse forward, portable") {
  forward_parity("portable", false);
}
TEST("parity: sparse forward, avx2") {
  forward_parity("avx2", false);
}
TEST("parity: sparse forward, avx512") {
  forward_parity("avx512", false);
}
TEST("parity: sparse forward, emulated16") {
  forward_parity("emulated16", false);
}
TEST("parity: dense forward, portable") {
  forward_parity("portable", true);
}
TEST("parity: dense forward, avx2") {
  forward_parity("avx2", true);
}
TEST("parity: dense forward, avx512") {
  forward_parity("avx512", true);
}
TEST("parity: dense forward, emulated16") {
  forward_parity("emulated16", true);
}

// Backward ---------------------------------------------------------------------------------------------------------

TrainOptions test_options() {
  TrainOptions options;
  options.learning_rate = 0.05f;
  options.momentum = 0.9f;
  options.l2 = 0.01f;
  options.decay = 0.003f;
  return options;
}

cpu::UpdateRule rule_of(const TrainOptions& options) {
  return {options.learning_rate, options.momentum, options.l2, options.decay};
}

/** Parameters after one update, and for each the sum of the absolute terms. */
struct Updated {
  Doubles weights, velocity, weights_scale, velocity_scale;
};

Updated update(const std::vector<float>& weights, const std::vector<float>& velocity, const Doubles& gradient,
               const Doubles& gradient_scale) {
  const TrainOptions options = test_options();
  Updated after{widen(weights), widen(velocity), {}, {}};
  reference::momentum_update(after.weights, after.velocity, gradient, options);
  for (size_t k = 0; k < weights.size(); ++k) {
    const double w = std::fabs(weights[k]), v = std::fabs(velocity[k]);
    after.velocity_scale.push_back(options.momentum * v + options.learning_rate * (gradient_scale[k] + options.l2 * w));
    after.weights_scale.push_back(w + after.velocity_scale[k] + options.decay * w);
  }
  return after;
}

/** What a call of a backward kernel is asked for. */
struct Mode {
  bool dx, gradient, update, bias;
  std::string name() const {
    return std::string(dx ? " dx" : "") + (gradient ? " gradient" : "") + (update ? " update" : "") +
           (bias ? " bias" : "");
  }
};

constexpr Mode kModes[] = {
    {true, false, false, false}, {false, true, false, false}, {false, false, true, false},
    {true, true, false, false},  {false, true, true, false},  {true, false, true, false},
    {true, true, true, false},   {true, false, true, true},   {true, true, true, true},
};

/** All that a backward kernel may write. */
struct BackwardState {
  Guarded weights, velocity, gradient, dx, bias, bias_velocity, scratch;
  bool intact() const {
    return weights.intact() && velocity.intact() && gradient.intact() && dx.intact() && bias.intact() &&
           bias_velocity.intact() && scratch.intact();
  }
};

/** Whether rows [begin, end) hold the same bits in both. */
bool same_rows(const BackwardState& a, const BackwardState& b, const Csr& links, size_t stride, size_t begin,
               size_t end) {
  const size_t first = links.row_offsets[begin], last = links.row_offsets[end];
  return a.weights.same_bits(b.weights, first, last) && a.velocity.same_bits(b.velocity, first, last) &&
         a.gradient.same_bits(b.gradient, first, last) && a.dx.same_bits(b.dx, begin * stride, end * stride) &&
         a.bias.same_bits(b.bias, begin, end) && a.bias_velocity.same_bits(b.bias_velocity, begin, end);
}

void check_all(const Tolerance& tolerance, const Guarded& got, const Doubles& want, const Doubles& scale,
               const std::string& what, const char* part) {
  for (size_t k = 0; k < want.size(); ++k) check_near(tolerance, got[k], want[k], scale[k], what, part, k);
}

void backward_parity(const char* isa, bool dense) {
  const cpu::KernelTable& table = table_or_skip(isa);
  for_each_case(
      table, dense ? dense_shapes() : sparse_shapes(),
      [&](const Shape& shape, size_t batch, size_t stride, Activation activation, const std::string& where) {
        const Csr& links = shape.links;
        const size_t n = links.rows, m = links.cols, nnz = links.nnz();
        Random random(3);
        const std::vector<float> x = outputs_of(activation, batch * n, random),
                                 dz = random.list(batch * m, -1.0f, 1.0f), weights = random.list(nnz, -1.0f, 1.0f),
                                 velocity = random.list(nnz, -0.1f, 0.1f), bias = random.list(n, -1.0f, 1.0f),
                                 bias_velocity = random.list(n, -0.1f, 0.1f);

        // What is right, and how large the terms are that add up to it.
        const Doubles want_dx =
            reference::input_gradient(links, widen(weights), widen(x), widen(dz), batch, activation);
        Doubles dx_scale = reference::input_gradient(links, absolute(widen(weights)), widen(x), absolute(widen(dz)),
                                                     batch, Activation::linear);
        if (activation == Activation::relu)  // f' is exactly 0 or 1; elsewhere f' <= 1 is itself rounded
          for (size_t k = 0; k < dx_scale.size(); ++k) dx_scale[k] *= x[k] > 0.0f ? 1.0 : 0.0;
        const Doubles want_gradient = reference::weight_gradient(links, widen(x), widen(dz), batch);
        const Doubles gradient_scale =
            reference::weight_gradient(links, absolute(widen(x)), absolute(widen(dz)), batch);
        const Updated want = update(weights, velocity, want_gradient, gradient_scale);
        const Updated want_bias = update(bias, bias_velocity, reference::bias_gradient(want_dx, n, batch),
                                         reference::bias_gradient(dx_scale, n, batch));

        uint32_t fan_out = 0;
        for (size_t i = 0; i < n; ++i) fan_out = std::max(fan_out, links.row_offsets[i + 1] - links.row_offsets[i]);
        // The padding of a hidden layer's outputs is f(bias), not zero: that of dz must be enough.
        const Guarded guarded_x = by_feature(x, n, batch, stride, 0.5f), guarded_dz = by_feature(dz, m, batch, stride);
        const size_t outputs_stride = round_up(m, table.width);
        Guarded dz_by_sample(batch * outputs_stride);
        for (size_t s = 0; s < batch; ++s) std::copy_n(&dz[s * m], m, dz_by_sample.data() + s * outputs_stride);
        const BackwardState initial{
            Guarded(weights), Guarded(velocity),      Guarded(nnz, 12345.0f),    Guarded(n * stride, 12345.0f),
            Guarded(bias),    Guarded(bias_velocity), Guarded(fan_out, 12345.0f)};

        for (const Mode& mode : kModes) {
          if (!mode.dx && activation != Activation::linear) continue;  // f plays no part
          const std::string what = where + "," + mode.name();
          const auto kind = static_cast<cpu::ActivationKind>(activation);
          const auto run = [&](BackwardState& state, size_t begin, size_t end) {
            float* const v = mode.update ? state.velocity.data() : nullptr;
            float* const g = mode.gradient ? state.gradient.data() : nullptr;
            float* const dx = mode.dx ? state.dx.data() : nullptr;
            float* const b = mode.bias ? state.bias.data() : nullptr;
            float* const bv = mode.bias ? state.bias_velocity.data() : nullptr;
            const cpu::UpdateRule rule = rule_of(test_options());
            if (dense) {
              const cpu::DenseBackward args{state.weights.data(),
                                            v,
                                            g,
                                            guarded_x.data(),
                                            guarded_dz.data(),
                                            dz_by_sample.data(),
                                            outputs_stride,
                                            dx,
                                            b,
                                            bv,
                                            n,
                                            m,
                                            batch,
                                            stride,
                                            kind,
                                            rule};
              table.dense_backward(args, begin, end);
            } else {
              const cpu::SparseBackward args{links.row_offsets.data(),
                                             links.col_indices.data(),
                                             state.weights.data(),
                                             v,
                                             g,
                                             guarded_x.data(),
                                             guarded_dz.data(),
                                             dx,
                                             b,
                                             bv,
                                             stride,
                                             kind,
                                             rule,
                                             state.scratch.data()};
              table.sparse_backward(args, begin, end);
            }
            CHECK_MSG(state.intact(), what << ": wrote outside its arrays");
          };

          BackwardState whole = initial;
          run(whole, 0, n);
          if (mode.dx)
            for (size_t s = 0; s < batch; ++s)
              for (size_t i = 0; i < n; ++i)
                check_near(kInputGradient, whole.dx[i * stride + s], want_dx[s * n + i], dx_scale[s * n + i], what,
                           "dx", s * n + i);
          if (mode.gradient)
            check_all(kWeightGradient, whole.gradient, want_gradient, gradient_scale, what, "gradient");
          if (mode.update) {
            check_all(kUpdate, whole.weights, want.weights, want.weights_scale, what, "weights");
            check_all(kUpdate, whole.velocity, want.velocity, want.velocity_scale, what, "velocity");
          }
          if (mode.bias) {
            check_all(kUpdate, whole.bias, want_bias.weights, want_bias.weights_scale, what, "bias");
            check_all(kUpdate, whole.bias_velocity, want_bias.velocity, want_bias.velocity_scale, what,
                      "bias velocity");
          }
          CHECK_MSG((mode.update ||
                     (whole.weights.same_bits(initial.weights) && whole.velocity.same_bits(initial.velocity))) &&
                        (mode.gradient || whole.gradient.same_bits(initial.gradient)) &&
                        (mode.dx || whole.dx.same_bits(initial.dx)) &&
                        (mode.bias ||
                         (whole.bias.same_bits(initial.bias) && whole.bias_velocity.same_bits(initial.bias_velocity))),
                    what << ": wrote what was not asked for");

          BackwardState pieces = initial;
          for (const auto& [begin, end] : random_ranges(n, random)) run(pieces, begin, end);
          CHECK_MSG(same_rows(pieces, whole, links, stride, 0, n), what << ": the bits depend on how rows are dealt");

          const size_t begin = n / 3, end = n - n / 4;
          BackwardState part = initial;
          run(part, begin, end);
          CHECK_MSG(
              same_rows(part, initial, links, stride, 0, begin) && same_rows(part, initial, links, stride, end, n),
              what << ": wrote rows outside [begin, end)");
          CHECK_MSG(same_rows(part, whole, links, stride, begin, end), what << ": a part differs from the whole");
        }
      });
}

TEST("parity: sparse backward, portable") {
  backward_parity("portable", false);
}
TEST("parity: sparse backward, avx2") {
  backward_parity("avx2", false);
}
TEST("parity: sparse backward, avx512") {
  backward_parity("avx512", false);
}
TEST("parity: sparse backward, emulated16") {
  backward_parity("emulated16", false);
}
TEST("parity: dense backward, portable") {
  backward_parity("portable", true);
}
TEST("parity: dense backward, avx2") {
  backward_parity("avx2", true);
}
TEST("parity: dense backward, avx512") {
  backward_parity("avx512", true);
}
TEST("parity: dense backward, emulated16") {
  backward_parity("emulated16", true);
}

void update_parity(const char* isa) {
  const cpu::KernelTable& table = table_or_skip(isa);
  for (const size_t count : {0, 1, 3, 8, 15, 16, 17, 33, 1000}) {
    Random random(4);
    const std::vector<float> weights = random.list(count, -1.0f, 1.0f), velocity = random.list(count, -0.1f, 0.1f),
                             gradient = random.list(count, -1.0f, 1.0f);
    const Updated want = update(weights, velocity, widen(gradient), absolute(widen(gradient)));
    Guarded w(weights), v(velocity);
    const Guarded g(gradient);
    table.momentum_update(w.data(), v.data(), g.data(), count, rule_of(test_options()));
    const std::string what = std::string(table.name) + ", " + std::to_string(count) + " parameters";
    CHECK_MSG(w.intact() && v.intact(), what << ": wrote outside its arrays");
    check_all(kUpdate, w, want.weights, want.weights_scale, what, "weights");
    check_all(kUpdate, v, want.velocity, want.velocity_scale, what, "velocity");
  }
}

TEST("parity: momentum update, portable") {
  update_parity("portable");
}
TEST("parity: momentum update, avx2") {
  update_parity("avx2");
}
TEST("parity: momentum update, avx512") {
  update_parity("avx512");
}
TEST("parity: momentum update, emulated16") {
  update_parity("emulated16");
}

// Loss -------------------------------------------------------------------------------------------------------------

const std::vector<Loss> kLosses{Loss::softmax_cross_entropy, Loss::sigmoid_binary_cross_entropy, Loss::mse};
const char* const kLossNames[] = {"softmax", "sigmoid", "mse"};

/** Logits [batch][outputs]: ordinary ones, equal ones, and such that e^z overflows or vanishes. */
std::vector<std::vector<float>> logit_sets(size_t count, Random& random) {
  std::vector<std::vector<float>> sets{random.list(count, -4.0f, 4.0f), std::vector<float>(count, 0.7f)};
  for (const float extreme : {80.0f, 1e4f}) {
    std::vector<float> logits(count);
    for (float& z : logits) z = random.below(3) == 0 ? random.in(-1.0f, 1.0f) : random.below(2) ? extreme : -extreme;
    sets.push_back(logits);
  }
  return sets;
}

struct Target {
  std::string name;
  std::vector<uint32_t> labels;
  std::vector<float> values;
};

/** Labels, the same one-hot, and soft targets that sum to 1 over the outputs (with one output: any share). */
std::vector<Target> target_sets(size_t outputs, size_t batch, Random& random) {
  Target labels{"labels", {}, {}}, one_hot{"one-hot", {}, {}}, soft{"soft targets", {}, {}};
  for (size_t s = 0; s < batch; ++s) {
    const auto label = static_cast<uint32_t>(random.below(std::max<size_t>(outputs, 2)));
    labels.labels.push_back(label);
    float sum = 0.0f;
    for (size_t j = 0; j < outputs; ++j) {
      one_hot.values.push_back(outputs == 1 ? static_cast<float>(label) : j == label ? 1.0f : 0.0f);
      soft.values.push_back(random.in(0.05f, 1.0f));
      sum += soft.values.back();
    }
    if (outputs > 1)
      for (size_t j = 0; j < outputs; ++j) soft.values[s * outputs + j] /= sum;
  }
  return {labels, one_hot, soft};
}

TEST("parity: loss, its gradient and the output activation") {
  constexpr size_t kWidth = 16;
  Random random(5);
  for (const Loss loss : kLosses)
    for (const size_t outputs : {1, 2, 3, 10, 17, 102})
      for (const size_t batch : kBatches)
        for (const std::vector<float>& logits : logit_sets(outputs * batch, random)) {
          const std::string shape = std::string(kLossNames[static_cast<int>(loss)]) + ", " + std::to_string(outputs) +
                                    " outputs, batch " + std::to_string(batch);
          const size_t stride = round_up(batch, kWidth);
          float largest = 1.0f;
          for (const float z : logits) largest = std::max(largest, std::fabs(z));
          // Padding columns hold whatever the forward pass left there.
          Guarded z(outputs * stride, 7.5f);
          for (size_t s = 0; s < batch; ++s)
            for (size_t j = 0; j < outputs; ++j) z[j * stride + s] = logits[s * outputs + j];

          for (const Target& target : target_sets(outputs, batch, random)) {
            const std::string what = shape + ", " + target.name;
            const uint32_t* const labels = target.labels.empty() ? nullptr : target.labels.data();
            const float* const values = target.values.empty() ? nullptr : target.values.data();
            Doubles want_dz;
            const double want =
                reference::loss_and_gradient(loss, widen(logits), outputs, batch, labels, values, &want_dz);
            Guarded dz(outputs * stride, 12345.0f);
            const double got =
                cpu::loss_and_gradient(loss, z.data(), outputs, batch, stride, labels, values, dz.data());
            const double alone =
                cpu::loss_and_gradient(loss, z.data(), outputs, batch, stride, labels, values, nullptr);
            CHECK_MSG(got == alone, what << ": the loss depends on whether the gradient is wanted");
            const double scale = static_cast<double>(batch) * (loss == Loss::mse ? 0.0 : largest);
            CHECK_MSG(std::fabs(got - want) <= kLoss.scaled * scale + kLoss.relative * std::fabs(want),
                      what << ": loss " << got << ", expected " << want);
            CHECK_MSG(dz.intact(), what << ": wrote outside dz");
            const double dz_scale =
                (loss == Loss::mse ? largest / static_cast<double>(outputs) : 1.0) / static_cast<double>(batch);
            for (size_t j = 0; j < outputs; ++j)
              for (size_t s = 0; s < stride; ++s)
                check_near(kLossGradient, dz[j * stride + s], s < batch ? want_dz[s * outputs + j] : 0.0,
                           s < batch ? dz_scale : 0.0, what, "dz", j * stride + s);
          }

          Doubles want = widen(logits);
          reference::output_activation(loss, want, outputs, batch);
          Guarded y = z;
          cpu::output_activation(loss, y.data(), outputs, batch, stride);
          CHECK_MSG(y.intact(), shape << ": wrote outside the outputs");
          for (size_t s = 0; s < batch; ++s)
            for (size_t j = 0; j < outputs; ++j)
              check_near(kOutput, y[j * stride + s], want[s * outputs + j], loss == Loss::mse ? 0.0 : 1.0, shape,
                         "output", s * outputs + j);
        }
}

}  // namespace
}  // namespace set_native
