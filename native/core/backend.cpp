#include "core/backend.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/error.h"
#include "core/philox.h"

namespace set_native {

uint64_t next_samples_id() {
  static std::atomic<uint64_t> last{0};
  return ++last;
}

std::unique_ptr<gpu::TimedDevice> Backend::open_device() const {
  throw Error(ErrorCode::backend_unavailable, std::string("[open] ") + name() + " computes on no GPU");
}

std::vector<const Backend*> backends() {
  return {&cpu_backend(), &cuda_backend(), &metal_backend(), &reference_backend()};
}

const Backend& find_backend(const std::string& name) {
  std::string names;
  for (const Backend* backend : backends()) {
    if (name == backend->name()) return *backend;
    names += (names.empty() ? "" : ", ") + std::string(backend->name());
  }
  throw Error(ErrorCode::invalid_argument, "[backend] expected one of " + names + ", got '" + name + "'");
}

std::vector<uint32_t> epoch_order(uint64_t seed, uint32_t epoch, uint64_t count, bool shuffle) {
  if (shuffle) return random_order(seed, Stream::shuffle, epoch, count);
  std::vector<uint32_t> order(count);
  std::iota(order.begin(), order.end(), 0u);
  return order;
}

LayerStats layer_stats(const Layer& layer) {
  LayerStats stats{layer.inputs, layer.outputs, layer.dense, layer.nnz(), {0}};
  if (layer.dense) {
    stats.links_by_birth[0] = stats.nnz;
    return stats;
  }
  for (const uint16_t birth : layer.birth) {
    if (birth >= stats.links_by_birth.size()) stats.links_by_birth.resize(birth + size_t{1});
    ++stats.links_by_birth[birth];
  }
  return stats;
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

void check_targets(const Samples& samples, uint32_t features, uint32_t outputs,
                   const std::string& operation) {
  check_samples(samples, features, outputs, operation);
  if (samples.labels == nullptr && samples.targets == nullptr)
    refuse(ErrorCode::invalid_argument, operation, "expected labels or targets, got neither");
}

void check_options(const TrainOptions& options, const std::string& operation) {
  if (options.batch_size == 0)
    refuse(ErrorCode::out_of_range, operation, "batch size must be at least 1, got 0");
  const struct {
    const char* name;
    float value;
  } rates[] = {{"learning rate", options.learning_rate},
               {"momentum", options.momentum},
               {"l2", options.l2},
               {"weight decay", options.decay}};
  for (const auto& rate : rates)
    if (!std::isfinite(rate.value) || rate.value < 0.0f)
      refuse(ErrorCode::out_of_range, operation,
             std::string(rate.name) + " must be a finite number of at least 0, got " +
                 std::to_string(rate.value));
}

namespace {
const char* const kOverflowed = " overflowed: lower the learning rate or scale the data";
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
