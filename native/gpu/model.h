#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "core/backend.h"
#include "gpu/device.h"
#include "gpu/evolve.h"
#include "gpu/inference.h"
#include "gpu/passes.h"
#include "gpu/samples.h"
#include "gpu/trainer.h"
#include "layout/network.h"

namespace set_native::gpu {

/**
 * A model that lives in the memory of a device and is trained, evolved and evaluated there. gpu/layer.h says
 * how much memory a layer takes, gpu/trainer.h and gpu/inference.h how much a batch takes. A request that
 * does not fit is refused before anything is allocated.
 */
class GpuModel final : public BackendModel {
 public:
  GpuModel(std::shared_ptr<Device> device, Model model);

  using BackendModel::evolve;
  Model download() const override;
  double train_epoch(const Samples& samples, const TrainOptions& options,
                     const std::atomic<bool>& cancel) override;
  Evaluation evaluate(const Samples& samples, const std::atomic<bool>& cancel) override;
  void predict(const Samples& samples, float* out, const std::atomic<bool>& cancel) override;
  std::vector<LayerEvolution> evolve(const EvolutionPolicy& policy, const EvolutionTime& time,
                                     const Samples* probe) override;
  std::vector<LayerStats> stats() const override;
  unsigned threads() const override { return 1; }

 private:
  PackedNetwork download_network() const;

  std::shared_ptr<Device> device_;  // first, because it must outlive all buffers below
  Network network_;
  SampleCache cache_;
  Trainer trainer_;
  Inference inference_;
  Evolution evolution_;
};

}  // namespace set_native::gpu
