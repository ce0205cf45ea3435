#include "binding/samples.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>

#include "binding/arguments.h"
#include "binding/job.h"
#include "core/augment.h"
#include "core/available_cpus.h"
#include "core/error.h"

namespace set_native::binding {

namespace {

/** The tag of Samples objects, by which any other object passed as Samples is refused instead of misread. */
constexpr napi_type_tag kSamplesTag = {0x6f0d8a3b5c2e4917ull, 0x9be1742dc60f38a5ull};

/** The tag of data that `augmented` passes to the constructor, by which any other External is refused. */
constexpr napi_type_tag kDataTag = {0x83c1f5d20e9b4a67ull, 0x417e6ba9d3f8c025ull};

/** Samples that are made on the native side, for the constructor. */
struct MadeSamples {
  std::shared_ptr<SamplesData> data;
  SamplesShape shape;
};

/** Refuses a number of an array of samples, by the name of the array. */
[[noreturn]] void refuse_number(ErrorCode code, const std::string& array, const char* expected, float value,
                                const std::string& place) {
  throw Error(code, "[samples] " + array + " must be " + expected + ", got " + std::to_string(value) + place);
}

[[noreturn]] void refuse_length(const std::string& what, uint64_t expected, size_t got) {
  throw Error(ErrorCode::shape, "[samples] " + what + ": expected " + std::to_string(expected) + ", got " +
                                    std::to_string(got));
}

/** Checks that numbers are finite, row by row, and returns the largest |x|. */
float check_finite(const float* values, size_t count, size_t width, const char* array, const char* column) {
  float largest = 0.0f;
  for (size_t k = 0; k < count; ++k) {
    if (!std::isfinite(values[k]))
      refuse_number(ErrorCode::non_finite, array, "finite", values[k],
                    " in row " + std::to_string(k / width) + ", " + column + " " + std::to_string(k % width));
    largest = std::max(largest, std::abs(values[k]));
  }
  return largest;
}

/**
 * Checks all numbers of samples: finite x and targets, finite weights of at least 0 of which one is above 0.
 * Any thread may call it.
 */
void check_numbers(SamplesData& data) {
  data.largest = check_finite(data.x.data(), data.x.size(), data.features, "x", "feature");
  if (!data.targets.empty())
    check_finite(data.targets.data(), data.targets.size(), data.targets.size() / data.count, "targets",
                 "output");
  if (data.weights.empty()) return;
  for (size_t row = 0; row < data.count; ++row)
    if (!std::isfinite(data.weights[row]) || data.weights[row] < 0.0f)
      refuse_number(ErrorCode::out_of_range, "weights", "finite numbers of at least 0", data.weights[row],
                    " in row " + std::to_string(row));
  if (std::all_of(data.weights.begin(), data.weights.end(), [](float w) { return w == 0.0f; }))
    throw Error(ErrorCode::out_of_range, "[samples] one of the weights must be above 0");
}

/** Checks that the arrays of samples have lengths that fit together. */
void check_lengths(const SamplesData& data, const SamplesShape& shape) {
  if (data.x.size() != data.count * data.features)
    refuse_length("features of all rows", data.count * data.features, data.x.size());
  if (data.labels.size() != (shape.labels ? data.count : 0))
    refuse_length("one label per row", data.count, data.labels.size());
  if (data.targets.size() != data.count * shape.outputs)
    refuse_length("as many targets in each row", data.count * shape.outputs, data.targets.size());
  if (data.weights.size() != (shape.weights ? data.count : 0))
    refuse_length("one weight per row", data.count, data.weights.size());
}

void check_count(uint64_t count) {
  if (count == 0 || count > 0xffffffffu)
    throw Error(ErrorCode::out_of_range,
                "[samples] 1 to 4294967295 samples are possible, got " + std::to_string(count));
}

/** Returns a checked copy of samples whose arrays are given: x, features, { labels, targets, weights }. */
std::shared_ptr<SamplesData> copy_samples(const Napi::CallbackInfo& info, SamplesShape& shape) {
  auto data = std::make_shared<SamplesData>();
  const auto x = float_array(info[0], "[samples] x");
  data->features = integer(info[1], "[samples] features", 1, 0xffffffffu);
  data->count = x.ElementLength() / data->features;
  if (data->count == 0 || data->count * data->features != x.ElementLength())
    throw Error(ErrorCode::shape, "[samples] x must hold at least one whole row of " +
                                      std::to_string(data->features) + " features, got " +
                                      std::to_string(x.ElementLength()) + " values");
  check_count(data->count);
  data->x.resize(x.ElementLength());
  std::memcpy(data->x.data(), x.Data(), x.ByteLength());
  if (!info[2].IsUndefined()) {
    const Napi::Object given = object(info[2], "[samples] labels, targets and weights");
    copy_array(given, "labels", "[samples]", data->labels);
    copy_array(given, "targets", "[samples]", data->targets);
    copy_array(given, "weights", "[samples]", data->weights);
    shape.labels = !given.Get("labels").IsUndefined();
    shape.weights = !given.Get("weights").IsUndefined();
    shape.outputs = static_cast<uint32_t>(data->targets.size() / data->count);
    if (!given.Get("targets").IsUndefined() && shape.outputs == 0)
      refuse_length("as many targets in each row", data->count, data->targets.size());
  }
  check_lengths(*data, shape);
  check_numbers(*data);
  return data;
}

/** Returns samples whose arrays are to come: count, features, { labels, outputs, weights }. */
std::shared_ptr<SamplesData> draft_samples(const Napi::CallbackInfo& info, SamplesShape& shape) {
  auto data = std::make_shared<SamplesData>();
  data->count = integer(info[0], "[samples] count", 1, 0xffffffffu);
  data->features = integer(info[1], "[samples] features", 1, 0xffffffffu);
  const Napi::Object given = object(info[2], "[samples] shape");
  shape.labels = boolean(given.Get("labels"), "[samples] labels");
  shape.weights = boolean(given.Get("weights"), "[samples] weights");
  shape.outputs = integer(given.Get("outputs"), "[samples] outputs", 0, 0xffffffffu);
  const double numbers = static_cast<double>(data->count) * (1.0 + shape.outputs + data->features + 1.0);
  require_memory(numbers * sizeof(float), "[samples] " + std::to_string(data->count) + " samples");
  // Memory is touched when it is filled: this takes no time.
  data->x.reserve(data->count * data->features);
  data->labels.reserve(shape.labels ? data->count : 0);
  data->targets.reserve(data->count * shape.outputs);
  data->weights.reserve(shape.weights ? data->count : 0);
  return data;
}

/** Returns how images are augmented, from an object of NativeAugmentation. The core checks the rest. */
Augmentation augmentation_of(const Napi::Object& options) {
  Augmentation out;
  out.seed = seed_of(options.Get("seed"), "[augment] seed");
  out.rows = integer(options.Get("rows"), "[augment] rows", 1, 0xffffffffu);
  out.columns = integer(options.Get("columns"), "[augment] columns", 1, 0xffffffffu);
  out.channels = integer(options.Get("channels"), "[augment] channels", 1, 0xffffffffu);
  out.shift = integer(options.Get("shift"), "[augment] shift", 0, 0xffffffffu);
  out.flip = boolean(options.Get("flip"), "[augment] flip");
  out.padding = number(options.Get("padding"), "[augment] padding");
  const auto copy = [&](const char* key, std::vector<double>& to) {
    const Napi::Value value = options.Get(key);
    if (value.IsUndefined()) return;
    const auto array = float64_array(value, std::string("[augment] ") + key);
    to.assign(array.Data(), array.Data() + array.ElementLength());
  };
  copy("offset", out.offset);
  copy("divisor", out.divisor);
  const Napi::Value order = options.Get("order");
  if (!order.IsUndefined()) {
    const auto array = uint32_array(order, "[augment] order");
    out.order.assign(array.Data(), array.Data() + array.ElementLength());
  }
  return out;
}

/** Appends the elements of a typed array, of which there may be `limit` in all. */
template <class Vector, class Array>
void append(Vector& to, const Array& part, uint64_t limit, const std::string& what) {
  if (part.ElementLength() > limit - to.size()) refuse_length(what, limit, to.size() + part.ElementLength());
  to.insert(to.end(), part.Data(), part.Data() + part.ElementLength());
}

}  // namespace

Napi::Function SamplesObject::define(Napi::Env env) {
  return DefineClass(env, "Samples",
                     {InstanceMethod<&SamplesObject::append_part>("append"),
                      InstanceMethod<&SamplesObject::finish>("finish"),
                      InstanceMethod<&SamplesObject::augmented>("augmented"),
                      InstanceMethod<&SamplesObject::largest>("largest"),
                      InstanceMethod<&SamplesObject::dispose>("dispose")});
}

SamplesObject::SamplesObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<SamplesObject>(info) {
  const Napi::Env env = info.Env();
  const bool is_draft = info[0].IsNumber();
  const auto data = guarded(env, [&] {
    if (is_draft) return draft_samples(info, shape_);
    if (!info[0].IsExternal() || !info[0].As<Napi::External<void>>().CheckTypeTag(&kDataTag))
      return copy_samples(info, shape_);
    const MadeSamples* made = info[0].As<Napi::External<MadeSamples>>().Data();
    shape_ = made->shape;
    return made->data;
  });
  state_ = std::make_shared<State>();
  state_->data = data;
  state_->complete = !is_draft;
  auto self = info.This().As<Napi::Object>();
  self.TypeTag(&kSamplesTag);
  // Own properties, because Node-API checks the receiver of a method but not that of an accessor.
  self.DefineProperties(
      {Napi::PropertyDescriptor::Value("count", Napi::Number::New(env, static_cast<double>(data->count)),
                                       napi_enumerable),
       Napi::PropertyDescriptor::Value("features", Napi::Number::New(env, data->features), napi_enumerable),
       Napi::PropertyDescriptor::Value("outputs", Napi::Number::New(env, shape_.outputs), napi_enumerable),
       Napi::PropertyDescriptor::Value("classes", Napi::Boolean::New(env, shape_.labels), napi_enumerable)});
  bytes_ = data->bytes();
  Napi::MemoryManagement::AdjustExternalMemory(env, bytes_);
}

/** append(array, part) adds the next elements of an array of a draft. */
void SamplesObject::append_part(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    const auto state = state_;
    if (state == nullptr || state->complete || state->checking)
      throw Error(ErrorCode::invalid_argument, "[samples] these samples are complete, or disposed of");
    SamplesData& data = *state->data;
    const std::string key = text(info[0], "[samples] array");
    if (key == "x")
      append(data.x, float_array(info[1], "[samples] x"), data.count * data.features, "features of all rows");
    else if (key == "labels")
      append(data.labels, uint32_array(info[1], "[samples] labels"), shape_.labels ? data.count : 0,
             "one label per row");
    else if (key == "targets")
      append(data.targets, float_array(info[1], "[samples] targets"), data.count * shape_.outputs,
             "as many targets in each row");
    else if (key == "weights")
      append(data.weights, float_array(info[1], "[samples] weights"), shape_.weights ? data.count : 0,
             "one weight per row");
    else
      throw Error(ErrorCode::invalid_argument, "[samples] no array " + key);
    const int64_t bytes = data.bytes();
    Napi::MemoryManagement::AdjustExternalMemory(info.Env(), bytes - bytes_);
    bytes_ = bytes;
  });
}

