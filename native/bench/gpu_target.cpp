#include "bench/gpu_target.h"
#include "backends.h"
#include "gpu/backend.h"

#include <algorithm>
#include <utility>

#include "core/error.h"
#include "gpu/model.h"

namespace set_native::bench {

namespace {

/** The clock of the device that was opened last. */
class DeviceClock final : public Stopwatch {
 public:
  void start() override { device->start_timer(); }
  double stop() override { return device->stop_timer(); }

  gpu::TimedDevice* device = nullptr;
};

/** Returns the best GB/s of several copies. Both buffers take a quarter of the free memory, at most 1 GB. */
double copy_rate(gpu::TimedDevice& device) {
  const size_t bytes = std::min<size_t>(device.memory().free / 8, 1u << 29) / 256 * 256;
  const auto from = device.allocate(bytes), to = device.allocate(bytes);
  device.clear(*from, 0, bytes);
  double best = 0.0;
  for (int round = 0; round < 10; ++round) {
    device.start_timer();
    device.copy(*to, 0, *from, 0, bytes);
    best = std::max(best, 2.0 * static_cast<double>(bytes) / device.stop_timer() * 1e-6);
  }
  return best;
}

class GpuOfBackend final : public GpuTarget {
 public:
  GpuOfBackend(const Backend& backend, std::string name) : backend_(backend) {
    const auto device = gpu::open_device(backend);
    facts_ = {std::move(name), copy_rate(*device)};
  }

  std::unique_ptr<BackendModel> create(Model model, unsigned) override {
    return std::make_unique<gpu::GpuModel>(open(), std::move(model));
  }
  std::unique_ptr<gpu::TimedDevice> open() override {
    auto device = gpu::open_device(backend_);
    clock_.device = device.get();
    return device;
  }
  size_t stride(size_t batch) const override { return gpu::row_stride(static_cast<uint32_t>(batch)); }
  Stopwatch& stopwatch() override { return clock_; }
  Limit limit(const std::vector<Work>& work, double times, unsigned) override {
    double streamed = 0.0;
    for (const Work& part : work) streamed += part.streamed;
    return {streamed * times / facts_.copy * 1e-6, "copy"};
  }
  const GpuFacts& facts() const override { return facts_; }

 private:
  const Backend& backend_;
  GpuFacts facts_;
  DeviceClock clock_;
};

}  // namespace

std::unique_ptr<GpuTarget> gpu_target(const std::string& name) {
  const Backend& backend = find_backend(name);
  const Availability availability = backend.probe();
  if (!availability.available)
    throw Error(ErrorCode::backend_unavailable, "[bench] " + name + " is " + availability.reason);
  return std::make_unique<GpuOfBackend>(backend, availability.device);
}

}  // namespace set_native::bench
