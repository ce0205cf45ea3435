#include "cuda/library.h"

#include <cuda_runtime.h>

#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <memory>
#include <new>

#include "cuda/abi.h"
#include "cuda/table.h"

/*
 * libset_native_cuda.so implements library.h with the CUDA runtime, which is linked statically, and the
 * kernels of table.h.
 *
 * Every call of CUDA is checked; a failure is reported with CUDA's words, the call, file and line. Host
 * memory that is not pinned cannot be copied asynchronously, so copies pass through two pinned halves of a
 * staging area that each device keeps: the host fills or empties one half while the other is being
 * transferred.
 */
namespace set_native::cuda {

namespace {

constexpr uint64_t kHalf = 4u << 20;  // enough for full speed of the bus, little enough to keep pinned
constexpr int kLeastMajor = 8;        // the library holds code for 8.0 and later

int32_t report(Failure* failure, Status status, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(failure->text, sizeof failure->text, format, arguments);
  va_end(arguments);
  return status;
}

int32_t report_call(Failure* failure, cudaError_t error, const char* call, const char* file, int line) {
  const char* slash = std::strrchr(file, '/');
  const Status status = error == cudaErrorMemoryAllocation ? kOutOfMemory : kFailed;
  cudaGetLastError();  // clears the error, unless the context is lost
  return report(failure, status, "%s (%s) from %s at %s:%d", cudaGetErrorString(error),
                cudaGetErrorName(error), call, slash != nullptr ? slash + 1 : file, line);
}

#define SET_CUDA_RETURN(error, call) \
  if ((error) != cudaSuccess) return report_call(failure, error, call, __FILE__, __LINE__)

#define SET_CUDA_CHECK(call)                   \
  do {                                         \
    const cudaError_t set_cuda_error = (call); \
    SET_CUDA_RETURN(set_cuda_error, #call);    \
  } while (0)

#define SET_CUDA_PASS(call)                             \
  do {                                                  \
    const int32_t set_cuda_status = (call);             \
    if (set_cuda_status != kOk) return set_cuda_status; \
  } while (0)

}  // namespace

struct DeviceHandle {
  cudaStream_t stream = nullptr;
  char* staging[2] = {nullptr, nullptr};
  cudaEvent_t passed[2] = {nullptr, nullptr};  // set behind the last copy from or to that half
  cudaEvent_t marks[2] = {nullptr, nullptr};
  uint32_t next = 0;  // half that the next copy uses
  bool recording = false;

