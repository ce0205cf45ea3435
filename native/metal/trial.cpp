#include "metal/trial.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>

#include "core/model.h"
#include "core/philox.h"
#include "cpu/backend.h"
#include "gpu/model.h"
#include "metal/device.h"

namespace set_native::metal {

namespace {

constexpr uint32_t kEpochs = 2;
constexpr double kTolerance = 2e-4;  // error of losses, predictions and parameters, relative to the largest

/** A network and how it is trained, on `samples` samples whose labels follow a rule that can be learned. */
struct Case {
  const char* name;
  ModelSpec spec;
  uint32_t samples, batch;
  float dropout;
  EvolutionPolicy policy;
};

Case make_case(const char* name, std::vector<uint32_t> sizes, uint32_t samples, uint32_t batch) {
  Case c{};
  c.name = name;
  c.samples = samples;
  c.batch = batch;
  c.spec.sizes = std::move(sizes);
  c.spec.epsilon = 4.0;
  c.spec.seed = 1;
  return c;
}

/** Returns the cases. Together they use every kernel, but not each of its instances. */
std::vector<Case> cases() {
  std::vector<Case> all;
  all.push_back(make_case("motifs of three, srelu", {21, 36, 24, 1}, 50, 20));
  all.back().spec.topology = Topology::motif;
  all.back().spec.motif_size = 3;
  all.back().spec.activation = Activation::srelu;
  all.back().spec.loss = Loss::sigmoid_binary_cross_entropy;
  all.back().policy = policy_of(3);
  all.back().dropout = 0.25f;
  all.push_back(make_case("pairs of links", {20, 40, 24, 5}, 90, 40));
  all.back().spec.topology = Topology::motif;
  all.back().spec.activation = Activation::tanh;
  all.back().spec.loss = Loss::mse;
  all.back().policy = policy_of(2);
  all.push_back(make_case("long batches", {20, 40, 24, 5}, 2100, 200));
  all.back().dropout = 0.5f;
  all.push_back(make_case("dense layers", {12, 520, 3}, 90, 40));
  all.back().spec.topology = Topology::dense;
  all.back().spec.activation = Activation::sigmoid;
  all.push_back(make_case("single links", {20, 1100, 24, 5}, 90, 40));
  all.back().policy.prune = Prune::thesis;
  return all;
}

/** Samples with features uniform in [-1, 1). Feature k is the score of class k, and the largest one wins. */
struct Data {
  std::vector<float> x;
  std::vector<uint32_t> labels;
  Samples samples;

  explicit Data(const Case& c) {
    const uint32_t features = c.spec.sizes.front(), outputs = c.spec.sizes.back();
    for (uint64_t k = 0; k < uint64_t{c.samples} * features; ++k)
      x.push_back(symmetric_unit(draw(c.spec.seed, Stream::split, 0, 0, k)[0]));
    for (uint32_t s = 0; s < c.samples; ++s) {
      const float* row = x.data() + size_t{s} * features;
      labels.push_back(outputs == 1 ? row[0] > 0.0f
                                    : static_cast<uint32_t>(std::max_element(row, row + outputs) - row));
    }
    samples.x = x.data();
    samples.labels = labels.data();
    samples.count = c.samples;
    samples.features = features;
    samples.outputs = outputs;
    samples.id = next_samples_id();
  }
};

/** Returns the largest difference, relative to the largest number; infinite if a number is not finite. */
template <class Numbers>
double distance(const Numbers& got, const Numbers& want) {
  if (got.size() != want.size()) return INFINITY;
  double largest = 1e-30, difference = 0.0;
  for (size_t k = 0; k < want.size(); ++k) {
    if (!std::isfinite(got[k])) return INFINITY;
    largest = std::max(largest, std::fabs(static_cast<double>(want[k])));
    difference = std::max(difference, std::fabs(static_cast<double>(got[k]) - want[k]));
  }
  return difference / largest;
}

double distance(const Model& got, const Model& want) {
  double worst = 0.0;
  for (size_t l = 0; l < want.layers.size(); ++l) {
    const Layer &p = got.layers[l], &q = want.layers[l];
    if (p.links.row_offsets != q.links.row_offsets || p.links.col_indices != q.links.col_indices)
      return INFINITY;
    const auto compare = [&](const char*, const auto& mine, const auto& other) {
      worst = std::max(worst, distance(mine, other));
    };
    for_each_link_array(compare, p, q);
    for_each_neuron_array(compare, p, q);
  }
  return worst;
}

template <class Numbers>
bool same_bits(const Numbers& a, const Numbers& b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(a[0])) == 0);
}

