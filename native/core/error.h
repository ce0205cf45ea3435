#pragma once

#include <stdexcept>
#include <string>

namespace set_native {

/** Stable codes, equal to those of `SetNativeError` in TypeScript. Codes are added, never changed. */
enum class ErrorCode {
  aborted,              // ERR_ABORTED: the caller cancelled; the model stays valid
  backend_unavailable,  // ERR_BACKEND_UNAVAILABLE: this machine lacks the device or instruction set
  internal,             // ERR_INTERNAL: an invariant of the library is broken; please report
  invalid_argument,     // ERR_INVALID_ARGUMENT: a value of the wrong kind
  invalid_csr,          // ERR_INVALID_CSR: offsets or indices break the CSR rules
  non_finite,           // ERR_NON_FINITE: NaN or infinity in data, weights or loss
  out_of_memory,        // ERR_OUT_OF_MEMORY: more than this machine has
  out_of_range,         // ERR_OUT_OF_RANGE: a number outside its documented range
  shape,                // ERR_SHAPE: sizes that do not fit together
};

const char* code_name(ErrorCode code);

/** The one exception type of the core. Its text is `[operation] what was expected, what came`. */
class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ErrorCode code() const { return code_; }

 private:
  ErrorCode code_;
};

/**
 * Throws out_of_memory unless `bytes` fit into the memory of the machine or container. `what` begins the text
 * of the error and names the thing and its shape.
 */
void require_memory(double bytes, const std::string& what);

}  // namespace set_native
