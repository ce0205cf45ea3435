#include <algorithm>
#include <array>
#include <cmath>

#include "bench/cases.h"
#include "cpu/kernels.h"
#include "reference/backend.h"

/*
 * Cases of whole networks through the interface of the back ends: initialisation, epochs of training,
 * evaluation, prediction, evolution. Each is first compared with the reference back end on a few samples.
 */
namespace set_native::bench {

namespace {

const std::vector<uint32_t> kMnist = {784, 3000, 3000, 3000, 10};
const std::vector<uint32_t> kLung = {3312, 3000, 3000, 3000, 5};
// Samples per batch that the limit of an evaluation assumes.
constexpr size_t kEvaluationBatch = 64;
// Single samples to predict in turn, as in a service: the CPU would learn the branches of one sample.
constexpr uint32_t kDifferent = 100;
constexpr Effort kEffort{5, 300.0, 1500.0, 2000};

std::vector<LayerShape> shapes_of(const Model& model) {
  std::vector<LayerShape> shapes;
  for (const Layer& layer : model.layers) shapes.push_back(shape_of(layer));
  return shapes;
}

double links_of(const std::vector<LayerShape>& shapes) {
  double links = 0.0;
  for (const LayerShape& shape : shapes) links += shape.links;
  return links;
}

Result failed(const char* what) {
  Result result;
  result.failure = what;
  return result;
}

Result timed(const std::vector<Work>& work, double passes, double links, const Times& times) {
  Result result;
  result.times = times;
  result.links = links * passes;
  for (const Work& part : work) {
    result.flops += part.flops * passes;
    result.bytes += part.bytes() * passes;
  }
  return result;
}

template <class Body>
Times by_target(const Context& context, Body&& body) {
  return measure(kEffort, context.cancel, context.target->stopwatch(), [] {}, body);
}

bool close(double got, double want) {
  return std::fabs(got - want) <= 1e-4 * std::fabs(want);
}

/**
 * Returns whether both models give close outputs. A ReLU near zero may fall on either side, so outputs
 * differ more than sums.
 */
bool predict_alike(BackendModel& network, BackendModel& oracle, const Samples& samples,
                   const Context& context) {
  std::vector<float> got(samples.count * samples.outputs), want(got.size());
  network.predict(samples, got.data(), context.cancel);
  oracle.predict(samples, want.data(), context.cancel);
  for (size_t k = 0; k < got.size(); ++k)
    if (!(std::fabs(got[k] - want[k]) <= 1e-3f)) return false;
  return true;
}

Samples samples_of(const Case& c, Context& context, uint32_t count) {
  return context.samples(count, c.sizes.front(), c.sizes.back());
}

uint32_t training_samples(const Case& c) {
  return c.sizes == kLung ? 134 : 5000;
}

Result train(const Case& c, Context& context) {
  const Model model = build_model(spec_of(c.sizes, c.epsilon, c.motif_size));
  const auto network = context.target->create(model, c.threads),
             oracle = reference_backend().create(model, {});
  Samples samples = samples_of(c, context, training_samples(c));
  TrainOptions options;
  options.batch_size = c.batch;
  options.learning_rate = 0.01f;

  // Compare with the reference on a whole batch and a part of one, or two batches of the smallest size.
  Samples few = samples;
  few.count = std::min<uint64_t>(samples.count, c.batch + (c.batch + 2) / 3);
  if (!close(network->train_epoch(few, options, context.cancel),
             oracle->train_epoch(few, options, context.cancel)))
    return failed("the training loss differs from the reference");
  if (!predict_alike(*network, *oracle, few, context))
    return failed("trained outputs differ from the reference");

  // Time. With an id the samples stay on the device from now on.
  samples.id = next_samples_id();
  const Times times = by_target(context, [&] { network->train_epoch(samples, options, context.cancel); });
  const std::vector<LayerShape> shapes = shapes_of(model);
  const double steps = std::ceil(static_cast<double>(samples.count) / c.batch);
  const auto work = network_work(shapes, c.batch, context.target->stride(c.batch), true);
  Result result = timed(work, steps, links_of(shapes), times);
  result.limit = context.target->limit(work, steps, c.threads);
  return result;
}

/** Times evaluation or prediction, which only go forward. */
template <class Body>
Result inference(const Case& c, Context& context, Body&& body) {
  const Model model = build_model(spec_of(c.sizes, c.epsilon, c.motif_size));
  const auto network = context.target->create(model, c.threads),
             oracle = reference_backend().create(model, {});
  Samples samples = samples_of(c, context, std::max(c.samples, kDifferent));
  samples.count = c.samples;
  Samples few = samples;
  few.count = std::min<uint64_t>(samples.count, kEvaluationBatch + 1);
  if (!predict_alike(*network, *oracle, few, context)) return failed("outputs differ from the reference");
  const Evaluation got = network->evaluate(few, context.cancel), want = oracle->evaluate(few, context.cancel);
  if (!close(got.loss, want.loss)) return failed("the evaluated loss differs from the reference");

  if (c.op == "evaluate") samples.id = next_samples_id();  // the samples stay on the device from now on
  const Times times = by_target(context, [&] { body(*network, samples); });
  const std::vector<LayerShape> shapes = shapes_of(model);
  const auto batch = static_cast<size_t>(std::min<uint64_t>(samples.count, kEvaluationBatch));
  const double passes = std::ceil(static_cast<double>(samples.count) / static_cast<double>(batch));
  const auto work = network_work(shapes, batch, context.target->stride(batch), false);
  Result result = timed(work, passes, links_of(shapes), times);
  result.limit = context.target->limit(work, passes, c.threads);
  return result;
}

Result evaluate(const Case& c, Context& context) {
  return inference(c, context, [&](BackendModel& network, const Samples& samples) {
    network.evaluate(samples, context.cancel);
  });
}

Result predict(const Case& c, Context& context) {
  std::vector<float> out(size_t{c.samples} * c.sizes.back());
  size_t number = 0;
  return inference(c, context, [&](BackendModel& network, Samples samples) {
    if (samples.count == 1) samples.x += number++ % kDifferent * samples.features;
    network.predict(samples, out.data(), context.cancel);
  });
}

bool same_links(const Model& a, const Model& b) {
  for (size_t l = 0; l < a.layers.size(); ++l) {
    const Layer &p = a.layers[l], &q = b.layers[l];
    if (p.links.row_offsets != q.links.row_offsets || p.links.col_indices != q.links.col_indices ||
        p.weights != q.weights || p.birth != q.birth)
      return false;
  }
  return true;
}

/** Number of links of the one that are not links of the other. */
size_t links_apart(const Model& a, const Model& b) {
  size_t apart = 0;
  for (size_t l = 0; l < a.layers.size(); ++l) {
    const Csr &p = a.layers[l].links, &q = b.layers[l].links;
    for (uint32_t i = 0; i < p.rows && !a.layers[l].dense; ++i) {
      const auto begin = q.col_indices.begin() + q.row_offsets[i],
                 end = q.col_indices.begin() + q.row_offsets[i + 1];
      for (uint32_t k = p.row_offsets[i]; k < p.row_offsets[i + 1]; ++k)
        apart += !std::binary_search(begin, end, p.col_indices[k]);
    }
  }
  return apart;
}

/** Growth by gradient: what the reference computes in double it may rank otherwise, where scores are equal.
 */
constexpr double kApart = 1e-3;

Result evolve_by(Grow grow, const Case& c, Context& context) {
  const Model model = build_model(spec_of(c.sizes, c.epsilon, c.motif_size));
  EvolutionPolicy policy = policy_of(c.motif_size);
  policy.grow = grow;
  const bool probes = grow == Grow::gradient;
  const Samples few = context.samples(64, c.sizes.front(), c.sizes.back());
  const auto network = context.target->create(model, c.threads);
  uint32_t epoch = 1;
  {
    const auto oracle = reference_backend().create(model, {});
    oracle->evolve(policy, {epoch}, &few);
    network->evolve(policy, {epoch}, &few);
    const Model got = network->download(), want = oracle->download();
    const double links = links_of(shapes_of(model));
    if (probes ? static_cast<double>(links_apart(got, want)) > kApart * links : !same_links(got, want))
      return failed("the links differ from the reference");
  }
  // The 512 of probe_samples.
  const Samples samples = probes ? context.samples(512, c.sizes.front(), c.sizes.back()) : few;
  const Times times = by_target(context, [&] { network->evolve(policy, {++epoch}, &samples); });
  std::vector<LayerShape> shapes = shapes_of(model);
  shapes.pop_back();  // the output layer does not evolve
  std::vector<Work> work;
  for (const LayerShape& shape : shapes)
    if (!shape.dense) work.push_back(rebuild_work(shape));
  return timed(work, 1.0, links_of(shapes), times);
}

Result evolve(const Case& c, Context& context) {
  return evolve_by(Grow::random, c, context);
}
Result evolve_walk(const Case& c, Context& context) {
  return evolve_by(Grow::walk, c, context);
}
Result evolve_gradient(const Case& c, Context& context) {
  return evolve_by(Grow::gradient, c, context);
}

/**
 * Times topology, weights, and what the back end adds to them. Compares the back end's model with the given.
 */
Result initialise(const Case& c, Context& context) {
  const ModelSpec spec = spec_of(c.sizes, c.epsilon, c.motif_size);
  const Model model = build_model(spec);
  std::unique_ptr<BackendModel> network = context.target->create(model, c.threads);
  if (!same_links(network->download(), model))
    return failed("the back end holds other links than it was given");
  const Times times = measure(
      kEffort, context.cancel, [&] { network.reset(); },
      [&] { network = context.target->create(build_model(spec), c.threads); });
  const std::vector<LayerShape> shapes = shapes_of(model);
  std::vector<Work> work;
  for (const LayerShape& shape : shapes) work.push_back(rebuild_work(shape));
  return timed(work, 1.0, links_of(shapes), times);
}

}  // namespace

void add_network_cases(const Grid& grid, std::vector<Case>& cases) {
  constexpr std::array<double, 5> kEpsilons = {1, 5, 13, 21, 31};
  constexpr std::array<uint32_t, 6> kBatches = {1, 2, 8, 40, 100, 128};
  constexpr std::array<uint32_t, 4> kMotifSizes = {1, 2, 4, 8};
  const std::vector<uint32_t> kTwoMillion = {20000, 20000, 10};  // two million links at epsilon 50
  std::vector<unsigned> threads = {1};
  if (grid.threads > 1 && grid.gpu == nullptr) threads.push_back(grid.threads);
  const auto add = [&](const char* op, const std::vector<uint32_t>& sizes, double epsilon, uint32_t batch,
                       uint32_t motif, uint32_t samples, auto run) {
    for (const unsigned t : threads) cases.push_back({op, sizes, epsilon, batch, motif, samples, t, run});
  };
  // Training on MNIST's shape, on lung's, and of a dense network.
  for (const uint32_t motif : kMotifSizes)
    for (const uint32_t batch : kBatches)
      for (const double epsilon : kEpsilons) {
        const bool motif_axis = motif > 1 && epsilon == 13 && batch == 40;
        const bool other_axes =
            motif == 1 && (batch == 40 || (epsilon == 13 && (batch == 8 || batch == 100)));
        if (grid.full || motif_axis || other_axes) add("train", kMnist, epsilon, batch, motif, 0, train);
      }
  for (const uint32_t motif : kMotifSizes)
    for (const double epsilon : kEpsilons)
      if (grid.full || epsilon == 13) add("train", kLung, epsilon, 2, motif, 0, train);
  if (grid.full) add("train", kMnist, 0, 40, 0, 0, train);  // dense
  // Evaluation and prediction.
  for (const double epsilon : kEpsilons)
    if (grid.full || epsilon == 13) add("evaluate", kMnist, epsilon, 0, 1, 5000, evaluate);
  for (const uint32_t samples : {1u, 1000u})
    for (const uint32_t motif : kMotifSizes)
      for (const double epsilon : kEpsilons)
        if (grid.full ||
            (motif == 1 ? epsilon == 1 || epsilon == 13 || epsilon == 31 : motif == 4 && epsilon == 13))
          add("predict", kMnist, epsilon, 0, motif, samples, predict);
  // Initialisation and evolution.
  for (const char* op : {"initialise", "evolve"}) {
    const auto run = op[0] == 'i' ? &initialise : &evolve;
    for (const uint32_t motif : kMotifSizes)
      for (const double epsilon : kEpsilons)
        if (grid.full || motif == 1 || epsilon == 13) add(op, kMnist, epsilon, 0, motif, 0, run);
    add(op, kTwoMillion, 50, 0, 1, 0, run);
  }
  for (const uint32_t motif : {1u, 4u}) {
    add("evolve-walk", kMnist, 13, 0, motif, 0, &evolve_walk);
    add("evolve-gradient", kMnist, 13, 0, motif, 0, &evolve_gradient);
  }
}

}  // namespace set_native::bench
