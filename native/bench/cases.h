#pragma once

#include <atomic>
#include <map>
#include <string>
#include <vector>

#include "bench/ceilings.h"
#include "bench/measure.h"
#include "bench/target.h"
#include "bench/work.h"
#include "core/backend.h"

namespace set_native::bench {

class GpuTarget;

/** The things that all cases share: kernels, the measured machine, the target, samples and cancellation. */
struct Context {
  Context(const cpu::KernelTable& kernels, const std::atomic<bool>& cancelled)
      : table(kernels), machine(kernels), target(cpu_target(kernels, machine)), cancel(cancelled) {}

  /**
   * Returns `count` samples of uniform noise, in which sample s has label s % classes. Valid until a call
   * with other arguments.
   */
  Samples samples(uint32_t count, uint32_t features, uint32_t classes);

  const cpu::KernelTable& table;
  Machine machine;
  std::unique_ptr<Target> target;
  const std::atomic<bool>& cancel;

 private:
  uint32_t features_ = 0, classes_ = 0;
  std::vector<float> x_;
  std::vector<uint32_t> labels_;
};

struct Result {
  std::string failure;  // difference from the reference, or ""; after one nothing is timed
  Times times;
  double links = 0.0;  // visits of links by one call; 0 for a case without links
  double flops = 0.0;  // operations of one call
  double bytes = 0.0;  // bytes that one call moves, by the formulas of work.h
  Limit limit;         // limit of one call; name "": none is known
};

/** One thing to time. Parameters that do not apply are 0. */
struct Case {
  std::string op;
  std::vector<uint32_t> sizes;  // neurons per layer, inputs first; for a case without layers one number
  double epsilon = 0.0;
  uint32_t batch = 0;
  uint32_t motif_size = 0;
  uint32_t samples = 0;
  unsigned threads = 1;
  /** Compares the operation with the reference, then times it. Throws Error(aborted) when cancelled. */
  Result (*run)(const Case&, Context&) = nullptr;

  /** Returns the sizes: "784-3000-10". */
  std::string shape() const;
  /** Returns the unique name: "sparse-forward 3000-3000 epsilon=13 batch=40 motif=1 threads=1". */
  std::string name() const;
};

/**
 * Returns a model with seed 1: motifs of `motif_size` sources, single links if it is 1; dense for epsilon 0.
 */
ModelSpec spec_of(const std::vector<uint32_t>& sizes, double epsilon, uint32_t motif_size);

/** Which cases to list. */
struct Grid {
  bool full;         // every combination of parameters, or those along the axes through the reference point
  unsigned threads;  // number of all threads; cases of whole networks run on 1 and on all
  const GpuTarget* gpu = nullptr;  // cases on this GPU: whole networks, gpu_op_cases.cpp and gpu_cases.cpp
};

void add_op_cases(const Grid& grid, std::vector<Case>& cases);
void add_network_cases(const Grid& grid, std::vector<Case>& cases);
void add_gpu_op_cases(std::vector<Case>& cases);
void add_gpu_cases(std::vector<Case>& cases);

/**
 * Returns the cases in the order of the report, whose names contain each word of `filter`: a word with "=" as
 * a whole word of the name, any other word anywhere in it.
 */
std::vector<Case> list_cases(const Grid& grid, const std::string& filter);

}  // namespace set_native::bench
