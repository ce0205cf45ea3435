#pragma once

#include <atomic>
#include <exception>
#include <memory>
#include <vector>

#include "core/backend.h"
#include "cpu/passes.h"
#include "layout/network.h"
#include "layout/target_rows.h"
#include "layout/thread_pool.h"

namespace set_native::cpu {

/**
 * Evaluation and prediction. One thread takes a batch of samples through the whole network, so threads share
 * only the weights. The cut of samples into batches depends only on the network and their number, so the bits
 * are the same for any number of threads, and for requests that are predicted together or one by one.
 */
class Inference {
 public:
  Inference(const PackedNetwork& network, const KernelTable& table, ThreadPool& pool)
      : network_(network), table_(table), pool_(pool) {}

  Evaluation evaluate(const Samples& samples, const std::atomic<bool>& cancel);
  void predict(const Samples& samples, float* out, const std::atomic<bool>& cancel);
  /**
   * Predicts every request, of which threads take whole ones where they fit into a batch. Returns for each
   * the exception that it failed with, or null.
   */
  std::vector<std::exception_ptr> predict_each(const std::vector<Request>& requests,
                                               const std::atomic<bool>& cancel);
  /** Forgets what was made of the weights: they are about to change. */
  void weights_change();

 private:
  /** Two matrices of a thread that alternate as input and output of a layer. */
  struct ThreadWork {
    AlignedVector<float> rows[2];
  };

  template <class Batch>
  void for_batches(const Samples& samples, const char* operation, const std::atomic<bool>& cancel,
                   Batch&& body);
  void expect_singles(size_t count);
  void reserve(unsigned team, size_t floats, size_t batch, const char* operation);
  bool write_outputs(float* z, size_t batch, size_t stride, float* out) const;
  void predict_small(ThreadWork& work, const Request& request);
  float* logits(ThreadWork& work, const Samples& samples, uint64_t first, size_t batch, size_t stride);
  void check_outputs(const Samples& samples, const float* out) const;
  std::string place_of_overflow(const Samples& samples, uint64_t first, size_t batch) const;

  const PackedNetwork& network_;
  const KernelTable& table_;
  ThreadPool& pool_;
  std::vector<ThreadWork> work_;
  // Layers by target for single samples, null for those of other forms; empty until it pays to have them.
  std::vector<std::unique_ptr<const AnyTargetRows>> rows_;
  size_t singles_ = 0;  // single samples that were predicted since the weights changed
};

}  // namespace set_native::cpu
