#include "cuda/device.h"

#include <array>
#include <cstdio>
#include <utility>

#include "core/error.h"

namespace set_native::cuda {

namespace {

/** Returns the library's text, cut to the size of its array. */
std::string text_of(Failure& failure) {
  failure.text[sizeof failure.text - 1] = '\0';
  return failure.text[0] != '\0' ? failure.text : "no reason given";
}

ErrorCode code_of(int32_t status) {
  switch (status) {
    case kUnavailable:
      return ErrorCode::backend_unavailable;
    case kOutOfMemory:
      return ErrorCode::out_of_memory;
    default:
      return ErrorCode::internal;
  }
}

/** Calls a function of the table with its arguments and a Failure; throws what the Failure reports. */
template <class Function, class... Arguments>
void call(const char* operation, Function function, Arguments... arguments) {
  Failure failure{};
  const int32_t status = function(arguments..., &failure);
  if (status != kOk)
    throw Error(code_of(status), std::string("[cuda] could not ") + operation + ": " + text_of(failure));
}

/** Throws internal if a call succeeded without a result. */
void require(const void* result) {
  if (result == nullptr)
    throw Error(ErrorCode::internal, "[cuda] the library reported success and gave nothing");
}

/** An open device. Its buffers and recordings share it, and it is closed when the last of them is gone. */
class Session {
 public:
  explicit Session(const Library& table) : library(table) {
    call("open the device", library.open, &device);
    require(device);
  }
  ~Session() { library.close(device); }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  const Library& library;
  DeviceHandle* device = nullptr;
};

class CudaBuffer final : public gpu::Buffer {
 public:
  CudaBuffer(std::shared_ptr<Session> session, size_t bytes) : Buffer(bytes), session_(std::move(session)) {
    if (bytes == 0) return;
    call("allocate", session_->library.allocate, session_->device, uint64_t{bytes}, &memory_);
    require(memory_);
  }
  ~CudaBuffer() override {
    if (memory_ != nullptr) session_->library.release(session_->device, memory_);
  }
  void* memory() const { return memory_; }

 private:
  std::shared_ptr<Session> session_;
  void* memory_ = nullptr;
};

class CudaSharedBuffer final : public gpu::SharedBuffer {
 public:
  CudaSharedBuffer(std::shared_ptr<Session> session, size_t bytes)
      : SharedBuffer(bytes), session_(std::move(session)) {
    if (bytes == 0) return;
    call("allocate pinned memory", session_->library.allocate_shared, session_->device, uint64_t{bytes},
         &host_, &memory_);
    require(host_);
    require(memory_);
  }
  ~CudaSharedBuffer() override {
    if (host_ != nullptr) session_->library.release_shared(session_->device, host_);
  }
  void* data() override { return host_; }
  void* memory() const { return memory_; }

 private:
  std::shared_ptr<Session> session_;
  void *host_ = nullptr, *memory_ = nullptr;
};

class CudaRecording final : public gpu::Recording {
 public:
  CudaRecording(std::shared_ptr<Session> session, RecordingHandle* handle)
      : session_(std::move(session)), handle_(handle) {}
  ~CudaRecording() override { session_->library.release_recording(session_->device, handle_); }
  RecordingHandle* handle() const { return handle_; }

 private:
  std::shared_ptr<Session> session_;
  RecordingHandle* handle_;
};

/** Returns the device's address of byte `offset` of a buffer; checks that `bytes` bytes follow it. */
char* place(const gpu::Buffer& buffer, size_t offset, size_t bytes) {
  if (offset > buffer.bytes() || bytes > buffer.bytes() - offset)
    throw Error(ErrorCode::internal, "[cuda] " + std::to_string(bytes) + " bytes at " +
                                         std::to_string(offset) + " are beyond a buffer of " +
                                         std::to_string(buffer.bytes()));
  void* memory = nullptr;
  if (const auto* own = dynamic_cast<const CudaBuffer*>(&buffer))
    memory = own->memory();
  else if (const auto* shared = dynamic_cast<const CudaSharedBuffer*>(&buffer))
    memory = shared->memory();
  else
    throw Error(ErrorCode::internal, "[cuda] a buffer of another device");
  return static_cast<char*>(memory) + offset;
}

LaunchShape shape_of(const gpu::Launch& launch) {
  LaunchShape shape{};
  shape.op = static_cast<uint32_t>(launch.kernel.op);
  shape.wide = launch.kernel.wide ? 1 : 0;
  shape.height = launch.kernel.height;
  shape.teams_x = launch.teams_x;
  shape.teams_y = launch.teams_y;
  shape.shared_bytes = static_cast<uint32_t>(launch.shared_bytes);
  return shape;
}

class CudaDevice final : public gpu::TimedDevice {
 public:
  explicit CudaDevice(const Library& library)
      : session_(std::make_shared<Session>(library)), library_(library), device_(session_->device) {}

