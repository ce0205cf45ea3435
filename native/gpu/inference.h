#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "core/backend.h"
#include "gpu/finite.h"
#include "gpu/passes.h"
#include "gpu/samples.h"

namespace set_native::gpu {

/**
 * Evaluation and prediction on a device, in batches of up to kBatch samples, fewer where layers are very
 * wide. The size of a batch depends on the network alone. Samples with an id stay on the device; others are
 * uploaded batch by batch. Memory, kept between calls: two matrices of the widest layer's neurons x the
 * batch, and a batch of samples and outputs.
 */
class Inference {
 public:
  Inference(Device& device, const Network& network, SampleCache& cache)
      : device_(device), network_(network), cache_(cache), flags_(device, 1) {}

  Evaluation evaluate(const Samples& samples, const std::atomic<bool>& cancel);
  void predict(const Samples& samples, float* out, const std::atomic<bool>& cancel);

 private:
  static constexpr uint32_t kBatch = 1024;
  static constexpr uint32_t kLeastBatch = 128;
  // Floats of a matrix beyond which batches are halved, down to kLeastBatch.
  static constexpr uint64_t kLargestMatrix = uint64_t{1} << 26;

  /** Place of a batch on the device. */
  struct Batch {
    Binding x, labels, targets, weights;
    uint32_t first = 0;  // first sample of the batch in these
    uint32_t size = 0;
    const Buffer* logits = nullptr;
  };
  template <class Body>
  void for_batches(const Samples& samples, const char* operation, const std::atomic<bool>& cancel,
                   Body&& body);
  void fit(const Samples& samples, const char* operation);
  void fit_buffer(std::unique_ptr<Buffer>& buffer, size_t bytes, const std::string& what);
  Batch stage(const Samples& samples, const DeviceSamples* there, uint64_t first, uint32_t size);
  const Buffer* queue_layer(size_t l, bool second);
  std::string place_of_overflow(const Samples& samples, uint64_t first);

  Device& device_;
  const Network& network_;
  SampleCache& cache_;
  FiniteFlags flags_;  // one flag
  uint32_t batch_ = 0, stride_ = 0;
  std::unique_ptr<Buffer> rows_[2];  // input and output of a layer, in turn
  // One batch of samples that do not stay.
  std::unique_ptr<Buffer> x_, labels_, targets_, weights_;
  std::unique_ptr<Buffer> outputs_, sums_, correct_;
};

}  // namespace set_native::gpu
