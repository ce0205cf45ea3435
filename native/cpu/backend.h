#pragma once

#include "core/backend.h"

namespace set_native {

/** The back end that computes on threads of the processor, on vector kernels of the widest instruction set
 * that the machine has. */
const Backend& cpu_backend();

}  // namespace set_native
