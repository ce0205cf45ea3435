#pragma once

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "core/backend.h"
#include "core/model.h"
#include "cpu/backend.h"
#include "layout/network.h"
#include "reference/backend.h"
#include "test/check.h"

/*
 * What the tests of whole models share: samples, specifications, comparisons. Seeds here are fixed, because a
 * comparison over many steps must know that no relu stands at its kink.
 */
namespace set_native::test {

inline const std::atomic<bool> kGoOn{false};

/** Samples in memory. */
struct Data {
  uint32_t features = 0, outputs = 0;
  std::vector<float> x;
  std::vector<uint32_t> labels;
  std::vector<float> targets, weights;

  Samples samples() const { return first(x.size() / features); }
  Samples first(uint64_t count) const {
    Samples view;
    view.x = x.data();
    view.count = count;
    view.features = features;
    view.outputs = outputs;
    if (!labels.empty()) view.labels = labels.data();
    if (!targets.empty()) view.targets = targets.data();
    if (!weights.empty()) view.weights = weights.data();
    return view;
  }
};

/** `count` samples, uniform in [-1, 1]; the label is the largest of random linear functions (one output: a
 * sign). */
inline Data make_data(uint32_t features, uint32_t outputs, size_t count, uint32_t seed) {
  std::mt19937 engine(seed);
  const auto uniform = [&] { return static_cast<float>(engine() >> 8) * 0x1p-23f - 1.0f; };
  std::vector<float> teacher(features * outputs);
  for (float& w : teacher) w = uniform();
  Data data;
  data.features = features;
  data.outputs = outputs;
  for (size_t s = 0; s < count; ++s) {
    std::vector<float> scores(outputs);
    for (uint32_t i = 0; i < features; ++i) {
      data.x.push_back(uniform());
      for (uint32_t o = 0; o < outputs; ++o) scores[o] += teacher[i * outputs + o] * data.x.back();
    }
    const auto best = std::max_element(scores.begin(), scores.end());
    data.labels.push_back(outputs == 1 ? scores[0] > 0.0f : static_cast<uint32_t>(best - scores.begin()));
  }
  return data;
}

inline ModelSpec make_spec(std::vector<uint32_t> sizes, double epsilon, Activation activation, Loss loss) {
  ModelSpec spec;
  spec.sizes = std::move(sizes);
  spec.epsilon = epsilon;
  if (epsilon == 0.0) spec.topology = Topology::dense;
  spec.activation = activation;
  spec.loss = loss;
  spec.seed = 42;
  return spec;
}

inline TrainOptions options_for(uint32_t epoch, uint32_t batch_size) {
  TrainOptions options;
  options.epoch = epoch;
  options.batch_size = batch_size;
  options.l2 = 0.001f;
  return options;
}

/**
 * Options of AdamW for comparisons: `tiny` well above rounding, because a gradient that is only rounding
 * would otherwise step as far as any other.
 */
inline TrainOptions adamw_options(uint32_t epoch, uint32_t batch_size) {
  TrainOptions options = options_for(epoch, batch_size);
  options.learning_rate = 0.01f;
  options.beta2 = 0.99f;
  options.tiny = 1e-3f;
  options.decay = 0.001f;
  return options;
}

inline std::unique_ptr<BackendModel> on_cpu(const Model& model, uint32_t threads = 1) {
  return cpu_backend().create(model, {threads});
}

inline std::unique_ptr<BackendModel> on_reference(const Model& model) {
  return reference_backend().create(model, {});
}

template <class Value>
bool same_bits(const AlignedVector<Value>& a, const AlignedVector<Value>& b) {
  return a.size() == b.size() &&
         (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(Value)) == 0);
}

inline bool same_bits(const Model& a, const Model& b) {
  for (size_t l = 0; l < a.layers.size(); ++l) {
    const Layer &p = a.layers[l], &q = b.layers[l];
    bool same = p.links.row_offsets == q.links.row_offsets && p.links.col_indices == q.links.col_indices;
    const auto compare = [&](const char*, const auto& v, const auto& w) { same = same && same_bits(v, w); };
    for_each_link_array(compare, p, q);
    for_each_neuron_array(compare, p, q);
    if (!same) return false;
  }
  return true;
}

/** Makes the weights as large as floats can be: sums of them overflow, they themselves are finite. */
inline void enlarge_weights(PackedLayer& layer) {
  float largest = 0.0f;
  for (const float w : layer.weights()) largest = std::max(largest, std::fabs(w));
  for (float& w : layer.weights()) w = w / largest * 3e38f;
}

/**
 * Samples of which one row overflows in the last layer of a network: its first logit is minus infinity, which
 * softmax and sigmoid would turn into 0.
 */
struct Overflow {
  Model model;
  Data data;
  uint64_t id = 0;  // of the samples

  Overflow(Loss loss, uint64_t count, uint64_t row)
      : model(build_model(make_spec({4, 5, 3}, 0.0, Activation::linear, loss))),
        data(make_data(4, 3, count, 45)) {
    for (Layer& layer : model.layers) std::fill(layer.weights.begin(), layer.weights.end(), 0.0f);
    model.layers[0].weights[0] = 1.0f;    // input 0 to neuron 0
    model.layers[1].weights[0] = -10.0f;  // and on to output 0
    data.x[row * 4] = 3e38f;
  }

  /** What a model says to these samples. */
  std::string message(BackendModel& of) const {
    std::vector<float> out(data.x.size() / data.features * of.download().layers.back().outputs);
    Samples samples = data.samples();
    samples.id = id;
    try {
      of.predict(samples, out.data(), kGoOn);
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::non_finite);
      return error.what();
    }
    return "no error";
  }
};

/** Largest difference of two lists of parameters, relative to the largest parameter. */
inline double distance(const AlignedVector<float>& a, const AlignedVector<float>& b) {
  double largest = 1e-30, difference = 0.0;
  for (size_t k = 0; k < a.size(); ++k) {
    largest = std::max(largest, std::fabs(static_cast<double>(b[k])));
    difference = std::max(difference, std::fabs(static_cast<double>(a[k]) - b[k]));
    if (!std::isfinite(a[k])) return INFINITY;
  }
  return difference / largest;
}

/** Checks that two models of the same topology agree in every parameter but for float rounding. */
inline void check_close(const Model& got, const Model& want, double tolerance, const std::string& what) {
  for (size_t l = 0; l < want.layers.size(); ++l) {
    const Layer &p = got.layers[l], &q = want.layers[l];
    CHECK_MSG(p.links.col_indices == q.links.col_indices, what << ": topology of layer " << l + 1);
    const double weights = distance(p.weights, q.weights), velocity = distance(p.velocity, q.velocity),
                 bias = distance(p.bias, q.bias), bias_velocity = distance(p.bias_velocity, q.bias_velocity),
                 pieces = distance(p.pieces, q.pieces),
                 pieces_velocity = distance(p.pieces_velocity, q.pieces_velocity);
    CHECK_MSG(std::max({weights, velocity, bias, bias_velocity, pieces, pieces_velocity}) <= tolerance,
              what << ": layer " << l + 1 << " is off by " << weights << " (weights), " << velocity
                   << " (velocity), " << bias << " (bias), " << bias_velocity << " (bias velocity), "
                   << pieces << " (pieces), " << pieces_velocity << " (pieces velocity)");
  }
}

}  // namespace set_native::test
