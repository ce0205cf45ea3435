#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "core/backend.h"
#include "core/model.h"
#include "cpu/backend.h"
#include "reference/model.h"
#include "reference/ops.h"
#include "test/check.h"

/*
 * The gradient of the mean loss, three times: by finite differences of the reference's forward pass in
 * double, by the reference's backward pass, and by one step of the CPU back end.
 */
namespace set_native {
namespace {

using Doubles = std::vector<double>;

constexpr size_t kBatch = 6;

const std::vector<Activation> kActivations{Activation::relu,      Activation::tanh,     Activation::sigmoid,
                                           Activation::linear,    Activation::all_relu, Activation::srelu,
                                           Activation::leaky_relu};
const std::vector<Loss> kLosses{Loss::softmax_cross_entropy, Loss::sigmoid_binary_cross_entropy, Loss::mse};
const char* const kActivationNames[] = {"relu",     "tanh",  "sigmoid",   "linear",
                                        "all-relu", "srelu", "leaky-relu"};
const char* const kLossNames[] = {"softmax cross-entropy", "sigmoid cross-entropy", "mse"};

/** A network and a batch. Seeds are fixed: see the margin that `distance_to_kink` is asked for. */
struct Problem {
  std::string name;
  Model model;
  std::vector<float> x;
  std::vector<float> targets;

