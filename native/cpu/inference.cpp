#include "cpu/inference.h"

#include <algorithm>
#include <cmath>
#include <new>

#include "core/error.h"
#include "core/finite.h"
#include "cpu/denormals.h"
#include "cpu/loss.h"

namespace set_native::cpu {

namespace {

constexpr size_t kBatch = 64;                       // samples per batch, halved for wide networks
constexpr size_t kLargestMatrix = size_t{1} << 19;  // floats; larger matrices halve the batch
constexpr size_t kLeastBatch = 16;
constexpr uint32_t kMostSorted = 1u << 14;  // sources of a layer; the inputs of more leave the nearest caches
constexpr size_t kWorthSorting = 16;        // single samples after which links are sorted by target for them

/**
 * Whether a column of logits predicts `label`: by its largest logit (the first of equals), or, with a single
 * output, by whether the output exceeds one half.
 */
bool is_correct(Loss loss, const float* z, size_t outputs, size_t stride, uint32_t label) {
  if (outputs == 1) return (loss == Loss::mse ? z[0] > 0.5f : z[0] > 0.0f) == (label != 0);
  for (size_t o = 0; o < outputs; ++o)
    if (!(o < label ? z[o * stride] < z[label * stride] : z[o * stride] <= z[label * stride])) return false;
  return true;
}

/**
 * Sets all logits of a sample to NaN if one overflowed, because softmax and sigmoid would hide an infinity.
 */
void spoil_overflowed(float* z, size_t outputs, size_t batch, size_t stride) {
  for (size_t b = 0; b < batch; ++b) {
    bool finite = true;
    for (size_t o = 0; o < outputs; ++o) finite = finite && std::isfinite(z[o * stride + b]);
    for (size_t o = 0; !finite && o < outputs; ++o) z[o * stride + b] = NAN;
  }
}

/** Largest number of rows of a matrix of activations. */
size_t widest(const PackedNetwork& network) {
  size_t rows = 0;
  for (size_t l = 0; l <= network.layers.size(); ++l) rows = std::max(rows, rows_between(network, l));
  return rows;
}

/** Number of samples per batch for matrices of `rows` rows. */
size_t batch_size(size_t rows) {
  size_t batch = kBatch;
  while (batch > kLeastBatch && batch * rows > kLargestMatrix) batch /= 2;
  return batch;
}

}  // namespace

/** Computes the logits of samples first .. first + batch - 1: a matrix outputs x stride in `work`. */
float* Inference::logits(ThreadWork& work, const Samples& samples, uint64_t first, size_t batch,
                         size_t stride) {
  gather(samples, nullptr, first, batch, work.rows[0].data(), stride, 0, samples.features);
  for (size_t l = 0; l < network_.layers.size(); ++l) {
    const PackedLayer& layer = network_.layers[l];
    float *x = work.rows[l % 2].data(), *z = work.rows[1 - l % 2].data();
    // Blocks that extend beyond a layer read rows beyond its sources, which must be zero.
    const size_t sources = layer.inputs * stride, rows = layer.input_rows() * stride;
    std::fill(x + sources, x + rows, 0.0f);
    if (stride == 1 && !rows_.empty() && rows_[l] != nullptr)
      dot_rows(table_, network_, l, *rows_[l], x, z);
    else
      forward_rows(table_, network_, l, whole_cut(layer), layer.weights().data(), x, z, stride, 0,
                   layer.outputs);
  }
  return work.rows[network_.layers.size() % 2].data();
}

/**
 * Counts single samples, and sorts the links of layers by target when there were enough of them, if there is
 * memory. The outputs have the same bits either way.
 */
void Inference::expect_singles(size_t count) {
  singles_ += count;
  if (singles_ < kWorthSorting || !rows_.empty()) return;
  const auto has_rows = [](const PackedLayer& layer) {
    return !layer.dense && layer.height() == 1 && layer.inputs <= kMostSorted;
  };
  double bytes = 0.0;
  for (const PackedLayer& layer : network_.layers)
    if (has_rows(layer)) bytes += target_rows_bytes(layer.blocks);
  try {
    require_memory(bytes, "[predict] links by target");
    std::vector<std::unique_ptr<const AnyTargetRows>> rows(network_.layers.size());
    for (size_t l = 0; l < rows.size(); ++l)
      if (has_rows(network_.layers[l]))
        rows[l] = std::make_unique<const AnyTargetRows>(target_rows(network_.layers[l].blocks));
    rows_ = std::move(rows);
  } catch (const Error&) {
    singles_ = 0;  // it goes without, and is tried again later
  } catch (const std::bad_alloc&) {
    singles_ = 0;
  }
}

void Inference::weights_change() {
  rows_.clear();
  rows_.shrink_to_fit();
  singles_ = 0;
}

/** Makes two matrices of so many floats for each thread of a team. */
void Inference::reserve(unsigned team, size_t floats, size_t batch, const char* operation) {
  require_memory(2.0 * team * static_cast<double>(floats) * sizeof(float),
                 "[" + std::string(operation) + "] " + std::to_string(team) + " batch(es) of " +
                     std::to_string(batch) + " samples");
  work_.resize(std::max<size_t>(work_.size(), team));
  for (unsigned t = 0; t < team; ++t)
    for (AlignedVector<float>& matrix : work_[t].rows) matrix.resize(std::max(matrix.size(), floats));
}

/**
 * Calls body(number, first, batch, logits, stride) for every batch. Each thread takes the next batch when it
 * is free.
 */
template <class Batch>
void Inference::for_batches(const Samples& samples, const char* operation, const std::atomic<bool>& cancel,
                            Batch&& body) {
  const size_t rows = widest(network_), size = batch_size(rows);
  const uint64_t batches = (samples.count + size - 1) / size;
  const ThreadPool::Share share(pool_, static_cast<unsigned>(std::min<uint64_t>(pool_.capacity(), batches)));
  const unsigned team = pool_.size();
  const size_t stride = row_stride(table_, std::min<uint64_t>(size, samples.count));
  reserve(team, rows * stride, size, operation);
  std::atomic<uint64_t> next{0};
  const auto work = [&](unsigned thread) {
    const FlushDenormals flush;
    for (uint64_t number; (number = next.fetch_add(1)) < batches;) {
      if (cancel.load(std::memory_order_relaxed))
        throw Error(ErrorCode::aborted, std::string("[") + operation + "] cancelled");
      const uint64_t first = number * size;
      const auto batch = static_cast<size_t>(std::min<uint64_t>(size, samples.count - first));
      body(number, first, batch, logits(work_[thread], samples, first, batch, stride), stride);
    }
  };
  pool_.run(team, work);
}

Evaluation Inference::evaluate(const Samples& samples, const std::atomic<bool>& cancel) {
  struct BatchResult {
    double loss;
    uint64_t correct;
  };
  const size_t outputs = network_.outputs();
  std::vector<BatchResult> results(samples.count / kLeastBatch + 1);
  for_batches(
      samples, "evaluate", cancel,
      [&](uint64_t number, uint64_t first, size_t batch, const float* z, size_t stride) {
        const Targets targets = targets_from(samples, first);
        BatchResult& result = results[number];
        result.loss = loss_and_gradient(network_.loss, z, outputs, batch, stride, targets, nullptr);
        if (!std::isfinite(result.loss))
          throw Error(ErrorCode::non_finite, "[evaluate] the loss must be a finite number, but " +
                                                 place_of_overflow(samples, first, batch) +
                                                 " overflowed: lower the learning rate or scale the data");
        result.correct = 0;
        for (size_t b = 0; targets.labels != nullptr && b < batch; ++b)
          result.correct += is_correct(network_.loss, z + b, outputs, stride, targets.labels[b]) ? 1 : 0;
      });
  double loss = 0.0;
  uint64_t correct = 0;
  for (const BatchResult& result : results) {  // in the order of the samples, for any number of threads
    loss += result.loss;
    correct += result.correct;
  }
  const auto count = static_cast<double>(samples.count);
  return {loss / count, static_cast<double>(correct) / count};
}

/** Writes the outputs of a batch row by row. Returns whether all logits are finite. */
bool Inference::write_outputs(float* z, size_t batch, size_t stride, float* out) const {
  const size_t outputs = network_.outputs();
  const bool finite = all_finite(z, outputs * stride);
  if (!finite) spoil_overflowed(z, outputs, batch, stride);
  output_activation(network_.loss, z, outputs, batch, stride);
  for (size_t b = 0; b < batch; ++b)
    for (size_t o = 0; o < outputs; ++o) out[b * outputs + o] = z[o * stride + b];
  return finite;
}

void Inference::predict(const Samples& samples, float* out, const std::atomic<bool>& cancel) {
  if (samples.count == 1) expect_singles(1);
  std::atomic<bool> finite{true};
  for_batches(samples, "predict", cancel,
              [&](uint64_t, uint64_t first, size_t batch, float* z, size_t stride) {
                if (!write_outputs(z, batch, stride, out + first * network_.outputs())) finite = false;
              });
  if (!finite) check_outputs(samples, out);
}

/** Predicts a request that fits into a batch, as `predict` does. */
void Inference::predict_small(ThreadWork& work, const Request& request) {
  const auto batch = static_cast<size_t>(request.samples.count);
  const size_t stride = row_stride(table_, batch);
  float* z = logits(work, request.samples, 0, batch, stride);
  if (!write_outputs(z, batch, stride, request.out)) check_outputs(request.samples, request.out);
}

std::vector<std::exception_ptr> Inference::predict_each(const std::vector<Request>& requests,
                                                        const std::atomic<bool>& cancel) {
  std::vector<std::exception_ptr> failures(requests.size());
  const auto attempt = [&](size_t r, auto&& work) {
    try {
      work(requests[r]);
    } catch (...) {
      failures[r] = std::current_exception();
    }
  };
  const size_t rows = widest(network_), size = batch_size(rows);
  std::vector<size_t> small, large;
  for (size_t r = 0; r < requests.size(); ++r)
    attempt(r, [&](const Request& request) {
      check_samples(request.samples, network_.features(), network_.outputs(), "predict");
      (request.samples.count <= size ? small : large).push_back(r);
    });
  expect_singles(static_cast<size_t>(
      std::count_if(small.begin(), small.end(), [&](size_t r) { return requests[r].samples.count == 1; })));
  // Threads take small requests one by one.
  if (!small.empty()) {
    const ThreadPool::Share share(pool_,
                                  static_cast<unsigned>(std::min<size_t>(pool_.capacity(), small.size())));
    const unsigned team = pool_.size();
    reserve(team, rows * row_stride(table_, size), size, "predict");
    std::atomic<size_t> next{0};
    pool_.run(team, [&](unsigned thread) {
      const FlushDenormals flush;
      for (size_t k; (k = next.fetch_add(1)) < small.size();)
        attempt(small[k], [&](const Request& request) {
          if (cancel.load(std::memory_order_relaxed)) throw Error(ErrorCode::aborted, "[predict] cancelled");
          predict_small(work_[thread], request);
        });
    });
  }
  // They share the batches of large ones.
  for (const size_t r : large)
    attempt(r, [&](const Request& request) { predict(request.samples, request.out, cancel); });
  return failures;
}

/** Throws non_finite, naming the first row with an output that overflowed, if there is one. */
void Inference::check_outputs(const Samples& samples, const float* out) const {
  const uint64_t row = first_overflow(out, samples.count, network_.outputs());
  if (row == samples.count) return;  // only padding overflowed
  const uint64_t size = batch_size(widest(network_)), first = row / size * size;
  refuse_outputs(row, place_of_overflow(samples, first, std::min(size, samples.count - first)));
}

/** Names the first place where the numbers of a batch are not finite, by another forward pass. */
std::string Inference::place_of_overflow(const Samples& samples, uint64_t first, size_t batch) const {
  const size_t stride = row_stride(table_, batch);
  AlignedVector<float> x(rows_between(network_, 0) * stride);
  FiniteChecks finite;
  finite.samples = [&] {
    gather(samples, nullptr, first, batch, x.data(), stride, 0, samples.features);
    return all_finite(samples.x + first * samples.features, batch * samples.features);
  };
  finite.weights = [&](size_t l) { return network_.layers[l].finite(); };
  finite.outputs = [&](size_t l) {
    const PackedLayer& layer = network_.layers[l];
    AlignedVector<float> z(rows_between(network_, l + 1) * stride);
    forward_rows(table_, network_, l, whole_cut(layer), layer.weights().data(), x.data(), z.data(), stride, 0,
                 layer.outputs);
    x = std::move(z);
    return all_finite(x.data(), layer.outputs * stride);
  };
  return set_native::place_of_overflow(network_.layers.size(), finite);
}

}  // namespace set_native::cpu
