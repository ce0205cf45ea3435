#include <string>
#include <vector>

#include "cpu/loss.h"
#include "test/cpu/kernel_support.h"

/*
 * The momentum update and the loss against reference/ops.h, on the same float inputs, over shapes chosen to
 * hurt. The kernels of layers: sparse_parity_test.cpp.
 */
namespace set_native {

using namespace test;

namespace {

// ---- Update -----------------------------------------------------------------------------------------------

void update_parity(const cpu::KernelTable& table) {
  for (const size_t count : {0, 1, 3, 8, 15, 16, 17, 33, 1000}) {
    Random random(5);
    const std::vector<float> weights = random.list(count, -1.0f, 1.0f),
                             velocity = random.list(count, -0.1f, 0.1f),
                             gradient = random.list(count, -1.0f, 1.0f);
    const Updated want = update(weights, velocity, widen(gradient), absolute(widen(gradient)));
    Guarded w = Guarded::copy_of(weights), v = Guarded::copy_of(velocity);
    const Guarded g = Guarded::copy_of(gradient);
    table.update({w.data(), v.data(), nullptr}, g.data(), count, update_rule());
    const std::string what = std::string(table.name) + ", " + std::to_string(count) + " parameters";
    CHECK_MSG(w.intact() && v.intact(), what << ": wrote outside its arrays");
    Places places(count);
    for (size_t k = 0; k < count; ++k) places[k] = k;
    check_all(kUpdate, w, want.weights, want.weights_scale, places, what, "weights");
    check_all(kUpdate, v, want.velocity, want.velocity_scale, places, what, "velocity");
  }
}

TEST_EACH_ISA("parity: momentum update", update_parity)

void adamw_parity(const cpu::KernelTable& table) {
  for (const size_t count : {0, 1, 3, 8, 15, 16, 17, 33, 1000}) {
    Random random(6);
    const std::vector<float> weights = random.list(count, -1.0f, 1.0f),
                             first = random.list(count, -0.1f, 0.1f),
                             second = random.list(count, 0.0f, 0.01f);
    std::vector<float> gradient = random.list(count, -1.0f, 1.0f);
    for (size_t k = 0; k < count; k += 5) gradient[k] = 0.0f;
    TrainOptions options = rule_options();
    for (const uint64_t t : {uint64_t{1}, uint64_t{2}, uint64_t{1000}, uint64_t{1} << 40}) {
      Doubles w_want = widen(weights), m_want = widen(first), s_want = widen(second);
      reference::adamw_update(w_want, m_want, s_want, widen(gradient), options, t);
      Guarded w = Guarded::copy_of(weights), m = Guarded::copy_of(first), s = Guarded::copy_of(second);
      const Guarded g = Guarded::copy_of(gradient);
      table.update({w.data(), m.data(), s.data()}, g.data(), count,
                   set_native::update_rule(options, Optimizer::adamw, t));
      const std::string what = std::string(table.name) + ", step " + std::to_string(t) + ", " +
                               std::to_string(count) + " parameters";
      CHECK_MSG(w.intact() && m.intact() && s.intact(), what << ": wrote outside its arrays");
      for (size_t k = 0; k < count; ++k) {
        CHECK_MSG(std::fabs(m.data()[k] - m_want[k]) <= 4e-7, what << ": first moment " << k);
        CHECK_MSG(std::fabs(s.data()[k] - s_want[k]) <= 4e-7 * s_want[k], what << ": second moment " << k);
        const double step = std::fabs(w_want[k] - weights[k]);
        CHECK_MSG(std::fabs(w.data()[k] - w_want[k]) <= 2e-7 + 1e-5 * step,
                  what << ": weight " << k << " is " << w.data()[k] << ", want " << w_want[k]);
      }
    }
  }
}

TEST_EACH_ISA("parity: AdamW update", adamw_parity)

void adamw_places(const cpu::KernelTable& table) {
  const size_t count = 37;
  Random random(7);
  const std::vector<float> weights = random.list(count, -1.0f, 1.0f), first = random.list(count, -0.1f, 0.1f),
                           second = random.list(count, 0.0f, 0.01f),
                           gradient = random.list(count, -1.0f, 1.0f);
  const UpdateRule rule = set_native::update_rule(rule_options(), Optimizer::adamw, 3);
  std::vector<float> w = weights, m = first, s = second;
  table.update({w.data(), m.data(), s.data()}, gradient.data(), count, rule);
  for (size_t k = 0; k < count; ++k) {
    float one = weights[k], velocity = first[k], moment = second[k];
    table.update({&one, &velocity, &moment}, &gradient[k], 1, rule);
    CHECK(one == w[k] && velocity == m[k] && moment == s[k]);
  }
}

TEST_EACH_ISA("parity: the bits of an AdamW update do not depend on a parameter's place", adamw_places)

TEST("reference: AdamW's first steps, by hand") {
  TrainOptions options;
  options.learning_rate = 0.1f;
  options.momentum = 0.9f;
  options.beta2 = 0.99f;
  options.tiny = 0.0f;
  options.decay = 0.0f;
  // With a gradient that stays the same both moments, corrected, are it and its square: each step is the
  // rate.
  std::vector<double> w{1.0, -2.0}, m(2), s(2);
  for (uint64_t t = 1; t <= 5; ++t) {
    reference::adamw_update(w, m, s, {0.3, -7.0}, options, t);
    CHECK(std::fabs(w[0] - (1.0 - options.learning_rate * static_cast<double>(t))) < 1e-12);
    CHECK(std::fabs(w[1] - (-2.0 + options.learning_rate * static_cast<double>(t))) < 1e-12);
  }
  // Decay is apart from the moments: without a gradient it alone changes w.
  options.decay = 0.25f;
  options.tiny = 1e-8f;
  std::vector<double> alone{4.0}, none{0.0}, nothing{0.0};
  reference::adamw_update(alone, none, nothing, {0.0}, options, 1);
  CHECK(alone[0] == 3.0 && none[0] == 0.0 && nothing[0] == 0.0);
}

// ---- Loss -------------------------------------------------------------------------------------------------

constexpr Tolerance kLoss{1e-7, 1e-7};
constexpr Tolerance kLossGradient{1e-7, 2e-7};
constexpr Tolerance kOutput{1e-7, 2e-7};

const std::vector<Loss> kLosses{Loss::softmax_cross_entropy, Loss::sigmoid_binary_cross_entropy, Loss::mse};
const char* const kLossNames[] = {"softmax", "sigmoid", "mse"};

/** Logits [batch][outputs]: ordinary ones, equal ones, and such that e^z overflows or vanishes. */
std::vector<std::vector<float>> logit_sets(size_t count, Random& random) {
  std::vector<std::vector<float>> sets{random.list(count, -4.0f, 4.0f), std::vector<float>(count, 0.7f)};
  for (const float extreme : {80.0f, 1e4f}) {
    std::vector<float> logits(count);
    for (float& z : logits)
      z = random.below(3) == 0 ? random.in(-1.0f, 1.0f) : random.below(2) ? extreme : -extreme;
    sets.push_back(logits);
  }
  return sets;
}

struct Target {
  std::string name;
  std::vector<uint32_t> labels;
  std::vector<float> values, weights;
};

/**
 * Labels, the same one-hot, and soft targets that sum to 1 over the outputs (with one output: any share), of
 * samples that count up to 2.
 */
std::vector<Target> target_sets(size_t outputs, size_t batch, Random& random) {
  Target labels{"labels", {}, {}, {}}, one_hot{"one-hot", {}, {}, {}},
      soft{"soft targets, weighed", {}, {}, {}};
  for (size_t s = 0; s < batch; ++s) {
    const auto label = static_cast<uint32_t>(random.below(std::max<size_t>(outputs, 2)));
    labels.labels.push_back(label);
    float sum = 0.0f;
    soft.weights.push_back(random.in(0.0f, 2.0f));
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
  Random random(6);
  for (const Loss loss : kLosses)
    for (const size_t outputs : {1, 2, 3, 10, 17, 102})
      for (const auto& [batch, stride] :
           std::vector<Range>{{1, 1}, {1, 2}, {2, 2}, {3, 4}, {8, 8}, {17, 32}, {100, 112}})
        for (const std::vector<float>& logits : logit_sets(outputs * batch, random)) {
          const std::string shape = std::string(kLossNames[static_cast<int>(loss)]) + ", " +
                                    std::to_string(outputs) + " outputs, batch " + std::to_string(batch);
          float largest = 1.0f;
          for (const float z : logits) largest = std::max(largest, std::fabs(z));
          // Padding columns hold whatever the forward pass left there.
          Guarded z(outputs * stride, 7.5f);
          for (size_t s = 0; s < batch; ++s)
            for (size_t j = 0; j < outputs; ++j) z[j * stride + s] = logits[s * outputs + j];

          for (const Target& target : target_sets(outputs, batch, random)) {
            const std::string what = shape + ", " + target.name;
            const Targets given{target.labels.empty() ? nullptr : target.labels.data(),
                                target.values.empty() ? nullptr : target.values.data(),
                                target.weights.empty() ? nullptr : target.weights.data()};
            Doubles want_dz;
            const double want =
                reference::loss_and_gradient(loss, widen(logits), outputs, batch, given, &want_dz);
            Guarded dz(outputs * stride, 12345.0f);
            const double got =
                cpu::loss_and_gradient(loss, z.data(), outputs, batch, stride, given, dz.data());
            const double alone =
                cpu::loss_and_gradient(loss, z.data(), outputs, batch, stride, given, nullptr);
            CHECK_MSG(got == alone, what << ": the loss depends on whether the gradient is wanted");
            const double scale = static_cast<double>(batch) * (loss == Loss::mse ? 0.0 : largest);
            CHECK_MSG(std::fabs(got - want) <= kLoss.scaled * scale + kLoss.relative * std::fabs(want),
                      what << ": loss " << got << ", expected " << want);
            CHECK_MSG(dz.intact(), what << ": wrote outside dz");
            const double dz_scale = (loss == Loss::mse ? largest / static_cast<double>(outputs) : 1.0) /
                                    static_cast<double>(batch);
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
              check_near(kOutput, y[j * stride + s], want[s * outputs + j], loss == Loss::mse ? 0.0 : 1.0,
                         shape, "output", s * outputs + j);
        }
}

}  // namespace
}  // namespace set_native
