#include "cpu/trainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>

#include "core/error.h"
#include "core/finite.h"
#include "cpu/denormals.h"
#include "cpu/loss.h"
#include "layout/parts.h"

namespace set_native::cpu {

namespace {

constexpr double kRowCost = 4.0;              // cost of a row beside its links, in links
constexpr uint64_t kWorthSharing = 1u << 16;  // multiply-adds of a step; with fewer, one thread runs it
constexpr size_t kLine = kAlignment / sizeof(float);  // floats per cache line
constexpr unsigned kChunks = 8;  // parts of a layer for tiny batches; no more threads than that can share it
constexpr uint32_t kRowsAtOnce = 64;  // rows computed between two publishes; few enough to stay in L1

uint32_t round_up(uint32_t value, uint32_t unit) {
  return (value + unit - 1) / unit * unit;
}

/** Least number of rows that fill whole cache lines at a stride. */
uint32_t rows_per_line(size_t stride) {
  return static_cast<uint32_t>(kLine / std::gcd(kLine, stride));
}

/**
 * Deals rows to threads in order, in multiples of `unit`, so that each gets about as many links. `offsets`
 * count the links.
 */
Deal deal_by_links(const std::vector<uint32_t>& offsets, unsigned team, uint32_t unit) {
  Deal deal = parts_of_rows(offsets, team, kRowCost);
  for (unsigned t = 1; t < team; ++t) deal[t] = std::min(deal[team], round_up(deal[t], unit));
  return deal;
}

/** First block of each group whose target is at least `least`. */
template <class Index>
std::vector<uint32_t> first_blocks(const Blocks<Index>& blocks, uint32_t least) {
  std::vector<uint32_t> firsts(blocks.groups());
  const auto targets = blocks.targets.begin();
  for (uint32_t b = 0; b < blocks.groups(); ++b) {
    const auto end = targets + blocks.offsets[b + 1];
    firsts[b] = static_cast<uint32_t>(std::lower_bound(targets + blocks.offsets[b], end, least) - targets);
  }
  return firsts;
}

/** Data of an array, or nullptr if the layer does not have it. */
float* given(AlignedVector<float>& values) {
  return values.empty() ? nullptr : values.data();
}

Parameters bias_of(PackedLayer& layer) {
  return {layer.bias.data(), layer.bias_velocity.data(), given(layer.bias_second_moment)};
}

/** Deals rows to threads in order, in multiples of `unit`, so that each gets about as many rows. */
Deal deal_evenly(uint32_t rows, unsigned team, uint32_t unit) {
  const uint64_t units = (uint64_t{rows} + unit - 1) / unit;
  Deal deal(team + 1, rows);
  for (unsigned t = 0; t < team; ++t)
    deal[t] = static_cast<uint32_t>(std::min<uint64_t>(units * t / team * unit, rows));
  return deal;
}

}  // namespace

/** Sizes the matrices of activations for batches of `batch` samples. */
void Trainer::fit(size_t batch) {
  if (stride_ != row_stride(table_, batch)) pace_.restart();
  stride_ = row_stride(table_, batch);
  work_.resize(network_.layers.size());
  // Check the memory before anything is allocated.
  double floats = static_cast<double>(rows_between(network_, 0));
  for (size_t l = 0; l < work_.size(); ++l) {
    floats += static_cast<double>(rows_between(network_, l + 1));
    if (is_piecewise(network_.layers[l].activation)) floats += network_.layers[l].outputs;
  }
  require_memory(floats * static_cast<double>(stride_) * sizeof(float),
                 "[cpu] a batch of " + std::to_string(batch) + " samples");
  // Blocks that extend beyond a layer read rows beyond its neurons. These rows must be zero, and nothing
  // writes them.
  const auto fit_rows = [this](AlignedVector<float>& matrix, size_t rows) {
    if (matrix.size() != rows * stride_) matrix.assign(rows * stride_, 0.0f);
  };
  fit_rows(shared_input_, rows_between(network_, 0));
  for (size_t l = 0; l < work_.size(); ++l) {
    fit_rows(work_[l].shared_z, rows_between(network_, l + 1));
    if (is_piecewise(network_.layers[l].activation))
      fit_rows(work_[l].pre_activation, network_.layers[l].outputs);
  }
}

/** Deals the targets and the sources of a layer to the threads of the team. */
void Trainer::deal_layer(size_t l) {
  const PackedLayer& layer = network_.layers[l];
  LayerWork& work = work_[l];
  const uint32_t unit = rows_per_line(stride_);
  std::visit(
      [&](const auto& blocks) {
        work.targets = layer.dense ? deal_evenly(layer.outputs, team_, unit)
                                   : deal_by_links(blocks.by_target.offsets, team_, unit);
        work.cuts.clear();
        if (tiny()) {
          work.chunks = deal_by_links(blocks.offsets, kChunks, unit);
          work.sources.resize(team_ + 1);
          for (unsigned t = 0; t <= team_; ++t) work.sources[t] = work.chunks[kChunks * t / team_];
          return;
        }
        work.sources = deal_by_links(blocks.offsets, team_, unit);
        for (unsigned t = 1; t < team_ && scatters(blocks.height, stride_); ++t)
          work.cuts.push_back(first_blocks(blocks, work.targets[t]));
      },
      layer.blocks);
}

/** Blocks of layer l whose targets the thread owns. */
Cut Trainer::cut(unsigned thread, size_t l) const {
  const auto& cuts = work_[l].cuts;
  Cut cut = whole_cut(network_.layers[l]);
  if (thread > 0 && !cuts.empty()) cut.firsts = cuts[thread - 1].data();
  if (thread < cuts.size()) cut.lasts = cuts[thread].data();
  return cut;
}

/** Deals the work to a team and copies the current weights to each of its threads. */
void Trainer::assemble(TeamMode mode) {
  const unsigned team = mode.threads, copies = mode.replicated ? team : 0;
  team_ = team;
  features_ = deal_evenly(network_.features(), team, static_cast<uint32_t>(kLine));
  input_.attach(shared_input_.data(), shared_input_.size(), copies);
  // Deal each layer and attach its arrays.
  size_t longest_row = 0;
  for (size_t l = 0; l < work_.size(); ++l) {
    PackedLayer& layer = network_.layers[l];
    deal_layer(l);
    work_[l].z.attach(work_[l].shared_z.data(), work_[l].shared_z.size(), copies);
    work_[l].weights.attach(layer.weights().data(), layer.weights().size(), tiny() || team == 1 ? 0 : team);
    work_[l].parts.resize(tiny() ? kChunks * layer.outputs * stride_ : 0);
    std::visit(
        [&](const auto& blocks) {
          for (uint32_t b = 0; b < blocks.groups(); ++b)
            longest_row = std::max<size_t>(
                longest_row, size_t{blocks.height} * (blocks.offsets[b + 1] - blocks.offsets[b]));
        },
        layer.blocks);
  }
  // Give each thread its scratch and its copies.
  thread_work_.resize(team);
  for (unsigned t = 0; t < team; ++t) {
    thread_work_[t].gradients.resize(scratch_size(longest_row, kMaxMotifSize));
    thread_work_[t].dz.resize(network_.outputs() * stride_);
    input_.refresh(t);
    for (LayerWork& work : work_) {
      work.weights.refresh(t);
      work.z.refresh(t);
    }
  }
}

/** Number of floats of one group of sources in a matrix of activations. */
size_t Trainer::source_stride(size_t l) const {
  return network_.layers[l].height() * stride_;
}

/** Part of layer l's weights that the thread updates. */
Trainer::Range Trainer::own_weights(unsigned thread, size_t l) const {
  const PackedLayer& layer = network_.layers[l];
  const uint32_t begin = work_[l].sources[thread], end = work_[l].sources[thread + 1];
  return std::visit(
      [&](const auto& b) {
        return Range{size_t{b.offsets[begin]} * b.height, size_t{b.offsets[end]} * b.height};
      },
      layer.blocks);
}

/**
 * Copies the batch into the network's input, each thread its own features; thread 0 also copies the targets.
 */
void Trainer::gather_samples(unsigned thread, const Step& step) {
  const size_t outputs = network_.outputs();
  for (size_t b = 0; thread == 0 && b < step.batch; ++b) {
    const uint64_t s = step.order[step.first + b];
    if (step.samples.labels != nullptr) labels_[b] = step.samples.labels[s];
    if (step.samples.targets != nullptr)
      std::copy_n(step.samples.targets + s * outputs, outputs,
                  targets_.begin() + static_cast<ptrdiff_t>(b * outputs));
    if (step.samples.weights != nullptr) sample_weights_[b] = step.samples.weights[s];
  }
  if (thread == 0) stopping_ = step.cancel.load(std::memory_order_relaxed);
  const uint32_t begin = features_[thread], end = features_[thread + 1];
  gather(step.samples, step.order, step.first, step.batch, input_.own(thread), stride_, begin, end);
  input_.publish(thread, begin * stride_, end * stride_);
  pool_.barrier(team_);
  input_.pull_others(thread, begin * stride_, end * stride_, network_.features() * stride_);
}

/**
 * Scatters the thread's own sources into parts of z. The thread alone reads and writes their weights; the
 * parts are cut at fixed places, whatever the team.
 */
void Trainer::scatter_sources(unsigned thread, size_t l, const float* x) {
  LayerWork& work = work_[l];
  const size_t size = network_.layers[l].outputs * stride_;
  std::visit(
      [&](const auto& blocks) {
        using Index = typename std::decay_t<decltype(blocks)>::IndexType;
        for (unsigned c = kChunks * thread / team_; c < kChunks * (thread + 1) / team_; ++c) {
          float* part = work.parts.data() + c * size;
          std::fill(part, part + size, 0.0f);
          const Cut whole = whole_cut(network_.layers[l]);
          const auto op = forward_op(network_, l, blocks, whole, work.weights.own(thread), x, part, stride_);
          sparse_kernels<Index>(table_).scatter(op, work.chunks[c], work.chunks[c + 1]);
        }
      },
      network_.layers[l].blocks);
}

/** Drops outputs of rows [begin, end) of layer l, unless it is the last or nothing is to be dropped. */
void Trainer::drop_rows(size_t l, float* z, size_t begin, size_t end, const Step& step) {
  if (!step.dropout.any() || l + 1 == work_.size()) return;
  DropOutputs op{};
  op.z = z;
  op.stride = stride_;
  op.place = static_cast<uint32_t>(step.first);
  op.threshold = step.dropout.threshold;
  op.gain = step.dropout.gain;
  op.epoch = step.epoch;
  op.last_word = last_word(Stream::dropout, static_cast<uint32_t>(l));
  op.key[0] = static_cast<uint32_t>(network_.seed);
  op.key[1] = static_cast<uint32_t>(network_.seed >> 32);
  table_.drop_outputs(op, begin, end);
}

/** Runs the forward pass. Each thread computes its own targets of every layer. */
void Trainer::forward(unsigned thread, const Step& step) {
  for (size_t l = 0; l < work_.size(); ++l) {
    LayerWork& work = work_[l];
    const PackedLayer& layer = network_.layers[l];
    const float* x = (l == 0 ? input_ : work_[l - 1].z).own(thread);
    float* z = work.z.own(thread);
    const uint32_t begin = work.targets[thread], end = work.targets[thread + 1];
    // Tiny batches: scatter by source into parts, then add these up by target.
    if (tiny()) {
      scatter_sources(thread, l, x);
      pool_.barrier(team_);
      FinishForward finish{};
      finish.parts = work.parts.data();
      finish.count = kChunks;
      finish.bias = layer.bias.data();
      finish.z = z;
      finish.outputs = layer.outputs;
      finish.stride = stride_;
      finish.activation = pointwise(layer.activation);
      table_.finish_forward(finish, begin, end);
      piecewise_rows(table_, network_, l, z, work.pre_activation.data(), stride_, begin, end);
      drop_rows(l, z, begin, end, step);
      work.z.publish(thread, begin * stride_, end * stride_);
    } else {
      // Otherwise by target. Scattered layers are complete only after all groups, so all rows are done at
      // once.
      const bool passes_follow = is_piecewise(layer.activation) || step.dropout.any();
      const bool at_once = layer.height() > 1 || (team_ == 1 && !passes_follow);
      const uint32_t rows = at_once ? end - begin : kRowsAtOnce;
      for (uint32_t row = begin; row < end; row += rows) {
        const uint32_t row_end = std::min(end, row + rows);
        forward_rows(table_, network_, l, cut(thread, l), work.weights.own(thread), x, z, stride_, row,
                     row_end, work.pre_activation.data());
        drop_rows(l, z, row, row_end, step);
        work.z.publish(thread, row * stride_, row_end * stride_);
      }
    }
    pool_.barrier(team_);
    work.z.pull_others(thread, begin * stride_, end * stride_, layer.outputs * stride_);
  }
}

/** Updates the bias of the output layer from the gradient by its z. */
void Trainer::update_output_bias(const float* dz, const UpdateRule& rule) {
  PackedLayer& layer = network_.layers.back();
  for (uint32_t o = 0; o < layer.outputs; ++o) {
    float gradient = 0.0f;
    for (size_t b = 0; b < stride_; ++b) gradient += dz[o * stride_ + b];
    table_.update(bias_of(layer).from(o), &gradient, 1, rule);
  }
}

/**
 * Turns the gradient by the output of layer l into the one by its z, in place, for rows that the thread owns,
 * and updates the layer's pieces and bias. Does nothing if the activation is not piecewise.
 */
void Trainer::backward_piecewise(size_t l, float* dy, size_t begin, size_t end, const UpdateRule& rule) {
  PackedLayer& layer = network_.layers[l];
  if (!is_piecewise(layer.activation)) return;
  PiecewiseBackward op{};
  op.z = work_[l].pre_activation.data();
  op.dy = dy;
  op.pieces = {layer.pieces.data(), given(layer.pieces_velocity), given(layer.pieces_second_moment)};
  op.bias = bias_of(layer);
  op.outputs = layer.outputs;
  op.stride = stride_;
  op.rule = rule;
  table_.piecewise_backward(op, begin, end);
}

/** Computes dx of layer l and updates its weights, for the sources that the thread owns. */
void Trainer::backward_layer(unsigned thread, size_t l, const float* dz, Replicas* dx, const Step& step) {
  PackedLayer& layer = network_.layers[l];
  LayerWork& work = work_[l];
  ThreadWork& own = thread_work_[thread];
  const float* x = (l == 0 ? input_ : work_[l - 1].z).own(thread);
  // backward_piecewise updates the bias of a layer with a piecewise activation.
  const bool has_bias = l > 0 && !is_piecewise(network_.layers[l - 1].activation);
  const uint32_t begin = work.sources[thread], end = work.sources[thread + 1];
  if (begin == end) return;

  std::visit(
      [&](auto& blocks) {
        using Index = typename std::decay_t<decltype(blocks)>::IndexType;
        const size_t height = blocks.height;
        // Arguments of the kernel.
        SparseBackward<Index> op{};
        op.offsets = blocks.offsets.data();
        op.targets = blocks.targets.data();
        op.blocks = blocks.size();
        op.weights = work.weights.own(thread);
        op.velocity = blocks.velocity.data();
        op.second_moment = given(blocks.second_moment);
        op.height = height;
        op.inputs = layer.inputs;
        op.x = x;
        op.dz = dz;
        op.dx = dx == nullptr ? nullptr : dx->own(thread);
        if (has_bias) op.bias = bias_of(network_.layers[l - 1]);
        op.stride = stride_;
        op.activation = l == 0 ? Activation::linear : pointwise(network_.layers[l - 1].activation);
        op.rule = step.rule;
        op.scratch = own.gradients.data();
        if (l > 0) {
          op.keep = step.dropout.keep;
          op.gain = step.dropout.gain;
        }
        // Run it over a few groups at a time and publish what they have changed.
        const bool at_once = team_ == 1 && (l == 0 || !is_piecewise(network_.layers[l - 1].activation));
        const uint32_t chunk = at_once ? end - begin : kRowsAtOnce;
        size_t published = blocks.offsets[begin] * height;
        for (uint32_t group = begin; group < end; group += chunk) {
          const uint32_t group_end = std::min(end, group + chunk);
          sparse_kernels<Index>(table_).backward(op, group, group_end);
          if (dx != nullptr)
            backward_piecewise(l - 1, dx->own(thread), group * height,
                               std::min<size_t>(group_end * height, layer.inputs), step.rule);
          // Publish whole cache lines of weights; the rest goes with the next chunk.
          size_t done = blocks.offsets[group_end] * height;
          if (group_end < end) done = std::max(published, done / kLine * kLine);
          work.weights.publish(thread, published, done);
          published = done;
          if (dx != nullptr) dx->publish(thread, group * height * stride_, group_end * height * stride_);
        }
      },
      layer.blocks);
}

/** Runs the backward pass with updates, from the gradient by the output layer's z down to the first layer. */
void Trainer::backward(unsigned thread, const Step& step) {
  const float* dz = thread_work_[thread].dz.data();
  for (size_t l = work_.size(); l-- > 0;) {
    Replicas* dx = l == 0 ? nullptr : &work_[l - 1].z;
    backward_layer(thread, l, dz, dx, step);
    pool_.barrier(team_);
    if (dx == nullptr) continue;
    const size_t row = source_stride(l);
    dx->pull_others(thread, work_[l].sources[thread] * row, work_[l].sources[thread + 1] * row,
                    work_[l].sources.back() * row);
    dz = dx->own(thread);
  }
}

/** Copies the weights that other threads have updated into the thread's copy. */
void Trainer::pull_weights(unsigned thread) {
  for (size_t l = 0; l < work_.size(); ++l) {
    const Range own = own_weights(thread, l);
    work_[l].weights.pull_others(thread, own.begin, own.end, network_.layers[l].weights().size());
  }
}

/**
 * Runs one step; every thread of the team calls it. Returns the sum of the batch's losses, or nullopt if the
 * epoch is cancelled. In that case, and if the loss is not finite, nothing has been updated.
 */
std::optional<double> Trainer::step(unsigned thread, const Step& step) {
  const FlushDenormals flush;
  gather_samples(thread, step);
  // Read only here: after this step thread 0 may already write it for the next one.
  if (stopping_) return std::nullopt;
  forward(thread, step);
  float* dz = thread_work_[thread].dz.data();
  const double loss =
      loss_and_gradient(network_.loss, work_.back().z.own(thread), network_.outputs(), step.batch, stride_,
                        {step.samples.labels != nullptr ? labels_.data() : nullptr,
                         step.samples.targets != nullptr ? targets_.data() : nullptr,
                         step.samples.weights != nullptr ? sample_weights_.data() : nullptr},
                        dz);
  if (!std::isfinite(loss)) return loss;
  if (thread == 0) update_output_bias(dz, step.rule);
  backward(thread, step);
  pull_weights(thread);
  return loss;
}

EpochResult Trainer::run_epoch(const Samples& samples, const TrainOptions& options,
                               const std::atomic<bool>& cancel) {
  // Arrays, targets and the order of the samples.
  const auto full_batch = static_cast<size_t>(std::min<uint64_t>(options.batch_size, samples.count));
  fit(full_batch);
  const bool small = pool_.capacity() == 1 || network_.nnz() * stride_ < kWorthSharing;
  ThreadPool::Share share(pool_, 1);
  labels_.resize(samples.labels != nullptr ? full_batch : 0);
  targets_.resize(samples.targets != nullptr ? full_batch * network_.outputs() : 0);
  sample_weights_.resize(samples.weights != nullptr ? full_batch : 0);
  const std::vector<uint32_t> order =
      epoch_order(network_.seed, options.epoch, samples.count, options.shuffle);

  const Dropout dropout = dropout_of(options.dropout);

  EpochResult result;
  const StepRange range = step_range(options, samples.count, "train");
  team_ = 0;  // evolution may have changed the links, so they are dealt again
  stopping_ = false;
  TeamMode assembled{};
  for (uint64_t done = range.begin; done < range.end && !stopping_ && result.divergence.batch == 0;) {
    // Assemble the team that is to run the next few steps.
    TeamMode mode = small ? TeamMode{1, false} : pace_.mode();
    share.renew(mode.threads);
    const bool whole = pool_.size() == mode.threads;  // else other models use the CPUs, and times say little
    if (!whole) mode = {pool_.size(), mode.replicated && pool_.size() > 1};
    if (team_ == 0 || mode.threads != assembled.threads || mode.replicated != assembled.replicated)
      assemble(mode);
    assembled = mode;
    // Run them on all its threads, and report the time.
    const uint64_t until = std::min(range.end, done + pace_.steps());
    const auto start = std::chrono::steady_clock::now();
    const auto work = [&](unsigned thread) {
      for (uint64_t s = done; s < until; ++s) {
        Step now{samples, order.data(), cancel};
        now.first = s * full_batch;
        now.batch = static_cast<size_t>(std::min<uint64_t>(full_batch, samples.count - now.first));
        now.rule = update_rule(options, network_.optimizer, range.before + s + 1, s);
        now.epoch = options.epoch;
        now.dropout = dropout;
        const std::optional<double> loss = step(thread, now);
        if (!loss) return;
        if (!std::isfinite(*loss)) {
          if (thread == 0) result.divergence = {s + 1, now.batch};
          return;
        }
        if (thread == 0) result.loss += *loss;
      }
    };
    pool_.run(team_, work);
    const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
    if (whole && until == done + pace_.steps())
      pace_.report(time.count() / static_cast<double>(until - done));
    done = until;
    if (options.progress != nullptr) options.progress->store(done, std::memory_order_relaxed);
  }
  // The last update follows the last loss, so only this check shows that it overflowed.
  result.cancelled = stopping_;
  for (size_t l = work_.size(); l-- > 0 && !result.cancelled && result.divergence.batch == 0;)
    if (!network_.layers[l].finite()) result.overflowed_layer = l + 1;
  return result;
}

std::string Trainer::place_of_divergence(size_t samples) const {
  const auto finite_columns = [&](const float* rows, size_t count) {
    for (size_t r = 0; r < count; ++r)
      if (!all_finite(rows + r * stride_, samples)) return false;
    return true;
  };
  FiniteChecks finite;
  finite.samples = [&] { return finite_columns(input_.own(0), network_.features()); };
  finite.weights = [&](size_t l) { return network_.layers[l].finite(); };
  finite.outputs = [&](size_t l) { return finite_columns(work_[l].z.own(0), network_.layers[l].outputs); };
  return place_of_overflow(work_.size(), finite);
}

}  // namespace set_native::cpu
