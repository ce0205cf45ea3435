#include "bench/sweep.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <memory>

#include "bench/cases.h"
#include "bench/measure.h"
#include "core/backend.h"
#include "cpu/backend.h"
#include "reference/backend.h"

#ifdef _WIN32
#include <windows.h>
// After windows.h, which it takes its types from.
#include <psapi.h>
#elif !defined(__linux__)
#include <sys/resource.h>
#endif

namespace set_native::bench {

namespace {

constexpr uint64_t kFanOut = 100;
constexpr uint64_t kLargestChecked = 1'000'000;
constexpr Effort kEffort{3, 400.0, 2000.0, 50};

#if defined(__linux__)
/** Returns the bytes of a line of /proc/self/status. */
double status_bytes(const char* key) {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    double kilobytes = 0.0;
    if (word == key && status >> kilobytes) return kilobytes * 1024.0;
  }
  return 0.0;
}
double resident_bytes() {
  return status_bytes("VmRSS:");
}
/** Returns the peak since reset_peak, where the system allows that, else since the process began. */
double peak_bytes() {
  return status_bytes("VmHWM:");
}
void reset_peak() {
  std::ofstream("/proc/self/clear_refs") << 5;
}
#elif defined(_WIN32)
PROCESS_MEMORY_COUNTERS memory_counters() {
  PROCESS_MEMORY_COUNTERS counters{};
  K32GetProcessMemoryInfo(GetCurrentProcess(), &counters, sizeof counters);
  return counters;
}
double resident_bytes() {
  return static_cast<double>(memory_counters().WorkingSetSize);
}
double peak_bytes() {
  return static_cast<double>(memory_counters().PeakWorkingSetSize);
}
void reset_peak() {}
#else
double peak_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss);  // macOS counts bytes
}
double resident_bytes() {
  return peak_bytes();
}
void reset_peak() {}
#endif

struct Setup {
  ModelSpec spec;
  BackendOptions options;
  std::vector<float> x;
  std::vector<uint32_t> labels;
  TrainOptions training;
  EvolutionPolicy policy;

  Samples samples() const { return {x.data(), labels.data(), nullptr, labels.size(), 1, 1}; }
};

Setup setup_of(uint64_t links, uint32_t motif_size, unsigned threads, const std::string& isa) {
  const auto neurons = static_cast<uint32_t>(links / kFanOut);
  Setup setup;
  // p n^2 = epsilon (n + n), so epsilon is half of the fan-out p n.
  setup.spec = spec_of({1, neurons, neurons, 1}, kFanOut / 2.0, motif_size);
  setup.spec.loss = Loss::sigmoid_binary_cross_entropy;
  setup.options = {threads, isa};
  for (uint32_t s = 0; s < kSweepBatch; ++s) {
    setup.x.push_back(static_cast<float>(s + 1) / kSweepBatch);
    setup.labels.push_back(s % 2);
  }
  setup.training.batch_size = kSweepBatch;
  setup.training.learning_rate = 0.001f;
  if (motif_size > 1) {
    setup.policy = policy_of(motif_size);
  }
  return setup;
}

std::unique_ptr<BackendModel> initialised(const Setup& setup) {
  return cpu_backend().create(build_model(setup.spec), setup.options);
}

/** Returns what differs from the reference after an evolution and a step, or null. */
const char* difference_to_reference(const Setup& setup, const std::atomic<bool>& cancel) {
  const auto network = initialised(setup), oracle = reference_backend().create(build_model(setup.spec), {});
  oracle->evolve(setup.policy, {1});
  network->evolve(setup.policy, {1});
  if (network->download().layers[1].links.col_indices != oracle->download().layers[1].links.col_indices)
    return "the evolved links differ from the reference";
  const double got = network->train_epoch(setup.samples(), setup.training, cancel);
  const double want = oracle->train_epoch(setup.samples(), setup.training, cancel);
  return std::fabs(got - want) <= 1e-4 * std::fabs(want) ? nullptr
                                                         : "the training loss differs from the reference";
}

}  // namespace

double fitted_exponent(const std::vector<double>& links, const std::vector<double>& times) {
  const auto count = static_cast<double>(links.size());
  double x = 0.0, y = 0.0, xx = 0.0, xy = 0.0;
  for (size_t k = 0; k < links.size(); ++k) {
    const double log_links = std::log(links[k]), log_time = std::log(times[k]);
    x += log_links;
    y += log_time;
    xx += log_links * log_links;
    xy += log_links * log_time;
  }
  return (count * xy - x * y) / (count * xx - x * x);
}

std::vector<uint64_t> sweep_links(uint64_t most) {
  std::vector<uint64_t> all = {100'000};
  for (bool three = true;; three = !three) {
    const uint64_t next = three ? all.back() * 3 : all.back() / 3 * 10;
    if (next > most) return all;
    all.push_back(next);
  }
}

SweepPoint measure_sweep_point(uint64_t links, uint32_t motif_size, unsigned threads, const std::string& isa,
                               const std::atomic<bool>& cancel) {
  const Setup setup = setup_of(links, motif_size, threads, isa);
  SweepPoint point;
  point.links = links;
  point.neurons = setup.spec.sizes[1];
  point.motif_size = motif_size;
  point.threads = threads;

  // Memory first, because memory that was freed would hide what is needed.
  reset_peak();
  const double before = resident_bytes();
  std::unique_ptr<BackendModel> network = initialised(setup);
  for (const LayerStats& layer : network->stats()) point.nnz += layer.nnz;
  const auto per_link = [&](double value) { return value / static_cast<double>(point.nnz); };
  point.model_bytes = per_link(resident_bytes() - before);
  uint32_t epoch = 0;
  const auto train = [&] { network->train_epoch(setup.samples(), setup.training, cancel); };
  const auto evolve = [&] { network->evolve(setup.policy, {++epoch}); };
  train();
  evolve();
  point.peak_bytes = per_link(peak_bytes() - before);

  // Compare with the reference.
  if (links <= kLargestChecked) point.failure = difference_to_reference(setup, cancel);
  if (point.failure != nullptr) return point;

  // Times.
  point.train_ns = per_link(measure(kEffort, cancel, train).median * 1e6);
  point.evolve_ns = per_link(measure(kEffort, cancel, evolve).median * 1e6);
  const auto free = [&] { network.reset(); };
  const auto initialise = [&] { network = initialised(setup); };
  point.initialise_ns = per_link(measure(kEffort, cancel, free, initialise).median * 1e6);
  return point;
}

}  // namespace set_native::bench
