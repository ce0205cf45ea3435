#pragma once

#include <napi.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "binding/job.h"
#include "core/backend.h"

namespace set_native::binding {

/**
 * What a model object and its jobs share. `busy` and `disposed` belong to the JavaScript thread; a job keeps
 * the state alive, so that neither garbage collection nor dispose() pulls the model from under a running
 * epoch.
 */
struct ModelState {
  std::unique_ptr<BackendModel> model;
  std::string backend;
  uint32_t outputs = 0;
  uint64_t links = 0;
  int64_t bytes = 0;  // about what the model holds, as told to V8
  std::atomic<bool> cancel{false};
  uint32_t diverged = 0;  // epoch in which training did; 0: it has not. Belongs to the job, if there is one
  bool busy = false;
  bool disposed = false;
};

/** JavaScript class `Model`, made by `createModel` only: see NativeModel in src/native.ts. */
class ModelObject : public Napi::ObjectWrap<ModelObject> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit ModelObject(const Napi::CallbackInfo& info);

 private:
  Napi::Value train_epoch(const Napi::CallbackInfo& info);
  Napi::Value evaluate(const Napi::CallbackInfo& info);
  Napi::Value predict(const Napi::CallbackInfo& info);
  Napi::Value evolve(const Napi::CallbackInfo& info);
  Napi::Value stats(const Napi::CallbackInfo& info);
  Napi::Value reachability(const Napi::CallbackInfo& info);
  Napi::Value download(const Napi::CallbackInfo& info);
  void abort(const Napi::CallbackInfo& info);
  void dispose(const Napi::CallbackInfo& info);

  /** A model whose training diverged can be looked at, but computes no more. */
  enum class Purpose { compute, look };

  /** Starts `work`, or does it at once, unless the model is busy, disposed of, or of no use for the purpose.
   */
  Napi::Promise start(Napi::Env env, const char* operation, Purpose purpose,
                      std::function<Convert(ModelState&)> work, bool at_once = false);

  void Finalize(Napi::Env env) override;
  void dispose_state(Napi::Env env);

  std::shared_ptr<ModelState> state_;
};

/** modelBytes(spec): number of bytes that training such a model takes. */
Napi::Value model_bytes(const Napi::CallbackInfo& info);

/** createModel(spec, layers?): Promise<Model>, of drawn layers or of given ones. */
Napi::Value create_model(const Napi::CallbackInfo& info);

}  // namespace set_native::binding
