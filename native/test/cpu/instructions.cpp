#include <atomic>
#include <cstdio>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/backend.h"
#include "core/philox.h"
#include "cpu/backend.h"

/*
 * set_native_instructions ISA: a fixed workload of everything that is hot, on one thread, for callgrind to
 * count.
 *
 * test/instructions.js runs it under `valgrind --tool=callgrind`, which counts inside `set_native_measured`
 * only and writes a dump after each call of it; stdout has a line for each: what it was, a tab, links passed
 * over. The first line is the compiler.
 */
namespace set_native::instructions {

namespace {

const std::atomic<bool> kGoOn{false};
constexpr uint32_t kInputs = 200, kOutputs = 10, kSamples = 128;

struct Workload {
  const char* name;
  double epsilon;  // 1000: dense
  uint32_t motif_size;
  uint32_t batch;  // of training; 0: prediction of so many samples
  uint32_t samples;
};

constexpr Workload kWorkloads[] = {
    {"train batch 1", 13, 1, 1, 8},
    {"train batch 2", 13, 1, 2, 16},
    {"train batch 8", 13, 1, 8, 64},
    {"train batch 40", 13, 1, 40, 80},
    {"train batch 128", 13, 1, 128, 128},
    {"train batch 2, motif size 2", 13, 2, 2, 16},
    {"train batch 2, motif size 4", 13, 4, 2, 16},
    {"train batch 40, motif size 2", 13, 2, 40, 80},
    {"train batch 40, motif size 4", 13, 4, 40, 80},
    {"train batch 40, dense", 1000, 1, 40, 40},
    {"predict 1", 13, 1, 0, 1},
    {"predict 64", 13, 1, 0, 64},
    {"predict 64, motif size 4", 13, 4, 0, 64},
};

ModelSpec spec_of(double epsilon, uint32_t motif_size) {
  ModelSpec spec;
  spec.sizes = {kInputs, 400, 400, kOutputs};
  spec.epsilon = epsilon;
  spec.topology = motif_size > 1 ? Topology::motif : Topology::erdos_renyi;
  if (motif_size > 1) spec.motif_size = motif_size;
  spec.seed = 1;
  return spec;
}

double links_of(const BackendModel& network) {
  double links = 0.0;
  for (const LayerStats& layer : network.stats()) links += static_cast<double>(layer.nnz);
  return links;
}

}  // namespace

/** Its name, C's for callgrind to match it whole, is what counting begins and ends at. */
extern "C" __attribute__((noinline)) void set_native_measured(const std::function<void()>& body) {
  body();
  __asm__ volatile("" ::: "memory");  // or the call would become a jump that never returns here
}

namespace {

/** Once to warm up (allocations, above all), once to be counted. */
void count(const std::string& name, double links, const std::function<void()>& body) {
  body();
  set_native_measured(body);
  std::printf("%s\t%.0f\n", name.c_str(), links);
}

void run_workload(const Workload& workload, const Samples& all, const BackendOptions& options) {
  const auto network =
      cpu_backend().create(build_model(spec_of(workload.epsilon, workload.motif_size)), options);
  Samples samples = all;
  samples.count = workload.samples;
  std::vector<float> out(size_t{kSamples} * kOutputs);
  TrainOptions training;
  training.batch_size = workload.batch;
  training.learning_rate = 0.001f;
  const double passes = workload.batch > 0 ? static_cast<double>(workload.samples) / workload.batch : 1.0;
  count(workload.name, links_of(*network) * passes, [&] {
    if (workload.batch > 0)
      network->train_epoch(samples, training, kGoOn);
    else
      network->predict(samples, out.data(), kGoOn);
  });
}

void run_evolution(uint32_t motif_size, const BackendOptions& options) {
  const std::string suffix = motif_size > 1 ? ", motif size " + std::to_string(motif_size) : "";
  const ModelSpec spec = spec_of(13, motif_size);
  std::unique_ptr<BackendModel> network = cpu_backend().create(build_model(spec), options);
  const double links = links_of(*network);
  const EvolutionPolicy policy = policy_of(motif_size);
  uint32_t epoch = 0;
  count("evolve" + suffix, links, [&] { network->evolve(policy, {++epoch}); });
  count("initialise" + suffix, links, [&] { network = cpu_backend().create(build_model(spec), options); });
}

void run_all(const std::string& isa) {
  const BackendOptions options{1, isa};
  std::vector<float> x(size_t{kSamples} * kInputs);
  std::vector<uint32_t> labels(kSamples);
  for (size_t k = 0; k < x.size(); ++k) x[k] = symmetric_unit(draw(1, Stream::split, 0, 0, k)[0]);
  for (uint32_t s = 0; s < kSamples; ++s) labels[s] = s % kOutputs;
  const Samples samples{x.data(), labels.data(), nullptr, kSamples, kInputs, kOutputs};
  std::printf("%s\n", __VERSION__);
  for (const Workload& workload : kWorkloads) run_workload(workload, samples, options);
  for (const uint32_t motif_size : {1u, 4u}) run_evolution(motif_size, options);
}

}  // namespace

}  // namespace set_native::instructions

int main(int argc, char** argv) {
  try {
    set_native::instructions::run_all(argc > 1 ? argv[1] : "");
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
