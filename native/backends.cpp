#include "backends.h"

#include "core/error.h"
#include "cpu/backend.h"
#include "cuda/backend.h"
#include "metal/metal.h"
#include "reference/backend.h"

namespace set_native {

const std::vector<const Backend*>& backends() {
  static const std::vector<const Backend*> all = {&cpu_backend(), &cuda_backend(), &metal_backend(),
                                                  &reference_backend()};
  return all;
}

const Backend& find_backend(const std::string& name) {
  std::string names;
  for (const Backend* backend : backends()) {
    if (name == backend->name()) return *backend;
    names += (names.empty() ? "" : ", ") + std::string(backend->name());
  }
  throw Error(ErrorCode::invalid_argument, "[backend] expected one of " + names + ", got '" + name + "'");
}

}  // namespace set_native