/** finish() checks a draft on another thread; the samples can be used when its promise has resolved. */
Napi::Value SamplesObject::finish(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto state = state_;
    if (state == nullptr || state->complete || state->checking)
      throw Error(ErrorCode::invalid_argument, "[samples] these samples are complete, or disposed of");
    state->checking = true;
    const SamplesShape shape = shape_;
    return run_job(
        info.Env(),
        [state, shape]() -> Convert {
          check_lengths(*state->data, shape);
          check_numbers(*state->data);
          return [state](Napi::Env env) -> Napi::Value {
            state->complete = true;
            return env.Undefined();
          };
        },
        [] {}, [] {});
  });
}

/**
 * augmented(options, epoch, threads) makes samples of their own on another thread: images that are augmented
 * for an epoch. They share labels, targets and weights with these, whose memory they keep from being freed.
 */
Napi::Value SamplesObject::augmented(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto augmenter =
        std::make_shared<const Augmenter>(augmentation_of(object(info[0], "[augment] options")));
    const uint32_t epoch = integer(info[1], "[augment] epoch", 1, 0xffffffffu);
    const uint32_t wanted = integer(info[2], "[augment] threads", 0, kMaxThreads);
    // Looked at last, because getters of the options may have disposed of them.
    const auto source = from(info.This(), "augment");
    const SamplesShape shape = shape_;
    if (augmenter->features() != source->features)
      throw Error(ErrorCode::shape, "[augment] an image of " + std::to_string(augmenter->features()) +
                                        " pixels does not fit samples of " +
                                        std::to_string(source->features) + " features");
    const auto work = [augmenter, epoch, wanted, source, shape]() -> Convert {
      const unsigned threads = augmenter->threads_for(source->count, wanted == 0 ? available_cpus() : wanted);
      require_memory(static_cast<double>(source->x.size()) * sizeof(float) + augmenter->bytes(threads),
                     "[augment] " + std::to_string(source->count) + " augmented samples");
      auto data = std::make_shared<SamplesData>();
      data->count = source->count;
      data->features = source->features;
      data->answers = source->answers == nullptr ? source : source->answers;
      data->x.resize(source->x.size());
      data->largest = augmenter->augment(source->x.data(), source->count, epoch, threads, data->x.data());
      return [made = MadeSamples{data, shape}](Napi::Env env) -> Napi::Value {
        MadeSamples holder = made;
        const auto external = Napi::External<MadeSamples>::New(env, &holder);
        external.TypeTag(&kDataTag);
        return samples_class(env).New({external});
      };
    };
    return run_job(info.Env(), work, [] {}, [] {});
  });
}

