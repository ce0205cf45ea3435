#pragma once

#include <string>

#include "bench/cases.h"
#include "bench/gpu_target.h"
#include "bench/sweep.h"

/*
 * Results as JSON. `set-native bench kernels` and set_native_bench write them so, and the binding passes them
 * so to JavaScript. docs/bench-kernels.md describes the keys, src/kernels/results.ts types them.
 */
namespace set_native::bench {

/** Version of the keys, raised when one changes its meaning or is removed. */
constexpr int kSchemaVersion = 1;

/** Returns {"cpu": ..., "isa": ..., "cores": ..., "compiler": ..., "caches": {...}}. */
std::string machine_json(const Machine& machine);

/** Returns {"device": ..., "copyGigabytesPerSecond": ...}. */
std::string gpu_json(const GpuFacts& facts);

std::string ceilings_json(const Ceilings& ceilings);

std::string result_json(const Case& measured, const Result& result);

std::string sweep_point_json(const SweepPoint& point);

std::string exponents_json(uint32_t motif_size, double train, double evolve, double initialise);

}  // namespace set_native::bench
