#pragma once

#include <functional>
#include <memory>
#include <string>

#include "core/backend.h"
#include "metal/gpu.h"

namespace set_native::metal {

/**
 * Opens the GPU, again with each call. Returns null with the end of "not available, because ..." in `reason`
 * if it cannot.
 */
using Opener = std::function<std::unique_ptr<Gpu>(std::string& reason)>;

/** Returns a back end "metal" on the GPU that `opener` opens. */
std::unique_ptr<Backend> make_backend(Opener opener);

}  // namespace set_native::metal