  // Failures here cannot be reported, and nothing depends on them.
  ~DeviceHandle() {
    if (stream != nullptr) cudaStreamSynchronize(stream);
    for (int half = 0; half < 2; ++half) {
      if (staging[half] != nullptr) cudaFreeHost(staging[half]);
      if (passed[half] != nullptr) cudaEventDestroy(passed[half]);
      if (marks[half] != nullptr) cudaEventDestroy(marks[half]);
    }
    if (stream != nullptr) cudaStreamDestroy(stream);
  }
};

struct RecordingHandle {
  cudaGraphExec_t graph;
};

namespace {

int32_t probe(Probe* out, Failure* failure) {
  int driver = 0, runtime = 0, count = 0;
  SET_CUDA_CHECK(cudaRuntimeGetVersion(&runtime));
  SET_CUDA_CHECK(cudaDriverGetVersion(&driver));  // 0 where there is none
  if (driver == 0) return report(failure, kUnavailable, "no NVIDIA driver was found (libcuda.so.1)");
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error == cudaErrorInsufficientDriver)
    return report(failure, kUnavailable, "the NVIDIA driver supports CUDA %d.%d and the library needs %d.%d",
                  driver / 1000, driver % 1000 / 10, runtime / 1000, runtime % 1000 / 10);
  if (error == cudaErrorNoDevice || (error == cudaSuccess && count == 0))
    return report(failure, kUnavailable, "the NVIDIA driver shows no device");
  SET_CUDA_RETURN(error, "cudaGetDeviceCount");
  cudaDeviceProp properties;
  SET_CUDA_CHECK(cudaGetDeviceProperties(&properties, 0));
  if (properties.major < kLeastMajor)
    return report(failure, kUnavailable, "%s has compute capability %d.%d and the kernels need %d.0 or later",
                  properties.name, properties.major, properties.minor, kLeastMajor);
  std::snprintf(out->name, sizeof out->name, "%s", properties.name);
  out->memory = properties.totalGlobalMem;
  out->major = static_cast<uint32_t>(properties.major);
  out->minor = static_cast<uint32_t>(properties.minor);
  out->driver = static_cast<uint32_t>(driver);
  out->runtime = static_cast<uint32_t>(runtime);
  out->processors = static_cast<uint32_t>(properties.multiProcessorCount);
  out->threads = static_cast<uint32_t>(properties.maxThreadsPerMultiProcessor);
  return kOk;
}

int32_t open(DeviceHandle** out, Failure* failure) {
  Probe ignored;
  SET_CUDA_PASS(probe(&ignored, failure));
  std::unique_ptr<DeviceHandle> device(new (std::nothrow) DeviceHandle);
  if (device == nullptr) return report(failure, kFailed, "no memory for a handle");
  SET_CUDA_CHECK(cudaSetDevice(0));
  SET_CUDA_CHECK(cudaStreamCreateWithFlags(&device->stream, cudaStreamNonBlocking));
  for (int half = 0; half < 2; ++half) {
    SET_CUDA_CHECK(
        cudaHostAlloc(reinterpret_cast<void**>(&device->staging[half]), kHalf, cudaHostAllocDefault));
    SET_CUDA_CHECK(cudaEventCreateWithFlags(&device->passed[half], cudaEventDisableTiming));
    SET_CUDA_CHECK(cudaEventCreate(&device->marks[half]));
  }
  *out = device.release();
  return kOk;
}

void close(DeviceHandle* device) {
  delete device;
}

// ---- Memory -----------------------------------------------------------------------------------------------

int32_t memory(DeviceHandle*, uint64_t* free, uint64_t* total, Failure* failure) {
  size_t free_bytes = 0, total_bytes = 0;
  SET_CUDA_CHECK(cudaMemGetInfo(&free_bytes, &total_bytes));
  *free = free_bytes;
  *total = total_bytes;
  return kOk;
}

int32_t allocate(DeviceHandle* device, uint64_t bytes, void** out, Failure* failure) {
  uint64_t free = 0, total = 0;
  SET_CUDA_PASS(memory(device, &free, &total, failure));
  if (bytes > free)
    return report(failure, kOutOfMemory, "%.1f MB are asked for, the device has %.1f MB free of %.1f MB",
                  static_cast<double>(bytes) / 1e6, static_cast<double>(free) / 1e6,
                  static_cast<double>(total) / 1e6);
  SET_CUDA_CHECK(cudaMalloc(out, bytes));
  return kOk;
}

void release(DeviceHandle*, void* memory) {
  cudaFree(memory);  // waits for the kernels that use it
}

int32_t allocate_shared(DeviceHandle*, uint64_t bytes, void** host, void** memory, Failure* failure) {
  SET_CUDA_CHECK(cudaHostAlloc(host, bytes, cudaHostAllocMapped));
  const cudaError_t error = cudaHostGetDevicePointer(memory, *host, 0);
  if (error != cudaSuccess) cudaFreeHost(*host);
  SET_CUDA_RETURN(error, "cudaHostGetDevicePointer");
  return kOk;
}

void release_shared(DeviceHandle* device, void* host) {
  cudaStreamSynchronize(device->stream);
  cudaFreeHost(host);
}

int32_t refuse_while_recording(const DeviceHandle* device, Failure* failure) {
  return device->recording ? report(failure, kFailed, "only launches, copies and clears can be recorded")
                           : int32_t{kOk};
}

int32_t upload(DeviceHandle* device, void* to, const void* from, uint64_t bytes, Failure* failure) {
  SET_CUDA_PASS(refuse_while_recording(device, failure));
  for (uint64_t done = 0; done < bytes;) {
    const uint64_t part = bytes - done < kHalf ? bytes - done : kHalf;
    const uint32_t half = device->next;
    device->next = 1 - half;
    SET_CUDA_CHECK(cudaEventSynchronize(device->passed[half]));
    std::memcpy(device->staging[half], static_cast<const char*>(from) + done, part);
    SET_CUDA_CHECK(cudaMemcpyAsync(static_cast<char*>(to) + done, device->staging[half], part,
                                   cudaMemcpyHostToDevice, device->stream));
    SET_CUDA_CHECK(cudaEventRecord(device->passed[half], device->stream));
    done += part;
  }
  return kOk;
}

int32_t download(DeviceHandle* device, void* to, const void* from, uint64_t bytes, Failure* failure) {
  SET_CUDA_PASS(refuse_while_recording(device, failure));
  const uint64_t parts = (bytes + kHalf - 1) / kHalf;
  const auto size_of = [&](uint64_t part) { return part + 1 < parts ? kHalf : bytes - part * kHalf; };
  const uint32_t first = device->next;
  // Part k is copied to one half while the host reads part k - 1 from the other.
  for (uint64_t part = 0; part <= parts; ++part) {
    if (part < parts) {
      const uint32_t half = (first + part) % 2;
      SET_CUDA_CHECK(cudaMemcpyAsync(device->staging[half], static_cast<const char*>(from) + part * kHalf,
                                     size_of(part), cudaMemcpyDeviceToHost, device->stream));
      SET_CUDA_CHECK(cudaEventRecord(device->passed[half], device->stream));
    }
    if (part > 0) {
      const uint32_t half = (first + part - 1) % 2;
      SET_CUDA_CHECK(cudaEventSynchronize(device->passed[half]));
      std::memcpy(static_cast<char*>(to) + (part - 1) * kHalf, device->staging[half], size_of(part - 1));
    }
  }
  return kOk;
}

int32_t copy(DeviceHandle* device, void* to, const void* from, uint64_t bytes, Failure* failure) {
  SET_CUDA_CHECK(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, device->stream));
  return kOk;
}

int32_t clear(DeviceHandle* device, void* memory, uint64_t bytes, Failure* failure) {
  SET_CUDA_CHECK(cudaMemsetAsync(memory, 0, bytes, device->stream));
  return kOk;
}

// ---- Kernels ----------------------------------------------------------------------------------------------

const Kernel* find(const LaunchShape& shape, Failure* failure) {
  const Kernel* kernel = find_kernel({static_cast<gpu::Op>(shape.op), shape.wide != 0, shape.height});
  if (kernel == nullptr)
    report(failure, kFailed, "there is no kernel of operation %u for %s indices and height %u", shape.op,
           shape.wide != 0 ? "wide" : "narrow", shape.height);
  return kernel;
}

int32_t launch(DeviceHandle* device, const LaunchShape* shape, const void* params, uint64_t params_bytes,
               void* const* buffers, uint32_t buffer_count, Failure* failure) {
  const Kernel* kernel = find(*shape, failure);
  if (kernel == nullptr) return kFailed;
  if (kernel->params_bytes != params_bytes || kernel->buffers != buffer_count || buffer_count > kMostBuffers)
    return report(failure, kFailed, "operation %u takes %u bytes of parameters and %u buffers, got %u and %u",
                  shape->op, static_cast<uint32_t>(kernel->params_bytes),
                  static_cast<uint32_t>(kernel->buffers), static_cast<uint32_t>(params_bytes), buffer_count);
  void* arguments[1 + kMostBuffers];
  arguments[0] = const_cast<void*>(params);
  for (uint32_t b = 0; b < buffer_count; ++b) arguments[1 + b] = const_cast<void**>(&buffers[b]);
  const dim3 teams(shape->teams_x, shape->teams_y), threads(gpu::info_of(kernel->id.op).threads);
  SET_CUDA_CHECK(
      cudaLaunchKernel(kernel->function, teams, threads, arguments, shape->shared_bytes, device->stream));
  return kOk;
}

// ---- Recordings -------------------------------------------------------------------------------------------

int32_t begin_recording(DeviceHandle* device, Failure* failure) {
  SET_CUDA_PASS(refuse_while_recording(device, failure));
  // Thread-local, because other threads may allocate on their own devices meanwhile.
  SET_CUDA_CHECK(cudaStreamBeginCapture(device->stream, cudaStreamCaptureModeThreadLocal));
  device->recording = true;
  return kOk;
}

int32_t end_recording(DeviceHandle* device, RecordingHandle** out, Failure* failure) {
  device->recording = false;
  cudaGraph_t graph = nullptr;
  SET_CUDA_CHECK(cudaStreamEndCapture(device->stream, &graph));
  if (out == nullptr) {
    SET_CUDA_CHECK(cudaGraphDestroy(graph));
    return kOk;
  }
  cudaGraphExec_t executable = nullptr;
  const cudaError_t error = cudaGraphInstantiate(&executable, graph, 0);
  cudaGraphDestroy(graph);
  SET_CUDA_RETURN(error, "cudaGraphInstantiate");
  *out = new (std::nothrow) RecordingHandle{executable};
  if (*out != nullptr) return kOk;
  cudaGraphExecDestroy(executable);
  return report(failure, kFailed, "no memory for a handle");
}

int32_t replay(DeviceHandle* device, RecordingHandle* recording, Failure* failure) {
  SET_CUDA_CHECK(cudaGraphLaunch(recording->graph, device->stream));
  return kOk;
}

void release_recording(DeviceHandle* device, RecordingHandle* recording) {
  cudaStreamSynchronize(device->stream);
  cudaGraphExecDestroy(recording->graph);
  delete recording;
}

// ---- Waiting and time -------------------------------------------------------------------------------------

int32_t idle(DeviceHandle* device, uint32_t* idle, Failure* failure) {
  const cudaError_t state = cudaStreamQuery(device->stream);
  *idle = state == cudaSuccess ? 1 : 0;
  if (state != cudaErrorNotReady) SET_CUDA_RETURN(state, "cudaStreamQuery");
  return kOk;
}

int32_t synchronize(DeviceHandle* device, Failure* failure) {
  SET_CUDA_CHECK(cudaStreamSynchronize(device->stream));
  return kOk;
}

int32_t mark(DeviceHandle* device, uint32_t mark, Failure* failure) {
  SET_CUDA_CHECK(cudaEventRecord(device->marks[mark % 2], device->stream));
  return kOk;
}

int32_t elapsed(DeviceHandle* device, double* ms, Failure* failure) {
  float between = 0.0f;
  SET_CUDA_CHECK(cudaEventSynchronize(device->marks[1]));
  SET_CUDA_CHECK(cudaEventElapsedTime(&between, device->marks[0], device->marks[1]));
  *ms = between;
  return kOk;
}

Library table() {
  Library table{};
  table.abi = kAbi;
  table.bytes = sizeof(Library);
  table.probe = probe;
  table.open = open;
  table.close = close;
  table.memory = memory;
  table.allocate = allocate;
  table.release = release;
  table.allocate_shared = allocate_shared;
  table.release_shared = release_shared;
  table.upload = upload;
  table.download = download;
  table.copy = copy;
  table.clear = clear;
  table.launch = launch;
  table.begin_recording = begin_recording;
  table.end_recording = end_recording;
  table.replay = replay;
  table.release_recording = release_recording;
  table.idle = idle;
  table.synchronize = synchronize;
  table.mark = mark;
  table.elapsed = elapsed;
  return table;
}

}  // namespace

}  // namespace set_native::cuda

extern "C" __attribute__((visibility("default"))) const set_native::cuda::Library* set_native_cuda_library() {
  using namespace set_native::cuda;
  try {
    kernels();  // makes the list, which later calls only read
  } catch (...) {
    return nullptr;
  }
  static const Library library = table();
  return &library;
}