  gpu::DeviceMemory memory() const override {
    uint64_t free = 0, total = 0;
    call("ask for memory", library_.memory, device_, &free, &total);
    return {free, total};
  }

  std::unique_ptr<gpu::Buffer> allocate(size_t bytes) override {
    return std::make_unique<CudaBuffer>(session_, bytes);
  }
  std::unique_ptr<gpu::SharedBuffer> allocate_shared(size_t bytes) override {
    return std::make_unique<CudaSharedBuffer>(session_, bytes);
  }

  void upload(gpu::Buffer& to, size_t offset, const void* from, size_t bytes) override {
    void* memory = place(to, offset, bytes);
    if (bytes > 0) call("upload", library_.upload, device_, memory, from, uint64_t{bytes});
  }
  void download(void* to, const gpu::Buffer& from, size_t offset, size_t bytes) override {
    const void* memory = place(from, offset, bytes);
    if (bytes > 0) call("download", library_.download, device_, to, memory, uint64_t{bytes});
  }
  void copy(gpu::Buffer& to, size_t to_offset, const gpu::Buffer& from, size_t from_offset,
            size_t bytes) override {
    void* target = place(to, to_offset, bytes);
    const void* source = place(from, from_offset, bytes);
    if (bytes > 0) call("copy", library_.copy, device_, target, source, uint64_t{bytes});
  }
  void clear(gpu::Buffer& buffer, size_t offset, size_t bytes) override {
    void* memory = place(buffer, offset, bytes);
    if (bytes > 0) call("clear", library_.clear, device_, memory, uint64_t{bytes});
  }

  void queue(const gpu::Launch& launch, const gpu::Arguments& arguments) override {
    std::array<void*, kMostBuffers> memory;
    const auto count = static_cast<uint32_t>(arguments.buffer_count);
    if (count > memory.size())
      throw Error(ErrorCode::internal, "[cuda] " + std::to_string(count) + " buffers are too many");
    for (uint32_t b = 0; b < count; ++b) {
      const gpu::Binding& binding = arguments.buffers[b];
      memory[b] = binding.buffer == nullptr ? nullptr : place(*binding.buffer, binding.offset, 0);
    }
    const LaunchShape shape = shape_of(launch);
    call("launch", library_.launch, device_, &shape, arguments.params, uint64_t{arguments.params_bytes},
         memory.data(), count);
  }

  std::unique_ptr<gpu::Recording> record(const std::function<void()>& work) override {
    call("record", library_.begin_recording, device_);
    try {
      work();
    } catch (...) {
      Failure failure{};  // ignored: the first error is reported
      library_.end_recording(device_, nullptr, &failure);
      throw;
    }
    RecordingHandle* handle = nullptr;
    call("record", library_.end_recording, device_, &handle);
    require(handle);
    return std::make_unique<CudaRecording>(session_, handle);
  }
  void replay(const gpu::Recording& recording) override {
    const auto* own = dynamic_cast<const CudaRecording*>(&recording);
    if (own == nullptr) throw Error(ErrorCode::internal, "[cuda] a recording of another device");
    call("replay", library_.replay, device_, own->handle());
  }

  bool idle() override {
    uint32_t idle = 0;
    call("run", library_.idle, device_, &idle);
    return idle != 0;
  }
  void synchronize() override { call("run", library_.synchronize, device_); }

  void start_timer() override { call("set a mark", library_.mark, device_, 0u); }
  double stop_timer() override {
    call("set a mark", library_.mark, device_, 1u);
    double ms = 0.0;
    call("run", library_.elapsed, device_, &ms);
    return ms;
  }

 private:
  std::shared_ptr<Session> session_;
  const Library& library_;
  DeviceHandle* device_;
};

std::string decimal(double value, const char* format) {
  char text[32];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

}  // namespace

Availability availability(const Library& library) {
  Probe probe{};
  Failure failure{};
  const int32_t status = library.probe(&probe, &failure);
  if (status != kOk) return {false, "", "not available, because " + text_of(failure)};
  probe.name[sizeof probe.name - 1] = '\0';
  const std::string device =
      std::string(probe.name) + ", " + decimal(static_cast<double>(probe.memory) / 1e9, "%.1f") +
      " GB, compute capability " + std::to_string(probe.major) + "." + std::to_string(probe.minor) +
      ", driver for CUDA " + std::to_string(probe.driver / 1000) + "." +
      std::to_string(probe.driver % 1000 / 10);
  return {true, device, ""};
}

gpu::Capacity capacity(const Library& library) {
  constexpr uint32_t kWarp = 32;
  Probe probe{};
  Failure failure{};
  if (library.probe(&probe, &failure) != kOk) return {};
  return {probe.memory, probe.processors * (probe.threads / kWarp)};
}

std::unique_ptr<gpu::TimedDevice> open_device(const Library& library) {
  return std::make_unique<CudaDevice>(library);
}

}  // namespace set_native::cuda
