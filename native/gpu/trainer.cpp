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

constexpr uint64_t kMostShuffled = uint64_t{1} << 31;  // samples that a sort of 2^k entries, k < 32, takes

bool holds(const std::unique_ptr<Buffer>& buffer, size_t bytes) {
  return buffer != nullptr && buffer->bytes() == bytes;
}

}  // namespace

Trainer::Trainer(Device& device, Network& network, SampleCache& cache)
    : device_(device),
      network_(network),
      cache_(cache),
      state_(device.allocate(sizeof(StepState))),
      flags_(device.allocate(network.layers.size() * sizeof(uint32_t))),
      cancel_(device.allocate_shared(sizeof(uint32_t))) {}

/** Memory for batches of the size that the options say, or for what differs in size from what is there. */
void Trainer::fit(const Samples& samples, const TrainOptions& options) {
  const auto batch = static_cast<uint32_t>(std::min<uint64_t>(options.batch_size, samples.count));
  const size_t layers = network_.layers.size();
  const uint32_t stride = row_stride(batch);
  const auto bytes_of = [&](uint64_t rows) { return static_cast<size_t>(rows * stride * sizeof(float)); };
  const bool wide = stride > kPassStride;
  uint32_t widest = 0;  // of the matrices that have a gradient
  for (size_t l = 1; l < layers; ++l) widest = std::max(widest, network_.rows_below(l));

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

  step_.reset();
  rows_.clear();
  pre_activation_.clear();
  dz_.reset();
  for (auto& dx : dx_) dx.reset();
  stride_ = 0;
  require_device_memory(device_, total, "[train] a batch of " + std::to_string(batch) + " samples");
  const auto zeros = [&](size_t bytes) {
    auto buffer = device_.allocate(bytes);
    device_.clear(*buffer, 0, bytes);
    return buffer;
  };
  std::vector<std::unique_ptr<Buffer>> rows, pre_activation(layers);
  for (size_t l = 0; l <= layers; ++l) {
    // Rows beyond a layer's neurons are read by blocks that stick out over it: they must be zero, and nobody
    // writes them.
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

void Trainer::queue_step(const DeviceSamples& samples, bool shuffle) {
  const Binding state(state_), order(shuffle ? order_.get() : nullptr);
  const size_t layers = network_.layers.size();

  // Forward: samples, layers, losses.
  queue_gather(device_, GatherParams{network_.features(), stride_, 0, 0},
               GatherBuffers{state, samples.x, order, rows_[0]});
  for (size_t l = 0; l < layers; ++l)
    queue_forward(device_, network_, l, state, *rows_[l], *rows_[l + 1], pre_activation_[l].get(), stride_);
  LossBuffers loss;
  loss.state = state;
  loss.order = order;
  loss.labels = samples.labels;
  loss.targets = samples.targets;
  loss.z = rows_[layers];
  loss.dz = dz_;
  queue_loss(device_, network_, stride_, loss);

  // Backward, with the updates.
  const Buffer* dz = dz_.get();
  for (size_t l = layers; l-- > 0;) {
    const Buffer* dx = gradient_below(l);
    queue_backward(device_, network_, l, state, *rows_[l], *dz, dx, stride_);
    if (l > 0 && pre_activation_[l - 1] != nullptr)
      queue_piecewise_backward(device_, network_, l - 1, state, *pre_activation_[l - 1], *dx, stride_);
    dz = dx;
  }
  EndStepBuffers end;
  end.state = state;
  end.cancel = cancel_;
  end.dz = dz_;
  end.bias = network_.layers.back().bias;
  end.bias_velocity = network_.layers.back().bias_velocity;
  device_.dispatch({{Op::end_step}}, EndStepParams{network_.outputs(), stride_}, end);
}

template <class Watch>
void Trainer::replay_steps(const DeviceSamples& samples, bool shuffle, uint64_t steps, Watch&& watch) {
  const StepKey key{samples.upload, shuffle};
  if (step_ == nullptr || !(key == step_key_)) step_ = device_.record([&] { queue_step(samples, shuffle); });
  step_key_ = key;
  for (uint64_t s = 0; s < steps; ++s) {
    watch();
    device_.replay(*step_);
  }
}

/** Where the gradient by the output of layer l - 1 goes. */
const Buffer* Trainer::gradient_below(size_t l) const {
  if (l == 0) return nullptr;
  return stride_ > kPassStride ? dx_[l % 2].get() : rows_[l].get();
}

Trainer::Result Trainer::run_epoch(const Samples& samples, const TrainOptions& options,
                                   const std::atomic<bool>& cancel) {
  fit(samples, options);
  if (options.shuffle) fit_order(samples.count);
  const DeviceSamples& data = cache_.get(samples);

  StepState state{};
  state.count = static_cast<uint32_t>(samples.count);
  state.full_batch = static_cast<uint32_t>(std::min<uint64_t>(options.batch_size, samples.count));
  state.batch = state.full_batch;
  state.stop = cancel.load(std::memory_order_relaxed) ? StopReason::cancelled : StopReason::running;
  state.rate = options.learning_rate;
  state.momentum = options.momentum;
  state.l2 = options.l2;
  state.decay = options.decay;
  device_.upload(*state_, 0, &state, sizeof state);
  volatile uint32_t* const stop = static_cast<uint32_t*>(cancel_->data());
  *stop = 0;
  const auto watch = [&] {
    if (cancel.load(std::memory_order_relaxed)) *stop = 1;
  };

  if (options.shuffle) queue_order(device_, network_.seed, options.epoch, state.count, *draws_, *order_);
  const uint64_t steps = (samples.count + state.full_batch - 1) / state.full_batch;
  replay_steps(data, options.shuffle, steps, watch);
  while (!device_.idle()) {
    watch();
    std::this_thread::sleep_for(std::chrono::microseconds(50));
  }
  device_.download(&state, *state_, 0, sizeof state);

  Result result;
  result.loss = value_of(device_, state.loss);
  result.cancelled = state.stop == StopReason::cancelled;
  if (state.stop == StopReason::diverged) result.diverged = uint64_t{state.step} + 1;
  if (state.stop == StopReason::running) result.weights_overflow = find_overflow();
  return result;
}

/** The layer, from 1 on, whose parameters are not all finite; 0: none. */
size_t Trainer::find_overflow() {
  device_.clear(*flags_, 0, flags_->bytes());
  for (size_t l = 0; l < network_.layers.size(); ++l) {
    const Layer& layer = network_.layers[l];
    for (const Buffer* values : {layer.weights.get(), layer.bias.get(), layer.pieces.get()}) {
      if (values == nullptr || values->bytes() == 0) continue;
      const auto count = static_cast<uint32_t>(values->bytes() / sizeof(float));
      device_.dispatch({{Op::finite}, std::min((count + kTrainThreads - 1) / kTrainThreads, 512u)},
                       FiniteParams{count, static_cast<uint32_t>(l)}, FiniteBuffers{values, flags_});
    }
  }
  std::vector<uint32_t> flags(network_.layers.size());
  device_.download(flags.data(), *flags_, 0, flags_->bytes());
  const auto at = std::find_if(flags.begin(), flags.end(), [](uint32_t flag) { return flag != 0; });
  return at == flags.end() ? 0 : static_cast<size_t>(at - flags.begin()) + 1;
}

std::string Trainer::place_of_divergence() {
  StepState state{};
  device_.download(&state, *state_, 0, sizeof state);
  const auto finite_columns = [&](const Buffer& buffer, uint32_t rows) {
    std::vector<float> values(size_t{rows} * stride_);
    device_.download(values.data(), buffer, 0, values.size() * sizeof(float));
    for (uint32_t r = 0; r < rows; ++r)
      if (!all_finite(values.data() + size_t{r} * stride_, state.batch)) return false;
    return true;
  };
  if (!finite_columns(*rows_[0], network_.features())) return "the samples";
  const size_t layers = network_.layers.size();
  for (size_t l = 0; l < layers; ++l) {
    const bool finite = download_layer(device_, network_.layers[l]).finite();
    if (finite && finite_columns(*rows_[l + 1], network_.layers[l].outputs)) continue;
    return std::string(finite ? "the outputs" : "the weights") + " of layer " + std::to_string(l + 1) +
           " of " + std::to_string(layers);
  }
  return "the loss itself";
}

}  // namespace set_native::gpu
