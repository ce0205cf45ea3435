#include "reference/model.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <utility>

#include "core/dropout.h"
#include "core/error.h"
#include "core/evolution.h"
#include "core/finite.h"
#include "reference/backend.h"
#include "reference/evolve.h"
#include "reference/ops.h"

namespace set_native::reference {

Network make_network(const Model& model) {
  Network network;
  network.optimizer = model.optimizer;
  network.loss = model.loss;
  for (const Layer& layer : model.layers) {
    NetworkLayer wide;
    wide.links = layer.dense ? full_pattern(layer.inputs, layer.outputs) : layer.links;
    wide.activation = layer.activation;
    const auto widen = [](const char*, const auto& from, auto& to) { to.assign(from.begin(), from.end()); };
    for_each_link_array(widen, layer, wide);
    for_each_neuron_array(widen, layer, wide);
    network.layers.push_back(std::move(wide));
  }
  return network;
}

Factors dropout_factors(const Network& network, float p, uint64_t seed, uint32_t epoch, uint64_t place,
                        size_t batch) {
  const Dropout dropout = dropout_of(p);
  if (!dropout.any()) return {};
  Factors factors(network.layers.size());
  for (size_t l = 0; l + 1 < network.layers.size(); ++l)
    for (size_t s = 0; s < batch; ++s)
      for (uint32_t j = 0; j < network.layers[l].links.cols; ++j) {
        const uint64_t index = dropout_index(static_cast<uint32_t>(place + s), j);
        const PhiloxBlock block = draw(seed, Stream::dropout, static_cast<uint32_t>(l), epoch, index);
        factors[l].push_back(is_dropped(block, j, dropout.threshold) ? 0.0 : 1.0 / dropout.keep);
      }
  return factors;
}

std::vector<std::vector<double>> forward(const Network& network, const std::vector<double>& x, size_t batch,
                                         const Factors& factors) {
  std::vector<std::vector<double>> values{x};
  for (size_t l = 0; l < network.layers.size(); ++l) {
    const NetworkLayer& layer = network.layers[l];
    values.push_back(forward(layer.links, layer.weights, layer.bias, values.back(), batch, layer.activation));
    std::vector<double>& y = values.back();
    if (is_piecewise(layer.activation)) piecewise(y, layer.pieces, layer.links.cols, batch);
    if (factors.empty() || factors[l].empty()) continue;
    for (size_t k = 0; k < y.size(); ++k) y[k] *= factors[l][k];
  }
  return values;
}

namespace {

/**
 * Computes the gradient by the outputs of a layer before dropout, from outputs `x` after it, and for
 * activations that are not piecewise goes on to the one by their pre-activations.
 */
std::vector<double> gradient_below(const NetworkLayer& layer, std::vector<double> x,
                                   const std::vector<double>& dz, size_t batch, Activation below,
                                   const std::vector<double>& factors) {
  for (size_t k = 0; k < factors.size(); ++k)
    if (factors[k] != 0.0) x[k] /= factors[k];
  std::vector<double> dx = input_gradient(layer.links, layer.weights, x, dz, batch, below);
  for (size_t k = 0; k < factors.size(); ++k) dx[k] *= factors[k];
  return dx;
}

}  // namespace

Gradients backward(const Network& network, const std::vector<std::vector<double>>& values,
                   const std::vector<double>& dz, size_t batch, const Factors& factors) {
  const size_t count = network.layers.size();
  const std::vector<std::vector<double>> none(count);
  Gradients gradients{none, none, none, {}, none};
  std::vector<double> slope = dz;  // gradient by the pre-activations of layer l
  for (size_t l = count; l-- > 0;) {
    const NetworkLayer& layer = network.layers[l];
    gradients.z[l] = slope;
    gradients.weights[l] = weight_gradient(layer.links, values[l], slope, batch);
    gradients.bias[l] = bias_gradient(slope, layer.links.cols, batch);
    const Activation below = l == 0 ? Activation::linear : network.layers[l - 1].activation;
    const bool drops = l > 0 && !factors.empty();
    slope =
        gradient_below(layer, values[l], slope, batch, below, drops ? factors[l - 1] : std::vector<double>());
    if (!is_piecewise(below)) continue;
    // An output does not determine the piece it comes from, so z is computed again.
    const NetworkLayer& source = network.layers[l - 1];
    const auto z =
        forward(source.links, source.weights, source.bias, values[l - 1], batch, Activation::linear);
    gradients.pieces[l - 1] = piecewise_gradient(z, slope, source.pieces, source.links.cols, batch);
  }
  gradients.x = std::move(slope);
  return gradients;
}

namespace {

/** Batch of samples in the form that the operations take. */
struct Batch {
  size_t size;
  std::vector<double> x;
  std::vector<uint32_t> labels;
  std::vector<float> values, weights;

