#include <napi.h>

#include <algorithm>
#include <thread>
#include <vector>

#include "binding/arguments.h"
#include "binding/bench.h"
#include "binding/job.h"
#include "binding/model.h"
#include "binding/samples.h"
#include "core/backend.h"
#include "core/error.h"
#include "core/philox.h"
#include "cpu/kernels.h"
#include "cuda/device.h"
#include "cuda/loader.h"

namespace set_native::binding {

namespace {

constexpr const char* kIsas[] = {"portable", "avx2", "avx512"};

/** info(): instruction sets, cores and back ends with reasons. */
Napi::Value info(const Napi::CallbackInfo& call) {
  const Napi::Env env = call.Env();
  return guarded(env, [&]() -> Napi::Value {
    auto isa = Napi::Object::New(env);
    auto available = Napi::Array::New(env);
    for (const char* name : kIsas)
      if (cpu::find_kernels(name) != nullptr) available.Set(available.Length(), name);
    isa.Set("available", available);
    // A wrong SET_NATIVE_ISA is for `info` to show (the cpu back end gives the reason), not to fail on.
    try {
      isa.Set("used", cpu::kernels().name);
    } catch (const Error&) {
      isa.Set("used", env.Null());
    }
    auto list = Napi::Array::New(env);
    for (const Backend* backend : backends()) {
      const Availability availability = backend->probe();
      auto entry = Napi::Object::New(env);
      entry.Set("name", backend->name());
      entry.Set("available", availability.available);
      entry.Set("device", availability.device);
      entry.Set("reason", availability.reason);
      if (backend == &cuda_backend() && availability.available) {
        const cuda::Capacity capacity = cuda::capacity(*cuda::library().table);
        auto facts = Napi::Object::New(env);
        facts.Set("warps", capacity.warps);
        facts.Set("memory", static_cast<double>(capacity.memory));
        entry.Set("capacity", facts);
      }
      list.Set(list.Length(), entry);
    }
    auto out = Napi::Object::New(env);
    out.Set("isa", isa);
    out.Set("threads", std::max(1u, std::thread::hardware_concurrency()));
    out.Set("backends", list);
    return out;
  });
}

/** permutation(seed, count): random_order of stream `split`. */
Napi::Value permutation(const Napi::CallbackInfo& call) {
  const Napi::Env env = call.Env();
  return guarded(env, [&]() -> Napi::Value {
    const uint64_t seed = seed_of(call[0], "[permutation] seed");
    const uint32_t count = integer(call[1], "[permutation] count", 0, 1u << 27);
    return typed_array<Napi::Uint32Array>(env, "Uint32Array", napi_uint32_array,
                                          random_order(seed, Stream::split, 0, count));
  });
}

/** untriedCuda(): path of the CUDA library when there is one and this process has neither opened nor refused it. */
Napi::Value untried_cuda(const Napi::CallbackInfo& call) {
  return guarded(call.Env(), [&]() -> Napi::Value { return Napi::String::New(call.Env(), cuda::untried_library()); });
}

/** tryCuda(): opens library and device; returns why cuda is not available, or nothing. */
Napi::Value try_cuda(const Napi::CallbackInfo& call) {
  const Napi::Env env = call.Env();
  return guarded(env, [&]() -> Napi::Value {
    const Availability availability = cuda_backend().probe();
    if (!availability.available) return Napi::String::New(env, availability.reason);
    try {
      cuda::try_device(*cuda::library().table);
    } catch (const Error& error) {
      return Napi::String::New(env, std::string("not available, because ") + error.what());
    }
    return Napi::String::New(env, "");
  });
}

/** refuseCuda(reason): the library is not opened in this process, in any of its threads. */
Napi::Value refuse_cuda(const Napi::CallbackInfo& call) {
  return guarded(call.Env(), [&]() -> Napi::Value {
    if (!call[0].IsString()) throw Error(ErrorCode::invalid_argument, "[cuda] the reason must be a string");
    return Napi::Boolean::New(call.Env(), cuda::refuse(call[0].As<Napi::String>()));
  });
}

Napi::Object init(Napi::Env env, Napi::Object exports) {
  init_jobs(env);
  model_class(env) = Napi::Persistent(ModelObject::define(env));
  exports.Set("info", Napi::Function::New(env, info, "info"));
  exports.Set("untriedCuda", Napi::Function::New(env, untried_cuda, "untriedCuda"));
  exports.Set("tryCuda", Napi::Function::New(env, try_cuda, "tryCuda"));
  exports.Set("refuseCuda", Napi::Function::New(env, refuse_cuda, "refuseCuda"));
  exports.Set("permutation", Napi::Function::New(env, permutation, "permutation"));
  exports.Set("Samples", SamplesObject::define(env));
  exports.Set("modelBytes", Napi::Function::New(env, model_bytes, "modelBytes"));
  exports.Set("createModel", Napi::Function::New(env, create_model, "createModel"));
  exports.Set("createKernelBench", Napi::Function::New(env, create_kernel_bench, "createKernelBench"));
  exports.Set("measureSweepPoint", Napi::Function::New(env, measure_sweep_point, "measureSweepPoint"));
  return exports;
}

}  // namespace

}  // namespace set_native::binding

static Napi::Object init_addon(Napi::Env env, Napi::Object exports) {
  return set_native::binding::init(env, exports);
}

NODE_API_MODULE(set_native, init_addon)
