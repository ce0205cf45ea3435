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
/** Sizes a matrix whose rows beyond the layer's neurons must be zero. */
void fit(AlignedVector<float>& matrix, size_t rows, size_t stride) {
  matrix.assign(rows * stride, 0.0f);
}

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
  std::atomic<size_t> next{0};
  pool.run([&](unsigned) {
    const FlushDenormals flush;
    for (size_t b; (b = next.fetch_add(1)) < batches_.size();) {
      Batch& batch = batches_[b];
      batch.size = std::min(kBatch, size - b * kBatch);
      batch.stride = row_stride(table, batch.size);
      pass(batch, samples, order.data(), b * kBatch);
    }
  });
}

/** Runs both passes for the samples order[first ..]. */
void Probe::pass(Batch& batch, const Samples& samples, const uint32_t* order, uint64_t first) const {
  const size_t layers = network_.layers.size(), outputs = network_.outputs();
  batch.x.resize(layers);
  batch.dz.resize(layers);
  for (size_t l = 0; l < layers; ++l) fit(batch.x[l], rows_between(network_, l), batch.stride);
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
  gather(samples, order, first, batch.size, batch.x[0].data(), batch.stride, 0, network_.features());

  // z before piecewise activations, whose outputs do not determine it.
  std::vector<AlignedVector<float>> pre_activation(layers);
  forward(batch, pre_activation);
  AlignedVector<float>& out = batch.dz[layers - 1];
  AlignedVector<float> dz(out.size(), 0.0f);
  const Targets targets{labels.empty() ? nullptr : labels.data(), values.empty() ? nullptr : values.data(),
                        weights.empty() ? nullptr : weights.data()};
  const double loss =
      loss_and_gradient(network_.loss, out.data(), outputs, batch.size, batch.stride, targets, dz.data());
  if (!std::isfinite(loss))
    throw Error(
        ErrorCode::non_finite,
        "[evolve] the loss must be a finite number: a layer overflowed; a lower learning rate may help");
  out = std::move(dz);
  backward(batch, pre_activation);
}

/** Computes all layers; the outputs of the last come to stand in its dz. */
void Probe::forward(Batch& batch, std::vector<AlignedVector<float>>& pre_activation) const {
  const size_t layers = network_.layers.size();
  for (size_t l = 0; l < layers; ++l) {
    const PackedLayer& layer = network_.layers[l];
    const bool last = l + 1 == layers;
    AlignedVector<float>& z = last ? batch.dz[l] : batch.x[l + 1];
    if (last) fit(z, rows_between(network_, l + 1), batch.stride);
    if (is_piecewise(layer.activation)) fit(pre_activation[l], layer.outputs, batch.stride);
    float* const before = pre_activation[l].empty() ? nullptr : pre_activation[l].data();
    forward_rows(table_, network_, l, whole_cut(layer), layer.weights().data(), batch.x[l].data(), z.data(),
                 batch.stride, 0, layer.outputs, before);
  }
}

/** Computes the gradient by z of all layers but the last, which has it. */
void Probe::backward(Batch& batch, std::vector<AlignedVector<float>>& pre_activation) const {
  std::vector<float> scratch;
  for (size_t l = network_.layers.size(); l-- > 1;) {
    const PackedLayer& layer = network_.layers[l];
    const PackedLayer& below = network_.layers[l - 1];
    AlignedVector<float>& dx = batch.dz[l - 1];
    fit(dx, rows_between(network_, l), batch.stride);
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
          op.x = batch.x[l].data();
          op.dz = batch.dz[l].data();
          op.dx = dx.data();
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
    op.dy = dx.data();
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
      op.x = batch.x[layer].data();
      op.dz = batch.dz[layer].data();
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
