#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <string>
#include <thread>

#include "core/backend.h"
#include "core/error.h"
#include "cpu/denormals.h"
#include "cpu/evolve.h"
#include "cpu/kernels.h"
#include "cpu/loss.h"
#include "cpu/thread_pool.h"

/*
 * The CPU back end: a model on the host, trained by the kernels of one instruction set on a pool of threads.
 *
 * Every step is a sequence of runs of the pool. In each run a thread computes its own rows, targets forward and sources
 * backward, dealt so that all have about the same number of links. A row is computed by one thread in an order that
 * the dealing does not touch, and the loss by the caller alone: the bits do not depend on the number of threads.
 */
namespace set_native::cpu {

namespace {

constexpr uint64_t kRowCost = 4;             // of a row beside its links, in links
constexpr uint64_t kWorthSharing = 1 << 14;  // multiply-adds below which a second thread costs more than it brings
constexpr uint32_t kEvaluationBatch = 64;
constexpr size_t kLine = kAlignment / sizeof(float);

/** first[t] .. first[t + 1] are the rows of thread t. */
using Deal = std::vector<uint32_t>;

/** Deals rows in order; each thread gets about the same share of links, counted by `offsets`, and of rows. */
Deal deal_by_links(const std::vector<uint32_t>& offsets, unsigned threads) {
  const auto rows = static_cast<uint32_t>(offsets.size() - 1);
  const uint64_t total = offsets[rows] + kRowCost * rows;
  Deal deal(threads + 1, rows);
  deal[0] = 0;
  uint32_t row = 0;
  for (unsigned t = 1; t < threads; ++t) {
    while (row < rows && (offsets[row] + kRowCost * row) * threads < total * t) ++row;
    deal[t] = row;
  }
  return deal;
}

/** Deals rows evenly, in multiples of `unit`. */
Deal deal_evenly(uint32_t rows, unsigned threads, uint32_t unit) {
  const uint64_t units = (uint64_t{rows} + unit - 1) / unit;
  Deal deal(threads + 1, rows);
  for (unsigned t = 0; t <= threads; ++t)
    deal[t] = static_cast<uint32_t>(std::min<uint64_t>(units * t / threads * unit, rows));
  return deal;
}

bool all_finite(const float* values, size_t count) {
  return std::all_of(values, values + count, [](float v) { return std::isfinite(v); });
}

bool finite_parameters(const Layer& layer) {
  return all_finite(layer.weights.data(), layer.weights.size()) && all_finite(layer.bias.data(), layer.bias.size());
}

size_t round_up(size_t value, size_t unit) {
  return (value + unit - 1) / unit * unit;
}

/** What the back end keeps beside a layer of the model: indices and buffers, all rebuilt from it. */
struct LayerState {
  TargetView view;         // sparse layers only
  Deal targets;            // forward
  Deal sources;            // backward
  AlignedVector<float> z;  // outputs x stride: this layer's output
};

class CpuModel final : public BackendModel {
 public:
  CpuModel(Model model, const KernelTable& table, unsigned threads)
      : model_(std::move(model)), kernels_(table), pool_(threads), states_(model_.layers.size()), scratch_(threads) {
    for (size_t l = 0; l < states_.size(); ++l) index_layer(l);
  }

  Model download() const override { return model_; }

  double train_epoch(const Samples& samples, const TrainOptions& options, const std::atomic<bool>& cancel) override;
  Evaluation evaluate(const Samples& samples, const std::atomic<bool>& cancel) override;
  void predict(const Samples& samples, float* out, const std::atomic<bool>& cancel) override;
  std::vector<LayerEvolution> evolve(const EvolutionPolicy& policy, uint32_t epoch) override;

  unsigned threads() const override { return pool_.size(); }

  std::vector<LayerStats> stats() const override {
    std::vector<LayerStats> all;
    for (const Layer& layer : model_.layers) all.push_back(layer_stats(layer));
    return all;
  }

 private:
  void index_layer(size_t l);
  void fit_scratch();
  void fit_activations(uint64_t batch);
  void fit_gradients();
  void gather(const Samples& samples, const uint32_t* order, uint64_t first, size_t batch);
  void forward();
  void forward_layer(size_t l);
  void backward(size_t batch, const UpdateRule& rule);
  void backward_layer(size_t l, size_t batch, const float* dz, float* dx, const UpdateRule& rule);
  void update_output_bias(const float* dz, const UpdateRule& rule);
  [[noreturn]] void fail_non_finite(const std::string& what, size_t batch) const;

