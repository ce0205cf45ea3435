#pragma once

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/evolution.h"
#include "core/model.h"

namespace set_native {

namespace gpu {
class TimedDevice;
}

/**
 * A view of samples in host memory, row by row: x is [count][features]. Either `labels` (class numbers,
 * one-hot targets; with a single output the label itself is the target) or `targets` [count][outputs] or
 * neither.
 */
struct Samples {
  const float* x = nullptr;
  const uint32_t* labels = nullptr;
  const float* targets = nullptr;
  uint64_t count = 0;
  uint32_t features = 0;
  uint32_t outputs = 0;  // columns of `targets`
  uint64_t id = 0;  // what tells these samples from all others, as long as the process lives, if they never
                    // change (next_samples_id); 0: no such promise, so no back end keeps a copy of its own
};

/** A number that no samples have had before. */
uint64_t next_samples_id();

/**
 * One step of momentum SGD on the mean loss of a batch:
 *   v = momentum v - learning_rate (dw + l2 w),   w = w + (v - decay w).
 * The thesis' weight decay is `decay` (not scaled by the learning rate, biases too); coupled L2 is `l2`.
 */
struct TrainOptions {
  uint32_t epoch = 1;  // 1-based; with the model's seed it determines the order of the samples
  uint32_t batch_size = 40;
  float learning_rate = 0.05f;
  float momentum = 0.9f;
  float l2 = 0.0f;
  float decay = 0.0002f;
  bool shuffle = true;
};

struct Evaluation {
  double loss = 0.0;      // mean over the samples
  double accuracy = 0.0;  // share of samples whose largest output is the label; 0 without labels
};

struct LayerStats {
  uint32_t inputs;
  uint32_t outputs;
  bool dense;
  uint64_t nnz;
  std::vector<uint64_t> links_by_birth;  // [e] = links born in the evolution after epoch e, [kLastBirth]
                                         // after that or a later one; [0] = initial links
};

/** A model that lives on a device. Not for use from two threads at once. */
class BackendModel {
 public:
  virtual ~BackendModel() = default;

  /** The whole state, copied back to the host. */
  virtual Model download() const = 0;

  /**
   * One pass over the samples. Returns the mean training loss. `cancel` is polled once per batch; when set,
   * Error(aborted) is thrown and the model holds the batches done so far.
   * Throws non_finite naming epoch, batch and layer when the loss stops being a number, and when a weight has
   * at the end of the epoch.
   */
  virtual double train_epoch(const Samples& samples, const TrainOptions& options,
                             const std::atomic<bool>& cancel) = 0;

  /** Mean loss and accuracy. Throws non_finite when the loss is not a number. */
  virtual Evaluation evaluate(const Samples& samples, const std::atomic<bool>& cancel) = 0;

  /**
   * Outputs after softmax, sigmoid or nothing, as the loss has it, into out [count][outputs]. Throws
   * non_finite naming the first row of which an output overflowed, be it only before the softmax or sigmoid.
   */
  virtual void predict(const Samples& samples, float* out, const std::atomic<bool>& cancel) = 0;

  /**
   * Prune and regrow every sparse hidden layer; one entry per layer, zeros where nothing was done. An
   * evolution that is refused (out_of_range, non_finite) leaves every layer as it was.
   */
  virtual std::vector<LayerEvolution> evolve(const EvolutionPolicy& policy, uint32_t epoch) = 0;

  virtual std::vector<LayerStats> stats() const = 0;

  /** Threads that compute. */
  virtual unsigned threads() const = 0;
};

constexpr unsigned kMaxThreads = 1024;

struct BackendOptions {
  uint32_t threads = 0;  // CPU: threads that compute, 0 = available_cpus(), at most kMaxThreads
  std::string isa{};     // CPU: kernels by name; empty = SET_NATIVE_ISA, else the widest this machine runs
};

struct Availability {
  bool available = false;
  std::string device;  // when available: what computes
  std::string reason;  // when not: "not available, because ..."
};

/** What a GPU holds at once. */
struct Capacity {
  uint64_t memory = 0;  // bytes in all
  uint32_t warps = 0;   // of 32 threads
};

class Backend {
 public:
  virtual ~Backend() = default;
  virtual const char* name() const = 0;
  virtual Availability probe() const = 0;
  /** Takes the model over. Throws backend_unavailable with the reason of `probe`. */
  virtual std::unique_ptr<BackendModel> create(Model model, const BackendOptions& options) const = 0;

  /** Zeros where it is not known, or there is no GPU. */
  virtual Capacity capacity() const { return {}; }
  /** A device of its own for measurements, with nothing on it. Throws backend_unavailable where there is no
   * GPU. */
  virtual std::unique_ptr<gpu::TimedDevice> open_device() const;

  // The first use of a GPU may take the process down: a program that must go on has another process try it
  // before. From `probe` on the back end counts as used.
  /** What a first use would open, if this process has neither opened nor refused it; empty: there is nothing
   * to try. */
  virtual std::string untried() const { return ""; }
  /** Uses the device for the first time, a little. "not available, because ...", or empty: all went well. */
  virtual std::string try_out() const { return ""; }
  /** From now on not available in this process, because of `reason`. False, without effect, once it was
   * opened. */
  virtual bool refuse(const std::string&) const { return false; }
};

const Backend& cpu_backend();
const Backend& cuda_backend();
const Backend& metal_backend();
const Backend& reference_backend();

/** All of the above, in the order in which they are listed to users. */
std::vector<const Backend*> backends();

/** The one called `name`; throws invalid_argument listing the names. */
const Backend& find_backend(const std::string& name);

/** Order of the samples in an epoch: random_order of stream `shuffle`, or as they come. */
std::vector<uint32_t> epoch_order(uint64_t seed, uint32_t epoch, uint64_t count, bool shuffle);

/** Counts links by birth epoch; length = last birth + 1. Dense layers: all links are initial. */
LayerStats layer_stats(const Layer& layer);

/**
 * Throws invalid_argument, shape or out_of_range unless the samples fit a model of so many features and
 * outputs: labels included, and at least one sample. With a single output labels are 0 or 1.
 */
void check_samples(const Samples& samples, uint32_t features, uint32_t outputs, const std::string& operation);

/** check_samples for samples that need labels or targets: those of training and evaluation. */
void check_targets(const Samples& samples, uint32_t features, uint32_t outputs, const std::string& operation);

/** Throws out_of_range unless the batch has a sample and the rates are finite and not negative. */
void check_options(const TrainOptions& options, const std::string& operation);

/** Throw non_finite: the loss of a batch, counted from 1, because of what overflowed at `place`; ... */
[[noreturn]] void refuse_loss(uint32_t epoch, uint64_t batch, const std::string& place);
/** ... and the weights that an epoch left in a layer, counted from 1. */
[[noreturn]] void refuse_trained(uint32_t epoch, size_t layer, size_t layers);

/** The first row of values [count][outputs] with a number that is not finite; `count` where all are. */
template <class Number>
uint64_t first_overflow(const Number* values, uint64_t count, size_t outputs) {
  const Number* const end = values + count * outputs;
  const Number* const found = std::find_if(values, end, [](Number value) { return !std::isfinite(value); });
  return static_cast<uint64_t>(found - values) / outputs;
}
/** Throws non_finite: the outputs of a row of samples, counted from 0, because of what overflowed at `place`.
 */
[[noreturn]] void refuse_outputs(uint64_t row, const std::string& place);

}  // namespace set_native
