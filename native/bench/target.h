#pragma once

#include <memory>
#include <vector>

#include "bench/measure.h"
#include "bench/work.h"
#include "core/backend.h"

namespace set_native::bench {

/** What the cases of whole networks run on: a back end, the clock for it, and what it can do at most. */
class Target {
 public:
  virtual ~Target() = default;
  virtual std::unique_ptr<BackendModel> create(Model model, unsigned threads) = 0;
  /** Floats between rows of so many samples. */
  virtual size_t stride(size_t batch) const = 0;
  /** For calls of the model made last. */
  virtual Stopwatch& stopwatch() = 0;
  /** Of `times` repetitions of all of `work`. */
  virtual Limit limit(const std::vector<Work>& work, double times, unsigned threads) = 0;
};

/** The CPU back end with these kernels, and the wall clock. Both must outlive it. */
std::unique_ptr<Target> cpu_target(const cpu::KernelTable& kernels, Machine& machine);

}  // namespace set_native::bench
