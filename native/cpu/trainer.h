#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <vector>

#include "core/training.h"
#include "cpu/pace.h"
#include "cpu/passes.h"
#include "cpu/replicas.h"
#include "layout/network.h"
#include "layout/thread_pool.h"

namespace set_native::cpu {

/** first[t] .. first[t + 1] are the rows of thread t. */
using Deal = std::vector<uint32_t>;

/**
 * Epochs of momentum SGD on a team of threads.
 *
 * All threads of the team run the same steps, each on its own rows: targets forward and sources backward,
 * dealt so that all have about the same number of links, with a barrier after every layer. A row is computed
 * by one thread in an order that the dealing does not touch, and the loss by every thread alike: the bits do
 * not depend on the size of the team, which may thus change between steps, and does when threads keep waiting
 * for each other (TeamSize).
 */
class Trainer {
 public:
  Trainer(PackedNetwork& network, const KernelTable& table, ThreadPool& pool)
      : network_(network), table_(table), pool_(pool), pace_(pool.size()) {}

  /** One pass over the samples, which have been checked. Stops after a batch when `cancel` is set. */
  EpochResult run_epoch(const Samples& samples, const TrainOptions& options, const std::atomic<bool>& cancel);

  /** First place where the numbers of a batch that diverged are not finite: the samples, weights or outputs
   * of a layer.
   */
  std::string place_of_divergence(size_t samples) const;

 private:
  struct LayerWork {
    Deal targets, sources;
    std::vector<std::vector<uint32_t>>
        cuts;     // [t - 1][group]: first block whose target belongs to thread t or a later one
    Deal chunks;  // tiny batches: kChunks parts of the groups, however many threads there are
    AlignedVector<float> parts;  // and what each of them adds to z
    Replicas weights;
    AlignedVector<float> shared_z;
    Replicas z;  // outputs; on the way back, row by row, the gradient by what they were before the activation
    AlignedVector<float> pre_activation;  // z before a piecewise activation, which its output does not tell
  };
  /** What one thread needs for itself. */
  struct ThreadWork {
    std::vector<float> gradients;  // of a few rows
    AlignedVector<float> dz;       // gradient by the output layer's z
  };
  struct Range {
    size_t begin, end;
  };
  struct Step {
    const Samples& samples;
    const uint32_t* order;
    const std::atomic<bool>& cancel;
    uint64_t first = 0;
    size_t batch = 0;
    UpdateRule rule{};
  };

  void fit(size_t batch);
  void assemble(TeamMode mode);
  void deal_layer(size_t l);
  std::optional<double> step(unsigned thread, const Step& step);
  void gather_samples(unsigned thread, const Step& step);
  void pull_weights(unsigned thread);
  void forward(unsigned thread);
  void scatter_sources(unsigned thread, size_t l, const float* x);
  /** Rows so short that sources are dealt to threads forward, too. */
  bool tiny() const { return stride_ <= kLongestScattered; }
  Cut cut(unsigned thread, size_t l) const;
  void backward(unsigned thread, const UpdateRule& rule);
  void backward_layer(unsigned thread, size_t l, const float* dz, Replicas* dx, const UpdateRule& rule);
  void backward_piecewise(size_t l, float* dy, size_t begin, size_t end, const UpdateRule& rule);
  void update_output_bias(const float* dz, const UpdateRule& rule);
  size_t source_stride(size_t l) const;
  Range own_weights(unsigned thread, size_t l) const;

  PackedNetwork& network_;
  const KernelTable& table_;
  ThreadPool& pool_;
  Pace pace_;
  unsigned team_ = 0;
  size_t stride_ = 0;
  std::vector<LayerWork> work_;
  std::vector<ThreadWork> thread_work_;
  Deal features_;
  AlignedVector<float> shared_input_;
  Replicas input_;
  std::vector<uint32_t> labels_;
  std::vector<float> targets_;
  bool stopping_ = false;  // written by thread 0 before a step's first barrier, read by all after it
};

}  // namespace set_native::cpu
