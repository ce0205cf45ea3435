#pragma once

#include "core/backend.h"

namespace set_native {

/** Returns the back end on the GPU of a Mac. Elsewhere it is not available. */
const Backend& metal_backend();

}  // namespace set_native
