#include <memory>
#include <string>

#include "core/backend.h"
#include "core/error.h"

namespace set_native {

namespace {

const char* const kReason = "not available, because set-native 0.1 has no CUDA kernels yet";

class NoCuda final : public Backend {
 public:
  const char* name() const override { return "cuda"; }
  Availability probe() const override { return {false, "", kReason}; }
  std::unique_ptr<BackendModel> create(Model, const BackendOptions&) const override {
    throw Error(ErrorCode::backend_unavailable,
                std::string("[create] expected a back end that works here, but cuda is ") + kReason + ": use cpu");
  }
};

}  // namespace

const Backend& cuda_backend() {
  static const NoCuda backend;
  return backend;
}

}  // namespace set_native