  Targets targets() const {
    return {labels.empty() ? nullptr : labels.data(), values.empty() ? nullptr : values.data(),
            weights.empty() ? nullptr : weights.data()};
  }
};

/** Collects the samples order[0] .. order[size - 1]. */
Batch gather(const Samples& samples, const uint32_t* order, size_t size) {
  Batch batch{size, {}, {}, {}, {}};
  for (size_t s = 0; s < size; ++s) {
    const size_t row = order[s];
    const float* x = samples.x + row * samples.features;
    batch.x.insert(batch.x.end(), x, x + samples.features);
    if (samples.labels != nullptr) batch.labels.push_back(samples.labels[row]);
    if (samples.weights != nullptr) batch.weights.push_back(samples.weights[row]);
    if (samples.targets == nullptr) continue;
    const float* targets = samples.targets + row * samples.outputs;
    batch.values.insert(batch.values.end(), targets, targets + samples.outputs);
  }
  return batch;
}

}  // namespace

std::vector<CellScores> gradient_scores(const Network& network, const Samples& probe, uint64_t seed,
                                        uint32_t epoch) {
  uint64_t neurons = network.layers.front().links.rows;
  for (const NetworkLayer& layer : network.layers) neurons += layer.links.cols;
  const size_t size = probe_samples(neurons, probe.count);
  const std::vector<uint32_t> order = epoch_order(seed, epoch, probe.count, true);
  const Batch batch = gather(probe, order.data(), size);
  const auto values =
      std::make_shared<const std::vector<std::vector<double>>>(forward(network, batch.x, size));
  std::vector<double> dz;
  const double loss = loss_and_gradient(network.loss, values->back(), network.layers.back().links.cols, size,
                                        batch.targets(), &dz);
  if (!std::isfinite(loss))
    throw Error(ErrorCode::non_finite, "[evolve] the loss must be a finite number: a layer overflowed");
  const auto slopes =
      std::make_shared<const std::vector<std::vector<double>>>(backward(network, *values, dz, size).z);
  std::vector<CellScores> scores;
  for (size_t l = 0; l < network.layers.size(); ++l) {
    const size_t n = network.layers[l].links.rows, m = network.layers[l].links.cols;
    scores.emplace_back([=](const uint32_t* sources, const uint32_t* targets, size_t count, double* out) {
      for (size_t k = 0; k < count; ++k) {
        double gradient = 0.0;
        for (size_t s = 0; s < size; ++s)
          gradient += (*values)[l][s * n + sources[k]] * (*slopes)[l][s * m + targets[k]];
        gradient *= static_cast<double>(size);  // of the sum of the losses
        out[k] = gradient * gradient;
      }
    });
  }
  return scores;
}

namespace {

constexpr size_t kPredictBatch = 128;  // number of samples per batch of evaluation and prediction
/** Bytes per link: its column, its numbers in double, and their copy in float. */
double bytes_per_cell(Optimizer optimizer) {
  return sizeof(uint32_t) + 3.0 * static_cast<double>(bytes_per_link(true, optimizer));
}

bool all_finite(const std::vector<double>& values) {
  return std::all_of(values.begin(), values.end(), [](double value) { return std::isfinite(value); });
}

class ReferenceModel final : public BackendModel {
 public:
  explicit ReferenceModel(Model model) : model_(std::move(model)), network_(make_network(model_)) {}

