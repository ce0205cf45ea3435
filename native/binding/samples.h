#pragma once

#include <napi.h>

#include <memory>
#include <vector>

#include "core/aligned.h"
#include "core/backend.h"

namespace set_native::binding {

/** A native copy of samples, because JavaScript may detach or change its arrays while a job reads them. */
struct SamplesData {
  UnsetVector<float> x;
  std::vector<uint32_t> labels;         // empty: no labels
  std::vector<float> targets, weights;  // empty: none
  // Samples whose labels, targets and weights these have, in place of their own; null: none.
  std::shared_ptr<const SamplesData> answers;
  uint64_t count = 0;
  uint32_t features = 0;
  float largest = 0;  // largest |x|
  uint64_t id = next_samples_id();

  /** Bytes of its own arrays. */
  int64_t bytes() const {
    return static_cast<int64_t>((x.size() + labels.size() + targets.size() + weights.size()) * sizeof(float));
  }
  Samples view() const {
    const SamplesData& own = answers == nullptr ? *this : *answers;
    Samples view;
    view.x = x.data();
    if (!own.labels.empty()) view.labels = own.labels.data();
    if (!own.targets.empty()) view.targets = own.targets.data();
    if (!own.weights.empty()) view.weights = own.weights.data();
    view.count = count;
    view.features = features;
    view.outputs = static_cast<uint32_t>(own.targets.size() / count);
    view.id = id;
    return view;
  }
};

/** Arrays that samples have beside x. */
struct SamplesShape {
  bool labels = false, weights = false;
  uint32_t outputs = 0;  // targets of a row; 0: none
};

/** JavaScript class `Samples`; see NativeSamples in src/native.ts. */
class SamplesObject : public Napi::ObjectWrap<SamplesObject> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit SamplesObject(const Napi::CallbackInfo& info);

  /**
   * Returns the data of argument `value`. Throws invalid_argument for anything but a Samples object,
   * ERR_DISPOSED for one that was disposed of.
   */
  static std::shared_ptr<const SamplesData> from(const Napi::Value& value, const char* operation);

 private:
  void Finalize(Napi::Env env) override;
  void append_part(const Napi::CallbackInfo& info);
  Napi::Value finish(const Napi::CallbackInfo& info);
  Napi::Value augmented(const Napi::CallbackInfo& info);
  Napi::Value largest(const Napi::CallbackInfo& info);
  void dispose(const Napi::CallbackInfo& info);

  void release(Napi::Env env);

  /** Data, which nobody changes once they are complete. The JavaScript thread alone changes the flags. */
  struct State {
    std::shared_ptr<SamplesData> data;
    bool checking = false, complete = false;
  };
  std::shared_ptr<State> state_;  // null: disposed of
  SamplesShape shape_;
  int64_t bytes_ = 0;  // as V8 knows them
};

}  // namespace set_native::binding
