#pragma once

#include <string>

#include "cuda/library.h"

namespace set_native::cuda {

/** The table of an opened library, or why there is none: the end of "not available, because ...". */
struct Loaded {
  const Library* table = nullptr;
  std::string reason;
};

/** SET_NATIVE_CUDA_LIBRARY, else libset_native_cuda.so in the folder of this program or addon. */
std::string library_path();

/** library_path() where there is such a file and this process has neither opened nor refused it; else empty.
 */
std::string untried_library();

/** Opens a library and checks its table. It is never closed: CUDA does not survive that. */
Loaded load(const std::string& path);

/** That of library_path(), opened when first asked for; nothing is opened once `refuse` was called. */
Loaded library();

/**
 * Makes the library count as absent, for `reason`, in this process: what a program calls that has seen the
 * library take down another process. False, and without effect, when the library has been opened here
 * already.
 */
bool refuse(const std::string& reason);

}  // namespace set_native::cuda
