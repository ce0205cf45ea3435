#pragma once

#include "core/backend.h"

namespace set_native {

/** Returns the back end on NVIDIA GPU 0, which is available where the CUDA library opens and finds one. */
const Backend& cuda_backend();

}  // namespace set_native
