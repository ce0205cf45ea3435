#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/backend.h"
#include "gpu/finite.h"
#include "gpu/passes.h"
#include "gpu/samples.h"

namespace set_native::gpu {

/**
 * Epochs of momentum SGD on a device. A step is a sequence of kernels, recorded once and
 * replayed for every step of every epoch: what differs between steps stands in a state on the device, which
 * the last kernel of a step moves on. Within an epoch nothing comes back to the host; a flag in memory that
 * both see tells the device to stop.
 *
 * Memory beside the model, for batches of b samples, b rounded up to 4: 4 b bytes per neuron and source that
 * a block sticks out by, as much again for neurons of piecewise activation, and, beyond kPassStride samples,
 * for the two widest layers; 12 bytes per sample, their number rounded up to a power of two; the samples
 * themselves.
 */
class Trainer {
 public:
  Trainer(Device& device, Network& network, SampleCache& cache);

  EpochResult run_epoch(const Samples& samples, const TrainOptions& options, const std::atomic<bool>& cancel);

  /** First place where the numbers of the batch that diverged, of so many samples, are not finite. */
  std::string place_of_divergence(size_t samples);

  /** To be called when layers have got other buffers. */
  void forget_recording() { step_.reset(); }

 private:
  void fit(const Samples& samples, const TrainOptions& options);
  void fit_order(uint64_t count);
  void upload_corrections(const TrainOptions& options, const StepRange& range);
  void queue_step(const DeviceSamples& samples, bool shuffle);
  template <class Watch>
  void replay_steps(const DeviceSamples& samples, bool shuffle, uint64_t steps, Watch&& watch);
  const Buffer* gradient_below(size_t l) const;

  /** What a recording of a step holds for. */
  struct StepKey {
    uint64_t upload = 0;  // of the samples
    bool shuffle = false;
    bool operator==(const StepKey& other) const { return upload == other.upload && shuffle == other.shuffle; }
  };

  Device& device_;
  Network& network_;
  SampleCache& cache_;
  uint32_t stride_ = 0;
  std::vector<std::unique_ptr<Buffer>> rows_;  // [l]: below layer l; the last: logits
  std::vector<std::unique_ptr<Buffer>>
      pre_activation_;             // [l]: z of layer l before a piecewise activation, or null
  std::unique_ptr<Buffer> dz_;     // gradient by the logits
  std::unique_ptr<Buffer> dx_[2];  // beyond kPassStride: gradients of two neighbouring layers in turn
  std::unique_ptr<Buffer> draws_, order_;
  std::unique_ptr<Buffer> corrections_;  // of AdamW, by step
  std::unique_ptr<Buffer> state_;
  FiniteFlags flags_;  // one per layer
  std::unique_ptr<SharedBuffer> cancel_;
  std::unique_ptr<Recording> step_;
  StepKey step_key_;
};

}  // namespace set_native::gpu
