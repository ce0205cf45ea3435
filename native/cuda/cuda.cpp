#include <memory>
#include <string>

#include "cuda/backend.h"
#include "cuda/device.h"
#include "cuda/loader.h"
#include "gpu/backend.h"

namespace set_native {

namespace {

/** The back end on device 0, which is available where the library opens and finds one. */
class Cuda final : public gpu::GpuBackend {
 public:
  const char* name() const override { return "cuda"; }

  Availability probe() const override {
    const cuda::Loaded loaded = cuda::library();
    if (loaded.table == nullptr) return {false, "", "not available, because " + loaded.reason};
    return cuda::availability(*loaded.table);
  }

  gpu::Capacity capacity() const override {
    const cuda::Loaded loaded = cuda::library();
    return loaded.table == nullptr ? gpu::Capacity{} : cuda::capacity(*loaded.table);
  }

  std::string untried() const override { return cuda::untried_library(); }
  bool refuse(const std::string& reason) const override { return cuda::refuse(reason); }

 protected:
  std::unique_ptr<gpu::TimedDevice> open() const override {
    return cuda::open_device(*cuda::library().table);
  }
};

}  // namespace

const Backend& cuda_backend() {
  static const Cuda backend;
  return backend;
}

}  // namespace set_native
