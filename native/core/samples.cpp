#include "core/samples.h"

#include <algorithm>
#include <atomic>
#include <cmath>

#include "core/error.h"

namespace set_native {

uint64_t next_samples_id() {
  static std::atomic<uint64_t> last{0};
  return ++last;
}

Targets targets_from(const Samples& samples, uint64_t first) {
  Targets targets;
  if (samples.labels != nullptr) targets.labels = samples.labels + first;
  if (samples.targets != nullptr) targets.values = samples.targets + first * samples.outputs;
  if (samples.weights != nullptr) targets.weights = samples.weights + first;
  return targets;
}

namespace {

[[noreturn]] void refuse(ErrorCode code, const std::string& operation, const std::string& text) {
  throw Error(code, "[" + operation + "] " + text);
}

}  // namespace

void check_samples(const Samples& samples, uint32_t features, uint32_t outputs,
                   const std::string& operation) {
  if (samples.count == 0) refuse(ErrorCode::shape, operation, "expected at least one sample, got none");
  if (samples.count > UINT32_MAX)
    refuse(ErrorCode::out_of_range, operation,
           "expected at most 4294967295 samples, got " + std::to_string(samples.count));
  if (samples.x == nullptr)
    refuse(ErrorCode::invalid_argument, operation, "the samples have no features (x)");
  if (samples.features != features)
    refuse(ErrorCode::shape, operation,
           "samples have " + std::to_string(samples.features) + " features, the model expects " +
               std::to_string(features));
  if (samples.labels != nullptr && samples.targets != nullptr)
    refuse(ErrorCode::invalid_argument, operation, "expected labels or targets, got both");
  if (samples.targets != nullptr && samples.outputs != outputs)
    refuse(ErrorCode::shape, operation,
           "targets have " + std::to_string(samples.outputs) + " columns, the model has " +
               std::to_string(outputs) + " outputs");
  if (samples.labels == nullptr) return;
  const uint32_t classes = std::max(outputs, 2u);
  for (uint64_t s = 0; s < samples.count; ++s)
    if (samples.labels[s] >= classes)
      refuse(ErrorCode::out_of_range, operation,
             "label of sample " + std::to_string(s) + " is " + std::to_string(samples.labels[s]) +
                 ", a model with " + std::to_string(outputs) + (outputs == 1 ? " output" : " outputs") +
                 " expects 0 to " + std::to_string(classes - 1));
}

void check_targets(const Samples& samples, uint32_t features, uint32_t outputs, Loss loss,
                   const std::string& operation) {
  check_samples(samples, features, outputs, operation);
  if (samples.labels == nullptr && samples.targets == nullptr)
    refuse(ErrorCode::invalid_argument, operation, "expected labels or targets, got neither");
  if (samples.targets == nullptr || loss == Loss::mse) return;
  for (uint64_t s = 0; s < samples.count; ++s) {
    const float* row = samples.targets + s * outputs;
    double sum = 0.0;
    for (uint32_t o = 0; o < outputs; ++o) {
      sum += row[o];
      if (!(row[o] >= 0.0f && row[o] <= 1.0f))
        refuse(ErrorCode::out_of_range, operation,
               "target " + std::to_string(o) + " of sample " + std::to_string(s) + " is " +
                   std::to_string(row[o]) +
                   ", a cross entropy expects 0 to 1; real numbers need the loss mse");
    }
    if (loss == Loss::softmax_cross_entropy && std::fabs(sum - 1.0) > 1e-3)
      refuse(
          ErrorCode::out_of_range, operation,
          "targets of sample " + std::to_string(s) + " add up to " + std::to_string(sum) +
              ", softmax-cross-entropy expects 1; several labels need the loss sigmoid-binary-cross-entropy");
  }
}

void check_probe(const Samples* probe, uint32_t features, uint32_t outputs, Loss loss) {
  if (probe == nullptr) throw Error(ErrorCode::invalid_argument, "[evolve] growth by gradient takes samples");
  check_targets(*probe, features, outputs, loss, "evolve");
}

}  // namespace set_native
