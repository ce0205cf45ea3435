#pragma once

#include <atomic>

#include "core/training.h"
#include "cpu/passes.h"
#include "layout/network.h"
#include "layout/thread_pool.h"

namespace set_native::cpu {

/**
 * Evaluation and prediction. One thread takes a batch of samples through the whole network, so threads share
 * only the weights. The cut of samples into batches depends only on the network, so the bits are the same for
 * any number of threads.
 */
class Inference {
 public:
  Inference(const PackedNetwork& network, const KernelTable& table, ThreadPool& pool)
      : network_(network), table_(table), pool_(pool) {}

  Evaluation evaluate(const Samples& samples, const std::atomic<bool>& cancel);
  void predict(const Samples& samples, float* out, const std::atomic<bool>& cancel);

 private:
  /** Two matrices of a thread that alternate as input and output of a layer. */
  struct ThreadWork {
    AlignedVector<float> rows[2];
  };

  template <class Batch>
  void for_batches(const Samples& samples, const char* operation, const std::atomic<bool>& cancel,
                   Batch&& body);
  float* logits(ThreadWork& work, const Samples& samples, uint64_t first, size_t batch, size_t stride);
  std::string place_of_overflow(const Samples& samples, uint64_t first, size_t batch) const;

  const PackedNetwork& network_;
  const KernelTable& table_;
  ThreadPool& pool_;
  std::vector<ThreadWork> work_;
};

}  // namespace set_native::cpu
