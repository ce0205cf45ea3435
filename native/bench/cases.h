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

/** What all cases share: kernels, the measured machine, what networks run on, random samples, and the way to
 * stop. */
struct Context {
  Context(const cpu::KernelTable& kernels, const std::atomic<bool>& cancelled)
      : table(kernels), machine(kernels), target(cpu_target(kernels, machine)), cancel(cancelled) {}

  /** `count` samples of uniform noise, sample s labelled s % classes. Kept until other ones are asked for. */
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
  std::string failure;  // what differs from the reference: then nothing was timed
  Times times;
  double links = 0.0;  // visited by one call, each as often as it is; 0: not a matter of links
  double flops = 0.0;  // of one call
  double bytes = 0.0;  // moved by one call, by the formulas of work.h
  Limit limit;         // of one call; name "": none is known
};

/** One thing to time. Parameters that do not apply are 0. */
struct Case {
  std::string op;
  std::vector<uint32_t> sizes;  // of the layers, inputs to outputs; one number: of something that is no layer
  double epsilon = 0.0;
  uint32_t batch = 0;
  uint32_t motif_size = 0;
  uint32_t samples = 0;
  unsigned threads = 1;
  /** Checks against the reference, then times. Throws Error(aborted) when cancelled. */
  Result (*run)(const Case&, Context&) = nullptr;

  /** "784-3000-10" */
  std::string shape() const;
  /** All that tells it from others: "sparse-forward 3000-3000 epsilon=13 batch=40 motif=1 threads=1". */
  std::string name() const;
};

/** Motifs of so many sources, or single links for 1; dense for epsilon 0. Drawn from seed 1. */
ModelSpec spec_of(const std::vector<uint32_t>& sizes, double epsilon, uint32_t motif_size);

/** For the choice of cases: every combination of parameters, or those along the axes through the reference
 * point. */
struct Grid {
  bool full;
  unsigned threads;                // all of them; cases of whole networks run on 1 and on all
  const GpuTarget* gpu = nullptr;  // cases on it instead: whole networks, gpu_op_cases.cpp and gpu_cases.cpp
};

void add_op_cases(const Grid& grid, std::vector<Case>& cases);
void add_network_cases(const Grid& grid, std::vector<Case>& cases);
void add_gpu_op_cases(std::vector<Case>& cases);
void add_gpu_cases(std::vector<Case>& cases);

/**
 * The suite, in the order of the report. `filter`: only cases that have each of its words: one with a "=" as
 * a whole word of the name, any other anywhere in it.
 */
std::vector<Case> list_cases(const Grid& grid, const std::string& filter);

}  // namespace set_native::bench
