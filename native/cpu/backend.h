#pragma once

#include "core/backend.h"

namespace set_native {

/**
 * Returns the back end that computes on CPU threads, with vector kernels of the machine's widest instruction
 * set.
 */
const Backend& cpu_backend();

}  // namespace set_native
