#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "core/error.h"
#include "cuda/abi.h"
#include "cuda/library.h"
#include "cuda/table.h"
#include "test/emulator/device.h"

/*
 * A library that stands in for libset_native_cuda.so where there is no GPU: a device of 1 MB in host memory,
 * whose only kernel writes its parameters to its first buffer and the launch to its second.
 *
 * SET_FAKE_CUDA=emulate runs the kernels of set-native in the emulator instead, in 1 GB; "idle" is the same
 * device, but its kernels leave everything as it was. Other values make it misbehave: "abi", "bytes", "hole"
 * and "null" spoil the table; "none" has no device, "endless" says so in a text without end; "crash" and
 * "hang" do so when probed; "fail NAME" reports a failure of a function, "full NAME" want of memory, "nothing
 * NAME" success without a result, "odd NAME" a status that there is not.
 */
using namespace set_native;
using namespace set_native::cuda;

namespace set_native::cuda {

struct DeviceHandle {
  uint64_t free;
  bool recording = false;
  std::vector<std::function<void()>> noted;
};

struct RecordingHandle {
  std::vector<std::function<void()>> steps;
};

}  // namespace set_native::cuda

namespace {

std::string mood() {
  const char* text = std::getenv("SET_FAKE_CUDA");
  return text != nullptr ? text : "";
}

bool emulating() {
  return mood() == "emulate" || mood() == "idle";
}

uint64_t memory_in_all() {
  return emulating() ? 1u << 30 : 1u << 20;
}

/** What SET_FAKE_CUDA has the function do; -1: its work. */
int32_t told(const char* function, Failure* failure) {
  const std::string mood = ::mood();
  const size_t space = mood.find(' ');
  if (space == std::string::npos || mood.substr(space + 1) != function) return -1;
  std::snprintf(failure->text, sizeof failure->text, "%s went wrong at fake.cu:1", function);
  const std::string what = mood.substr(0, space);
  return what == "fail" ? kFailed : what == "full" ? kOutOfMemory : what == "odd" ? 77 : kOk;
}

#define SET_FAKE_TOLD(function)                             \
  const int32_t set_fake_status = told(#function, failure); \
  if (set_fake_status >= 0) return set_fake_status

int32_t run(DeviceHandle* device, std::function<void()> step) {
  if (device->recording)
    device->noted.push_back(std::move(step));
  else
    step();
  return kOk;
}

int32_t probe(Probe* out, Failure* failure) {
  if (mood() == "crash") std::raise(SIGSEGV);
  while (mood() == "hang") std::this_thread::yield();
  SET_FAKE_TOLD(probe);
  if (mood() == "none") {
    std::snprintf(failure->text, sizeof failure->text, "there is no device");
    return kUnavailable;
  }
  if (mood() == "endless") {
    std::memset(failure->text, 'x', sizeof failure->text);
    return kUnavailable;
  }
  std::snprintf(out->name, sizeof out->name, "Fake");
  out->memory = memory_in_all();
  out->major = 9;
  out->minor = 0;
  out->driver = 13000;
  out->runtime = 13000;
  out->processors = 4;
  out->threads = 2048;
  return kOk;
}

int32_t open(DeviceHandle** out, Failure* failure) {
  SET_FAKE_TOLD(open);
  *out = new DeviceHandle{memory_in_all(), false, {}};
  return kOk;
}

void close(DeviceHandle* device) {
  delete device;
}

int32_t memory(DeviceHandle* device, uint64_t* free, uint64_t* total, Failure* failure) {
  SET_FAKE_TOLD(memory);
  *free = device->free;
  *total = memory_in_all();
  return kOk;
}

// In front of each piece of memory stands its size.
constexpr size_t kHeader = 64;

int32_t allocate(DeviceHandle* device, uint64_t bytes, void** out, Failure* failure) {
  SET_FAKE_TOLD(allocate);
  if (bytes > device->free) {
    std::snprintf(failure->text, sizeof failure->text, "%llu bytes are asked for, %llu are free",
                  static_cast<unsigned long long>(bytes), static_cast<unsigned long long>(device->free));
    return kOutOfMemory;
  }
  char* piece = static_cast<char*>(std::malloc(kHeader + bytes));
  std::memcpy(piece, &bytes, sizeof bytes);
  std::memset(piece + kHeader, 0xa5, bytes);
  device->free -= bytes;
  *out = piece + kHeader;
  return kOk;
}

void release(DeviceHandle* device, void* memory) {
  char* piece = static_cast<char*>(memory) - kHeader;
  uint64_t bytes;
  std::memcpy(&bytes, piece, sizeof bytes);
  device->free += bytes;
  std::free(piece);
}

int32_t allocate_shared(DeviceHandle* device, uint64_t bytes, void** host, void** memory, Failure* failure) {
  SET_FAKE_TOLD(allocate_shared);
  const int32_t status = allocate(device, bytes, host, failure);
  *memory = *host;
  return status;
}

int32_t upload(DeviceHandle*, void* to, const void* from, uint64_t bytes, Failure* failure) {
  SET_FAKE_TOLD(upload);
  std::memcpy(to, from, bytes);
  return kOk;
}

int32_t download(DeviceHandle*, void* to, const void* from, uint64_t bytes, Failure* failure) {
  SET_FAKE_TOLD(download);
  std::memcpy(to, from, bytes);
  return kOk;
}

int32_t copy(DeviceHandle* device, void* to, const void* from, uint64_t bytes, Failure* failure) {
  SET_FAKE_TOLD(copy);
  return run(device, [=] { std::memmove(to, from, bytes); });
}

int32_t clear(DeviceHandle* device, void* memory, uint64_t bytes, Failure* failure) {
  SET_FAKE_TOLD(clear);
  return run(device, [=] { std::memset(memory, 0, bytes); });
}

/** The launch in the emulator, at once or noted. */
int32_t emulate(DeviceHandle* device, const LaunchShape& shape, std::vector<char> values,
                std::vector<void*> buffers, Failure* failure) try {
  const gpu::KernelId id{static_cast<gpu::Op>(shape.op), shape.wide != 0, shape.height};
  const Kernel* kernel = find_kernel(id);
  if (kernel == nullptr) throw Error(ErrorCode::internal, "there is no such kernel");
  const simt::Shape how = test::shape_of({id, shape.teams_x, shape.teams_y, shape.shared_bytes});
  return run(device, [=] { test::run_kernel(*kernel, how, {}, values.data(), values.size(), buffers); });
} catch (const std::exception& error) {
  std::snprintf(failure->text, sizeof failure->text, "%s", error.what());
  return kFailed;
}

int32_t launch(DeviceHandle* device, const LaunchShape* shape, const void* params, uint64_t params_bytes,
               void* const* buffers, uint32_t buffer_count, Failure* failure) {
  SET_FAKE_TOLD(launch);
  if (mood() == "idle") return kOk;
  const auto* bytes = static_cast<const char*>(params);
  std::vector<char> values(bytes, bytes + params_bytes);
  if (emulating())
    return emulate(device, *shape, std::move(values), std::vector<void*>(buffers, buffers + buffer_count),
                   failure);
  if (buffer_count != 3 || buffers[2] != nullptr) {
    std::snprintf(failure->text, sizeof failure->text, "the kernel takes 3 buffers, the last without memory");
    return kFailed;
  }
  return run(device, [values, shape = *shape, to = buffers[0], shape_to = buffers[1]] {
    std::memcpy(to, values.data(), values.size());
    std::memcpy(shape_to, &shape, sizeof shape);
  });
}

int32_t begin_recording(DeviceHandle* device, Failure* failure) {
  SET_FAKE_TOLD(begin_recording);
  device->recording = true;
  return kOk;
}

int32_t end_recording(DeviceHandle* device, RecordingHandle** recording, Failure* failure) {
  device->recording = false;
  const auto noted = std::exchange(device->noted, {});
  SET_FAKE_TOLD(end_recording);
  if (recording != nullptr) *recording = new RecordingHandle{noted};
  return kOk;
}

int32_t replay(DeviceHandle*, RecordingHandle* recording, Failure* failure) {
  SET_FAKE_TOLD(replay);
  try {
    for (const auto& step : recording->steps) step();
  } catch (const std::exception& error) {
    std::snprintf(failure->text, sizeof failure->text, "%s", error.what());
    return kFailed;
  }
  return kOk;
}

void release_recording(DeviceHandle*, RecordingHandle* recording) {
  delete recording;
}

int32_t idle(DeviceHandle*, uint32_t* idle, Failure* failure) {
  SET_FAKE_TOLD(idle);
  *idle = 1;
  return kOk;
}

int32_t synchronize(DeviceHandle*, Failure* failure) {
  SET_FAKE_TOLD(synchronize);
  return kOk;
}

int32_t mark(DeviceHandle*, uint32_t, Failure* failure) {
  SET_FAKE_TOLD(mark);
  return kOk;
}

int32_t elapsed(DeviceHandle*, double* ms, Failure* failure) {
  SET_FAKE_TOLD(elapsed);
  *ms = 1.5;
  return kOk;
}

}  // namespace

extern "C" __attribute__((visibility("default"))) const Library* set_native_cuda_library() {
  static Library library;
  library = {};
  library.abi = kAbi;
  library.bytes = sizeof(Library);
  library.probe = probe;
  library.open = open;
  library.close = close;
  library.memory = memory;
  library.allocate = allocate;
  library.release = release;
  library.allocate_shared = allocate_shared;
  library.release_shared = release;
  library.upload = upload;
  library.download = download;
  library.copy = copy;
  library.clear = clear;
  library.launch = launch;
  library.begin_recording = begin_recording;
  library.end_recording = end_recording;
  library.replay = replay;
  library.release_recording = release_recording;
  library.idle = idle;
  library.synchronize = synchronize;
  library.mark = mark;
  library.elapsed = elapsed;
  const std::string mood = ::mood();
  if (mood == "abi") library.abi = kAbi + 1;
  if (mood == "bytes") library.bytes -= 8;
  if (mood == "hole") library.replay = nullptr;
  return mood == "null" ? nullptr : &library;
}
