#include "cpu/probe.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <string>

#include "core/error.h"
#include "core/training.h"
#include "cpu/denormals.h"
#include "cpu/loss.h"
#include "cpu/passes.h"

namespace set_native::cpu {

namespace {

constexpr size_t kBatch = 128;

}  // namespace

Probe::Probe(const PackedNetwork& network, const KernelTable& table, ThreadPool& pool, const Samples& samples,
             uint32_t epoch)
    : network_(network), table_(table) {
  uint64_t neurons = network.features();
  for (const PackedLayer& layer : network.layers) neurons += layer.outputs;
  const size_t size = probe_samples(neurons, samples.count);
  require_memory(2.0 * sizeof(float) * static_cast<double>(neurons) * static_cast<double>(size),
                 "[evolve] a probe of " + std::to_string(size) + " samples");
  const std::vector<uint32_t> order = epoch_order(network.seed, epoch, samples.count, true);
  batches_.resize((size + kBatch - 1) / kBatch);
  for (size_t l = 0; l < network.layers.size(); ++l)
    rows_ += rows_between(network, l) + rows_between(network, l + 1);
  const size_t stride = row_stride(table, std::min(kBatch, size)), floats = rows_ * stride;
  const Release release{floats * batches_.size()};
  memory_ = {AlignedAllocator<float>().allocate(release.floats), release};
  std::atomic<size_t> next{0};
  pool.run([&](unsigned) {
    const FlushDenormals flush;
    for (size_t b; (b = next.fetch_add(1)) < batches_.size();) {
      Batch& batch = batches_[b];
      batch.size = std::min(kBatch, size - b * kBatch);
      batch.stride = row_stride(table, batch.size);
      place(memory_.get() + b * floats, batch);
      pass(batch, samples, order.data(), b * kBatch);
    }
  });
}

/** Gives a batch its matrices, whose rows beyond a layer's neurons are zero. */
void Probe::place(float* memory, Batch& batch) const {
  const size_t layers = network_.layers.size();
  const auto next = [&](size_t l, size_t neurons) {
    float* const matrix = memory;
    memory += rows_between(network_, l) * batch.stride;
    std::fill(matrix + neurons * batch.stride, memory, 0.0f);
    return matrix;
  };
  for (size_t l = 0; l < layers; ++l) batch.x.push_back(next(l, network_.layers[l].inputs));
  for (size_t l = 0; l < layers; ++l) batch.dz.push_back(next(l + 1, network_.layers[l].outputs));
}

/** Runs both passes for the samples order[first ..]. */
void Probe::pass(Batch& batch, const Samples& samples, const uint32_t* order, uint64_t first) const {
  const size_t layers = network_.layers.size(), outputs = network_.outputs();
  // The loss' targets, in the order of the batch.
  std::vector<uint32_t> labels;
  std::vector<float> values, weights;
  for (size_t s = 0; s < batch.size; ++s) {
    const uint64_t row = order[first + s];
    if (samples.labels != nullptr) labels.push_back(samples.labels[row]);
    if (samples.weights != nullptr) weights.push_back(samples.weights[row]);
    if (samples.targets == nullptr) continue;
    const float* const given = samples.targets + row * outputs;
    values.insert(values.end(), given, given + outputs);
  }
  gather(samples, order, first, batch.size, batch.x[0], batch.stride, 0, network_.features());

  // z before piecewise activations, whose outputs do not determine it.
  std::vector<AlignedVector<float>> pre_activation(layers);
  AlignedVector<float> logits(outputs * batch.stride);
  forward(batch, logits.data(), pre_activation);
  const Targets targets{labels.empty() ? nullptr : labels.data(), values.empty() ? nullptr : values.data(),
                        weights.empty() ? nullptr : weights.data()};
  const double loss = loss_and_gradient(network_.loss, logits.data(), outputs, batch.size, batch.stride,
                                        targets, batch.dz[layers - 1]);
  if (!std::isfinite(loss))
    throw Error(
        ErrorCode::non_finite,
        "[evolve] the loss must be a finite number: a layer overflowed; a lower learning rate may help");
  backward(batch, pre_activation);
}

/** Computes all layers. */
void Probe::forward(Batch& batch, float* logits, std::vector<AlignedVector<float>>& pre_activation) const {
  const size_t layers = network_.layers.size();
  for (size_t l = 0; l < layers; ++l) {
    const PackedLayer& layer = network_.layers[l];
    float* const z = l + 1 == layers ? logits : batch.x[l + 1];
    if (is_piecewise(layer.activation)) pre_activation[l].resize(layer.outputs * batch.stride);
    float* const before = pre_activation[l].empty() ? nullptr : pre_activation[l].data();
    forward_rows(table_, network_, l, whole_cut(layer), layer.weights().data(), batch.x[l], z, batch.stride,
                 0, layer.outputs, before);
  }
}

/** Computes the gradient by z of all layers but the last, which has it. */
void Probe::backward(Batch& batch, std::vector<AlignedVector<float>>& pre_activation) const {
  std::vector<float> scratch;
  for (size_t l = network_.layers.size(); l-- > 1;) {
    const PackedLayer& layer = network_.layers[l];
    const PackedLayer& below = network_.layers[l - 1];
    float* const dx = batch.dz[l - 1];
    std::visit(
        [&](const auto& blocks) {
          using Index = typename std::decay_t<decltype(blocks)>::IndexType;
          size_t longest_row = 0;
          for (uint32_t b = 0; b < blocks.groups(); ++b)
            longest_row =
                std::max(longest_row, size_t{blocks.height} * (blocks.offsets[b + 1] - blocks.offsets[b]));
          scratch.resize(std::max(scratch.size(), scratch_size(longest_row, kMaxMotifSize)));
          SparseBackward<Index> op{};
          op.offsets = blocks.offsets.data();
          op.targets = blocks.targets.data();
          op.blocks = blocks.size();
          op.weights = const_cast<float*>(blocks.weights.data());  // not written: there is no velocity
          op.height = blocks.height;
          op.inputs = layer.inputs;
          op.x = batch.x[l];
          op.dz = batch.dz[l];
          op.dx = dx;
          op.stride = batch.stride;
          op.activation = pointwise(below.activation);
          op.scratch = scratch.data();
          sparse_kernels<Index>(table_).backward(op, 0, blocks.groups());
        },
        layer.blocks);
    if (!is_piecewise(below.activation)) continue;
    // It would update the biases, so it gets others.
    AlignedVector<float> bias(below.outputs), velocity(below.outputs);
    PiecewiseBackward op{};
    op.z = pre_activation[l - 1].data();
    op.dy = dx;
    op.pieces = {const_cast<float*>(below.pieces.data()), nullptr, nullptr};  // read alone
    op.bias = {bias.data(), velocity.data(), nullptr};
    op.outputs = below.outputs;
    op.stride = batch.stride;
    table_.piecewise_backward(op, 0, below.outputs);
  }
}

CellScores Probe::scores(size_t layer) const {
  return [this, layer](const uint32_t* sources, const uint32_t* targets, size_t count, double* scores) {
    std::fill_n(scores, count, 0.0);
    for (const Batch& batch : batches_) {
      Sddmm op{};
      op.sources = sources;
      op.targets = targets;
      op.x = batch.x[layer];
      op.dz = batch.dz[layer];
      op.stride = batch.stride;
      op.scale = static_cast<double>(batch.size);  // dz is that of the batch's mean loss
      op.sums = scores;
      table_.sddmm(op, 0, count);
    }
    for (size_t k = 0; k < count; ++k) {
      const double square = scores[k] * scores[k];
      scores[k] = std::isnan(square) ? 0.0 : square;
    }
  };
}

}  // namespace set_native::cpu
