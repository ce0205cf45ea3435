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
 * The state that a model object and its jobs share. Only the JavaScript thread uses `busy` and `disposed`. A
 * job keeps the state alive, so that neither garbage collection nor dispose() frees the model during an
 * epoch.
 */
struct ModelState {
  std::unique_ptr<BackendModel> model;
  std::string backend;
  uint32_t features = 0, outputs = 0;
  Loss loss = Loss::softmax_cross_entropy;
  uint64_t links = 0;
  int64_t bytes = 0;  // approximate memory of the model, as V8 knows it
  std::atomic<bool> cancel{false};
  std::atomic<uint64_t> steps_done{0};  // of the epoch that is being trained
  uint32_t diverged = 0;  // epoch in which training diverged, or 0. While a job runs, only it may use this
  bool busy = false;
  bool disposed = false;
};

/** JavaScript class `Model`, which only `createModel` makes; see NativeModel in src/native.ts. */
class ModelObject : public Napi::ObjectWrap<ModelObject> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit ModelObject(const Napi::CallbackInfo& info);

 private:
  Napi::Value train_epoch(const Napi::CallbackInfo& info);
  Napi::Value check(const Napi::CallbackInfo& info);
  Napi::Value steps_done(const Napi::CallbackInfo& info);
  Napi::Value evaluate(const Napi::CallbackInfo& info);
  Napi::Value predict(const Napi::CallbackInfo& info);
  Napi::Value predict_each(const Napi::CallbackInfo& info);
  Napi::Value evolve(const Napi::CallbackInfo& info);
  Napi::Value stats(const Napi::CallbackInfo& info);
  Napi::Value reachability(const Napi::CallbackInfo& info);
  Napi::Value download(const Napi::CallbackInfo& info);
  void abort(const Napi::CallbackInfo& info);
  void dispose(const Napi::CallbackInfo& info);

  /** Purpose of an operation. A model whose training diverged can be looked at, but not compute. */
  enum class Purpose { compute, look };

  /**
   * Starts `work`, or runs it at once. Throws ERR_BUSY, ERR_DISPOSED, or ERR_NON_FINITE for a model that
   * diverged and should compute.
   */
  Napi::Promise start(Napi::Env env, const char* operation, Purpose purpose,
                      std::function<Convert(ModelState&)> work, bool at_once = false);

  void Finalize(Napi::Env env) override;
  void dispose_state(Napi::Env env);

  std::shared_ptr<ModelState> state_;
};

/** modelBytes(spec) returns the number of bytes that training such a model takes. */
Napi::Value model_bytes(const Napi::CallbackInfo& info);

/** createModel(spec, layers?) returns a Promise<Model> with given layers, or else with drawn ones. */
Napi::Value create_model(const Napi::CallbackInfo& info);

}  // namespace set_native::binding
