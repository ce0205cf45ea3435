#pragma once

#include <cstdlib>
#include <memory>
#include <string>

#include "core/error.h"
#include "cuda/device.h"
#include "cuda/loader.h"
#include "test/emulator/device.h"

/*
 * The device that GPU tests run on: the emulator, or with SET_NATIVE_TEST_DEVICE=cuda the one that the CUDA library
 * finds. Tests of what only the emulator can do, failing allocations say, name EmulatedDevice.
 */
namespace set_native::test {

inline bool on_cuda() {
  const char* name = std::getenv("SET_NATIVE_TEST_DEVICE");
  return name != nullptr && std::string(name) == "cuda";
}

/** Throws backend_unavailable where SET_NATIVE_TEST_DEVICE asks for a GPU and there is none. */
inline std::unique_ptr<gpu::Device> test_device(const EmulatedDevice::Options& options = {}) {
  if (!on_cuda()) return std::make_unique<EmulatedDevice>(options);
  const cuda::Loaded loaded = cuda::library();
  if (loaded.library == nullptr)
    throw Error(ErrorCode::backend_unavailable, "[test] cuda is not available, because " + loaded.reason);
  return cuda::open_device(*loaded.library);
}

}  // namespace set_native::test
