#include "gpu/model.h"

#include <algorithm>
#include <numeric>
#include <optional>
#include <string>
#include <utility>

#include "core/available_cpus.h"
#include "core/error.h"
#include "cpu/kernels.h"
#include "cpu/probe.h"
#include "layout/network.h"

namespace set_native::gpu {

namespace {

Network upload_network(Device& device, Model model) {
  check_model(model, "create");
  PackedNetwork host = pack_network(std::move(model));
  size_t bytes = 0;
  for (const PackedLayer& layer : host.layers) bytes += layer_bytes(layer);
  require_device_memory(device, bytes, "[create] a model of " + std::to_string(host.nnz()) + " links");
  Network network;
  network.optimizer = host.optimizer;
  network.loss = host.loss;
  network.seed = host.seed;
  for (PackedLayer& layer : host.layers) {
    network.layers.push_back(upload_layer(device, layer));
    layer = {};
  }
  return network;
}

/** Returns what core's layer_stats returns. Downloads only the births of the layer. */
LayerStats layer_stats(Device& device, const Layer& layer) {
  LayerStats stats{};
  stats.inputs = layer.inputs;
  stats.outputs = layer.outputs;
  stats.dense = layer.dense;
  if (layer.dense) {
    stats.nnz = uint64_t{layer.inputs} * layer.outputs;
    stats.links_by_birth = {stats.nnz};
    return stats;
  }
  const uint32_t last = layer.groups - 1;
  uint32_t truncated = 0;  // the last group's first block
  device.download(&truncated, *layer.offsets, last * sizeof(uint32_t), sizeof truncated);
  AlignedVector<uint16_t> birth;
  if (layer.birth != nullptr) {
    birth.resize(layer.birth->bytes() / sizeof birth[0]);
    device.download(birth.data(), *layer.birth, 0, layer.birth->bytes());
  }
  stats.links_by_birth = links_by_birth(birth, layer.height, truncated, layer.inputs - last * layer.height);
  stats.nnz = std::accumulate(stats.links_by_birth.begin(), stats.links_by_birth.end(), uint64_t{0});
  return stats;
}

}  // namespace

GpuModel::GpuModel(std::shared_ptr<Device> device, Model model)
    : device_(std::move(device)),
      network_(upload_network(*device_, std::move(model))),
      cache_(*device_),
      trainer_(*device_, network_, cache_),
      inference_(*device_, network_, cache_),
      evolution_(*device_) {}

PackedNetwork GpuModel::download_network() const {
  PackedNetwork host;
  host.optimizer = network_.optimizer;
  host.loss = network_.loss;
  host.seed = network_.seed;
  for (const Layer& layer : network_.layers) host.layers.push_back(download_layer(*device_, layer));
  return host;
}

Model GpuModel::download() const {
  return unpack_network(download_network());
}

double GpuModel::train_epoch(const Samples& samples, const TrainOptions& options,
                             const std::atomic<bool>& cancel) {
  check_targets(samples, network_.features(), network_.outputs(), network_.loss, "train");
  check_options(options, "train");
  const EpochResult result = trainer_.run_epoch(samples, options, cancel);
  return mean_loss(result, options, samples.count, network_.layers.size(),
                   [&] { return trainer_.place_of_divergence(result.divergence.samples); });
}

Evaluation GpuModel::evaluate(const Samples& samples, const std::atomic<bool>& cancel) {
  check_targets(samples, network_.features(), network_.outputs(), network_.loss, "evaluate");
  return inference_.evaluate(samples, cancel);
}

void GpuModel::predict(const Samples& samples, float* out, const std::atomic<bool>& cancel) {
  check_samples(samples, network_.features(), network_.outputs(), "predict");
  inference_.predict(samples, out, cancel);
}

std::vector<LayerEvolution> GpuModel::evolve(const EvolutionPolicy& policy, const EvolutionTime& time,
                                             const Samples* probe) {
  // Growth by gradient takes its passes on the host, over a copy of the network.
  std::optional<PackedNetwork> copy;
  std::optional<cpu::Probe> gradients;
  if (policy.grow == Grow::gradient) {
    copy.emplace(download_network());
    check_probe(probe, copy->features(), copy->outputs(), copy->loss);
    ThreadPool pool(std::min(available_cpus(), 16u));
    gradients.emplace(*copy, cpu::kernels(), pool, *probe, time.epoch);
  }
  return evolve_layers(
      network_.layers.size(), network_.seed, policy, time,
      [&](size_t l, const EvolutionKey& key) { return evolution_.begin(network_.layers[l], policy, key); },
      [&](size_t l, const EvolutionKey& key) {
        Layer& layer = network_.layers[l];
        const Buffer* const weights = layer.weights.get();
        const CellScores scores = gradients ? gradients->scores(l) : CellScores();
        const LayerEvolution counts = evolution_.run(layer, policy, key, gradients ? &scores : nullptr);
        if (layer.weights.get() != weights)
          trainer_.forget_recording();  // blocks of another height: all buffers are new
        return counts;
      });
}

std::vector<LayerStats> GpuModel::stats() const {
  std::vector<LayerStats> all;
  for (const Layer& layer : network_.layers) all.push_back(layer_stats(*device_, layer));
  return all;
}

}  // namespace set_native::gpu
