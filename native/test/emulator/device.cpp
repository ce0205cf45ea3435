#include "test/emulator/device.h"

#include <cstring>
#include <utility>

#include "core/error.h"
#include "cuda/table.h"

namespace set_native::test {

using gpu::Binding;
using gpu::Buffer;
using gpu::Launch;
using gpu::Recording;
using gpu::SharedBuffer;

namespace {

using Count = EmulatedDevice::Count;

[[noreturn]] void refuse(const std::string& message) {
  throw Error(ErrorCode::internal, "[emulator] " + message);
}

class Memory {
 public:
  Memory(std::shared_ptr<Count> count, size_t bytes) : count_(std::move(count)), bytes_(bytes) {
    const size_t number = count_->made++;
    if (number == count_->fail_at || bytes > count_->memory - count_->bytes)
      throw Error(ErrorCode::out_of_memory, "[emulator] " + std::to_string(bytes) +
                                                " bytes were asked for, " +
                                                std::to_string(count_->memory - count_->bytes) + " are free");
    data_.reset(new unsigned char[bytes]);
    simt::poison(data_.get(), bytes);
    ++count_->live;
    count_->bytes += bytes;
  }
  ~Memory() {
    --count_->live;
    count_->bytes -= bytes_;
  }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  unsigned char* data() const { return data_.get(); }

