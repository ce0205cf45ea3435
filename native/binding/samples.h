#pragma once

#include <napi.h>

#include <memory>
#include <vector>

#include "core/aligned.h"
#include "core/backend.h"

namespace set_native::binding {

/** Native copy of samples. Copied because JavaScript may detach or change its arrays while a job reads them.
 */
struct SamplesData {
  AlignedVector<float> x;
  std::vector<uint32_t> labels;  // empty: no labels
  uint64_t count = 0;
  uint32_t features = 0;
  float largest = 0;  // |x|
  uint64_t id = next_samples_id();

  int64_t bytes() const { return static_cast<int64_t>((x.size() + labels.size()) * sizeof(float)); }
  Samples view() const {
    return {x.data(), labels.empty() ? nullptr : labels.data(), nullptr, count, features, 0, id};
  }
};

/** JavaScript class `Samples`: see NativeSamples in src/native.ts. */
class SamplesObject : public Napi::ObjectWrap<SamplesObject> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit SamplesObject(const Napi::CallbackInfo& info);

  /** The data of argument `value`; throws invalid_argument for anything that is not a live Samples object. */
  static std::shared_ptr<const SamplesData> from(const Napi::Value& value, const char* operation);

 private:
  void Finalize(Napi::Env env) override;
  void dispose(const Napi::CallbackInfo& info);

  void release(Napi::Env env);

  std::shared_ptr<const SamplesData> data_;
};

}  // namespace set_native::binding
