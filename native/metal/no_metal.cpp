#include <memory>
#include <string>

#include "core/error.h"
#include "metal/metal.h"

/* Takes the place of metal/metal.cpp where there is no Metal. */
namespace set_native {

namespace {

const char* const kReason =
    "not available, because it was built without Metal, which takes a Mac with Apple silicon (M1 or later)";

class NoMetal final : public Backend {
 public:
  const char* name() const override { return "metal"; }
  Availability probe() const override { return {false, "", kReason}; }
  double model_bytes(const ModelSpec&) const override { unavailable(); }
  std::unique_ptr<BackendModel> create(Model, const BackendOptions&) const override { unavailable(); }

 private:
  [[noreturn]] static void unavailable() {
    throw Error(ErrorCode::backend_unavailable,
                std::string("[create] expected a back end that works here, but metal is ") + kReason);
  }
};

}  // namespace

const Backend& metal_backend() {
  static const NoMetal backend;
  return backend;
}

}  // namespace set_native
