#pragma once

#include <string>
#include <vector>

#include "core/backend.h"

/*
 * The composition root: backends.cpp is the only file that names all back ends.
 */
namespace set_native {

/** All back ends, in the order in which they are listed to users: cpu, cuda, metal, reference. */
const std::vector<const Backend*>& backends();

/** Returns the back end called `name`. Throws invalid_argument, listing the names, if there is none. */
const Backend& find_backend(const std::string& name);

}  // namespace set_native
