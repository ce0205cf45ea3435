#pragma once

#include "core/backend.h"

namespace set_native {

/**
 * Returns the back end that computes by the plain definitions, slowly and in double precision: the oracle of
 * all others.
 */
const Backend& reference_backend();

}  // namespace set_native