  Model download() const override {
    Model image = model_;
    for (size_t l = 0; l < image.layers.size(); ++l) round_into(image.layers[l], network_.layers[l]);
    return image;
  }

  double train_epoch(const Samples& samples, const TrainOptions& options,
                     const std::atomic<bool>& cancel) override {
    check_targets(samples, model_.layers.front().inputs, model_.layers.back().outputs, network_.loss,
                  "train");
    check_options(options, "train");
    TrainOptions now = options, without_decay = options;
    without_decay.l2 = 0.0f;
    without_decay.decays.clear();
    without_decay.decay = 0.0f;
    // The order of the samples, and the steps to train.
    const std::vector<uint32_t> order =
        epoch_order(model_.seed, options.epoch, samples.count, options.shuffle);
    const StepRange range = step_range(options, samples.count, "train");
    double total = 0.0;
    for (uint64_t step = range.begin; step < range.end; ++step) {
      if (cancel) throw Error(ErrorCode::aborted, "[train] cancelled");
      // Forward and loss.
      const size_t begin = step * options.batch_size;
      const size_t size = std::min<size_t>(options.batch_size, order.size() - begin);
      const Batch batch = gather(samples, &order[begin], size);
      const Factors factors =
          dropout_factors(network_, options.dropout, model_.seed, options.epoch, begin, size);
      const auto values = forward(network_, batch.x, size, factors);
      std::vector<double> dz;
      const double loss =
          loss_and_gradient(network_.loss, values.back(), outputs(), size, batch.targets(), &dz);
      if (!std::isfinite(loss)) throw_non_finite(values, options.epoch, step + 1);
      total += loss;
      // Backward and update.
      const Gradients gradients = backward(network_, values, dz, size, factors);
      for (size_t l = 0; l < network_.layers.size(); ++l) {
        NetworkLayer& layer = network_.layers[l];
        const uint64_t t = range.before + step + 1;
        now.learning_rate = without_decay.learning_rate = learning_rate_of(options, step);
        now.decay = decay_of(options, step);
        update(layer.weights, layer.velocity, layer.second_moment, gradients.weights[l], now, t);
        update(layer.bias, layer.bias_velocity, layer.bias_second_moment, gradients.bias[l], now, t);
        if (learns_pieces(layer.activation))
          update(layer.pieces, layer.pieces_velocity, layer.pieces_second_moment, gradients.pieces[l],
                 without_decay, t);
      }
      if (options.progress != nullptr) options.progress->store(step + 1, std::memory_order_relaxed);
    }
    // The last update follows the last loss, so only this check shows that it overflowed.
    for (size_t l = 0; l < network_.layers.size(); ++l)
      if (!all_finite(network_.layers[l].weights) || !all_finite(network_.layers[l].bias) ||
          !all_finite(network_.layers[l].pieces))
        refuse_trained(options.epoch, l + 1, network_.layers.size());
    return total / static_cast<double>(range.samples);
  }

  Evaluation evaluate(const Samples& samples, const std::atomic<bool>& cancel) override {
    check_targets(samples, model_.layers.front().inputs, model_.layers.back().outputs, network_.loss,
                  "evaluate");
    double total = 0.0;
    uint64_t correct = 0;
    for_each_batch(
        samples, cancel, "evaluate", [&](const Batch& batch, const std::vector<double>& z, size_t) {
          total += loss_and_gradient(network_.loss, z, outputs(), batch.size, batch.targets(), nullptr);
          if (samples.labels != nullptr)
            correct += count_correct(network_.loss, z, outputs(), batch.size, batch.labels.data());
        });
    if (!std::isfinite(total))
      throw Error(ErrorCode::non_finite, "[evaluate] the loss must be a finite number: a layer overflowed");
    const double count = static_cast<double>(samples.count);
    return {total / count, static_cast<double>(correct) / count};
  }

