#pragma once

#include <napi.h>

namespace set_native::binding {

/** createKernelBench(options): see NativeKernelBench in src/native.ts. */
Napi::Value create_kernel_bench(const Napi::CallbackInfo& info);

/** measureSweepPoint(options): Promise of a point as JSON; in a process of its own, whose memory it measures.
 */
Napi::Value measure_sweep_point(const Napi::CallbackInfo& info);

}  // namespace set_native::binding
