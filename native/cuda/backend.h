#pragma once

#include "core/backend.h"

namespace set_native {

/** The back end that computes on an NVIDIA GPU, device 0, where the CUDA library opens and finds one. */
const Backend& cuda_backend();

}  // namespace set_native
