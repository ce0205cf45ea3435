#pragma once

#include <napi.h>

#include <cmath>
#include <cstring>
#include <initializer_list>
#include <string>
#include <utility>

#include "core/error.h"

/*
 * Checked unpacking of JavaScript values. TypeScript has checked them before, for helpful errors; these
 * functions check again, for memory safety, and throw for anything that the native side does not expect.
 */
namespace set_native::binding {

/** Returns the text of a value for an error message; a Symbol has no text of its own. */
inline std::string shown(const Napi::Value& value) {
  return value.IsSymbol() ? "a symbol" : value.ToString().Utf8Value();
}

/** Returns an object of named values, which arrays, functions and promises are not. */
inline Napi::Object object(const Napi::Value& value, const std::string& what) {
  const bool is_list = value.IsArray() || value.IsTypedArray() || value.IsDataView() || value.IsArrayBuffer();
  if (!value.IsObject() || is_list || value.IsFunction() || value.IsPromise())
    throw Error(ErrorCode::invalid_argument, what + " must be an object");
  return value.As<Napi::Object>();
}

inline std::string text(const Napi::Value& value, const std::string& what) {
  if (!value.IsString()) throw Error(ErrorCode::invalid_argument, what + " must be a string");
  return value.As<Napi::String>();
}

inline double number(const Napi::Value& value, const std::string& what) {
  if (!value.IsNumber()) throw Error(ErrorCode::invalid_argument, what + " must be a number");
  return value.As<Napi::Number>().DoubleValue();
}

/** Returns an integer in low .. high, both at most 2^53. Throws out_of_range. */
inline double whole(const Napi::Value& value, const std::string& what, double low, double high) {
  const double v = number(value, what);
  if (!(v >= low && v <= high) || v != std::floor(v))
    throw Error(ErrorCode::out_of_range,
                what + " must be an integer from " + std::to_string(static_cast<uint64_t>(low)) + " to " +
                    std::to_string(static_cast<uint64_t>(high)) + ", got " + shown(value));
  return v;
}

inline uint32_t integer(const Napi::Value& value, const std::string& what, uint32_t low, uint32_t high) {
  return static_cast<uint32_t>(whole(value, what, low, high));
}

inline uint64_t seed_of(const Napi::Value& value, const std::string& what) {
  return static_cast<uint64_t>(whole(value, what, 0, 9007199254740991.0));
}

/** Returns a finite number that float32 can hold. Throws out_of_range. */
inline float finite_float(const Napi::Value& value, const std::string& what) {
  const float v = static_cast<float>(number(value, what));
  if (!std::isfinite(v))
    throw Error(ErrorCode::out_of_range, what + " must be a finite number, got " + shown(value));
  return v;
}

inline bool boolean(const Napi::Value& value, const std::string& what) {
  if (!value.IsBoolean()) throw Error(ErrorCode::invalid_argument, what + " must be true or false");
  return value.As<Napi::Boolean>().Value();
}

/** Returns the value of one of a list of names. Throws invalid_argument. */
template <class Enum>
Enum choice(const Napi::Value& value, const std::string& what,
            std::initializer_list<std::pair<const char*, Enum>> choices) {
  const std::string given = value.IsString() ? value.As<Napi::String>().Utf8Value() : std::string();
  std::string names;
  for (const auto& [name, result] : choices) {
    if (given == name) return result;
    names += (names.empty() ? "" : ", ") + std::string(name);
  }
  throw Error(ErrorCode::invalid_argument, what + " must be one of " + names + ", got " + shown(value));
}

/**
 * Returns a new typed array, made by its JavaScript constructor. When memory is short the constructor throws
 * a RangeError, where the function of Node-API would end the process.
 */
template <class Array>
Array new_array(Napi::Env env, const char* constructor, napi_typedarray_type type, size_t length) {
  try {
    const Napi::Value made = env.Global()
                                 .Get(constructor)
                                 .As<Napi::Function>()
                                 .New({Napi::Number::New(env, static_cast<double>(length))});
    // A program may have replaced the constructor.
    if (!made.IsTypedArray() || made.As<Napi::TypedArray>().TypedArrayType() != type ||
        made.As<Napi::TypedArray>().ElementLength() != length)
      throw Error(ErrorCode::internal, std::string("[native] the global ") + constructor + " was replaced");
    return made.As<Array>();
  } catch (const Napi::Error& error) {
    throw Error(ErrorCode::out_of_memory, std::string("[native] no memory for a ") + constructor + " of " +
                                              std::to_string(length) + " elements (" + error.Message() + ")");
  }
}

/** The typed array whose elements have type Number. */
template <class Number>
struct TypedArrayOf;
template <>
struct TypedArrayOf<float> {
  using Type = Napi::Float32Array;
  static constexpr const char* kConstructor = "Float32Array";
  static constexpr napi_typedarray_type kType = napi_float32_array;
};
template <>
struct TypedArrayOf<uint32_t> {
  using Type = Napi::Uint32Array;
  static constexpr const char* kConstructor = "Uint32Array";
  static constexpr napi_typedarray_type kType = napi_uint32_array;
};
template <>
struct TypedArrayOf<uint16_t> {
  using Type = Napi::Uint16Array;
  static constexpr const char* kConstructor = "Uint16Array";
  static constexpr napi_typedarray_type kType = napi_uint16_array;
};

/** Returns a copy of `values` for JavaScript. */
template <class Vector>
auto typed_array(Napi::Env env, const Vector& values) {
  using Kind = TypedArrayOf<typename Vector::value_type>;
  auto array = new_array<typename Kind::Type>(env, Kind::kConstructor, Kind::kType, values.size());
  if (!values.empty()) std::memcpy(array.Data(), values.data(), values.size() * sizeof values[0]);
  return array;
}

/**
 * Copies the typed array `from[key]`, which has elements of the same type, to `to`; an absent one is empty.
 */
template <class Vector>
void copy_array(const Napi::Object& from, const char* key, const std::string& what, Vector& to) {
  using Kind = TypedArrayOf<typename Vector::value_type>;
  const Napi::Value value = from.Get(key);
  to.clear();
  if (value.IsUndefined()) return;
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != Kind::kType)
    throw Error(ErrorCode::invalid_argument,
                what + "." + key + " must be a typed array of the kind that download gives");
  const auto array = value.As<typename Kind::Type>();
  to.assign(array.Data(), array.Data() + array.ElementLength());
}

inline Napi::Float32Array float_array(const Napi::Value& value, const std::string& what) {
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != napi_float32_array)
    throw Error(ErrorCode::invalid_argument, what + " must be a Float32Array");
  return value.As<Napi::Float32Array>();
}

inline Napi::Float64Array float64_array(const Napi::Value& value, const std::string& what) {
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != napi_float64_array)
    throw Error(ErrorCode::invalid_argument, what + " must be a Float64Array");
  return value.As<Napi::Float64Array>();
}

inline Napi::Uint32Array uint32_array(const Napi::Value& value, const std::string& what) {
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != napi_uint32_array)
    throw Error(ErrorCode::invalid_argument, what + " must be a Uint32Array");
  return value.As<Napi::Uint32Array>();
}

}  // namespace set_native::binding
