#include <napi.h>

#include <vector>

#include "backends.h"
#include "binding/arguments.h"
#include "binding/bench.h"
#include "binding/job.h"
#include "binding/model.h"
#include "binding/samples.h"
#include "core/available_cpus.h"
#include "core/error.h"
#include "core/philox.h"
#include "cpu/kernels.h"
#include "gpu/backend.h"

namespace set_native::binding {

namespace {

constexpr const char* kIsas[] = {"portable", "avx2", "avx512"};

/** info() returns instruction sets, cores, and back ends with reasons. */
Napi::Value info(const Napi::CallbackInfo& call) {
  const Napi::Env env = call.Env();
  return guarded(env, [&]() -> Napi::Value {
    // Instruction sets.
    auto isa = Napi::Object::New(env);
    auto available = Napi::Array::New(env);
    for (const char* name : kIsas)
      if (cpu::find_kernels(name) != nullptr) available.Set(available.Length(), name);
    isa.Set("available", available);
    // With a wrong SET_NATIVE_ISA `info` must not fail, but show it: the cpu back end gives the reason.
    try {
      isa.Set("used", cpu::kernels().name);
    } catch (const Error&) {
      isa.Set("used", env.Null());
    }
    // Back ends.
    auto list = Napi::Array::New(env);
    for (const Backend* backend : backends()) {
      const Availability availability = backend->probe();
      auto entry = Napi::Object::New(env);
      entry.Set("name", backend->name());
      entry.Set("available", availability.available);
      entry.Set("device", availability.device);
      entry.Set("reason", availability.reason);
      const gpu::Capacity capacity = availability.available ? gpu::capacity_of(*backend) : gpu::Capacity{};
      if (capacity.warps > 0) {
        auto facts = Napi::Object::New(env);
        facts.Set("warps", capacity.warps);
        facts.Set("memory", static_cast<double>(capacity.memory));
        entry.Set("capacity", facts);
      }
      list.Set(list.Length(), entry);
    }
    auto out = Napi::Object::New(env);
    out.Set("isa", isa);
    out.Set("threads", available_cpus());
    out.Set("backends", list);
    return out;
  });
}

/** availableCpus() returns the number of threads that 0 stands for. */
Napi::Value count_available_cpus(const Napi::CallbackInfo& call) {
  return guarded(call.Env(),
                 [&]() -> Napi::Value { return Napi::Number::New(call.Env(), available_cpus()); });
}

/** permutation(seed, count) returns random_order of stream `split`. */
Napi::Value permutation(const Napi::CallbackInfo& call) {
  const Napi::Env env = call.Env();
  return guarded(env, [&]() -> Napi::Value {
    const uint64_t seed = seed_of(call[0], "[permutation] seed");
    const uint32_t count = integer(call[1], "[permutation] count", 0, 1u << 27);
    return typed_array(env, random_order(seed, Stream::split, 0, count));
  });
}

/**
 * untried(name) returns what the first use of a back end would open, or "" if this process has already opened
 * or refused it.
 */
Napi::Value untried(const Napi::CallbackInfo& call) {
  return guarded(call.Env(), [&]() -> Napi::Value {
    return Napi::String::New(call.Env(), find_backend(text(call[0], "[backend] name")).untried());
  });
}

/** tryOut(name) opens a back end's device and returns why it is not available, or "". */
Napi::Value try_out(const Napi::CallbackInfo& call) {
  return guarded(call.Env(), [&]() -> Napi::Value {
    return Napi::String::New(call.Env(), find_backend(text(call[0], "[backend] name")).try_out());
  });
}

/**
 * refuse(name, reason) makes a back end unavailable in all threads of this process. Returns whether it could.
 */
Napi::Value refuse(const Napi::CallbackInfo& call) {
  return guarded(call.Env(), [&]() -> Napi::Value {
    const Backend& backend = find_backend(text(call[0], "[backend] name"));
    return Napi::Boolean::New(call.Env(), backend.refuse(text(call[1], "[backend] reason")));
  });
}

Napi::Object init(Napi::Env env, Napi::Object exports) {
  init_jobs(env);
  model_class(env) = Napi::Persistent(ModelObject::define(env));
  samples_class(env) = Napi::Persistent(SamplesObject::define(env));
  exports.Set("info", Napi::Function::New(env, info, "info"));
  exports.Set("availableCpus", Napi::Function::New(env, count_available_cpus, "availableCpus"));
  exports.Set("untried", Napi::Function::New(env, untried, "untried"));
  exports.Set("tryOut", Napi::Function::New(env, try_out, "tryOut"));
  exports.Set("refuse", Napi::Function::New(env, refuse, "refuse"));
  exports.Set("permutation", Napi::Function::New(env, permutation, "permutation"));
  exports.Set("Samples", samples_class(env).Value());
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
