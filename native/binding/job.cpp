#include "binding/job.h"

#include <exception>
#include <mutex>
#include <set>
#include <system_error>
#include <thread>

#include "core/error.h"

namespace set_native::binding {

namespace {

struct Failure {
  std::string code;
  std::string message;
};

Failure describe_current_exception() {
  try {
    throw;
  } catch (const Error& error) {
    return {code_name(error.code()), error.what()};
  } catch (const std::system_error& error) {
    return {"ERR_OUT_OF_MEMORY", std::string("[native] the system gives no thread: ") + error.what()};
  } catch (const std::bad_alloc&) {
    return {"ERR_OUT_OF_MEMORY",
            "[native] the machine has no memory left for this; use smaller layers or a smaller epsilon"};
  } catch (const std::exception& error) {
    return {"ERR_INTERNAL", std::string("[native] unexpected: ") + error.what()};
  } catch (...) {
    return {"ERR_INTERNAL", "[native] unexpected exception"};
  }
}

struct Job;
using JobRef = std::shared_ptr<Job>;
void finish_on_js_thread(Napi::Env env, Napi::Function, JobRef* job, void*);
using Wakeup = Napi::TypedThreadSafeFunction<JobRef, void, finish_on_js_thread>;

/**
 * A running job. It holds the result; the thread-safe function only wakes up, so nothing leaks at shutdown.
 */
struct Job {
  std::thread thread;
  Wakeup wakeup;
  std::unique_ptr<Napi::Promise::Deferred> deferred;
  std::function<void()> settle;
  std::function<void()> cancel;
  Convert convert;
  std::unique_ptr<Failure> failure;
};

/** The state of one environment, the main thread's or a worker's: its running jobs and its classes. */
struct Environment {
  std::set<JobRef> running;  // used on the JavaScript thread only
  Napi::FunctionReference model_class, samples_class;

  /** Cancels all jobs and waits for them. */
  void shutdown() {
    for (const JobRef& job : running) job->cancel();
    for (const JobRef& job : running)
      if (job->thread.joinable()) job->thread.join();
    running.clear();
  }
};

/** Settles a job's promise. */
void finish_on_js_thread(Napi::Env env, Napi::Function, JobRef* ref, void*) {
  if (env == nullptr) return;  // the environment is going away; its cleanup hook joins the thread
  const JobRef job = *ref;
  try {
    Napi::HandleScope scope(env);
    if (job->thread.joinable()) job->thread.join();
    env.GetInstanceData<Environment>()->running.erase(job);
    job->settle();
    if (job->failure == nullptr) {
      try {
        job->deferred->Resolve(job->convert(env));
        return;
      } catch (const Napi::Error& error) {
        job->deferred->Reject(error.Value());
        return;
      } catch (...) {
        job->failure = std::make_unique<Failure>(describe_current_exception());
      }
    }
    job->deferred->Reject(make_error(env, job->failure->code.c_str(), job->failure->message).Value());
  } catch (const Napi::Error&) {
    // The worker is being terminated and JavaScript cannot run any more, so there is no promise to reject.
  }
}

}  // namespace

void init_jobs(Napi::Env env) {
  auto* environment = new Environment;
  env.SetInstanceData<Environment>(environment);
  env.AddCleanupHook([](Environment* ending) { ending->shutdown(); }, environment);
}

Napi::FunctionReference& model_class(Napi::Env env) {
  return env.GetInstanceData<Environment>()->model_class;
}

Napi::FunctionReference& samples_class(Napi::Env env) {
  return env.GetInstanceData<Environment>()->samples_class;
}

Napi::Promise run_job(Napi::Env env, std::function<Convert()> work, std::function<void()> settle,
                      std::function<void()> cancel) {
  auto job = std::make_shared<Job>();
  job->deferred = std::make_unique<Napi::Promise::Deferred>(Napi::Promise::Deferred::New(env));
  job->settle = std::move(settle);
  job->cancel = std::move(cancel);
  job->wakeup = Wakeup::New(env, "set-native job", 0, 1, new JobRef(job),
                            [](Napi::Env, void*, JobRef* ref) { delete ref; });
  const Napi::Promise promise = job->deferred->Promise();
  env.GetInstanceData<Environment>()->running.insert(job);
  const auto wake = [job] {
    if (job->wakeup.NonBlockingCall() != napi_closing) job->wakeup.Release();
  };
  try {
    job->thread = std::thread([job, wake, work = std::move(work)]() mutable {
      try {
        job->convert = work();
      } catch (...) {
        job->failure = std::make_unique<Failure>(describe_current_exception());
      }
      work = nullptr;  // frees the models and samples that it holds, before the promise settles
      wake();
    });
  } catch (...) {
    job->failure = std::make_unique<Failure>(describe_current_exception());
    wake();
  }
  return promise;
}

Napi::Promise run_at_once(Napi::Env env, const std::function<Convert()>& work) {
  const auto deferred = Napi::Promise::Deferred::New(env);
  try {
    deferred.Resolve(work()(env));
  } catch (const Napi::Error& error) {
    deferred.Reject(error.Value());
  } catch (...) {
    deferred.Reject(current_error(env).Value());
  }
  return deferred.Promise();
}

Napi::Error make_error(Napi::Env env, const char* code, const std::string& message) {
  Napi::Error error = Napi::Error::New(env, message);
  error.Set("code", Napi::String::New(env, code));
  return error;
}

Napi::Error current_error(Napi::Env env) {
  const Failure failure = describe_current_exception();
  return make_error(env, failure.code.c_str(), failure.message);
}

}  // namespace set_native::binding
