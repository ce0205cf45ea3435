#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/evolution.h"
#include "core/model.h"
#include "core/samples.h"
#include "core/training.h"

namespace set_native {

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
   * evolution that is refused (out_of_range, non_finite) leaves every layer as it was. `probe`, which may be
   * null, names samples for policies whose growth looks at data; none does yet.
   */
  virtual std::vector<LayerEvolution> evolve(const EvolutionPolicy& policy, const EvolutionTime& time,
                                             const Samples* probe) = 0;
  std::vector<LayerEvolution> evolve(const EvolutionPolicy& policy, const EvolutionTime& time) {
    return evolve(policy, time, nullptr);
  }

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

class Backend {
 public:
  virtual ~Backend() = default;
  virtual const char* name() const = 0;
  virtual Availability probe() const = 0;
  /**
   * Bytes that a model of `spec` takes where this back end keeps it, from expected numbers, but for
   * activations. Throws as build_model does: out_of_memory where it cannot be held.
   */
  virtual double model_bytes(const ModelSpec& spec) const = 0;
  /** Takes the model over. Throws backend_unavailable with the reason of `probe`. */
  virtual std::unique_ptr<BackendModel> create(Model model, const BackendOptions& options) const = 0;

  // The first use of a device may take the process down: a program that must go on has another process try it
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

}  // namespace set_native
