#include <memory>
#include <utility>

#include "core/backend.h"
#include "core/error.h"
#include "cuda/device.h"
#include "cuda/loader.h"
#include "gpu/model.h"

namespace set_native {

namespace {

/** The GPU's model over device 0, where the library opens and finds one. */
class Cuda final : public Backend {
 public:
  const char* name() const override { return "cuda"; }

  Availability probe() const override {
    const cuda::Loaded loaded = cuda::library();
    if (loaded.table == nullptr) return {false, "", "not available, because " + loaded.reason};
    return cuda::availability(*loaded.table);
  }

  std::unique_ptr<BackendModel> create(Model model, const BackendOptions&) const override {
    const Availability availability = probe();
    if (!availability.available)
      throw Error(ErrorCode::backend_unavailable,
                  "[create] expected a back end that works here, but cuda is " + availability.reason);
    return std::make_unique<gpu::GpuModel>(cuda::open_device(*cuda::library().table), std::move(model));
  }
};

}  // namespace

const Backend& cuda_backend() {
  static const Cuda backend;
  return backend;
}

}  // namespace set_native
