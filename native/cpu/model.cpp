#include <algorithm>

#include "core/available_cpus.h"
#include "core/error.h"
#include "cpu/backend.h"
#include "cpu/inference.h"
#include "cpu/kernels.h"
#include "cpu/probe.h"
#include "cpu/trainer.h"
#include "evolution/evolve.h"
#include "layout/network.h"
#include "layout/thread_pool.h"

/*
 * The CPU back end keeps a network on the host and trains it with the kernels of one instruction set on a
 * pool of threads.
 */
namespace set_native::cpu {

namespace {

class CpuModel final : public BackendModel {
 public:
  CpuModel(Model model, const KernelTable& table, unsigned threads)
      : network_(pack_network(std::move(model))),
        table_(table),
        pool_(threads),
        trainer_(network_, table, pool_),
        inference_(network_, table, pool_) {}

  Model download() const override { return unpack_network(network_); }

  double train_epoch(const Samples& samples, const TrainOptions& options,
                     const std::atomic<bool>& cancel) override;

  Evaluation evaluate(const Samples& samples, const std::atomic<bool>& cancel) override {
    check_targets(samples, network_.features(), network_.outputs(), network_.loss, "evaluate");
    require_index();
    return inference_.evaluate(samples, cancel);
  }

  void predict(const Samples& samples, float* out, const std::atomic<bool>& cancel) override {
    check_samples(samples, network_.features(), network_.outputs(), "predict");
    require_index();
    inference_.predict(samples, out, cancel);
  }

  std::vector<std::exception_ptr> predict_each(const std::vector<Request>& requests,
                                               const std::atomic<bool>& cancel) override {
    require_index();
    return inference_.predict_each(requests, cancel);
  }

  std::vector<LayerEvolution> evolve(const EvolutionPolicy& policy, const EvolutionTime& time,
                                     const Samples* probe) override;

  unsigned threads() const override { return pool_.capacity(); }

  std::vector<LayerStats> stats() const override {
    std::vector<LayerStats> all;
    for (const PackedLayer& layer : network_.layers) all.push_back(layer_stats(layer));
    return all;
  }

 private:
  /** Indexes targets where by_target is missing: an evolution that ran out of memory may leave it empty. */
  void require_index() {
    for (PackedLayer& layer : network_.layers) {
      if (layer.dense) continue;
      std::visit(
          [this](auto& blocks) {
            if (blocks.by_target.offsets.empty()) blocks.index_targets(pool_);
          },
          layer.blocks);
    }
  }

  PackedNetwork network_;
  const KernelTable& table_;
  ThreadPool pool_;
  Trainer trainer_;
  Inference inference_;
};

double CpuModel::train_epoch(const Samples& samples, const TrainOptions& options,
                             const std::atomic<bool>& cancel) {
  check_targets(samples, network_.features(), network_.outputs(), network_.loss, "train");
  check_options(options, "train");
  require_index();
  inference_.weights_change();
  const EpochResult result = trainer_.run_epoch(samples, options, cancel);
  return mean_loss(result, options, samples.count, network_.layers.size(),
                   [&] { return trainer_.place_of_divergence(result.divergence.samples); });
}

std::vector<LayerEvolution> CpuModel::evolve(const EvolutionPolicy& policy, const EvolutionTime& time,
                                             const Samples* probe) {
  const ThreadPool::Share share(pool_, pool_.capacity());
  inference_.weights_change();
  std::optional<Probe> gradients;
  if (policy.grow == Grow::gradient) {
    check_probe(probe, network_.features(), network_.outputs(), network_.loss);
    require_index();
    gradients.emplace(network_, table_, pool_, *probe, time.epoch);
  }
  return evolve_layers(
      network_.layers.size(), network_.seed, policy, time,
      [&](size_t l, const EvolutionKey& key) {
        const PackedLayer& layer = network_.layers[l];
        return !layer.dense && begin_evolution(layer.blocks, policy, key);
      },
      [&](size_t l, const EvolutionKey& key) {
        const CellScores scores = gradients ? gradients->scores(l) : CellScores();
        return evolve_layer(network_.layers[l].blocks, policy, key, pool_, gradients ? &scores : nullptr);
      });
}

unsigned threads_of(const BackendOptions& options) {
  if (options.threads > kMaxThreads)
    throw Error(ErrorCode::out_of_range, "[cpu] expected at most " + std::to_string(kMaxThreads) +
                                             " threads, got " + std::to_string(options.threads));
  return options.threads == 0 ? std::min(available_cpus(), kMaxThreads) : options.threads;
}

class CpuBackend final : public Backend {
 public:
  const char* name() const override { return "cpu"; }

  Availability probe() const override {
    try {
      return {true, std::to_string(threads_of({})) + " threads, " + kernels().name, ""};
    } catch (const Error& error) {
      return {false, "", std::string("not available, because ") + error.what()};
    }
  }

  double model_bytes(const ModelSpec& spec) const override {
    const double bytes = packed_bytes(spec, false);
    require_memory_for(spec, bytes);
    return bytes;
  }

  std::unique_ptr<BackendModel> create(Model model, const BackendOptions& options) const override {
    check_model(model, "create");
    const KernelTable* table = options.isa.empty() ? &kernels() : find_kernels(options.isa.c_str());
    if (table == nullptr)
      throw Error(ErrorCode::backend_unavailable, "[cpu] this machine has no " + options.isa + " kernels");
    return std::make_unique<CpuModel>(std::move(model), *table, threads_of(options));
  }
};

}  // namespace

}  // namespace set_native::cpu

namespace set_native {

const Backend& cpu_backend() {
  static const cpu::CpuBackend backend;
  return backend;
}

}  // namespace set_native