Napi::Value SamplesObject::largest(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    return Napi::Number::New(info.Env(), from(info.This(), "samples")->largest);
  });
}

std::shared_ptr<const SamplesData> SamplesObject::from(const Napi::Value& value, const char* operation) {
  if (!value.IsObject() || !value.As<Napi::Object>().CheckTypeTag(&kSamplesTag))
    throw Error(ErrorCode::invalid_argument, std::string("[") + operation + "] expected a Samples object");
  const auto state = Unwrap(value.As<Napi::Object>())->state_;
  if (state == nullptr)
    throw make_error(value.Env(), "ERR_DISPOSED",
                     std::string("[") + operation + "] these samples were disposed of");
  if (!state->complete)
    throw Error(ErrorCode::invalid_argument,
                std::string("[") + operation + "] these samples are not complete: await finish() first");
  return state->data;
}

/** Frees the data, and reports that to V8, which counts only the memory that it is told of. */
void SamplesObject::release(Napi::Env env) {
  if (state_ == nullptr) return;
  Napi::MemoryManagement::AdjustExternalMemory(env, -bytes_);
  state_.reset();
}

void SamplesObject::Finalize(Napi::Env env) {
  release(env);
}

void SamplesObject::dispose(const Napi::CallbackInfo& info) {
  release(info.Env());
}

}  // namespace set_native::binding
