#include "binding/samples.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>

#include "binding/arguments.h"
#include "binding/job.h"
#include "core/error.h"

namespace set_native::binding {

namespace {

/** The tag of Samples objects, by which any other object passed as Samples is refused instead of misread. */
constexpr napi_type_tag kSamplesTag = {0x6f0d8a3b5c2e4917ull, 0x9be1742dc60f38a5ull};

/** Returns a checked copy of x, features and, if given, labels. Throws shape, out_of_range, non_finite. */
std::shared_ptr<const SamplesData> copy_samples(const Napi::CallbackInfo& info) {
  const auto x = float_array(info[0], "[samples] x");
  const uint32_t features = integer(info[1], "[samples] features", 1, 0xffffffffu);
  const uint64_t count = x.ElementLength() / features;
  if (count == 0 || count * features != x.ElementLength())
    throw Error(ErrorCode::shape, "[samples] x must hold at least one whole row of " +
                                      std::to_string(features) + " features, got " +
                                      std::to_string(x.ElementLength()) + " values");
  if (count > 0xffffffffu)
    throw Error(ErrorCode::out_of_range,
                "[samples] at most 4294967295 samples, got " + std::to_string(count));
  auto data = std::make_shared<SamplesData>();
  data->count = count;
  data->features = features;
  data->x.resize(x.ElementLength());
  std::memcpy(data->x.data(), x.Data(), x.ByteLength());
  for (size_t k = 0; k < data->x.size(); ++k) {
    if (!std::isfinite(data->x[k]))
      throw Error(ErrorCode::non_finite, "[samples] x must be finite, got " + std::to_string(data->x[k]) +
                                             " in row " + std::to_string(k / features) + ", feature " +
                                             std::to_string(k % features));
    data->largest = std::max(data->largest, std::abs(data->x[k]));
  }
  if (!info[2].IsUndefined()) {
    const auto labels = uint32_array(info[2], "[samples] labels");
    if (labels.ElementLength() != count)
      throw Error(ErrorCode::shape, "[samples] one label per row: " + std::to_string(count) + " rows, " +
                                        std::to_string(labels.ElementLength()) + " labels");
    data->labels.assign(labels.Data(), labels.Data() + labels.ElementLength());
  }
  return data;
}

}  // namespace

Napi::Function SamplesObject::define(Napi::Env env) {
  return DefineClass(env, "Samples", {InstanceMethod<&SamplesObject::dispose>("dispose")});
}

SamplesObject::SamplesObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<SamplesObject>(info) {
  data_ = guarded(info.Env(), [&] { return copy_samples(info); });
  const Napi::Env env = info.Env();
  auto self = info.This().As<Napi::Object>();
  self.TypeTag(&kSamplesTag);
  // Own properties, because Node-API checks the receiver of a method but not that of an accessor.
  self.DefineProperties(
      {Napi::PropertyDescriptor::Value("count", Napi::Number::New(env, static_cast<double>(data_->count)),
                                       napi_enumerable),
       Napi::PropertyDescriptor::Value("features", Napi::Number::New(env, data_->features), napi_enumerable),
       Napi::PropertyDescriptor::Value("largest", Napi::Number::New(env, data_->largest), napi_enumerable)});
  Napi::MemoryManagement::AdjustExternalMemory(env, data_->bytes());
}

std::shared_ptr<const SamplesData> SamplesObject::from(const Napi::Value& value, const char* operation) {
  if (!value.IsObject() || !value.As<Napi::Object>().CheckTypeTag(&kSamplesTag))
    throw Error(ErrorCode::invalid_argument, std::string("[") + operation + "] expected a Samples object");
  auto data = Unwrap(value.As<Napi::Object>())->data_;
  if (data == nullptr)
    throw make_error(value.Env(), "ERR_DISPOSED",
                     std::string("[") + operation + "] these samples were disposed of");
  return data;
}

/** Frees the data, and reports that to V8, which counts only the memory that it is told of. */
void SamplesObject::release(Napi::Env env) {
  if (data_ == nullptr) return;
  Napi::MemoryManagement::AdjustExternalMemory(env, -data_->bytes());
  data_.reset();
}

void SamplesObject::Finalize(Napi::Env env) {
  release(env);
}

void SamplesObject::dispose(const Napi::CallbackInfo& info) {
  release(info.Env());
}

}  // namespace set_native::binding
