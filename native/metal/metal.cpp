#include <cstdio>
#include <memory>
#include <mutex>
#include <string>

#include "core/backend.h"
#include "core/error.h"
#include "gpu/backend.h"
#include "metal/device.h"
#include "metal/source.h"
#include "metal/trial.h"

namespace set_native {

namespace {

/** The Mac's GPU. It counts as used once it has been looked for: Metal compiles the kernels then. */
class MetalBackend final : public gpu::GpuBackend {
 public:
  const char* name() const override { return "metal"; }

  Availability probe() const override {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!used_ && refused_.empty()) {
      used_ = true;
      std::string reason;
      const auto gpu = metal::open_apple_gpu(metal::kSource, reason);
      if (gpu == nullptr)
        refused_ = reason;
      else
        facts_ = gpu->facts();
    }
    if (!refused_.empty()) return {false, "", "not available, because " + refused_};
    char size[32];
    std::snprintf(size, sizeof size, ", %.1f GB", static_cast<double>(facts_.working_set) / 1e9);
    return {true, facts_.name + size, ""};
  }

  std::string untried() const override {
    const std::lock_guard<std::mutex> lock(mutex_);
    return used_ || !refused_.empty() ? "" : "the GPU";
  }

  std::string try_out() const override {
    const Availability availability = probe();
    if (!availability.available) return availability.reason;
    const std::string begin = "not available, because its trial failed: ";
    try {
      const auto device = std::make_shared<metal::MetalDevice>(open_gpu());
      gpu::try_device(*device, name());
      for (const auto& [kernel, threads] : metal::all_kernels()) device->prepare(kernel, threads);
      const std::string difference = metal::difference_from_cpu(device);
      return difference.empty() ? "" : begin + "it does not compute what the processor does (" + difference + ")";
    } catch (const Error& error) {
      return begin + error.what();
    }
  }

  bool refuse(const std::string& reason) const override {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (used_) return false;
    refused_ = reason;
    return true;
  }

 protected:
  std::unique_ptr<gpu::TimedDevice> open() const override { return std::make_unique<metal::MetalDevice>(open_gpu()); }

 private:
  static std::unique_ptr<metal::Gpu> open_gpu() {
    std::string reason;
    auto gpu = metal::open_apple_gpu(metal::kSource, reason);
    if (gpu == nullptr) throw Error(ErrorCode::backend_unavailable, "[metal] could not open the GPU: " + reason);
    return gpu;
  }

  mutable std::mutex mutex_;
  mutable bool used_ = false;
  mutable std::string refused_;  // why it is not available
  mutable metal::GpuFacts facts_;
};

}  // namespace

const Backend& metal_backend() {
  static const MetalBackend backend;
  return backend;
}

}  // namespace set_native
