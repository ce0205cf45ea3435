#pragma once

#include "core/backend.h"

namespace set_native {

/** The back end that computes slowly, in double precision, as anyone would write it down: the oracle of all
 * others. */
const Backend& reference_backend();

}  // namespace set_native