 private:
  std::shared_ptr<Count> count_;
  size_t bytes_;
  std::unique_ptr<unsigned char[]> data_;
};

class EmulatedBuffer final : public Buffer {
 public:
  EmulatedBuffer(const std::shared_ptr<Count>& count, size_t bytes) : Buffer(bytes), memory(count, bytes) {}
  const Memory memory;
};

class EmulatedShared final : public SharedBuffer {
 public:
  EmulatedShared(const std::shared_ptr<Count>& count, size_t bytes)
      : SharedBuffer(bytes), memory(count, bytes) {}
  void* data() override { return memory.data(); }
  const Memory memory;
};

unsigned char* at(const Buffer& buffer, size_t offset, size_t bytes) {
  if (offset > buffer.bytes() || bytes > buffer.bytes() - offset)
    refuse(std::to_string(bytes) + " bytes from " + std::to_string(offset) + " on reach beyond a buffer of " +
           std::to_string(buffer.bytes()));
  if (const auto* plain = dynamic_cast<const EmulatedBuffer*>(&buffer)) return plain->memory.data() + offset;
  if (const auto* shared = dynamic_cast<const EmulatedShared*>(&buffer))
    return shared->memory.data() + offset;
  refuse("a buffer of another device");
}

class EmulatedRecording final : public Recording {
 public:
  std::vector<std::function<void()>> steps;
};

}  // namespace

struct EmulatedDevice::Tape {
  std::vector<std::function<void()>> steps;
};

EmulatedDevice::EmulatedDevice() : EmulatedDevice(Options{}) {}

EmulatedDevice::EmulatedDevice(const Options& options)
    : options_(options), count_(std::make_shared<Count>()) {
  count_->memory = options.memory;
}

EmulatedDevice::~EmulatedDevice() = default;

gpu::DeviceMemory EmulatedDevice::memory() const {
  return {count_->memory - count_->bytes, count_->memory};
}

std::unique_ptr<Buffer> EmulatedDevice::allocate(size_t bytes) {
  if (tape_ != nullptr) refuse("an allocation in a recording");
  return std::make_unique<EmulatedBuffer>(count_, bytes);
}

std::unique_ptr<SharedBuffer> EmulatedDevice::allocate_shared(size_t bytes) {
  if (tape_ != nullptr) refuse("an allocation in a recording");
  return std::make_unique<EmulatedShared>(count_, bytes);
}

template <class Work>
void EmulatedDevice::run_or_note(Work&& work) {
  if (tape_ != nullptr)
    tape_->steps.push_back(std::forward<Work>(work));
  else
    work();
}

void EmulatedDevice::upload(Buffer& to, size_t offset, const void* from, size_t bytes) {
  if (tape_ != nullptr) refuse("an upload in a recording");
  unsigned char* target = at(to, offset, bytes);
  if (bytes > 0) std::memcpy(target, from, bytes);
}

void EmulatedDevice::download(void* to, const Buffer& from, size_t offset, size_t bytes) {
  if (tape_ != nullptr) refuse("a download in a recording");
  const unsigned char* source = at(from, offset, bytes);
  if (bytes > 0) std::memcpy(to, source, bytes);
}

void EmulatedDevice::copy(Buffer& to, size_t to_offset, const Buffer& from, size_t from_offset,
                          size_t bytes) {
  unsigned char* target = at(to, to_offset, bytes);
  const unsigned char* source = at(from, from_offset, bytes);
  if (target < source + bytes && source < target + bytes && bytes > 0) refuse("a copy onto itself");
  run_or_note([=] { std::memcpy(target, source, bytes); });
}

void EmulatedDevice::clear(Buffer& buffer, size_t offset, size_t bytes) {
  unsigned char* target = at(buffer, offset, bytes);
  run_or_note([=] { std::memset(target, 0, bytes); });
}

simt::Shape shape_of(const Launch& launch) {
  return {{launch.teams_x, launch.teams_y, 1}, gpu::info_of(launch.kernel.op).threads, launch.shared_bytes};
}

void run_kernel(const cuda::Kernel& kernel, const simt::Shape& shape, const simt::Schedule& schedule,
                const void* params, size_t params_bytes, const std::vector<void*>& buffers) {
  const std::string name = gpu::kernel_name(kernel.id);
  if (params_bytes != kernel.params_bytes)
    refuse(name + " takes parameters of " + std::to_string(kernel.params_bytes) + " bytes, not " +
           std::to_string(params_bytes));
  if (buffers.size() != kernel.buffers)
    refuse(name + " takes " + std::to_string(kernel.buffers) + " buffers, not " +
           std::to_string(buffers.size()));
  if (shape.shared_bytes > 32u << 10)
    refuse(name + ": " + std::to_string(shape.shared_bytes) + " bytes of shared memory are too many");
  if (shape.blocks.y > 65535) refuse(name + ": more than 65535 blocks in y");
  try {
    simt::run(shape, schedule, [&] { kernel.call(kernel.function, params, buffers.data()); });
  } catch (const simt::Fault& fault) {
    refuse(name + ": " + fault.what());
  }
}

void EmulatedDevice::queue(const Launch& launch, const gpu::Arguments& arguments) {
  const cuda::Kernel* kernel = cuda::find_kernel(launch.kernel);
  if (kernel == nullptr) refuse("there is no kernel " + gpu::kernel_name(launch.kernel));
  std::vector<void*> memory;
  for (size_t b = 0; b < arguments.buffer_count; ++b) {
    const Binding& binding = arguments.buffers[b];
    if (binding.offset % 4 != 0) refuse("a buffer bound from a place that is not a multiple of 4");
    memory.push_back(binding.buffer == nullptr ? nullptr : at(*binding.buffer, binding.offset, 0));
  }
  const auto* bytes = static_cast<const unsigned char*>(arguments.params);
  auto work = [this, kernel, launch, memory,
               copy = std::vector<unsigned char>(bytes, bytes + arguments.params_bytes)] {
    ++launches_;
    if (options_.before_kernel) options_.before_kernel(launch, memory);
    run_kernel(*kernel, shape_of(launch), options_.schedule, copy.data(), copy.size(), memory);
  };
  run_or_note(std::move(work));
}

std::unique_ptr<Recording> EmulatedDevice::record(const std::function<void()>& work) {
  if (tape_ != nullptr) refuse("a recording within a recording");
  Tape tape;
  tape_ = &tape;
  try {
    work();
  } catch (...) {
    tape_ = nullptr;
    throw;
  }
  tape_ = nullptr;
  auto recording = std::make_unique<EmulatedRecording>();
  recording->steps = std::move(tape.steps);
  return recording;
}

void EmulatedDevice::replay(const Recording& recording) {
  for (const auto& step : static_cast<const EmulatedRecording&>(recording).steps) step();
}

}  // namespace set_native::test
