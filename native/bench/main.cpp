#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "bench/report.h"
#include "core/available_cpus.h"
#include "cpu/backend.h"
#include "cpu/kernels.h"

/*
 * set_native_bench [--backend cpu|cuda|metal] [--filter "WORDS"] [--full 0|1] [--threads N] [--isa NAME]
 *                  [--json FILE] [--sweep MAX_LINKS]
 *
 * Does what `set-native bench kernels` does, without Node: measures the ceilings of the machine, then
 * compares every case with the reference and times it; or runs the sweep over links. The exit status is 1 if
 * a comparison failed.
 */
using namespace set_native;
using namespace set_native::bench;

namespace {

struct Settings {
  std::string filter, isa, json;
  unsigned threads = 0;
  bool full = false;
  uint64_t sweep = 0;  // most links of the sweep; 0: no sweep
  std::string backend = "cpu";
};

const std::atomic<bool> kGoOn{false};

Settings parse(int argc, char** argv) {
  Settings settings;
  for (int a = 1; a < argc; a += 2) {
    const std::string name = argv[a];
    if (a + 1 == argc)
      throw std::runtime_error(name + " needs a value; see the head of native/bench/main.cpp");
    const char* value = argv[a + 1];
    if (name == "--filter")
      settings.filter = value;
    else if (name == "--full")
      settings.full = std::atoi(value) != 0;
    else if (name == "--threads")
      settings.threads =
          static_cast<unsigned>(std::clamp(std::atoi(value), 0, static_cast<int>(kMaxThreads)));
    else if (name == "--isa")
      settings.isa = value;
    else if (name == "--backend")
      settings.backend = value;
    else if (name == "--json")
      settings.json = value;
    else if (name == "--sweep")
      settings.sweep = static_cast<uint64_t>(std::atof(value));
    else
      throw std::runtime_error("unknown option " + name + " " + value +
                               "; see the head of native/bench/main.cpp");
  }
  if (settings.backend != "cpu" && settings.sweep > 0) throw std::runtime_error("--sweep is for the CPU");
  if (settings.threads == 0) settings.threads = available_cpus();
  return settings;
}

void print(const Ceilings& c) {
  std::printf(
      "%u thread%s: %.0f GFLOP/s; read L1 %.0f, L2 %.0f, L3 %.0f, DRAM %.0f GB/s; random row of 160 B %.1f "
      "ns",
      c.threads, c.threads == 1 ? "" : "s", c.gflops, c.l1, c.l2, c.l3, c.dram, c.row_ns);
  if (c.threads > 1) std::printf("; barrier %.0f ns, ping-pong %.0f ns", c.barrier_ns, c.ping_pong_ns);
  std::printf("\n");
}

/** Prints a number in a column of `width`, or a dash if it is not known. */
void column(int width, double value, bool known) {
  if (!known) return void(std::printf(" %*s", width, "-"));
  const int decimals = value >= 100.0 ? 0 : value >= 10.0 ? 1 : value >= 1.0 ? 2 : 4;
  std::printf(" %*.*f", width, decimals, value);
}

void print(const Case& c, const Result& result) {
  const std::string group = c.op + " " + c.shape() + " ";
  std::printf("  %-44s", c.name().substr(group.size()).c_str());
  if (!result.failure.empty()) return void(std::printf(" FAILED: %s\n", result.failure.c_str()));
  const double ms = result.times.median;
  column(9, ms, true);
  column(9, result.times.p95, true);
  column(8, ms * 1e6 / result.links, result.links > 0.0);
  column(8, result.flops / ms * 1e-6, result.flops > 0.0);
  column(7, result.bytes / ms * 1e-6, result.bytes > 0.0);
  if (result.limit.ms > 0.0)
    std::printf("  %-7s %4.0f %%\n", result.limit.name, 100.0 * result.limit.ms / ms);
  else
    std::printf("  -\n");
  std::fflush(stdout);
}

struct Output {
  std::string entries;  // JSON, separated by commas
  size_t failures = 0;

