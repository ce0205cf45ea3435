#pragma once

#include <memory>
#include <string>

#include "core/backend.h"
#include "gpu/device.h"

namespace set_native::gpu {

/** Passes some bytes through a device. Throws as it does, internal naming `name` when other bytes come back.
 */
void try_device(Device& device, const std::string& name);

/** What back ends on a GPU have in common: a model is a GpuModel on a device that `open` makes for it. */
class GpuBackend : public Backend {
 public:
  std::unique_ptr<BackendModel> create(Model model, const BackendOptions& options) const final;
  std::unique_ptr<TimedDevice> open_device() const final;
  /** Opens a device and passes some bytes through it. */
  std::string try_out() const override;

 protected:
  /** Called only where `probe` says that it is available. */
  virtual std::unique_ptr<TimedDevice> open() const = 0;
};

}  // namespace set_native::gpu
