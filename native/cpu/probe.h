#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "core/aligned.h"
#include "core/evolution.h"
#include "core/samples.h"
#include "cpu/kernels.h"
#include "layout/network.h"
#include "layout/thread_pool.h"

namespace set_native::cpu {

/**
 * A forward and a backward pass over some samples that changes nothing, and the gradients that follow for
 * cells without a link: g_ij = sum over the samples of x_i dz_j, dz_j being the gradient of a sample's loss
 * by the target's input. Nothing is dropped. 8 bytes per neuron and sample.
 *
 * There are probe_samples(...) of them. The bits do not depend on the number of threads.
 */
class Probe {
 public:
  /** Runs both passes. Throws non_finite where a loss is not finite. */
  Probe(const PackedNetwork& network, const KernelTable& table, ThreadPool& pool, const Samples& samples,
        uint32_t epoch);

  /** Scores of the cells of a layer: g^2. They live as long as the probe. */
  CellScores scores(size_t layer) const;

 private:
  /** Samples that are passed together: of each layer its input and the gradient by its z. */
  struct Batch {
    size_t size = 0, stride = 0;
    std::vector<float*> x, dz;  // per layer: rows x stride, in memory_
  };

  void place(float* memory, Batch& batch) const;
  void pass(Batch& batch, const Samples& samples, const uint32_t* order, uint64_t first) const;
  void forward(Batch& batch, float* logits, std::vector<AlignedVector<float>>& pre_activation) const;
  void backward(Batch& batch, std::vector<AlignedVector<float>>& pre_activation) const;

  const PackedNetwork& network_;
  const KernelTable& table_;
  size_t rows_ = 0;  // of all matrices of a batch
  // One piece of memory for all batches, not initialised: small pieces would cost a page fault per 4 kB.
  struct Release {
    size_t floats;
    void operator()(float* memory) const { AlignedAllocator<float>().deallocate(memory, floats); }
  };
  std::unique_ptr<float[], Release> memory_;
  std::vector<Batch> batches_;
};

}  // namespace set_native::cpu