  void add(const std::string& json, bool failed) {
    entries += (entries.empty() ? "\n  " : ",\n  ") + json;
    failures += failed;
  }
};

Output run_cases(Context& context, const GpuTarget* gpu, const Settings& settings) {
  const std::vector<Case> cases = list_cases({settings.full, settings.threads, gpu}, settings.filter);
  if (cases.empty()) throw std::runtime_error("--filter \"" + settings.filter + "\" matches no case");
  Output output;
  std::string group;
  for (const Case& c : cases) {
    const std::string own = c.op + " " + c.shape();
    if (own != group)
      std::printf("\n%-46s %9s %9s %8s %8s %7s  %-7s %s\n", own.c_str(), "median ms", "p95 ms", "ns/link",
                  "GFLOP/s", "GB/s", "limit", "share");
    group = own;
    const Result result = c.run(c, context);
    print(c, result);
    output.add(result_json(c, result), !result.failure.empty());
  }
  return output;
}

/** Measures a point of the sweep in a child process, because its memory is measured. */
SweepPoint sweep_point_apart(uint64_t links, uint32_t motif_size, const Settings& settings,
                             const std::string& isa) {
  SweepPoint point;
  point.links = links;
  point.motif_size = motif_size;
  point.threads = settings.threads;
  point.failure = "the process ended before its time, perhaps for want of memory";
  int ends[2];
  if (pipe(ends) != 0) throw std::runtime_error("no pipe");
  const pid_t child = fork();
  if (child < 0) throw std::runtime_error("no process");
  if (child == 0) {
    try {
      const SweepPoint measured = measure_sweep_point(links, motif_size, settings.threads, isa, kGoOn);
      _exit(write(ends[1], &measured, sizeof measured) == sizeof measured ? 0 : 1);
    } catch (const std::exception& error) {
      std::fprintf(stderr, "%s\n", error.what());
      _exit(1);
    }
  }
  close(ends[1]);
  SweepPoint measured;
  if (read(ends[0], &measured, sizeof measured) == sizeof measured) point = measured;
  close(ends[0]);
  waitpid(child, nullptr, 0);
  return point;
}

Output run_sweep(const Settings& settings, const std::string& isa, std::string& exponents) {
  Output output;
  std::printf("\n%11s %6s %10s %15s %15s %15s %12s %12s\n", "links", "motif", "neurons", "train ns/link",
              "evolve ns/link", "init ns/link", "model B/link", "peak B/link");
  for (const uint32_t motif_size : {1u, 4u}) {
    std::vector<double> links, train, evolve, initialise;
    for (const uint64_t wanted : sweep_links(settings.sweep)) {
      const SweepPoint p = sweep_point_apart(wanted, motif_size, settings, isa);
      output.add(sweep_point_json(p), p.failure != nullptr);
      if (p.failure != nullptr) {
        std::printf("%11.0f %6u FAILED: %s\n", static_cast<double>(p.links), p.motif_size, p.failure);
        continue;
      }
      const auto nnz = static_cast<double>(p.nnz);
      std::printf("%11.0f %6u %10u %15.2f %15.2f %15.2f %12.1f %12.1f\n", nnz, p.motif_size, p.neurons,
                  p.train_ns, p.evolve_ns, p.initialise_ns, p.model_bytes, p.peak_bytes);
      std::fflush(stdout);
      links.push_back(nnz);
      train.push_back(nnz * p.train_ns);
      evolve.push_back(nnz * p.evolve_ns);
      initialise.push_back(nnz * p.initialise_ns);
    }
    if (links.size() < 2) continue;
    const double fitted[] = {fitted_exponent(links, train), fitted_exponent(links, evolve),
                             fitted_exponent(links, initialise)};
    std::printf("time ~ links^k, motif %u: train k = %.3f, evolve %.3f, init %.3f\n", motif_size, fitted[0],
                fitted[1], fitted[2]);
    exponents +=
        (exponents.empty() ? "" : ", ") + exponents_json(motif_size, fitted[0], fitted[1], fitted[2]);
  }
  return output;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    // Settings; the JSON file is opened first, so that a long run does not fail at its end.
    const Settings settings = parse(argc, argv);
    std::ofstream file;
    if (!settings.json.empty()) {
      file.open(settings.json);
      if (!file) throw std::runtime_error("--json: " + settings.json + " cannot be written");
    }
    const cpu::KernelTable* table =
        settings.isa.empty() ? &cpu::kernels() : cpu::find_kernels(settings.isa.c_str());
    if (table == nullptr) throw std::runtime_error("--isa: this machine has no " + settings.isa);
    // The machine, or the GPU.
    Context context(*table, kGoOn);
    std::printf("%s; kernels %s\n", cpu_backend().probe().device.c_str(), table->name);
    std::string ceilings, exponents, facts = "null";
    const GpuTarget* gpu = nullptr;
    if (settings.backend != "cpu") {
      auto target = gpu_target(settings.backend);
      gpu = target.get();
      std::printf("%s: copies %.0f GB/s\n", gpu->facts().device.c_str(), gpu->facts().copy);
      facts = gpu_json(gpu->facts());
      context.target = std::move(target);
    } else {
      for (const unsigned t : {1u, settings.threads}) {
        if (t == 1 && !ceilings.empty()) break;
        print(context.machine.ceilings(t));
        ceilings += (ceilings.empty() ? "" : ",\n  ") + ceilings_json(context.machine.ceilings(t));
      }
    }
    // Measure.
    char date[32];
    const std::time_t now = std::time(nullptr);
    std::strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", std::gmtime(&now));
    const Output output =
        settings.sweep > 0 ? run_sweep(settings, table->name, exponents) : run_cases(context, gpu, settings);
    // Write the JSON file.
    const std::string cases = settings.sweep > 0 ? "" : output.entries + "\n";
    const std::string sweep = settings.sweep == 0
                                  ? "null"
                                  : "{\"batch\": " + std::to_string(kSweepBatch) + ", \"points\": [" +
                                        output.entries + "\n], \"exponents\": [" + exponents + "]}";
    file << "{\"schemaVersion\": " << kSchemaVersion << ",\n\"complete\": true,\n\"date\": \"" << date
         << "\",\n\"version\": null,\n\"machine\": " << machine_json(context.machine)
         << ",\n\"gpu\": " << facts << ",\n\"ceilings\": [\n  " << ceilings << "\n],\n\"cases\": [" << cases
         << "],\n\"sweep\": " << sweep << "}\n";
    if (output.failures > 0) std::printf("\n%zu FAILED\n", output.failures);
    return output.failures > 0 ? 1 : 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
