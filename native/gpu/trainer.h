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
 * Epochs of momentum SGD or AdamW on a device. A step is a sequence of kernels, recorded once and replayed
 * for every step of every epoch: numbers that differ between steps are in a state on the device, which the
 * last kernel of a step moves to the next one. Within an epoch nothing is downloaded; a flag in memory that
 * host and device both see tells the device to stop.
 *
 * Memory beside the model, for batches of b samples, b rounded up to a multiple of 4:
 *   4 b bytes per neuron, and per row by which the last block of a layer exceeds its sources,
 *   4 b bytes more per neuron of piecewise activation, and
 *   beyond kPassStride samples 8 b bytes per row of the widest matrix between two layers;
 *   12 bytes per sample, their number rounded up to a power of two, for the order;
 *   the samples themselves; 8 bytes per step of an epoch for AdamW.
 */
class Trainer {
 public:
  Trainer(Device& device, Network& network, SampleCache& cache);

  /**
   * Trains the steps of an epoch that options name; the recording is made when needed. Throws out_of_range
   * for more samples than can be shuffled, out_of_memory where the device lacks room.
   */
  EpochResult run_epoch(const Samples& samples, const TrainOptions& options, const std::atomic<bool>& cancel);

  /**
   * Returns the first place where numbers of the batch that diverged, of `samples` samples, are not finite.
   */
  std::string place_of_divergence(size_t samples);

  /** Drops the recording. To be called when a layer has new buffers. */
  void forget_recording() { step_.reset(); }

 private:
  void fit(const Samples& samples, const TrainOptions& options);
  void fit_order(uint64_t count);
  void upload_corrections(const TrainOptions& options, const StepRange& range);
  void queue_step(const DeviceSamples& samples, bool shuffle);
  template <class Watch>
  void replay_steps(const DeviceSamples& samples, bool shuffle, uint64_t steps, Watch&& watch);
  const Buffer* gradient_below(size_t l) const;

  /** The samples, the order and the numbers that a recording of a step uses. */
  struct StepKey {
    uint64_t upload = 0;  // DeviceSamples::upload
    bool shuffle = false, corrects = false;
    uint32_t threshold = 0;  // of the dropout
    bool operator==(const StepKey& other) const {
      return upload == other.upload && shuffle == other.shuffle && corrects == other.corrects &&
             threshold == other.threshold;
    }
  };

  Device& device_;
  Network& network_;
  SampleCache& cache_;
  uint32_t stride_ = 0;
  // [l]: the matrix below layer l; the last: the logits.
  std::vector<std::unique_ptr<Buffer>> rows_;
  // [l]: z of layer l before a piecewise activation, or null.
  std::vector<std::unique_ptr<Buffer>> pre_activation_;
  std::unique_ptr<Buffer> dz_;             // gradient by the logits
  std::unique_ptr<Buffer> dx_[2];          // beyond kPassStride: gradients of two neighbouring layers in turn
  std::unique_ptr<Buffer> draws_, order_;  // random draws, and samples sorted by them
  std::unique_ptr<Buffer> corrections_;    // rate, scale and decay of the rule by step, or null
  bool corrects_ = false;                  // whether the rule differs from step to step
  Dropout dropout_;                        // of the epoch
  std::unique_ptr<Buffer> state_;          // StepState
  FiniteFlags flags_;                      // one flag per layer
  std::unique_ptr<SharedBuffer> cancel_;   // u32: not 0 tells the device to stop
  std::unique_ptr<Recording> step_;
  StepKey step_key_;
};

}  // namespace set_native::gpu