  Samples samples(size_t count) const {
    Samples view;
    view.x = x.data();
    view.targets = targets.data();
    view.count = count;
    view.features = model.layers.front().inputs;
    view.outputs = model.layers.back().outputs;
    return view;
  }
  /** Those of the first samples. */
  Doubles inputs(size_t count = kBatch) const {
    return Doubles(x.begin(), x.begin() + static_cast<ptrdiff_t>(count * model.layers.front().inputs));
  }
};

/**
 * Gives all-relu and leaky-relu their usual pieces, and srelu some for which all three pieces are met, and
 * each piece has a slope of its own.
 */
template <class Uniform>
void give_pieces(Layer& layer, size_t l, Uniform uniform) {
  if (!is_piecewise(layer.activation)) return;
  const uint32_t m = layer.outputs;
  const bool learned = layer.activation == Activation::srelu;
  const float slope = layer.activation == Activation::leaky_relu ? 0.1f : l % 2 == 0 ? -0.6f : 0.6f;
  for (uint32_t k = 0; k < 4 * m; ++k) {
    const float fixed[] = {0.0f, slope, 0.0f, 1.0f};
    const float least[] = {-0.4f, -0.5f, 0.2f, 0.3f};
    layer.pieces.push_back(learned ? least[k / m] + uniform(0.0f, 0.3f) : fixed[k / m]);
  }
  if (learned) layer.pieces_velocity.assign(layer.pieces.size(), 0.0f);
}

/** 9 -> 14 sparse -> 11 dense -> 8 sparse -> 4 dense (or sparse), all with biases. */
Problem make_problem(Activation activation, Loss loss, bool sparse_output) {
  Problem problem;
  problem.name = std::string(kActivationNames[static_cast<int>(activation)]) + ", " +
                 kLossNames[static_cast<int>(loss)] + (sparse_output ? ", sparse output" : ", dense output");
  const uint32_t sizes[] = {9, 14, 11, 8, 4};
  problem.model.loss = loss;
  for (size_t l = 0; l < 4; ++l) {
    ModelSpec spec;
    spec.sizes = {sizes[l], sizes[l + 1]};
    spec.topology = l == 1 || (l == 3 && !sparse_output) ? Topology::dense : Topology::erdos_renyi;
    spec.epsilon = 2.5;
    spec.activation = activation;
    spec.seed = 11 + l;
    Layer layer = build_model(spec).layers.front();  // an output layer: linear
    layer.activation = l < 3 ? activation : Activation::linear;
    problem.model.layers.push_back(std::move(layer));
  }
  std::mt19937 engine(5);
  const auto uniform = [&](float low, float high) {
    return low + (high - low) * (static_cast<float>(engine() >> 8) * 0x1p-24f);
  };
  for (Layer& layer : problem.model.layers)
    for (float& bias : layer.bias) bias = uniform(-0.3f, 0.5f);
  for (size_t l = 0; l < 3; ++l) give_pieces(problem.model.layers[l], l, uniform);
  for (size_t k = 0; k < kBatch * sizes[0]; ++k) problem.x.push_back(uniform(-1.0f, 1.0f));
  // Shares in sixteenths: they sum to exactly 1, as softmax's gradient supposes.
  for (size_t s = 0; s < kBatch; ++s) {
    std::array<float, 4> shares{};
    for (int k = 0; k < 16; ++k) shares[engine() % 4] += 1.0f / 16.0f;
    problem.targets.insert(problem.targets.end(), shares.begin(), shares.end());
  }
  return problem;
}

/** Mean loss of the samples x, the first of the problem's or variations of them. */
double mean_loss(const reference::Network& network, const Doubles& x, const Problem& problem,
                 Doubles* dz = nullptr, const reference::Factors& factors = {}) {
  const size_t count = x.size() / problem.model.layers.front().inputs;
  const Doubles z = reference::forward(network, x, count, factors).back();
  return reference::loss_and_gradient(network.loss, z, 4, count, {nullptr, problem.targets.data()}, dz) /
         static_cast<double>(count);
}

reference::Gradients gradients_of(const reference::Network& network, const Problem& problem,
                                  size_t count = kBatch, const reference::Factors& factors = {}) {
  const Doubles x = problem.inputs(count);
  Doubles dz;
  mean_loss(network, x, problem, &dz, factors);
  return reference::backward(network, reference::forward(network, x, count, factors), dz, count, factors);
}

/** How near any hidden unit comes to a kink, of relu or of its own pieces. */
double distance_to_kink(const reference::Network& network, const Doubles& x,
                        const reference::Factors& factors = {}) {
  const std::vector<Doubles> values = reference::forward(network, x, kBatch, factors);
  double smallest = INFINITY;
  for (size_t l = 0; l + 1 < network.layers.size(); ++l) {
    const reference::NetworkLayer& layer = network.layers[l];
    size_t unit = 0;
    for (const double z :
         reference::forward(layer.links, layer.weights, layer.bias, values[l], kBatch, Activation::linear)) {
      const size_t m = layer.bias.size(), j = unit++ % m;
      smallest = std::min(smallest, std::fabs(layer.pieces.empty() ? z : z - layer.pieces[j]));
      if (!layer.pieces.empty()) smallest = std::min(smallest, std::fabs(z - layer.pieces[2 * m + j]));
    }
  }
  return smallest;
}

constexpr double kSteps[] = {1e-4, 1e-5, 1e-6};

/** Central differences of `loss` by `parameter` with each step; the best of them must be `gradient`. */
template <class MeanLoss>
void check_derivative(double& parameter, double gradient, MeanLoss loss, const std::string& what,
                      size_t place) {
  const double kept = parameter;
  double best = INFINITY, difference = 0.0;
  for (const double step : kSteps) {
    parameter = kept + step;
    const double above = loss();
    parameter = kept - step;
    const double slope = (above - loss()) / (2.0 * step);
    if (!(std::fabs(slope - gradient) < best)) continue;
    best = std::fabs(slope - gradient);
    difference = slope;
  }
  parameter = kept;
  // A step of 1e-5 leaves a third-order term near 1e-10 and a rounding error near 1e-11.
  CHECK_MSG(best <= 1e-8 + 1e-7 * std::fabs(gradient),
            what << " [" << place << "]: gradient " << gradient << ", finite differences " << difference);
}

/** Checks the gradient by every parameter and input against finite differences. */
void check_derivatives(const Problem& problem, const reference::Factors& factors = {}) {
  reference::Network network = reference::make_network(problem.model);
  const reference::Gradients gradients = gradients_of(network, problem, kBatch, factors);
  Doubles x = problem.inputs();
  // No step may carry a unit across a kink, where no derivative exists.
  CHECK(distance_to_kink(network, x, factors) > 5e-4);
  const auto evaluate = [&] { return mean_loss(network, x, problem, nullptr, factors); };

  double largest = 0.0;
  for (size_t l = 0; l < network.layers.size(); ++l) {
    const std::string where = problem.name + ", layer " + std::to_string(l + 1);
    reference::NetworkLayer& layer = network.layers[l];
    CHECK_EQ(gradients.weights[l].size(), layer.weights.size());
    for (size_t k = 0; k < layer.weights.size(); ++k) {
      check_derivative(layer.weights[k], gradients.weights[l][k], evaluate, where + ", weight", k);
      largest = std::max(largest, std::fabs(gradients.weights[l][k]));
    }
    for (size_t j = 0; j < layer.bias.size(); ++j)
      check_derivative(layer.bias[j], gradients.bias[l][j], evaluate, where + ", bias", j);
    CHECK_EQ(gradients.pieces[l].size(), layer.pieces.size());
    for (size_t k = 0; k < layer.pieces.size(); ++k)
      check_derivative(layer.pieces[k], gradients.pieces[l][k], evaluate, where + ", piece", k);
  }
  for (size_t k = 0; k < x.size(); ++k)
    check_derivative(x[k], gradients.x[k], evaluate, problem.name + ", input", k);
  CHECK_MSG(largest > 1e-2, problem.name << ": the gradient is too small to be tested");
}

TEST("gradient: the reference's backward pass is the derivative of its loss") {
  for (const Activation activation : kActivations)
    for (const Loss loss : kLosses)
      for (const bool sparse_output : {false, true})
        check_derivatives(make_problem(activation, loss, sparse_output));
}

TEST("gradient: the same with dropout, of what was dropped") {
  for (const Activation activation : kActivations)
    for (const bool sparse_output : {false, true}) {
      const Problem problem = make_problem(activation, Loss::softmax_cross_entropy, sparse_output);
      const reference::Network network = reference::make_network(problem.model);
      // The first step of which no unit comes near a kink.
      uint64_t place = 0;
      const auto factors = [&] { return reference::dropout_factors(network, 0.3f, 3, 1, place, kBatch); };
      while (distance_to_kink(network, problem.inputs(), factors()) < 1e-3) place += kBatch;
      const reference::Factors drawn = factors();
      CHECK_EQ(drawn.size(), 4u);
      CHECK(drawn.back().empty());
      for (size_t l = 0; l < 3; ++l) {
        const auto dropped = static_cast<size_t>(std::count(drawn[l].begin(), drawn[l].end(), 0.0));
        CHECK_EQ(drawn[l].size(), kBatch * network.layers[l].links.cols);
        CHECK(dropped > 0 && dropped < drawn[l].size());
      }
      check_derivatives(problem, drawn);
    }
}

TEST("gradient: labels and their one-hot targets have the same loss and gradient") {
  const std::vector<uint32_t> labels{2, 0, 3};
  std::vector<float> one_hot(3 * 4, 0.0f);
  for (size_t s = 0; s < 3; ++s) one_hot[s * 4 + labels[s]] = 1.0f;
  const Doubles z{0.3, -1.0, 2.0, 0.1, 0.0, 0.0, 0.0, 0.0, 5.0, -5.0, 1.0, 1.5};
  for (const Loss loss : kLosses) {
    Doubles by_label, by_target;
    const double label_loss = reference::loss_and_gradient(loss, z, 4, 3, {labels.data()}, &by_label);
    const double target_loss =
        reference::loss_and_gradient(loss, z, 4, 3, {nullptr, one_hot.data()}, &by_target);
    CHECK(label_loss == target_loss);
    CHECK(by_label == by_target);
  }
}

/** One step of the CPU back end on the first `count` samples, against the reference's gradients. */
void check_step(const Problem& problem, size_t count) {
  const std::string what = problem.name + ", " + std::to_string(count) + " samples";
  const reference::Network network = reference::make_network(problem.model);
  const reference::Gradients want = gradients_of(network, problem, count);

  // With learning rate 1, no momentum and no decay the velocity after the step is minus the gradient.
  TrainOptions options;
  options.batch_size = kBatch;
  options.learning_rate = 1.0f;
  options.momentum = 0.0f;
  options.decay = 0.0f;
  options.shuffle = false;
  const auto model = cpu_backend().create(problem.model, {1});
  const std::atomic<bool> cancel{false};
  const double got_loss = model->train_epoch(problem.samples(count), options, cancel);
  const double want_loss = mean_loss(network, problem.inputs(count), problem);
  CHECK_MSG(std::fabs(got_loss - want_loss) <= 1e-6 * want_loss, what << ": loss " << got_loss);

  const Model after = model->download();
  for (size_t l = 0; l < after.layers.size(); ++l) {
    const auto check = [&](const AlignedVector<float>& velocity, const Doubles& gradient,
                           const AlignedVector<float>& parameters, const AlignedVector<float>& before,
                           const char* kind) {
      double largest = 0.0;
      for (const double g : gradient) largest = std::max(largest, std::fabs(g));
      for (size_t k = 0; k < gradient.size(); ++k) {
        CHECK_MSG(std::fabs(velocity[k] + gradient[k]) <= 2e-6 * largest,
                  what << ", layer " << l + 1 << ", " << kind << " [" << k << "]: gradient " << -velocity[k]
                       << ", expected " << gradient[k]);
        CHECK(parameters[k] == before[k] + velocity[k]);
      }
    };
    const Layer& layer = after.layers[l];
    const Layer& before = problem.model.layers[l];
    check(layer.velocity, want.weights[l], layer.weights, before.weights, "weight");
    check(layer.bias_velocity, want.bias[l], layer.bias, before.bias, "bias");
    if (layer.activation == Activation::srelu)
      check(layer.pieces_velocity, want.pieces[l], layer.pieces, before.pieces, "piece");
    else
      CHECK(layer.pieces == before.pieces);
  }
}

TEST("gradient: one step of the CPU follows the reference's gradient, for every kind of batch") {
  for (const Activation activation : kActivations)
    for (const Loss loss : kLosses)
      for (const bool sparse_output : {false, true})
        for (const size_t count : {1, 2, 3, 6})
          check_step(make_problem(activation, loss, sparse_output), count);
}

}  // namespace
}  // namespace set_native
