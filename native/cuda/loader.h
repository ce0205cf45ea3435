#pragma once

#include <string>

#include "cuda/library.h"

namespace set_native::cuda {

/**
 * The table of an opened library, or the reason why there is none: the end of "not available, because ...".
 */
struct Loaded {
  const Library* table = nullptr;
  std::string reason;
};

/** Returns SET_NATIVE_CUDA_LIBRARY, else libset_native_cuda.so in the folder of this program or addon. */
std::string library_path();

/**
 * Returns library_path() if there is such a file that this process has neither opened nor refused, else "".
 */
std::string untried_library();

/** Opens a library and checks its table. The library is never closed: CUDA does not survive that. */
Loaded load(const std::string& path);

/** Returns the library of library_path(), which the first call opens unless `refuse` was called before. */
Loaded library();

/**
 * Makes the library count as absent in this process, for `reason`. A program calls it when the library has
 * ended another process. Returns false, and has no effect, if this process has already opened the library.
 */
bool refuse(const std::string& reason);

}  // namespace set_native::cuda
