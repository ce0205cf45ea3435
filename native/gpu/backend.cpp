#include "gpu/backend.h"

#include <array>
#include <cstdint>
#include <utility>

#include "core/error.h"
#include "gpu/model.h"
#include "layout/network.h"

namespace set_native::gpu {

void try_device(Device& device, const std::string& name) {
  const std::array<uint32_t, 4> sent = {1, 20, 300, 4000}, expected = {1, 20, 0, 20};
  std::array<uint32_t, 4> back{};
  const auto buffer = device.allocate(sizeof sent);
  device.upload(*buffer, 0, sent.data(), sizeof sent);
  device.clear(*buffer, 8, 4);
  device.copy(*buffer, 12, *buffer, 4, 4);
  device.download(back.data(), *buffer, 0, sizeof back);
  device.synchronize();
  if (back != expected)
    throw Error(ErrorCode::internal, "[" + name + "] the device gave other bytes back than it was given");
}

double GpuBackend::model_bytes(const ModelSpec& spec) const {
  return packed_bytes(spec, true);
}

std::unique_ptr<BackendModel> GpuBackend::create(Model model, const BackendOptions&) const {
  return std::make_unique<GpuModel>(open_device(), std::move(model));
}

std::unique_ptr<TimedDevice> GpuBackend::open_device() const {
  const Availability availability = probe();
  if (!availability.available)
    throw Error(ErrorCode::backend_unavailable,
                std::string("[create] expected a back end that works here, but ") + name() + " is " +
                    availability.reason);
  return open();
}

std::string GpuBackend::try_out() const {
  const Availability availability = probe();
  if (!availability.available) return availability.reason;
  try {
    try_device(*open(), name());
  } catch (const Error& error) {
    return std::string("not available, because ") + error.what();
  }
  return "";
}

Capacity capacity_of(const Backend& backend) {
  const auto* gpu = dynamic_cast<const GpuBackend*>(&backend);
  return gpu == nullptr ? Capacity{} : gpu->capacity();
}

std::unique_ptr<TimedDevice> open_device(const Backend& backend) {
  const auto* gpu = dynamic_cast<const GpuBackend*>(&backend);
  if (gpu != nullptr) return gpu->open_device();
  throw Error(ErrorCode::backend_unavailable,
              std::string("[open] ") + backend.name() + " computes on no GPU");
}

}  // namespace set_native::gpu
