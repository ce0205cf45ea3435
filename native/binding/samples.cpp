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

/** Refuses a number of an array of samples, by the name of the array. */
[[noreturn]] void refuse_number(ErrorCode code, const std::string& array, const char* expected, float value,
                                const std::string& place) {
  throw Error(code, "[samples] " + array + " must be " + expected + ", got " + std::to_string(value) + place);
}

/** Copies the labels of samples, one per row. */
void copy_labels(const Napi::Value& value, SamplesData& data) {
  const auto labels = uint32_array(value, "[samples] labels");
  if (labels.ElementLength() != data.count)
    throw Error(ErrorCode::shape, "[samples] one label per row: " + std::to_string(data.count) + " rows, " +
                                      std::to_string(labels.ElementLength()) + " labels");
  data.labels.assign(labels.Data(), labels.Data() + labels.ElementLength());
}

/** Copies the targets of samples, finite numbers, as many in each row. */
void copy_targets(const Napi::Value& value, SamplesData& data) {
  const auto targets = float_array(value, "[samples] targets");
  const size_t length = targets.ElementLength();
  if (length == 0 || length % data.count != 0 || length / data.count > 0xffffffffu)
    throw Error(ErrorCode::shape, "[samples] as many targets in each row: " + std::to_string(data.count) +
                                      " rows, " + std::to_string(length) + " targets");
  data.targets.assign(targets.Data(), targets.Data() + length);
  const size_t outputs = length / data.count;
  for (size_t k = 0; k < length; ++k)
    if (!std::isfinite(data.targets[k]))
      refuse_number(ErrorCode::non_finite, "targets", "finite", data.targets[k],
                    " in row " + std::to_string(k / outputs) + ", output " + std::to_string(k % outputs));
}

/** Copies the weights of samples, finite numbers of at least 0, one per row, of which one is above 0. */
void copy_weights(const Napi::Value& value, SamplesData& data) {
  const auto weights = float_array(value, "[samples] weights");
  if (weights.ElementLength() != data.count)
    throw Error(ErrorCode::shape, "[samples] one weight per row: " + std::to_string(data.count) + " rows, " +
                                      std::to_string(weights.ElementLength()) + " weights");
  data.weights.assign(weights.Data(), weights.Data() + data.count);
  for (size_t row = 0; row < data.count; ++row)
    if (!std::isfinite(data.weights[row]) || data.weights[row] < 0.0f)
      refuse_number(ErrorCode::out_of_range, "weights", "finite numbers of at least 0", data.weights[row],
                    " in row " + std::to_string(row));
  if (std::all_of(data.weights.begin(), data.weights.end(), [](float w) { return w == 0.0f; }))
    throw Error(ErrorCode::out_of_range, "[samples] one of the weights must be above 0");
}

/**
 * Returns a checked copy of x, features and an object of labels, targets and weights, each of which may be
 * absent. Throws shape, out_of_range, non_finite.
 */
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
  if (info[2].IsUndefined()) return data;
  const Napi::Object given = object(info[2], "[samples] labels, targets and weights");
  const struct {
    const char* key;
    void (*copy)(const Napi::Value&, SamplesData&);
  } arrays[] = {{"labels", copy_labels}, {"targets", copy_targets}, {"weights", copy_weights}};
  for (const auto& [key, copy] : arrays) {
    const Napi::Value value = given.Get(key);
    if (!value.IsUndefined()) copy(value, *data);
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
       Napi::PropertyDescriptor::Value("classes", Napi::Boolean::New(env, !data_->labels.empty()),
                                       napi_enumerable),
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
