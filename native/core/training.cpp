#include "core/training.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "core/error.h"
#include "core/philox.h"

namespace set_native {

std::vector<uint32_t> epoch_order(uint64_t seed, uint32_t epoch, uint64_t count, bool shuffle) {
  if (shuffle) return random_order(seed, Stream::shuffle, epoch, count);
  std::vector<uint32_t> order(count);
  std::iota(order.begin(), order.end(), 0u);
  return order;
}

namespace {

[[noreturn]] void refuse(ErrorCode code, const std::string& operation, const std::string& text) {
  throw Error(code, "[" + operation + "] " + text);
}

}  // namespace

void check_options(const TrainOptions& options, const std::string& operation) {
  if (options.batch_size == 0)
    refuse(ErrorCode::out_of_range, operation, "batch size must be at least 1, got 0");
  const struct {
    const char* name;
    float value;
  } rates[] = {{"learning rate", options.learning_rate},
               {"momentum", options.momentum},
               {"l2", options.l2},
               {"weight decay", options.decay},
               {"beta2", options.beta2},
               {"tiny", options.tiny},
               {"dropout", options.dropout}};
  for (const auto& rate : rates)
    if (!std::isfinite(rate.value) || rate.value < 0.0f)
      refuse(ErrorCode::out_of_range, operation,
             std::string(rate.name) + " must be a finite number of at least 0, got " +
                 std::to_string(rate.value));
  for (const auto& [name, values] :
       {std::pair{"learning rates", &options.learning_rates}, {"weight decays", &options.decays}})
    for (const float value : *values)
      if (!std::isfinite(value) || value < 0.0f)
        refuse(ErrorCode::out_of_range, operation,
               std::string(name) + " must be finite numbers of at least 0, got " + std::to_string(value));
  for (const auto& [name, value] :
       {std::pair{"momentum", options.momentum}, {"beta2", options.beta2}, {"dropout", options.dropout}})
    if (!(value < 1.0f))
      refuse(ErrorCode::out_of_range, operation,
             std::string(name) + " must be below 1, got " + std::to_string(value));
}

namespace {

float of_step(const std::vector<float>& values, float otherwise, uint64_t step) {
  return values.empty() ? otherwise : values[std::min<uint64_t>(step, values.size() - 1)];
}

}  // namespace

float learning_rate_of(const TrainOptions& options, uint64_t step) {
  return of_step(options.learning_rates, options.learning_rate, step);
}

float decay_of(const TrainOptions& options, uint64_t step) {
  return of_step(options.decays, options.decay, step);
}

UpdateRule update_rule(const TrainOptions& options, Optimizer optimizer, uint64_t t, uint64_t step) {
  const float rate = learning_rate_of(options, step);
  UpdateRule rule{};
  rule.rate = rate;
  rule.momentum = options.momentum;
  rule.l2 = options.l2;
  rule.decay = decay_of(options, step);
  if (optimizer != Optimizer::adamw) return rule;
  // AdamW: fold the corrections of the bias of both moments into rate and scale.
  const double steps = static_cast<double>(t), beta1 = options.momentum, beta2 = options.beta2;
  rule.rate = static_cast<float>(rate / (1.0 - std::pow(beta1, steps)));
  rule.beta2 = options.beta2;
  rule.tiny = options.tiny;
  rule.scale = static_cast<float>(1.0 / std::sqrt(1.0 - std::pow(beta2, steps)));
  return rule;
}

namespace {
const char* const kOverflowed = " overflowed: lower the learning rate or scale the data";
}

StepRange step_range(const TrainOptions& options, uint64_t samples, const std::string& operation) {
  const uint64_t batch = std::min<uint64_t>(options.batch_size, samples);
  const uint64_t all = (samples + batch - 1) / batch;
  if (options.first_step >= all)
    refuse(ErrorCode::out_of_range, operation,
           "expected a first step below " + std::to_string(all) + ", the steps of an epoch, got " +
               std::to_string(options.first_step));
  for (const std::vector<float>* values : {&options.learning_rates, &options.decays})
    if (!values->empty() && values->size() != all)
      refuse(ErrorCode::shape, operation,
             "expected a learning rate and a decay for each of " + std::to_string(all) +
                 " steps of the epoch, got " + std::to_string(values->size()));
  StepRange range;
  range.begin = options.first_step;
  range.end = range.begin + std::min(options.steps, all - range.begin);
  range.samples = std::min(range.end * batch, samples) - range.begin * batch;
  range.before = uint64_t{options.epoch - 1} * all;
  return range;
}

double mean_loss(const EpochResult& result, const TrainOptions& options, uint64_t samples, size_t layers,
                 const std::function<std::string()>& place) {
  if (result.cancelled) refuse(ErrorCode::aborted, "train", "cancelled");
  if (result.divergence.batch != 0) refuse_loss(options.epoch, result.divergence.batch, place());
  // The last update follows the last loss, so only this check shows that it overflowed.
  if (result.overflowed_layer != 0) refuse_trained(options.epoch, result.overflowed_layer, layers);
  return result.loss / static_cast<double>(step_range(options, samples, "train").samples);
}

std::string place_of_overflow(size_t layers, const FiniteChecks& finite) {
  if (!finite.samples()) return "the samples";
  for (size_t l = 0; l < layers; ++l) {
    const std::string name = " of layer " + std::to_string(l + 1) + " of " + std::to_string(layers);
    if (!finite.weights(l)) return "the weights" + name;
    if (!finite.outputs(l)) return "the outputs" + name;
  }
  return "the loss itself";
}

void refuse_loss(uint32_t epoch, uint64_t batch, const std::string& place) {
  refuse(ErrorCode::non_finite, "train",
         "the loss must stay a finite number, but in epoch " + std::to_string(epoch) + ", batch " +
             std::to_string(batch) + ", " + place + kOverflowed);
}

void refuse_trained(uint32_t epoch, size_t layer, size_t layers) {
  refuse(ErrorCode::non_finite, "train",
         "weights must stay finite, but at the end of epoch " + std::to_string(epoch) +
             ", the weights of layer " + std::to_string(layer) + " of " + std::to_string(layers) +
             kOverflowed);
}

void refuse_outputs(uint64_t row, const std::string& place) {
  refuse(ErrorCode::non_finite, "predict",
         "outputs must be finite numbers, but for row " + std::to_string(row) + ", " + place + kOverflowed);
}

}  // namespace set_native