  void predict(const Samples& samples, float* out, const std::atomic<bool>& cancel) override {
    check_samples(samples, model_.layers.front().inputs, model_.layers.back().outputs, "predict");
    for_each_batch(samples, cancel, "predict", [&](const Batch& batch, std::vector<double> z, size_t begin) {
      // Check before softmax or sigmoid, which would hide an infinity.
      const uint64_t row = first_overflow(z.data(), batch.size, outputs());
      if (row != batch.size) refuse_outputs(begin + row, "a layer");
      output_activation(network_.loss, z, outputs(), batch.size);
      for (size_t k = 0; k < z.size(); ++k) out[begin * outputs() + k] = static_cast<float>(z[k]);
    });
    const uint64_t row = first_overflow(out, samples.count, outputs());
    if (row != samples.count) refuse_outputs(row, "a layer");
  }

  std::vector<LayerEvolution> evolve(const EvolutionPolicy& policy, const EvolutionTime& time,
                                     const Samples* probe) override {
    std::vector<CellScores> scores;
    if (policy.grow == Grow::gradient) {
      check_probe(probe, model_.layers.front().inputs, model_.layers.back().outputs, network_.loss);
      scores = gradient_scores(network_, *probe, model_.seed, time.epoch);
    }
    const Model before = download();
    Model after = before;
    const std::vector<LayerEvolution> done = evolve_layers(
        after.layers.size(), model_.seed, policy, time,
        [&](size_t l, const EvolutionKey& key) { return begin_evolution(after.layers[l], policy, key); },
        [&](size_t l, const EvolutionKey& key) {
          const LayerEvolution counts =
              evolve_layer(after.layers[l], policy, key, scores.empty() ? nullptr : &scores[l]);
          adopt(network_.layers[l], before.layers[l], after.layers[l]);
          return counts;
        });
    model_ = std::move(after);
    return done;
  }

  unsigned threads() const override { return 1; }

  std::vector<LayerStats> stats() const override {
    std::vector<LayerStats> all;
    for (const Layer& layer : model_.layers) all.push_back(layer_stats(layer));
    return all;
  }

 private:
  using Doubles = std::vector<double>;

  size_t outputs() const { return model_.layers.back().outputs; }

  /** Updates parameters by the rule of the network's optimizer. */
  void update(Doubles& values, Doubles& velocity, Doubles& second_moment, const Doubles& gradient,
              const TrainOptions& options, uint64_t t) const {
    switch (network_.optimizer) {
      case Optimizer::sgd:
        return momentum_update(values, velocity, gradient, options);
      case Optimizer::adamw:
        return adamw_update(values, velocity, second_moment, gradient, options, t);
    }
  }

  /** Rounds the numbers of a layer to float. */
  static void round_into(Layer& image, const NetworkLayer& layer) {
    const auto round = [](const char*, const auto& from, auto& to) {
      using Number = typename std::decay_t<decltype(to)>::value_type;
      std::transform(from.begin(), from.end(), to.begin(),
                     [](auto value) { return static_cast<Number>(value); });
    };
    for_each_link_array(round, layer, image);
    for_each_neuron_array(round, layer, image);
  }

