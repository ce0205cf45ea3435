#pragma once

#include <stdint.h>

/*
 * The boundary between set-native and libset_native_cuda.so: C types only. No exception, no C++ object and no
 * type of CUDA crosses it, so that the library may be built by another compiler than the program, or later.
 *
 * The library exports one symbol, `set_native_cuda_library`, which returns its table. Every function that can
 * fail returns a Status and, unless that is kOk, has written a text into `failure`. Functions without
 * `failure` cannot fail. Only one thread at a time may use a device. Two threads may use two devices, because
 * each device has a stream of its own.
 */
namespace set_native::cuda {

constexpr uint32_t kMostBuffers = 32;  // most buffers of a launch

enum Status : int32_t {
  kOk = 0,
  kUnavailable = 1,  // the text ends the sentence "not available, because ..."
  kOutOfMemory = 2,  // the device is as it was
  kFailed = 3,       // the text holds CUDA's own words, the call, file and line
};

struct Failure {
  char text[512];  // ends with a zero
};

struct Probe {
  char name[256];
  uint64_t memory;        // bytes of memory, free or not
  uint32_t major, minor;  // compute capability
  uint32_t driver;        // newest CUDA version that the driver supports, 1000 major + 10 minor
  uint32_t runtime;       // CUDA version that the library was built with
  uint32_t processors;    // multiprocessors
  uint32_t threads;       // most resident threads of a multiprocessor
};

/** A gpu::Launch with its gpu::KernelId. */
struct LaunchShape {
  uint32_t op, wide, height;
  uint32_t teams_x, teams_y, shared_bytes;
};

struct DeviceHandle;     // device 0 with a stream, staging memory and two events
struct RecordingHandle;  // an instantiated CUDA graph

struct Library {
  uint32_t abi;    // kAbi (abi.h)
  uint32_t bytes;  // sizeof(Library)

  /** Looks for a driver and a device that the kernels run on. Creates no context. */
  int32_t (*probe)(Probe* probe, Failure* failure);
  int32_t (*open)(DeviceHandle** device, Failure* failure);
  void (*close)(DeviceHandle* device);

  int32_t (*memory)(DeviceHandle* device, uint64_t* free, uint64_t* total, Failure* failure);
  /** `bytes` is at least 1. */
  int32_t (*allocate)(DeviceHandle* device, uint64_t bytes, void** memory, Failure* failure);
  void (*release)(DeviceHandle* device, void* memory);
  /** Allocates pinned memory: `host` and `memory` become its addresses for the host and for the device. */
  int32_t (*allocate_shared)(DeviceHandle* device, uint64_t bytes, void** host, void** memory,
                             Failure* failure);
  void (*release_shared)(DeviceHandle* device, void* host);

  // These run in order with the launches. `upload` has read `from` when it returns, `download` has written
  // `to`.
  int32_t (*upload)(DeviceHandle* device, void* to, const void* from, uint64_t bytes, Failure* failure);
  int32_t (*download)(DeviceHandle* device, void* to, const void* from, uint64_t bytes, Failure* failure);
  int32_t (*copy)(DeviceHandle* device, void* to, const void* from, uint64_t bytes, Failure* failure);
  int32_t (*clear)(DeviceHandle* device, void* memory, uint64_t bytes, Failure* failure);

  /** Fails if there is no such kernel, or if it takes other parameters or another number of buffers. */
  int32_t (*launch)(DeviceHandle* device, const LaunchShape* shape, const void* params, uint64_t params_bytes,
                    void* const* buffers, uint32_t buffer_count, Failure* failure);

  // Between these two calls launches, copies and clears are recorded, not run. A null `recording` drops them.
  int32_t (*begin_recording)(DeviceHandle* device, Failure* failure);
  int32_t (*end_recording)(DeviceHandle* device, RecordingHandle** recording, Failure* failure);
  int32_t (*replay)(DeviceHandle* device, RecordingHandle* recording, Failure* failure);
  void (*release_recording)(DeviceHandle* device, RecordingHandle* recording);

  int32_t (*idle)(DeviceHandle* device, uint32_t* idle, Failure* failure);
  int32_t (*synchronize)(DeviceHandle* device, Failure* failure);

  /**
   * Sets mark 0 or 1 behind the queued work; `elapsed` waits for mark 1 and returns the time between both.
   */
  int32_t (*mark)(DeviceHandle* device, uint32_t mark, Failure* failure);
  int32_t (*elapsed)(DeviceHandle* device, double* ms, Failure* failure);
};

using GetLibrary = const Library* (*)();
constexpr const char* kGetLibrary = "set_native_cuda_library";

}  // namespace set_native::cuda
