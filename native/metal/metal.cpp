#include <memory>
#include <string>

#include "metal/backend.h"
#include "metal/metal.h"
#include "metal/source.h"

namespace set_native {

const Backend& metal_backend() {
  static const std::unique_ptr<Backend> backend =
      metal::make_backend([](std::string& reason) { return metal::open_apple_gpu(metal::kSource, reason); });
  return *backend;
}

}  // namespace set_native
