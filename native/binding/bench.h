#pragma once

#include <napi.h>

namespace set_native::binding {

/** createKernelBench(options) makes a suite of cases; see NativeKernelBench in src/native.ts. */
Napi::Value create_kernel_bench(const Napi::CallbackInfo& info);

/**
 * measureSweepPoint(options) returns a Promise of a point as JSON. It measures the memory of the process, so
 * each point needs a process of its own.
 */
Napi::Value measure_sweep_point(const Napi::CallbackInfo& info);

}  // namespace set_native::binding
