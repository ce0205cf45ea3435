#include "gpu/trainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <thread>

#include "core/error.h"
#include "core/finite.h"
#include "layout/network.h"

namespace set_native::gpu {

namespace {

constexpr uint64_t kMostShuffled = uint64_t{1} << 31;  // largest 2^k entries, k < 32, that a sort takes

bool holds(const std::unique_ptr<Buffer>& buffer, size_t bytes) {
  return buffer != nullptr && buffer->bytes() == bytes;
}

}  // namespace

Trainer::Trainer(Device& device, Network& network, SampleCache& cache)
    : device_(device),
      network_(network),
      cache_(cache),
      state_(device.allocate(sizeof(StepState))),
      flags_(device, network.layers.size()),
      cancel_(device.allocate_shared(sizeof(uint32_t))) {}

/** Allocates the memory for batches of the options' size, unless buffers of the same sizes are there. */
void Trainer::fit(const Samples& samples, const TrainOptions& options) {
  const auto batch = static_cast<uint32_t>(std::min<uint64_t>(options.batch_size, samples.count));
  const size_t layers = network_.layers.size();
  const uint32_t stride = row_stride(batch);
  const auto bytes_of = [&](uint64_t rows) { return static_cast<size_t>(rows * stride * sizeof(float)); };
  const bool wide = stride > kPassStride;
  uint32_t widest = 0;  // most rows of a matrix that has a gradient
  for (size_t l = 1; l < layers; ++l) widest = std::max(widest, network_.rows_below(l));

  // Compare the sizes with those of the present buffers.
  size_t missing = 0, total = 0;
  bool same = rows_.size() == layers + 1;
  const auto count = [&](const std::unique_ptr<Buffer>* there, size_t bytes) {
    total += bytes;
    if (there != nullptr && holds(*there, bytes)) return;
    missing += bytes;
    same = false;
  };
  const bool had = same;
  for (size_t l = 0; l <= layers; ++l) {
    count(had ? &rows_[l] : nullptr, bytes_of(network_.rows_below(l)));
    if (l < layers && is_piecewise(network_.layers[l].activation))
      count(had ? &pre_activation_[l] : nullptr, bytes_of(network_.layers[l].outputs));
  }
  count(&dz_, bytes_of(network_.outputs()));
  for (const auto& dx : dx_)
    if (wide && widest > 0) count(&dx, bytes_of(widest));
  if (same) return;

  // Free the present buffers, and the recording that uses them.
  step_.reset();
  rows_.clear();
  pre_activation_.clear();
  dz_.reset();
  for (auto& dx : dx_) dx.reset();
  stride_ = 0;
  require_device_memory(device_, total, "[train] a batch of " + std::to_string(batch) + " samples");

  // Allocate new ones. Members change only when all are there.
  const auto zeros = [&](size_t bytes) {
    auto buffer = device_.allocate(bytes);
    device_.clear(*buffer, 0, bytes);
    return buffer;
  };
  std::vector<std::unique_ptr<Buffer>> rows, pre_activation(layers);
  for (size_t l = 0; l <= layers; ++l) {
    // Blocks that exceed a layer's sources read rows beyond them, which must be zero; nothing writes these.
    rows.push_back(zeros(bytes_of(network_.rows_below(l))));
    if (l < layers && is_piecewise(network_.layers[l].activation))
      pre_activation[l] = zeros(bytes_of(network_.layers[l].outputs));
  }
  dz_ = zeros(bytes_of(network_.outputs()));
  for (auto& dx : dx_)
    if (wide && widest > 0) dx = zeros(bytes_of(widest));
  rows_ = std::move(rows);
  pre_activation_ = std::move(pre_activation);
  stride_ = stride;
}

/** Allocates the memory for the order of `count` samples, unless buffers of the same sizes are there. */
void Trainer::fit_order(uint64_t count) {
  if (count > kMostShuffled)
    throw Error(ErrorCode::out_of_range, "[train] expected at most " + std::to_string(kMostShuffled) +
                                             " samples to shuffle on a GPU, got " + std::to_string(count));
  const size_t size = order_size(count);
  if (holds(order_, size * sizeof(uint32_t)) && holds(draws_, size * sizeof(uint64_t))) return;
  step_.reset();
  order_.reset();
  draws_.reset();
  require_device_memory(device_, size * (sizeof(uint32_t) + sizeof(uint64_t)),
                        "[train] the order of " + std::to_string(count) + " samples");
  draws_ = device_.allocate(size * sizeof(uint64_t));
  order_ = device_.allocate(size * sizeof(uint32_t));
}

/**
 * Uploads rate, scale and decay of the rule of each step and of the one after them, whose rule the last step
 * of a part of an epoch reads. The device cannot take the powers of AdamW in double.
 */
void Trainer::upload_corrections(const TrainOptions& options, const StepRange& range) {
  std::vector<float> corrections(3 * (static_cast<size_t>(range.end) + 1));
  for (uint64_t s = range.begin; s <= range.end; ++s) {
    const UpdateRule rule = update_rule(options, network_.optimizer, range.before + s + 1, s);
    corrections[3 * s] = rule.rate;
    corrections[3 * s + 1] = rule.scale;
    corrections[3 * s + 2] = rule.decay;
  }
  const size_t bytes = corrections.size() * sizeof corrections[0];
  if (corrections_ == nullptr || corrections_->bytes() < bytes) {
    step_.reset();
    corrections_.reset();
    corrections_ = device_.allocate(bytes);
  }
  device_.upload(*corrections_, 0, corrections.data(), bytes);
}

/** Queues the kernels of one step. */
void Trainer::queue_step(const DeviceSamples& samples, bool shuffle) {
  const Binding state(state_), order(shuffle ? order_.get() : nullptr);
  const size_t layers = network_.layers.size();

  // Forward: samples, layers, losses.
  queue_gather(device_, GatherParams{network_.features(), stride_, 0, 0},
               GatherBuffers{state, samples.x, order, rows_[0]});
  for (size_t l = 0; l < layers; ++l) {
    queue_forward(device_, network_, l, state, *rows_[l], *rows_[l + 1], pre_activation_[l].get(), stride_);
    if (l + 1 < layers && dropout_.any())
      queue_dropout(device_, network_, l, state, *rows_[l + 1], stride_, dropout_);
  }
  LossBuffers loss;
  loss.state = state;
  loss.order = order;
  loss.labels = samples.labels;
  loss.targets = samples.targets;
  loss.weights = samples.weights;
  loss.z = rows_[layers];
  loss.dz = dz_;
  queue_loss(device_, network_, stride_, loss);

  // Backward, with the updates: dz of a layer, its links, the activation below.
  const Buffer* dz = dz_.get();
  for (size_t l = layers; l-- > 0;) {
    const Buffer* dx = gradient_below(l);
    queue_backward(device_, network_, l, state, *rows_[l], *dz, dx, stride_, dropout_);
    if (l > 0 && pre_activation_[l - 1] != nullptr)
      queue_piecewise_backward(device_, network_, l - 1, state, *pre_activation_[l - 1], *dx, stride_);
    dz = dx;
  }
  // Update the bias of the output layer, and move the state to the next step.
  EndStepBuffers end;
  end.state = state;
  end.cancel = cancel_;
  end.dz = dz_;
  end.bias = network_.layers.back().bias;
  end.bias_velocity = network_.layers.back().bias_velocity;
  end.bias_second_moment = network_.layers.back().bias_second_moment;
  if (corrects_) end.corrections = corrections_;
  device_.dispatch({{Op::end_step}}, EndStepParams{network_.outputs(), stride_}, end);
}

/** Replays `steps` steps, recorded first if necessary; calls watch(steps before it) before each. */
template <class Watch>
void Trainer::replay_steps(const DeviceSamples& samples, bool shuffle, uint64_t steps, Watch&& watch) {
  const StepKey key{samples.upload, shuffle, corrects_, dropout_.threshold};
  if (step_ == nullptr || !(key == step_key_)) step_ = device_.record([&] { queue_step(samples, shuffle); });
  step_key_ = key;
  for (uint64_t s = 0; s < steps; ++s) {
    watch(s);
    device_.replay(*step_);
  }
}

/** Returns the matrix for the gradient by the output of layer l - 1; null for the first layer. */
const Buffer* Trainer::gradient_below(size_t l) const {
  if (l == 0) return nullptr;
  return stride_ > kPassStride ? dx_[l % 2].get() : rows_[l].get();
}

EpochResult Trainer::run_epoch(const Samples& samples, const TrainOptions& options,
                               const std::atomic<bool>& cancel) {
  // Memory and samples.
  fit(samples, options);
  if (options.shuffle) fit_order(samples.count);
  const DeviceSamples& data = cache_.get(samples);

  // The state of the first step.
  StepState state{};
  state.count = static_cast<uint32_t>(samples.count);
  state.full_batch = static_cast<uint32_t>(std::min<uint64_t>(options.batch_size, samples.count));
  const StepRange range = step_range(options, samples.count, "train");
  state.step = static_cast<uint32_t>(range.begin);
  state.first = state.step * state.full_batch;
  state.batch = std::min(state.full_batch, state.count - state.first);
  state.stop = cancel.load(std::memory_order_relaxed) ? StopReason::cancelled : StopReason::running;
  state.rule = update_rule(options, network_.optimizer, range.before + range.begin + 1, range.begin);
  state.epoch = options.epoch;
  dropout_ = dropout_of(options.dropout);
  corrects_ = network_.optimizer == Optimizer::adamw || !options.learning_rates.empty();
  if (corrects_) upload_corrections(options, range);
  device_.upload(*state_, 0, &state, sizeof state);
  volatile uint32_t* const stop = static_cast<uint32_t*>(cancel_->data());
  *stop = 0;
  const auto watch = [&](uint64_t queued) {
    if (cancel.load(std::memory_order_relaxed)) *stop = 1;
    if (options.progress != nullptr) options.progress->store(range.begin + queued, std::memory_order_relaxed);
  };

  // Queue the order and all steps, and wait. Cancelling reaches the device by way of the flag.
  if (options.shuffle) queue_order(device_, network_.seed, options.epoch, state.count, *draws_, *order_);
  replay_steps(data, options.shuffle, range.end - range.begin, watch);
  while (!device_.idle()) {
    watch(range.end - range.begin);
    std::this_thread::sleep_for(std::chrono::microseconds(50));
  }
  device_.download(&state, *state_, 0, sizeof state);

  // How it ended, and whether all parameters are finite.
  EpochResult result;
  result.loss = value_of(device_, state.loss);
  result.cancelled = state.stop == StopReason::cancelled;
  if (state.stop == StopReason::diverged) result.divergence = {uint64_t{state.step} + 1, state.batch};
  if (state.stop != StopReason::running) return result;
  flags_.clear();
  for (size_t l = 0; l < network_.layers.size(); ++l) flags_.check(l, network_.layers[l]);
  const size_t overflowed = flags_.first_raised();
  if (overflowed < network_.layers.size()) result.overflowed_layer = overflowed + 1;
  return result;
}

std::string Trainer::place_of_divergence(size_t samples) {
  const auto columns = static_cast<uint32_t>(samples);
  FiniteChecks finite;
  finite.samples = [&] { return flags_.finite(*rows_[0], network_.features(), stride_, columns); };
  finite.weights = [&](size_t l) { return flags_.finite(network_.layers[l]); };
  finite.outputs = [&](size_t l) {
    return flags_.finite(*rows_[l + 1], network_.layers[l].outputs, stride_, columns);
  };
  return place_of_overflow(network_.layers.size(), finite);
}

}  // namespace set_native::gpu
