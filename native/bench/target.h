#pragma once

#include <memory>
#include <vector>

#include "bench/measure.h"
#include "bench/work.h"
#include "core/backend.h"

namespace set_native::bench {

/** The target of cases of whole networks: a back end, the clock for it, and the limits of its hardware. */
class Target {
 public:
  virtual ~Target() = default;
  virtual std::unique_ptr<BackendModel> create(Model model, unsigned threads) = 0;
  /** Returns the floats from one row of `batch` samples to the next. */
  virtual size_t stride(size_t batch) const = 0;
  /** Returns the clock for calls of the model made last. */
  virtual Stopwatch& stopwatch() = 0;
  /** Returns the limit of `times` repetitions of all of `work`. */
  virtual Limit limit(const std::vector<Work>& work, double times, unsigned threads) = 0;
};

/** Returns the CPU back end with the wall clock. `kernels` and `machine` must outlive it. */
std::unique_ptr<Target> cpu_target(const cpu::KernelTable& kernels, Machine& machine);

}  // namespace set_native::bench
