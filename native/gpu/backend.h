#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "core/backend.h"
#include "gpu/device.h"

namespace set_native::gpu {

/** Passes some bytes through a device. Throws as it does, internal naming `name` when other bytes come back.
 */
void try_device(Device& device, const std::string& name);

/** What a GPU holds at once. */
struct Capacity {
  uint64_t memory = 0;  // bytes in all
  uint32_t warps = 0;   // of 32 threads
};

/** What back ends on a GPU have in common: a model is a GpuModel on a device that `open` makes for it. */
class GpuBackend : public Backend {
 public:
  /** On the device. Whether it is free there, `create` looks. */
  double model_bytes(const ModelSpec& spec) const final;
  std::unique_ptr<BackendModel> create(Model model, const BackendOptions& options) const final;
  /** Opens a device and passes some bytes through it. */
  std::string try_out() const override;

  /** Zeros where it is not known. */
  virtual Capacity capacity() const { return {}; }
  /** A device of its own for measurements, with nothing on it. Throws backend_unavailable. */
  std::unique_ptr<TimedDevice> open_device() const;

 protected:
  /** Called only where `probe` says that it is available. */
  virtual std::unique_ptr<TimedDevice> open() const = 0;
};

/** What a GPU holds at once; zeros for a back end that is on none. */
Capacity capacity_of(const Backend& backend);

/** A device of its own for measurements, with nothing on it. Throws backend_unavailable where there is no
 * GPU. */
std::unique_ptr<TimedDevice> open_device(const Backend& backend);

}  // namespace set_native::gpu
