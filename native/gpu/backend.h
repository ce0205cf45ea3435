#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "core/backend.h"
#include "gpu/device.h"

namespace set_native::gpu {

/**
 * Passes some bytes through a device. Throws what the device throws, and internal, naming `name`, when other
 * bytes come back.
 */
void try_device(Device& device, const std::string& name);

/** Memory and resident warps of a GPU. */
struct Capacity {
  uint64_t memory = 0;  // bytes of device memory, free or not
  uint32_t warps = 0;   // resident warps of 32 threads
};

/** The common part of back ends on a GPU: a model is a GpuModel on a device that `open` makes for it. */
class GpuBackend : public Backend {
 public:
  /** Returns the bytes that a model takes on the device. `create` checks whether they are free. */
  double model_bytes(const ModelSpec& spec) const final;
  std::unique_ptr<BackendModel> create(Model model, const BackendOptions& options) const final;
  /** Opens a device and passes some bytes through it. */
  std::string try_out() const override;

  /** Returns the capacity of the GPU; zeros where it is not known. */
  virtual Capacity capacity() const { return {}; }
  /** Opens an empty device for measurements. Throws backend_unavailable. */
  std::unique_ptr<TimedDevice> open_device() const;

 protected:
  /** Opens a device. Called only where `probe` says that one is available. */
  virtual std::unique_ptr<TimedDevice> open() const = 0;
};

/** Returns the capacity of a back end's GPU; zeros for a back end without one. */
Capacity capacity_of(const Backend& backend);

/** Opens an empty device for measurements. Throws backend_unavailable where there is no GPU. */
std::unique_ptr<TimedDevice> open_device(const Backend& backend);

}  // namespace set_native::gpu