bool same_links(const Model& got, const Model& want) {
  for (size_t l = 0; l < want.layers.size(); ++l) {
    const Layer &p = got.layers[l], &q = want.layers[l];
    bool same = p.links.row_offsets == q.links.row_offsets && p.links.col_indices == q.links.col_indices;
    for_each_link_array(
        [&](const char*, const auto& mine, const auto& other) { same = same && same_bits(mine, other); }, p,
        q);
    if (!same) return false;
  }
  return true;
}

/** Returns the first difference that one case shows, or "". The caller adds the name of the case. */
std::string difference(const Case& c, const std::shared_ptr<gpu::Device>& device) {
  // The same model on both.
  const std::atomic<bool> go_on{false};
  const Data data(c);
  const Model start = build_model(c.spec);
  auto cpu = cpu_backend().create(start, {1});
  auto gpu = std::make_unique<gpu::GpuModel>(device, start);
  std::string found;
  const auto compare = [&](const std::string& what, double off) {
    if (found.empty() && !(off <= kTolerance)) found = what + " off by " + std::to_string(off);
  };
  const auto train = [&](uint32_t epoch) {
    TrainOptions options;
    options.epoch = epoch;
    options.batch_size = c.batch;
    options.l2 = 0.001f;
    options.dropout = c.dropout;
    const std::vector<double> got = {gpu->train_epoch(data.samples, options, go_on)},
                              want = {cpu->train_epoch(data.samples, options, go_on)};
    compare("the loss of epoch " + std::to_string(epoch), distance(got, want));
    compare("the weights after epoch " + std::to_string(epoch), distance(gpu->download(), cpu->download()));
  };
  for (uint32_t epoch = 1; epoch <= kEpochs; ++epoch) train(epoch);

  // Evaluate and predict.
  const Evaluation seen = gpu->evaluate(data.samples, go_on), right = cpu->evaluate(data.samples, go_on);
  compare("the loss when evaluated", std::fabs(seen.loss - right.loss) / right.loss);
  compare("the accuracy when evaluated",
          std::fabs(seen.accuracy - right.accuracy) - 2.0 / c.samples);  // near ties
  std::vector<float> got(size_t{c.samples} * data.samples.outputs), want(got.size());
  gpu->predict(data.samples, got.data(), go_on);
  cpu->predict(data.samples, want.data(), go_on);
  compare("the predictions", distance(got, want));

  // Evolve. From the same numbers the result is exact. The weights are rounded so that there are ties and
  // zeros; for `thesis` they are shifted off zero, because that rule looks for the nearest weights only then.
  Model same = cpu->download();
  const float shift = c.policy.prune == Prune::thesis ? 0.5f : 0.0f;
  for (Layer& layer : same.layers)
    for (float& w : layer.weights) w = (std::floor(w * 32.0f) + shift) / 32.0f;
  gpu = std::make_unique<gpu::GpuModel>(device, same);
  cpu = cpu_backend().create(same, {1});
  gpu->evolve(c.policy, {kEpochs});
  cpu->evolve(c.policy, {kEpochs});
  if (found.empty() && !same_links(gpu->download(), cpu->download()))
    found = "the links after an evolution are others";
  train(kEpochs + 1);
  return found;
}

}  // namespace

std::string difference_from_cpu(const std::shared_ptr<gpu::Device>& device) {
  for (const Case& c : cases()) {
    const std::string found = difference(c, device);
    if (!found.empty()) return std::string(c.name) + ": " + found;
  }
  return "";
}

}  // namespace set_native::metal
