#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <vector>

#include "core/evolution.h"
#include "core/model.h"
#include "core/samples.h"
#include "core/training.h"

namespace set_native {

/** Samples to predict, and where their outputs go: out [count][outputs]. */
struct Request {
  Samples samples;
  float* out = nullptr;
};

/** A model on a device. Two threads must not use it at the same time. */
class BackendModel {
 public:
  virtual ~BackendModel() = default;

  /** Copies the whole state back to the host. */
  virtual Model download() const = 0;

  /**
   * Trains one epoch, or the steps of it that the options name. Returns the mean training loss. `cancel` is
   * polled once per batch; when it is set, Error(aborted) is thrown and the model keeps the updates of the
   * batches done so far. Throws non_finite, naming epoch, batch and layer, when a loss is not finite, and
   * when a weight is not finite at the end of the epoch.
   */
  virtual double train_epoch(const Samples& samples, const TrainOptions& options,
                             const std::atomic<bool>& cancel) = 0;

  /** Returns mean loss and accuracy. Throws non_finite when the loss is not finite. */
  virtual Evaluation evaluate(const Samples& samples, const std::atomic<bool>& cancel) = 0;

  /**
   * Writes the outputs to out [count][outputs], after the softmax or sigmoid of the loss (mse has none).
   * Throws non_finite, naming the first row with an output that overflowed, even if only before softmax or
   * sigmoid.
   */
  virtual void predict(const Samples& samples, float* out, const std::atomic<bool>& cancel) = 0;

  /**
   * Predicts every request as `predict` does, to the same bits. Returns for each request the exception that
   * `predict` would have thrown, or null: a request that fails leaves the others as they are.
   */
  virtual std::vector<std::exception_ptr> predict_each(const std::vector<Request>& requests,
                                                       const std::atomic<bool>& cancel) {
    std::vector<std::exception_ptr> failures(requests.size());
    for (size_t r = 0; r < requests.size(); ++r) {
      try {
        predict(requests[r].samples, requests[r].out, cancel);
      } catch (...) {
        failures[r] = std::current_exception();
      }
    }
    return failures;
  }

  /**
   * Prunes and regrows every sparse hidden layer, and the output layer if the policy says so. Returns one
   * entry per layer, zeros for layers that were not evolved. A refused evolution (out_of_range, non_finite)
   * leaves every layer as it was. `probe` holds the samples whose gradients growth by gradient looks at, the
   * first in the order of the epoch; it may be null for other policies. Throws invalid_argument where it is
   * missing, non_finite where a loss is not finite.
   */
  virtual std::vector<LayerEvolution> evolve(const EvolutionPolicy& policy, const EvolutionTime& time,
                                             const Samples* probe) = 0;
  std::vector<LayerEvolution> evolve(const EvolutionPolicy& policy, const EvolutionTime& time) {
    return evolve(policy, time, nullptr);
  }

  virtual std::vector<LayerStats> stats() const = 0;

  /** Number of CPU threads that compute. */
  virtual unsigned threads() const = 0;
};

constexpr unsigned kMaxThreads = 1024;

struct BackendOptions {
  uint32_t threads = 0;  // CPU: number of threads, at most kMaxThreads; 0: available_cpus()
  std::string isa{};     // CPU: name of the kernels; empty: SET_NATIVE_ISA, else the widest this machine runs
};

struct Availability {
  bool available = false;
  std::string device;  // description of the device; empty when not available
  std::string reason;  // "not available, because ..."; empty when available
};

class Backend {
 public:
  virtual ~Backend() = default;
  virtual const char* name() const = 0;
  virtual Availability probe() const = 0;
  /**
   * Expected bytes of a model of `spec` in this back end's memory, without activations. Throws as build_model
   * does, and out_of_memory where the model does not fit.
   */
  virtual double model_bytes(const ModelSpec& spec) const = 0;
  /** Moves a model to the device. Throws backend_unavailable with the reason that `probe` gives. */
  virtual std::unique_ptr<BackendModel> create(Model model, const BackendOptions& options) const = 0;

  // The first use of a device may crash the process. A program that must survive lets another process use the
  // device first. `probe` counts as a use.
  /**
   * Name of what the first use would open, if this process has neither opened nor refused it; empty if there
   * is nothing to try.
   */
  virtual std::string untried() const { return ""; }
  /** Uses the device briefly. Returns "not available, because ...", or an empty string on success. */
  virtual std::string try_out() const { return ""; }
  /**
   * Makes the device unavailable in this process from now on, for the reason given. Returns false, without
   * effect, if the device has been opened already.
   */
  virtual bool refuse(const std::string&) const { return false; }
};

}  // namespace set_native
