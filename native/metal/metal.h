#pragma once

#include "core/backend.h"

namespace set_native {

/** The back end that computes on the GPU of a Mac, where this was built on one. */
const Backend& metal_backend();

}  // namespace set_native
