#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <vector>

#include "core/dropout.h"
#include "core/training.h"
#include "cpu/pace.h"
#include "cpu/passes.h"
#include "cpu/replicas.h"
#include "layout/network.h"
#include "layout/thread_pool.h"

namespace set_native::cpu {

/** Deal of rows to threads: thread t owns the rows from deal[t] to deal[t + 1] - 1. */
using Deal = std::vector<uint32_t>;

/**
 * Trains epochs on a team of threads, by momentum SGD or AdamW.
 *
 * All threads of the team run the same steps, each on its own rows: targets in the forward pass, sources in
 * the backward pass, dealt so that all have about as many links, with a barrier after every layer. One thread
 * computes a row, in an order that does not depend on the deal, and every thread computes the same loss. So
 * the bits do not depend on the size of the team, which may change between steps (pace.h).
 */
class Trainer {
 public:
  Trainer(PackedNetwork& network, const KernelTable& table, ThreadPool& pool)
      : network_(network), table_(table), pool_(pool), pace_(pool.size()) {}

  /**
   * Trains the steps that the options name on samples that have been checked. Stops after a batch if `cancel`
   * is set.
   */
  EpochResult run_epoch(const Samples& samples, const TrainOptions& options, const std::atomic<bool>& cancel);

  /**
   * Names the first place where the numbers of the batch that diverged, of so many samples, are not finite:
   * the samples, or the weights or outputs of a layer.
   */
  std::string place_of_divergence(size_t samples) const;

 private:
  /** Work arrays of a layer, and how its rows are dealt. */
  struct LayerWork {
    Deal targets, sources;  // sources are dealt in groups
    // [t - 1][group]: first block whose target belongs to thread t or a later one.
    std::vector<std::vector<uint32_t>> cuts;
    Deal chunks;                 // for tiny batches: kChunks parts of the groups, for any number of threads
    AlignedVector<float> parts;  // for tiny batches: what each chunk adds to z
    Replicas weights;
    AlignedVector<float> shared_z;
    // Outputs. The backward pass replaces them, row by row, by the gradient by the pre-activation.
    Replicas z;
    // z before a piecewise activation, whose output does not determine it.
    AlignedVector<float> pre_activation;
  };
  /** Work arrays of a thread. */
  struct ThreadWork {
    std::vector<float> gradients;  // scratch of SparseBackward
    AlignedVector<float> dz;       // gradient by the output layer's z
  };
  struct Range {
    size_t begin, end;
  };
  struct Step {
    const Samples& samples;
    const uint32_t* order;
    const std::atomic<bool>& cancel;
    uint64_t first = 0;  // place of the batch in the order
    size_t batch = 0;    // number of samples
    UpdateRule rule{};
    uint32_t epoch = 1;
    Dropout dropout{};
  };

  void fit(size_t batch);
  void assemble(TeamMode mode);
  void deal_layer(size_t l);
  std::optional<double> step(unsigned thread, const Step& step);
  void gather_samples(unsigned thread, const Step& step);
  void pull_weights(unsigned thread);
  void forward(unsigned thread, const Step& step);
  void drop_rows(size_t l, float* z, size_t begin, size_t end, const Step& step);
  void scatter_sources(unsigned thread, size_t l, const float* x);
  /** Whether batches are so small that the forward pass deals sources to threads, too. */
  bool tiny() const { return stride_ <= kLongestScattered; }
  Cut cut(unsigned thread, size_t l) const;
  void backward(unsigned thread, const Step& step);
  void backward_layer(unsigned thread, size_t l, const float* dz, Replicas* dx, const Step& step);
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
  std::vector<float> targets_, sample_weights_;
  bool stopping_ = false;  // thread 0 writes it before a step's first barrier, all threads read it after it
};

}  // namespace set_native::cpu
