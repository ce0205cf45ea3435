#pragma once

#include <napi.h>

#include <functional>
#include <memory>

namespace set_native::binding {

/** Makes the value to which a job's promise resolves. Runs on the JavaScript thread. */
using Convert = std::function<Napi::Value(Napi::Env)>;

/**
 * Runs `work` on a thread of its own. `work` returns a Convert, which makes the value of the returned
 * promise; an exception in `work`, or the lack of a thread, rejects the promise. `settle` runs on the
 * JavaScript thread just before the promise settles. If the environment ends first, `cancel` is called, the
 * thread is joined, and neither `settle` nor the Convert is called: `work` that may take long should check
 * what `cancel` sets.
 *
 * The work has its own thread and not a libuv worker, because an epoch may take long, and libuv has four
 * workers for all of Node's file access.
 */
Napi::Promise run_job(Napi::Env env, std::function<Convert()> work, std::function<void()> settle,
                      std::function<void()> cancel);

/**
 * Runs `work` and its Convert at once, on the JavaScript thread, for work that takes less time than to start
 * a thread. Returns a settled promise.
 */
Napi::Promise run_at_once(Napi::Env env, const std::function<Convert()>& work);

/** Creates the per-environment state that run_job needs, and its cleanup hook. */
void init_jobs(Napi::Env env);

/** Return the classes of model and samples objects in this environment, which are set once at load. */
Napi::FunctionReference& model_class(Napi::Env env);
Napi::FunctionReference& samples_class(Napi::Env env);

/** Returns a JavaScript error with `code`. */
Napi::Error make_error(Napi::Env env, const char* code, const std::string& message);

/** Returns the exception being handled as a JavaScript error. To be called inside a catch block only. */
Napi::Error current_error(Napi::Env env);

/** Calls `body` and converts core exceptions to JavaScript ones. No other function converts them. */
template <class Body>
auto guarded(Napi::Env env, Body body) -> decltype(body()) {
  try {
    return body();
  } catch (const Napi::Error&) {
    throw;
  } catch (...) {
    throw current_error(env);
  }
}

}  // namespace set_native::binding
