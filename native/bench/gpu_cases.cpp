#include <atomic>
#include <cmath>
#include <exception>
#include <memory>
#include <thread>
#include <vector>

#include "bench/cases.h"
#include "bench/gpu_target.h"
#include "cpu/backend.h"

/*
 * Cases for GPUs only: many small trainings at once, and a layer that no cache holds.
 */
namespace set_native::bench {

namespace {

constexpr uint32_t kTrials = 64;
constexpr Effort kFew{3, 100.0, 10000.0, 20};

TrainOptions options_of(const Case& c, uint32_t epoch) {
  TrainOptions options;
  options.epoch = epoch;
  options.batch_size = c.batch;
  options.learning_rate = 0.01f;
  return options;
}

/** Trains one epoch of each model on `threads` threads; every model has a stream of its own. */
void train_all(const std::vector<std::unique_ptr<BackendModel>>& models, const Samples& samples,
               const TrainOptions& options, unsigned threads, const std::atomic<bool>& cancel) {
  std::atomic<size_t> next{0};
  std::vector<std::exception_ptr> errors(threads);
  std::vector<std::thread> crew;
  for (unsigned t = 0; t < threads; ++t)
    crew.emplace_back([&, t] {
      try {
        for (size_t m = next++; m < models.size(); m = next++)
          models[m]->train_epoch(samples, options, cancel);
      } catch (...) {
        errors[t] = std::current_exception();
      }
    });
  for (std::thread& thread : crew) thread.join();
  for (const std::exception_ptr& error : errors)
    if (error) std::rethrow_exception(error);
}

/** Times by the wall clock, because trials share no device clock. All trials are equal and must stay so. */
Result trials(const Case& c, Context& context) {
  const Model model = build_model(spec_of(c.sizes, c.epsilon, c.motif_size));
  std::vector<std::unique_ptr<BackendModel>> models;
  for (uint32_t m = 0; m < kTrials; ++m) models.push_back(context.target->create(model, 1));
  Samples samples = context.samples(c.samples, c.sizes.front(), c.sizes.back());
  samples.id = next_samples_id();
  uint32_t epoch = 0;
  const auto train = [&] { train_all(models, samples, options_of(c, ++epoch), c.threads, context.cancel); };
  Result result;
  result.times = measure(kFew, context.cancel, train);
  const Model first = models.front()->download(), last = models.back()->download();
  for (size_t l = 0; l < first.layers.size(); ++l) {
    const AlignedVector<float>&a = first.layers[l].weights, &b = last.layers[l].weights;
    if (a != b) result.failure = "equal trials ended with different weights";
    result.links += static_cast<double>(a.size());
  }
  result.links *= kTrials * std::ceil(static_cast<double>(samples.count) / c.batch);
  return result;
}

/** Times a network too large for the reference. The loss of two batches is compared with the CPU's. */
Result scale(const Case& c, Context& context) {
  Model model = build_model(spec_of(c.sizes, c.epsilon, c.motif_size));
  std::vector<LayerShape> shapes;
  double links = 0.0;
  for (const Layer& layer : model.layers) {
    shapes.push_back(shape_of(layer));
    links += shapes.back().links;
  }
  // Compare with the CPU.
  Samples samples = context.samples(c.samples, c.sizes.front(), c.sizes.back());
  Samples few = samples;
  few.count = 2 * c.batch;
  const double want = cpu_backend().create(model, {})->train_epoch(few, options_of(c, 1), context.cancel);
  const auto network = context.target->create(std::move(model), c.threads);
  const double got = network->train_epoch(few, options_of(c, 1), context.cancel);
  Result result;
  if (!(std::fabs(got - want) <= 1e-4 * std::fabs(want))) {
    result.failure = "the training loss differs from the CPU's";
    return result;
  }
  // Time.
  samples.id = next_samples_id();
  uint32_t epoch = 1;
  result.times = measure(
      kFew, context.cancel, context.target->stopwatch(), [] {},
      [&] { network->train_epoch(samples, options_of(c, ++epoch), context.cancel); });
  const double steps = std::ceil(static_cast<double>(samples.count) / c.batch);
  const auto work = network_work(shapes, c.batch, context.target->stride(c.batch), true);
  result.links = links * steps;
  for (const Work& part : work) {
    result.flops += part.flops * steps;
    result.bytes += part.streamed * steps;
  }
  result.limit = context.target->limit(work, steps, c.threads);
  return result;
}

}  // namespace

void add_gpu_cases(std::vector<Case>& cases) {
  const std::vector<uint32_t> trial = {784, 3000, 3000, 3000, 10};
  for (const unsigned threads : {1u, 4u, 16u})
    cases.push_back({std::to_string(kTrials) + "-trials", trial, 13, 40, 1, 5000, threads, trials});
  for (const uint32_t motif : {1u, 2u})
    cases.push_back(
        {"scale", {10, 50000, 50000, 10}, 1000, 128, motif, 1024, 1, scale});  // 100 million links
}

}  // namespace set_native::bench
