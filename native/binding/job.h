#pragma once

#include <napi.h>

#include <functional>
#include <memory>

namespace set_native::binding {

/** Makes the value a job resolves to; runs on the JavaScript thread. */
using Convert = std::function<Napi::Value(Napi::Env)>;

/**
 * Runs `work` on a thread of its own and returns a promise of what the Convert it returns makes; an exception
 * in `work`, or the lack of a thread, rejects it. `settle` runs on the JavaScript thread just before the
 * promise settles. When the environment goes away first, `cancel` is called and the thread joined, and
 * neither `settle` nor the Convert are called: `work` that may take long should look at what `cancel` sets.
 *
 * A thread, not a libuv worker: an epoch may take long, and libuv has four workers for all of Node's file
 * access.
 */
Napi::Promise run_job(Napi::Env env, std::function<Convert()> work, std::function<void()> settle,
                      std::function<void()> cancel);

/** The same at once, on the JavaScript thread: for work that takes less time than handing it to another
 * thread. */
Napi::Promise run_at_once(Napi::Env env, const std::function<Convert()>& work);

/** Creates the per-environment state that run_job needs, and its cleanup hook. */
void init_jobs(Napi::Env env);

/** The class of model objects in this environment, set once at load. */
Napi::FunctionReference& model_class(Napi::Env env);

/** A JavaScript error with `code`. */
Napi::Error make_error(Napi::Env env, const char* code, const std::string& message);

/** The exception being handled as a JavaScript error; only inside a catch block. */
Napi::Error current_error(Napi::Env env);

/** Calls `body` and turns core exceptions into JavaScript ones: the one place where they are converted. */
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
