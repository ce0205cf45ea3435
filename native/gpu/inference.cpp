#include "gpu/inference.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/error.h"
#include "core/finite.h"

namespace set_native::gpu {

/** Makes a buffer of at least `bytes` bytes; `what` names its use in the error. */
void Inference::fit_buffer(std::unique_ptr<Buffer>& buffer, size_t bytes, const std::string& what) {
  if (buffer != nullptr && buffer->bytes() >= bytes) return;
  buffer.reset();
  require_device_memory(device_, bytes, what);
  buffer = device_.allocate(bytes);
}

/** Chooses the size of batches and allocates their matrices. */
void Inference::fit(const Samples& samples, const char* operation) {
  uint32_t widest = 0;
  for (size_t l = 0; l <= network_.layers.size(); ++l) widest = std::max(widest, network_.rows_below(l));
  uint32_t batch = kBatch;
  while (batch > kLeastBatch && uint64_t{batch} * widest > kLargestMatrix) batch /= 2;
  batch_ = static_cast<uint32_t>(std::min<uint64_t>(batch, samples.count));
  stride_ = row_stride(batch_);
  const size_t bytes = size_t{widest} * stride_ * sizeof(float);
  for (auto& rows : rows_)
    fit_buffer(rows, bytes,
               "[" + std::string(operation) + "] a batch of " + std::to_string(batch_) + " samples");
}

/** Returns a batch on the device, uploaded unless its samples are there. */
Inference::Batch Inference::stage(const Samples& samples, const DeviceSamples* there, uint64_t first,
                                  uint32_t size) {
  Batch batch;
  batch.size = size;
  if (there != nullptr) {
    batch.x = there->x;
    batch.labels = there->labels;
    batch.targets = there->targets;
    batch.weights = there->weights;
    batch.first = static_cast<uint32_t>(first);
    return batch;
  }
  const std::string what = "[samples] a batch of " + std::to_string(batch_) + " samples";
  const size_t features = samples.features, outputs = samples.outputs;
  fit_buffer(x_, batch_ * features * sizeof(float), what);
  device_.upload(*x_, 0, samples.x + first * features, size * features * sizeof(float));
  batch.x = x_;
  if (samples.labels != nullptr) {
    fit_buffer(labels_, batch_ * sizeof(uint32_t), what);
    device_.upload(*labels_, 0, samples.labels + first, size * sizeof(uint32_t));
    batch.labels = labels_;
  }
  if (samples.targets != nullptr) {
    fit_buffer(targets_, batch_ * outputs * sizeof(float), what);
    device_.upload(*targets_, 0, samples.targets + first * outputs, size * outputs * sizeof(float));
    batch.targets = targets_;
  }
  if (samples.weights != nullptr) {
    fit_buffer(weights_, batch_ * sizeof(float), what);
    device_.upload(*weights_, 0, samples.weights + first, size * sizeof(float));
    batch.weights = weights_;
  }
  return batch;
}

/** Queues z of layer l and returns it. The two matrices take turns as input and output. */
const Buffer* Inference::queue_layer(size_t l, bool second) {
  const Layer& layer = network_.layers[l];
  Buffer &x = *rows_[second], &z = *rows_[!second];
  // Blocks that exceed a layer's sources read rows beyond them, which must be zero.
  const size_t row = stride_ * sizeof(float);
  if (layer.input_rows() > layer.inputs)
    device_.clear(x, layer.inputs * row, (layer.input_rows() - layer.inputs) * row);
  queue_forward(device_, network_, l, {}, x, z, nullptr, stride_);
  return &z;
}

/** Calls body(number, first, batch) for every batch, whose logits are queued by then. */
template <class Body>
void Inference::for_batches(const Samples& samples, const char* operation, const std::atomic<bool>& cancel,
                            Body&& body) {
  fit(samples, operation);
  const DeviceSamples* there = cache_.find(samples);
  if (there == nullptr && samples.id != 0 && sample_bytes(samples) <= device_.memory().free)
    there = &cache_.get(samples);
  uint64_t number = 0;
  for (uint64_t first = 0; first < samples.count; first += batch_, ++number) {
    if (cancel.load(std::memory_order_relaxed))
      throw Error(ErrorCode::aborted, std::string("[") + operation + "] cancelled");
    const auto size = static_cast<uint32_t>(std::min<uint64_t>(batch_, samples.count - first));
    Batch batch = stage(samples, there, first, size);
    queue_gather(device_, GatherParams{network_.features(), stride_, batch.first, size},
                 GatherBuffers{{}, batch.x, {}, rows_[0]});
    for (size_t l = 0; l < network_.layers.size(); ++l) batch.logits = queue_layer(l, l % 2 == 1);
    body(number, first, batch);
  }
}

Evaluation Inference::evaluate(const Samples& samples, const std::atomic<bool>& cancel) {
  // Queue all batches, each with an entry of its own for its results.
  fit(samples, "evaluate");
  const uint64_t batches = (samples.count + batch_ - 1) / batch_;
  fit_buffer(sums_, batches * sizeof(LossSum), "[evaluate] the sums");
  fit_buffer(correct_, batches * sizeof(uint32_t), "[evaluate] the sums");
  for_batches(samples, "evaluate", cancel, [&](uint64_t number, uint64_t, const Batch& batch) {
    EvaluateParams params{};
    params.outputs = network_.outputs();
    params.stride = stride_;
    params.loss = network_.loss;
    params.first = batch.first;
    params.batch = batch.size;
    params.result = static_cast<uint32_t>(number);
    EvaluateBuffers buffers;
    buffers.labels = batch.labels;
    buffers.targets = batch.targets;
    buffers.weights = batch.weights;
    buffers.z = batch.logits;
    buffers.sums = sums_;
    buffers.correct = correct_;
    device_.dispatch({{Op::evaluate}, 1, 1, kTrainThreads * sizeof(double)}, params, buffers);
  });
  // Add up the batches in order.
  std::vector<LossSum> sums(batches);
  std::vector<uint32_t> correct(batches);
  device_.download(sums.data(), *sums_, 0, batches * sizeof(LossSum));
  device_.download(correct.data(), *correct_, 0, batches * sizeof(uint32_t));
  double loss = 0.0;
  uint64_t right = 0;
  for (uint64_t k = 0; k < batches; ++k) {
    const double sum = value_of(device_, sums[k]);
    if (!std::isfinite(sum))
      throw Error(ErrorCode::non_finite, "[evaluate] the loss must be a finite number, but " +
                                             place_of_overflow(samples, k * batch_) +
                                             " overflowed: lower the learning rate or scale the data");
    loss += sum;
    right += correct[k];
  }
  const auto count = static_cast<double>(samples.count);
  return {loss / count, static_cast<double>(right) / count};
}

void Inference::predict(const Samples& samples, float* out, const std::atomic<bool>& cancel) {
  const size_t outputs = network_.outputs();
  fit(samples, "predict");
  fit_buffer(outputs_, batch_ * outputs * sizeof(float), "[predict] the outputs of a batch");
  for_batches(samples, "predict", cancel, [&](uint64_t, uint64_t first, const Batch& batch) {
    EvaluateParams params{};
    params.outputs = network_.outputs();
    params.stride = stride_;
    params.loss = network_.loss;
    params.batch = batch.size;
    device_.dispatch({{Op::output}, (batch.size + kTrainThreads - 1) / kTrainThreads}, params,
                     OutputBuffers{batch.logits, outputs_});
    device_.download(out + first * outputs, *outputs_, 0, batch.size * outputs * sizeof(float));
  });
  const uint64_t row = first_overflow(out, samples.count, outputs);
  if (row != samples.count) refuse_outputs(row, place_of_overflow(samples, row / batch_ * batch_));
}

/** Returns the first place where numbers of a batch are not finite. Runs the batch again to find it. */
std::string Inference::place_of_overflow(const Samples& samples, uint64_t first) {
  const auto size = static_cast<uint32_t>(std::min<uint64_t>(batch_, samples.count - first));
  FiniteChecks finite;
  finite.samples = [&] {
    const Batch batch = stage(samples, cache_.find(samples), first, size);
    queue_gather(device_, GatherParams{network_.features(), stride_, batch.first, size},
                 GatherBuffers{{}, batch.x, {}, rows_[0]});
    return flags_.finite(*rows_[0], network_.features(), stride_, stride_);
  };
  finite.weights = [&](size_t l) { return flags_.finite(network_.layers[l]); };
  finite.outputs = [&](size_t l) {
    const Buffer* z = queue_layer(l, l % 2 == 1);
    return flags_.finite(*z, network_.layers[l].outputs, stride_, stride_);
  };
  return set_native::place_of_overflow(network_.layers.size(), finite);
}

}  // namespace set_native::gpu
