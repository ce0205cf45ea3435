#include "metal/backend.h"

#include <cstdio>
#include <mutex>
#include <utility>

#include "core/error.h"
#include "gpu/backend.h"
#include "metal/device.h"
#include "metal/trial.h"

namespace set_native::metal {

namespace {

/** Returns the first of a compiler's many lines, and the first with an error. */
std::string in_one_line(const std::string& text) {
  const auto line_at = [&](size_t at) {
    const size_t begin = text.rfind('\n', at) + 1;  // npos + 1 is 0
    return text.substr(begin, text.find('\n', at) - begin);
  };
  const std::string first = line_at(0);
  const size_t error = text.find("error:", first.size());
  return error == std::string::npos ? first : first + " " + line_at(error);
}

/**
 * The back end "metal". It counts as used once it has looked for the GPU, because that compiles the kernels.
 */
class MetalBackend final : public gpu::GpuBackend {
 public:
  explicit MetalBackend(Opener opener) : opener_(std::move(opener)) {}

  const char* name() const override { return "metal"; }

  Availability probe() const override {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!used_ && refused_.empty()) {
      used_ = true;
      std::string reason;
      const auto gpu = opener_(reason);
      if (gpu == nullptr)
        refused_ = in_one_line(reason);
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
      const auto device = std::make_shared<MetalDevice>(open_gpu());
      gpu::try_device(*device, name());
      for (const gpu::KernelId& kernel : gpu::all_kernels()) device->prepare(kernel);
      const std::string difference = difference_from_cpu(device);
      return difference.empty() ? ""
                                : begin + "it does not compute what the processor does (" + difference + ")";
    } catch (const Error& error) {
      return begin + in_one_line(error.what());
    }
  }

  bool refuse(const std::string& reason) const override {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (used_) return false;
    refused_ = reason;
    return true;
  }

 protected:
  std::unique_ptr<gpu::TimedDevice> open() const override {
    return std::make_unique<MetalDevice>(open_gpu());
  }

 private:
  std::unique_ptr<Gpu> open_gpu() const {
    std::string reason;
    auto gpu = opener_(reason);
    if (gpu == nullptr)
      throw Error(ErrorCode::backend_unavailable, "[metal] could not open the GPU: " + reason);
    return gpu;
  }

  const Opener opener_;
  mutable std::mutex mutex_;
  mutable bool used_ = false;
  mutable std::string refused_;  // why it is not available
  mutable GpuFacts facts_;
};

}  // namespace

std::unique_ptr<Backend> make_backend(Opener opener) {
  return std::make_unique<MetalBackend>(std::move(opener));
}

}  // namespace set_native::metal