  /**
   * Takes over the links that a layer has after evolution. Kept links keep their doubles; grown ones get the
   * floats that were drawn.
   */
  static void adopt(NetworkLayer& wide, const Layer& before, const Layer& after) {
    LinkArrays<WideArray> adopted;
    for_each_link_array([](const char*, const auto& from, auto& to) { to.assign(from.begin(), from.end()); },
                        after, adopted);
    for (uint32_t i = 0; i < after.inputs; ++i) {
      uint32_t old = before.links.row_offsets[i];
      const uint32_t old_end = before.links.row_offsets[i + 1];
      for (uint32_t k = after.links.row_offsets[i]; k < after.links.row_offsets[i + 1]; ++k) {
        while (old < old_end && before.links.col_indices[old] < after.links.col_indices[k]) ++old;
        if (old == old_end || before.links.col_indices[old] != after.links.col_indices[k]) continue;
        // A pruned cell may grow again: a link counts as kept only if none of its numbers has changed.
        bool kept = true;
        for_each_link_array([&](const char*, const auto& was,
                                const auto& is) { kept = kept && (is.empty() || was[old] == is[k]); },
                            before, after);
        if (!kept) continue;
        for_each_link_array(
            [&](const char*, const auto& from, auto& to) {
              if (!to.empty()) to[k] = from[old];
            },
            static_cast<const LinkArrays<WideArray>&>(wide), adopted);
      }
    }
    wide.links = after.links;
    static_cast<LinkArrays<WideArray>&>(wide) = std::move(adopted);
  }

  /** Calls use(batch, logits, first sample) for batches of all samples, in the order given. */
  template <class Use>
  void for_each_batch(const Samples& samples, const std::atomic<bool>& cancel, const char* operation,
                      Use use) const {
    for (size_t begin = 0; begin < samples.count; begin += kPredictBatch) {
      if (cancel) throw Error(ErrorCode::aborted, std::string("[") + operation + "] cancelled");
      std::vector<uint32_t> rows(std::min<size_t>(kPredictBatch, samples.count - begin));
      for (size_t s = 0; s < rows.size(); ++s) rows[s] = static_cast<uint32_t>(begin + s);
      const Batch batch = gather(samples, rows.data(), rows.size());
      use(batch, forward(network_, batch.x, batch.size).back(), begin);
    }
  }

  /** Throws non_finite, naming the first layer with an output that is not finite. */
  /** Throws non_finite, naming the first layer whose outputs in `values` are not. */
  [[noreturn]] static void throw_non_finite(const std::vector<std::vector<double>>& values, uint32_t epoch,
                                            size_t batch) {
    size_t layer = 1;
    while (layer + 1 < values.size() && all_finite(values[layer])) ++layer;
    refuse_loss(epoch, batch,
                "the outputs of layer " + std::to_string(layer) + " of " + std::to_string(values.size() - 1));
  }

  Model model_;      // patterns and births; its other numbers date from the last upload or evolution
  Network network_;  // current numbers
};

class ReferenceBackend final : public Backend {
 public:
  const char* name() const override { return "reference"; }
  Availability probe() const override { return {true, "one CPU thread, double precision", ""}; }
  double model_bytes(const ModelSpec& spec) const override {
    double bytes = 0.0;
    for (const ExpectedLayer& layer : expected_layers(spec))
      bytes += bytes_per_cell(spec.optimizer) * layer.links;
    require_memory_for(spec, bytes);
    return bytes;
  }
  std::unique_ptr<BackendModel> create(Model model, const BackendOptions&) const override {
    check_model(model, "create");
    for (const Layer& layer : model.layers) {
      if (!layer.dense) continue;
      if (layer.nnz() > std::numeric_limits<uint32_t>::max())
        throw Error(ErrorCode::out_of_range,
                    "[reference] a dense layer must have fewer than 2^32 cells, got " +
                        std::to_string(layer.nnz()) + "; use the cpu back end");
      require_memory(bytes_per_cell(model.optimizer) * static_cast<double>(layer.nnz()),
                     "[reference] a dense layer");
    }
    return std::make_unique<ReferenceModel>(std::move(model));
  }
};

}  // namespace
}  // namespace set_native::reference

namespace set_native {

const Backend& reference_backend() {
  static const reference::ReferenceBackend backend;
  return backend;
}

}  // namespace set_native
