#include "binding/bench.h"

#include <atomic>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bench/cases.h"
#include "bench/gpu_target.h"
#include "bench/report.h"
#include "bench/sweep.h"
#include "binding/arguments.h"
#include "binding/job.h"
#include "core/backend.h"
#include "cpu/kernels.h"

/*
 * The suite of native/bench for JavaScript. Results are passed as JSON texts, so that only bench/report.cpp
 * defines their keys, for this addon and for the program without Node.
 */
namespace set_native::binding {

namespace {

struct BenchState {
  explicit BenchState(const cpu::KernelTable& table) : context(table, cancel) {}

  std::atomic<bool> cancel{false};
  bench::Context context;
  std::vector<bench::Case> cases;
  bool busy = false;  // used on the JavaScript thread only
};

/** Returns the kernels for `isa`; if empty, those that SET_NATIVE_ISA names, else the widest. */
const cpu::KernelTable& table_called(const std::string& isa) {
  if (isa.empty()) return cpu::kernels();
  const cpu::KernelTable* table = cpu::find_kernels(isa.c_str());
  if (table == nullptr)
    throw Error(ErrorCode::backend_unavailable, "[bench] this machine has no kernels for " + isa);
  return *table;
}

using State = std::shared_ptr<BenchState>;

/** Runs a measurement and returns a promise of its JSON text. Throws ERR_BUSY while another one runs. */
Napi::Promise start(Napi::Env env, const State& state, std::function<std::string(BenchState&)> work) {
  if (state->busy) throw make_error(env, "ERR_BUSY", "[bench] it is measuring already; await that first");
  const Napi::Promise promise = run_job(
      env,
      [state, work = std::move(work)]() -> Convert {
        const std::string json = work(*state);
        return [json](Napi::Env to) -> Napi::Value { return Napi::String::New(to, json); };
      },
      [state] { state->busy = false; }, [state] { state->cancel = true; });
  state->busy = true;
  return promise;
}

Napi::Value ceilings(const Napi::CallbackInfo& info, const State& state) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const uint32_t threads = integer(info[0], "[bench] threads", 1, kMaxThreads);
    return start(info.Env(), state, [threads](BenchState& bench) {
      return bench::ceilings_json(bench.context.machine.ceilings(threads));
    });
  });
}

Napi::Value run(const Napi::CallbackInfo& info, const State& state) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    if (state->cases.empty()) throw Error(ErrorCode::out_of_range, "[bench] there is no case to run");
    const uint32_t number =
        integer(info[0], "[bench] case", 0, static_cast<uint32_t>(state->cases.size() - 1));
    return start(info.Env(), state, [number](BenchState& bench) {
      const bench::Case& chosen = bench.cases[number];
      return bench::result_json(chosen, chosen.run(chosen, bench.context));
    });
  });
}

}  // namespace

Napi::Value create_kernel_bench(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    // Options.
    const Napi::Object options = object(info[0], "[bench] options");
    const auto state = std::make_shared<BenchState>(table_called(text(options.Get("isa"), "[bench] isa")));
    const uint32_t threads = integer(options.Get("threads"), "[bench] threads", 1, kMaxThreads);
    const std::string backend = text(options.Get("backend"), "[bench] backend");
    const bench::GpuTarget* gpu = nullptr;
    std::string facts = "null";
    if (backend != "cpu") {
      auto target = bench::gpu_target(backend);
      gpu = target.get();
      facts = bench::gpu_json(gpu->facts());
      state->context.target = std::move(target);
    }
    state->cases = bench::list_cases({boolean(options.Get("full"), "[bench] full"), threads, gpu},
                                     text(options.Get("filter"), "[bench] filter"));
    // The object that JavaScript sees.
    auto names = Napi::Array::New(env);
    for (const bench::Case& each : state->cases) names.Set(names.Length(), each.name());
    auto out = Napi::Object::New(env);
    out.Set("machine", bench::machine_json(state->context.machine));
    out.Set("gpu", facts);
    out.Set("cases", names);
    out.Set("ceilings",
            Napi::Function::New(
                env, [state](const Napi::CallbackInfo& call) { return ceilings(call, state); }, "ceilings"));
    out.Set("run", Napi::Function::New(
                       env, [state](const Napi::CallbackInfo& call) { return run(call, state); }, "run"));
    out.Set("abort",
            Napi::Function::New(env, [state](const Napi::CallbackInfo&) { state->cancel = true; }, "abort"));
    return out;
  });
}

Napi::Value measure_sweep_point(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    const Napi::Object options = object(info[0], "[bench] options");
    const auto links = static_cast<uint64_t>(whole(options.Get("links"), "[bench] links", 1e4, 1e9));
    const uint32_t motif_size = integer(options.Get("motifSize"), "[bench] motifSize", 1, kMaxMotifSize);
    const uint32_t threads = integer(options.Get("threads"), "[bench] threads", 1, kMaxThreads);
    const std::string isa = table_called(text(options.Get("isa"), "[bench] isa")).name;
    const auto cancel = std::make_shared<std::atomic<bool>>(false);
    return run_job(
        env,
        [=]() -> Convert {
          const std::string json =
              bench::sweep_point_json(bench::measure_sweep_point(links, motif_size, threads, isa, *cancel));
          return [json](Napi::Env to) -> Napi::Value { return Napi::String::New(to, json); };
        },
        [] {}, [cancel] { *cancel = true; });
  });
}

}  // namespace set_native::binding