  template <class Rows>
  void deal_out(const Deal& deal, uint64_t work, Rows&& rows);
  template <class Batch>
  void for_batches(const Samples& samples, const char* operation, const std::atomic<bool>& cancel, Batch&& body);

  const Layer& output_layer() const { return model_.layers.back(); }
  const float* input_of(size_t l) const { return l == 0 ? input_.data() : states_[l - 1].z.data(); }
  ActivationKind activation_of(size_t l) const {
    // What follows the output layer belongs to the loss.
    return l + 1 == model_.layers.size() ? ActivationKind::linear
                                         : static_cast<ActivationKind>(model_.layers[l].activation);
  }

  Model model_;
  const KernelTable& kernels_;
  ThreadPool pool_;
  std::vector<LayerState> states_;
  size_t stride_ = 0;                          // of all activations: the batch rounded up to the width
  AlignedVector<float> input_;                 // inputs x stride
  AlignedVector<float> dz_[2];                 // in turn: gradient by a layer's z, and the one below it
  AlignedVector<float> dz_by_sample_;          // of the dense layer at work
  std::vector<AlignedVector<float>> scratch_;  // per thread: gradient of one row
};

/** Calls rows(thread, begin, end) for every thread's rows: on all threads, or on the caller when it is little work. */
template <class Rows>
void CpuModel::deal_out(const Deal& deal, uint64_t work, Rows&& rows) {
  if (pool_.size() == 1 || work < kWorthSharing) {
    const FlushDenormals flush;
    return rows(0u, deal.front(), deal.back());
  }
  pool_.run([&](unsigned t) {
    const FlushDenormals flush;
    if (deal[t] < deal[t + 1]) rows(t, deal[t], deal[t + 1]);
  });
}

void CpuModel::index_layer(size_t l) {
  const Layer& layer = model_.layers[l];
  LayerState& state = states_[l];
  if (layer.dense) {
    state.targets = deal_evenly(layer.outputs, pool_.size(), layer.outputs >= 64 ? 8 : 1);
    state.sources = deal_evenly(layer.inputs, pool_.size(), 16);
  } else {
    build_target_view(layer.links, state.view);
    state.targets = deal_by_links(state.view.offsets, pool_.size());
    state.sources = deal_by_links(layer.links.row_offsets, pool_.size());
  }
}

/** Room for the longest row on every thread, since a small layer's rows may all go to the caller. */
void CpuModel::fit_scratch() {
  size_t longest = 0;
  for (const Layer& layer : model_.layers)
    for (size_t i = 0; !layer.dense && i < layer.inputs; ++i)
      longest = std::max<size_t>(longest, layer.links.row_offsets[i + 1] - layer.links.row_offsets[i]);
  for (AlignedVector<float>& scratch : scratch_) scratch.resize(round_up(longest, kLine));
}

void CpuModel::fit_activations(uint64_t batch) {
  stride_ = round_up(batch, kernels_.width);
  double neurons = model_.layers.front().inputs, widest = 0.0;
  for (const Layer& layer : model_.layers) {
    neurons += layer.outputs;
    widest = std::max<double>(widest, layer.outputs);
  }
  neurons += 3.0 * widest;  // gradients: two rows of a layer in turn, and one by sample
  require_memory(neurons * static_cast<double>(stride_) * sizeof(float),
                 "[cpu] a batch of " + std::to_string(batch) + " samples");
  input_.resize(model_.layers.front().inputs * stride_);
  for (size_t l = 0; l < states_.size(); ++l) states_[l].z.resize(model_.layers[l].outputs * stride_);
}

void CpuModel::fit_gradients() {
  size_t most = 0, most_dense = 0;
  for (const Layer& layer : model_.layers) {
    most = std::max<size_t>(most, layer.outputs);
    if (layer.dense) most_dense = std::max<size_t>(most_dense, layer.outputs);
  }
  for (AlignedVector<float>& dz : dz_) dz.resize(most * stride_);
  dz_by_sample_.resize(round_up(most_dense, kLine) * stride_);
}

/** Samples order[first ..] (or first ..) into `input_`, feature-major, padding columns zero. */
void CpuModel::gather(const Samples& samples, const uint32_t* order, uint64_t first, size_t batch) {
  std::vector<const float*> sample(batch);
  for (size_t b = 0; b < batch; ++b) {
    const uint64_t s = order != nullptr ? order[first + b] : first + b;
    sample[b] = samples.x + s * samples.features;
  }
  const Deal deal = deal_evenly(samples.features, pool_.size(), kLine);
  deal_out(deal, uint64_t{samples.features} * batch, [&](unsigned, uint32_t begin, uint32_t end) {
    for (uint32_t f = begin; f < end; ++f) {
      float* row = input_.data() + f * stride_;
      for (size_t b = 0; b < batch; ++b) row[b] = sample[b][f];
      std::fill(row + batch, row + stride_, 0.0f);
    }
  });
}

void CpuModel::forward() {
  for (size_t l = 0; l < model_.layers.size(); ++l) forward_layer(l);
}

void CpuModel::forward_layer(size_t l) {
  const Layer& layer = model_.layers[l];
  LayerState& state = states_[l];
  const uint64_t work = layer.nnz() * stride_;
  if (layer.dense) {
    const DenseForward op{layer.weights.data(), layer.bias.data(), input_of(l), state.z.data(),
                          layer.inputs,         layer.outputs,     stride_,     activation_of(l)};
    deal_out(state.targets, work,
             [&](unsigned, uint32_t begin, uint32_t end) { kernels_.dense_forward(op, begin, end); });
  } else {
    const SparseForward op{state.view.offsets.data(),
                           state.view.sources.data(),
                           state.view.links.data(),
                           layer.weights.data(),
                           layer.bias.data(),
                           input_of(l),
                           state.z.data(),
                           stride_,
                           activation_of(l)};
    deal_out(state.targets, work,
             [&](unsigned, uint32_t begin, uint32_t end) { kernels_.sparse_forward(op, begin, end); });
  }
}

/** From dz_[0], the gradient by the output layer's z, down to the first layer, updating on the way. */
void CpuModel::backward(size_t batch, const UpdateRule& rule) {
  update_output_bias(dz_[0].data(), rule);
  size_t current = 0;
  for (size_t l = model_.layers.size(); l-- > 0; current ^= 1)
    backward_layer(l, batch, dz_[current].data(), l == 0 ? nullptr : dz_[current ^ 1].data(), rule);
}

void CpuModel::update_output_bias(const float* dz, const UpdateRule& rule) {
  const FlushDenormals flush;
  Layer& layer = model_.layers.back();
  for (uint32_t o = 0; o < layer.outputs; ++o) {
    float gradient = 0.0f;
    for (size_t b = 0; b < stride_; ++b) gradient += dz[o * stride_ + b];
    kernels_.momentum_update(&layer.bias[o], &layer.bias_momentum[o], &gradient, 1, rule);
  }
}

void CpuModel::backward_layer(size_t l, size_t batch, const float* dz, float* dx, const UpdateRule& rule) {
  Layer& layer = model_.layers[l];
  LayerState& state = states_[l];
  const uint64_t work = layer.nnz() * stride_;
  float* bias = l == 0 ? nullptr : model_.layers[l - 1].bias.data();
  float* bias_velocity = l == 0 ? nullptr : model_.layers[l - 1].bias_momentum.data();
  const ActivationKind activation = l == 0 ? ActivationKind::linear : activation_of(l - 1);
  if (!layer.dense) {
    const SparseBackward op{layer.links.row_offsets.data(),
                            layer.links.col_indices.data(),
                            layer.weights.data(),
                            layer.momentum.data(),
                            nullptr,
                            input_of(l),
                            dz,
                            dx,
                            bias,
                            bias_velocity,
                            stride_,
                            activation,
                            rule,
                            nullptr};
    deal_out(state.sources, work, [&](unsigned t, uint32_t begin, uint32_t end) {
      SparseBackward own = op;
      own.scratch = scratch_[t].data();
      kernels_.sparse_backward(own, begin, end);
    });
    return;
  }
  const size_t outputs_stride = round_up(layer.outputs, kLine);
  const Deal deal = deal_evenly(layer.outputs, pool_.size(), kLine);
  deal_out(deal, layer.outputs * batch, [&](unsigned, uint32_t begin, uint32_t end) {
    const size_t padded_end = end == layer.outputs ? outputs_stride : end;
    for (size_t block = begin; block < padded_end; block += kLine)
      for (size_t b = 0; b < batch; ++b)
        for (size_t j = block; j < block + kLine; ++j)
          dz_by_sample_[b * outputs_stride + j] = j < layer.outputs ? dz[j * stride_ + b] : 0.0f;
  });
  const DenseBackward op{layer.weights.data(),
                         layer.momentum.data(),
                         nullptr,
                         input_of(l),
                         dz,
                         dz_by_sample_.data(),
                         outputs_stride,
                         dx,
                         bias,
                         bias_velocity,
                         layer.inputs,
                         layer.outputs,
                         batch,
                         stride_,
                         activation,
                         rule};
  deal_out(state.sources, work,
           [&](unsigned, uint32_t begin, uint32_t end) { kernels_.dense_backward(op, begin, end); });
}

/** Calls body(first, batch) over the samples in order, after a forward pass of each batch. */
template <class Batch>
void CpuModel::for_batches(const Samples& samples, const char* operation, const std::atomic<bool>& cancel,
                           Batch&& body) {
  fit_activations(std::min<uint64_t>(kEvaluationBatch, samples.count));
  for (uint64_t first = 0; first < samples.count; first += kEvaluationBatch) {
    if (cancel.load(std::memory_order_relaxed))
      throw Error(ErrorCode::aborted, std::string("[") + operation + "] cancelled");
    const auto batch = static_cast<size_t>(std::min<uint64_t>(kEvaluationBatch, samples.count - first));
    gather(samples, nullptr, first, batch);
    forward();
    body(first, batch);
  }
}

double CpuModel::train_epoch(const Samples& samples, const TrainOptions& options, const std::atomic<bool>& cancel) {
  check_targets(samples, model_, "train");
  check_options(options, "train");

  const auto full_batch = static_cast<size_t>(std::min<uint64_t>(options.batch_size, samples.count));
  const uint32_t outputs = output_layer().outputs;
  fit_activations(full_batch);
  fit_gradients();
  fit_scratch();  // here, because an evolution that ran out of memory may have changed some of the layers
  const UpdateRule rule{options.learning_rate, options.momentum, options.l2, options.decay};
  const std::vector<uint32_t> order = epoch_order(model_.seed, options.epoch, samples.count, options.shuffle);
  std::vector<uint32_t> labels(samples.labels != nullptr ? full_batch : 0);
  std::vector<float> targets(samples.targets != nullptr ? full_batch * outputs : 0);

  double loss = 0.0;
  for (uint64_t first = 0, number = 1; first < samples.count; first += full_batch, ++number) {
    if (cancel.load(std::memory_order_relaxed)) throw Error(ErrorCode::aborted, "[train] cancelled");
    const auto batch = static_cast<size_t>(std::min<uint64_t>(full_batch, samples.count - first));
    for (size_t b = 0; b < batch; ++b) {
      const uint64_t s = order[first + b];
      if (samples.labels != nullptr) labels[b] = samples.labels[s];
      if (samples.targets != nullptr)
        std::copy_n(samples.targets + s * outputs, outputs, targets.begin() + static_cast<ptrdiff_t>(b * outputs));
    }
    gather(samples, order.data(), first, batch);
    forward();
    const double batch_loss = loss_and_gradient(model_.loss, states_.back().z.data(), outputs, batch, stride_,
                                                samples.labels != nullptr ? labels.data() : nullptr,
                                                samples.targets != nullptr ? targets.data() : nullptr, dz_[0].data());
    if (!std::isfinite(batch_loss))
      fail_non_finite("[train] the loss must stay a finite number, but in epoch " + std::to_string(options.epoch) +
                          ", batch " + std::to_string(number) + ", ",
                      batch);
    backward(batch, rule);
    loss += batch_loss;
  }
  // The last update is behind the last loss: nothing else would tell that it overflowed.
  if (!std::all_of(model_.layers.begin(), model_.layers.end(), finite_parameters))
    fail_non_finite("[train] weights must stay finite, but at the end of epoch " + std::to_string(options.epoch) + ", ",
                    0);
  return loss / static_cast<double>(samples.count);
}

/**
 * Throws `what` with the first place where numbers have stopped being finite: samples, weights or outputs of a layer.
 * The activations are those of the last forward pass, of `batch` samples.
 */
void CpuModel::fail_non_finite(const std::string& what, size_t batch) const {
  const auto finite_columns = [&](const float* rows, size_t count) {
    for (size_t r = 0; r < count; ++r)
      if (!all_finite(rows + r * stride_, batch)) return false;
    return true;
  };
  std::string place = "the loss itself";
  if (!finite_columns(input_.data(), model_.layers.front().inputs)) {
    place = "the samples";
  } else {
    for (size_t l = 0; l < model_.layers.size(); ++l) {
      const bool parameters = finite_parameters(model_.layers[l]);
      if (parameters && finite_columns(states_[l].z.data(), model_.layers[l].outputs)) continue;
      place = std::string(parameters ? "the outputs" : "the weights") + " of layer " + std::to_string(l + 1) + " of " +
              std::to_string(model_.layers.size());
      break;
    }
  }
  throw Error(ErrorCode::non_finite, what + place + " overflowed: lower the learning rate or scale the data");
}

/** Whether `label` is the answer of a column of logits: its largest (the first of equals), or the side of one half. */
bool is_correct(Loss loss, const float* z, size_t outputs, size_t stride, uint32_t label) {
  if (outputs == 1) return (loss == Loss::mse ? z[0] > 0.5f : z[0] > 0.0f) == (label != 0);
  for (size_t o = 0; o < outputs; ++o)
    if (!(o < label ? z[o * stride] < z[label * stride] : z[o * stride] <= z[label * stride])) return false;
  return true;
}

Evaluation CpuModel::evaluate(const Samples& samples, const std::atomic<bool>& cancel) {
  check_targets(samples, model_, "evaluate");
  const uint32_t outputs = output_layer().outputs;
  double loss = 0.0;
  uint64_t correct = 0;
  for_batches(samples, "evaluate", cancel, [&](uint64_t first, size_t batch) {
    const float* z = states_.back().z.data();
    const uint32_t* labels = samples.labels != nullptr ? samples.labels + first : nullptr;
    const float* targets = samples.targets != nullptr ? samples.targets + first * outputs : nullptr;
    const double batch_loss = loss_and_gradient(model_.loss, z, outputs, batch, stride_, labels, targets, nullptr);
    if (!std::isfinite(batch_loss)) fail_non_finite("[evaluate] the loss must be a finite number, but ", batch);
    loss += batch_loss;
    for (size_t b = 0; labels != nullptr && b < batch; ++b)
      correct += is_correct(model_.loss, z + b, outputs, stride_, labels[b]) ? 1 : 0;
  });
  const auto count = static_cast<double>(samples.count);
  return {loss / count, static_cast<double>(correct) / count};
}

void CpuModel::predict(const Samples& samples, float* out, const std::atomic<bool>& cancel) {
  check_samples(samples, model_, "predict");
  const size_t outputs = output_layer().outputs;
  for_batches(samples, "predict", cancel, [&](uint64_t first, size_t batch) {
    float* z = states_.back().z.data();
    output_activation(model_.loss, z, outputs, batch, stride_);
    for (size_t b = 0; b < batch; ++b)
      for (size_t o = 0; o < outputs; ++o) out[(first + b) * outputs + o] = z[o * stride_ + b];
  });
}

std::vector<LayerEvolution> CpuModel::evolve(const EvolutionPolicy& policy, uint32_t epoch) {
  std::vector<LayerEvolution> done(model_.layers.size());
  const auto evolving = static_cast<uint32_t>(model_.layers.size() - (policy.evolve_output ? 0 : 1));
  const auto key = [&](uint32_t l) { return EvolutionKey{model_.seed, l, epoch}; };
  // All layers are checked before the first is changed: a refused evolution leaves the model as it was.
  for (uint32_t l = 0; l < evolving; ++l) begin_evolution(model_.layers[l], policy, key(l));
  std::atomic<uint32_t> next{0};
  pool_.run([&](unsigned) {
    for (uint32_t l; (l = next.fetch_add(1)) < evolving;) {
      if (model_.layers[l].dense || policy.method == Method::fixed) continue;
      done[l] = evolve_layer(model_.layers[l], policy, key(l));
      index_layer(l);
    }
  });
  return done;
}

unsigned threads_of(const BackendOptions& options) {
  const unsigned cores = std::max(1u, std::thread::hardware_concurrency());
  if (options.threads > kMaxThreads)
    throw Error(ErrorCode::out_of_range, "[cpu] expected at most " + std::to_string(kMaxThreads) + " threads, got " +
                                             std::to_string(options.threads));
  return options.threads == 0 ? std::min(cores, kMaxThreads) : options.threads;
}

class CpuBackend final : public Backend {
 public:
  const char* name() const override { return "cpu"; }

  Availability probe() const override {
    try {
      return {true, std::to_string(threads_of({})) + " threads, " + kernels().name, ""};
    } catch (const Error& error) {
      return {false, "", std::string("not available, because ") + error.what()};
    }
  }

  std::unique_ptr<BackendModel> create(Model model, const BackendOptions& options) const override {
    check_model(model, "create");
    const KernelTable* table = options.isa.empty() ? &kernels() : find_kernels(options.isa.c_str());
    if (table == nullptr)
      throw Error(ErrorCode::backend_unavailable, "[cpu] this machine has no " + options.isa + " kernels");
    return std::make_unique<CpuModel>(std::move(model), *table, threads_of(options));
  }
};

}  // namespace

}  // namespace set_native::cpu

namespace set_native {

const Backend& cpu_backend() {
  static const cpu::CpuBackend backend;
  return backend;
}

}  // namespace set_native
