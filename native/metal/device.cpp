#include "metal/device.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "core/error.h"
#include "metal/memory_params.h"

namespace set_native::metal {

namespace {

constexpr uint32_t kSimdWidth = 32;       // threads of a simdgroup in the kernels
constexpr size_t kLeastBytes = 16;        // least bytes of a buffer, and the unit of threadgroup memory
constexpr size_t kMostShared = 32 << 10;  // most threadgroup memory
// Most bytes of a buffer: 2^32 float4s, which kernels number in 32 bits.
constexpr uint64_t kMostBytes = uint64_t{64} << 30;

[[noreturn]] void fail(ErrorCode code, const std::string& text) {
  throw Error(code, "[metal] " + text);
}

class MetalBuffer final : public gpu::Buffer {
 public:
  MetalBuffer(std::unique_ptr<GpuBuffer> buffer, size_t bytes) : Buffer(bytes), memory(std::move(buffer)) {}
  const std::unique_ptr<GpuBuffer> memory;
};

class MetalSharedBuffer final : public gpu::SharedBuffer {
 public:
  MetalSharedBuffer(std::unique_ptr<GpuBuffer> buffer, size_t bytes)
      : SharedBuffer(bytes), memory(std::move(buffer)) {}
  void* data() override { return memory->contents(); }
  const std::unique_ptr<GpuBuffer> memory;
};

/** Returns the memory of a buffer. Checks that it has `bytes` bytes from `offset` on. */
const GpuBuffer& place(const gpu::Buffer& buffer, size_t offset, size_t bytes) {
  if (offset > buffer.bytes() || bytes > buffer.bytes() - offset)
    fail(ErrorCode::internal, std::to_string(bytes) + " bytes at " + std::to_string(offset) +
                                  " are beyond a buffer of " + std::to_string(buffer.bytes()));
  if (const auto* own = dynamic_cast<const MetalBuffer*>(&buffer)) return *own->memory;
  if (const auto* shared = dynamic_cast<const MetalSharedBuffer*>(&buffer)) return *shared->memory;
  fail(ErrorCode::internal, "a buffer of another device");
}

char* bytes_at(const gpu::Buffer& buffer, size_t offset, size_t bytes) {
  return static_cast<char*>(place(buffer, offset, bytes).contents()) + offset;
}

}  // namespace

/** A dispatch, ready to be encoded. Buffers that were not given have no memory. */
struct MetalDevice::Step {
  struct Place {
    const GpuBuffer* memory = nullptr;
    size_t offset = 0;
    size_t bytes = 0;  // bytes from `offset` to the end
  };
  const GpuFunction* function = nullptr;
  uint32_t teams_x = 1, teams_y = 1, threads = 1;
  size_t shared_bytes = 0;
  std::vector<Place> buffers;
  std::vector<unsigned char> params;
};

class MetalDevice::Tape final : public gpu::Recording {
 public:
  std::vector<Step> steps;
};

MetalDevice::MetalDevice(std::unique_ptr<Gpu> gpu) : gpu_(std::move(gpu)), facts_(gpu_->facts()) {
  facts_.longest_buffer = std::min(facts_.longest_buffer, kMostBytes);
  nothing_ = make_buffer(kLeastBytes);
}

/** Does not wait: Metal keeps the memory of commands that still run. */
MetalDevice::~MetalDevice() = default;

gpu::DeviceMemory MetalDevice::memory() const {
  const uint64_t used = std::min(gpu_->allocated(), facts_.working_set);
  return {static_cast<size_t>(facts_.working_set - used), static_cast<size_t>(facts_.working_set)};
}

std::unique_ptr<GpuBuffer> MetalDevice::make_buffer(size_t bytes) {
  auto buffer = bytes <= facts_.longest_buffer ? gpu_->make_buffer(std::max(bytes, kLeastBytes)) : nullptr;
  if (buffer == nullptr)
    fail(ErrorCode::out_of_memory,
         "could not allocate " + std::to_string(bytes) + " bytes: of " + std::to_string(facts_.working_set) +
             " bytes " + std::to_string(gpu_->allocated()) + " are in use, and a buffer has at most " +
             std::to_string(facts_.longest_buffer));
  return buffer;
}

std::unique_ptr<gpu::Buffer> MetalDevice::allocate(size_t bytes) {
  return std::make_unique<MetalBuffer>(make_buffer(bytes), bytes);
}

std::unique_ptr<gpu::SharedBuffer> MetalDevice::allocate_shared(size_t bytes) {
  return std::make_unique<MetalSharedBuffer>(make_buffer(bytes), bytes);
}

void MetalDevice::upload(gpu::Buffer& to, size_t offset, const void* from, size_t bytes) {
  char* memory = bytes_at(to, offset, bytes);
  synchronize();
  if (bytes > 0) std::memcpy(memory, from, bytes);
}

void MetalDevice::download(void* to, const gpu::Buffer& from, size_t offset, size_t bytes) {
  const char* memory = bytes_at(from, offset, bytes);
  synchronize();
  if (bytes > 0) std::memcpy(to, memory, bytes);
}

/** Queues a kernel of memory.metal over the first `bytes` bytes of its buffers. */
void MetalDevice::run_memory_kernel(const char* name, std::initializer_list<gpu::Binding> buffers,
                                    size_t bytes) {
  Step step;
  for (const gpu::Binding& binding : buffers)
    step.buffers.push_back({&place(*binding.buffer, binding.offset, bytes), binding.offset, bytes});
  if (bytes == 0) return;
  step.function = &function(name, gpu::kMemoryThreads);
  step.teams_x = static_cast<uint32_t>((bytes + 4 * gpu::kMemoryThreads - 1) / (4 * gpu::kMemoryThreads));
  step.threads = gpu::kMemoryThreads;
  const gpu::MemoryParams params{bytes};
  step.params.resize(sizeof params);
  std::memcpy(step.params.data(), &params, sizeof params);
  run_or_note(std::move(step));
}

void MetalDevice::copy(gpu::Buffer& to, size_t to_offset, const gpu::Buffer& from, size_t from_offset,
                       size_t bytes) {
  run_memory_kernel("copy_bytes", {{&to, to_offset}, {&from, from_offset}}, bytes);
}

void MetalDevice::clear(gpu::Buffer& buffer, size_t offset, size_t bytes) {
  run_memory_kernel("clear_bytes", {{&buffer, offset}}, bytes);
}

/** Returns a kernel, compiled with the first call. Throws internal if it cannot run as it must. */
const GpuFunction& MetalDevice::function(const std::string& name, uint32_t threads) {
  std::unique_ptr<GpuFunction>& function = functions_[{name, threads}];
  if (function != nullptr) return *function;
  std::string problem;
  auto made = gpu_->make_function(name, threads, problem);
  if (made == nullptr) fail(ErrorCode::internal, "could not compile " + name + ": " + problem);
  if (made->simd_width() != kSimdWidth)
    fail(ErrorCode::internal, name + " would run in simdgroups of " + std::to_string(made->simd_width()) +
                                  " threads, not of " + std::to_string(kSimdWidth));
  if (made->most_threads() < threads)
    fail(ErrorCode::internal, name + " would run in threadgroups of at most " +
                                  std::to_string(made->most_threads()) + " threads, not of " +
                                  std::to_string(threads));
  function = std::move(made);
  return *function;
}

void MetalDevice::queue(const gpu::Launch& launch, const gpu::Arguments& arguments) {
  const std::string name = gpu::kernel_name(launch.kernel);
  if (launch.shared_bytes > kMostShared)
    fail(ErrorCode::internal,
         name + ": " + std::to_string(launch.shared_bytes) + " bytes of threadgroup memory");
  Step step;
  step.threads = gpu::info_of(launch.kernel.op).threads;
  step.function = &function(name, step.threads);
  step.teams_x = launch.teams_x;
  step.teams_y = launch.teams_y;
  step.shared_bytes = launch.shared_bytes;
  for (size_t b = 0; b < arguments.buffer_count; ++b) {
    const gpu::Binding& binding = arguments.buffers[b];
    if (binding.buffer == nullptr)
      step.buffers.emplace_back();
    else
      step.buffers.push_back({&place(*binding.buffer, binding.offset, 0), binding.offset,
                              binding.buffer->bytes() - binding.offset});
  }
  const auto* bytes = static_cast<const unsigned char*>(arguments.params);
  step.params.assign(bytes, bytes + arguments.params_bytes);
  run_or_note(std::move(step));
}

/** Encodes a dispatch, or adds it to the recording that is being made. */
void MetalDevice::run_or_note(Step step) {
  if (tape_ != nullptr)
    tape_->steps.push_back(std::move(step));
  else
    encode(step);
}

/** Adds a dispatch to the command buffer, after it has committed a full one. */
void MetalDevice::encode(const Step& step) {
  if (dispatches_ == kMostDispatches || traffic_ >= kMostTraffic) commit();
  if (commands_ == nullptr) {
    commands_ = gpu_->make_commands();
    if (commands_ == nullptr) fail(ErrorCode::out_of_memory, "could not make a command buffer");
  }
  commands_->set_function(*step.function);
  commands_->set_bytes(step.params.data(), step.params.size(), kParamsIndex);
  uint32_t index = kFirstBufferIndex, given = 0;
  for (const Step::Place& place : step.buffers) {
    if (place.memory != nullptr) {
      given |= 1u << index;
      commands_->set_buffer(*place.memory, place.offset, index);
      traffic_ += place.bytes;
    } else {
      commands_->set_buffer(*nothing_, 0, index);
    }
    ++index;
  }
  commands_->set_bytes(&given, sizeof given, kGivenIndex);
  commands_->set_threadgroup_memory(
      std::max(kLeastBytes, (step.shared_bytes + kLeastBytes - 1) / kLeastBytes * kLeastBytes));
  commands_->dispatch(step.teams_x, step.teams_y, step.threads);
  ++dispatches_;
}

std::unique_ptr<gpu::Recording> MetalDevice::record(const std::function<void()>& work) {
  if (tape_ != nullptr) fail(ErrorCode::internal, "a recording within a recording");
  auto tape = std::make_unique<Tape>();
  tape_ = tape.get();
  try {
    work();
  } catch (...) {
    tape_ = nullptr;
    throw;
  }
  tape_ = nullptr;
  return tape;
}

void MetalDevice::replay(const gpu::Recording& recording) {
  const auto* tape = dynamic_cast<const Tape*>(&recording);
  if (tape == nullptr) fail(ErrorCode::internal, "a recording of another device");
  for (const Step& step : tape->steps) encode(step);
}

void MetalDevice::commit() {
  if (commands_ == nullptr) return;
  running_.push_back(std::move(commands_));
  dispatches_ = 0;
  traffic_ = 0;
  running_.back()->commit();
}

/** Reads the times of commands that are done, or throws why they failed. */
void MetalDevice::finish(GpuCommands& commands) {
  const std::string failure = commands.failure();
  if (!failure.empty()) {
    for (const auto& behind : running_) behind->wait();  // their results are wrong, but they still write
    running_.clear();
    fail(commands.ran_out_of_memory() ? ErrorCode::out_of_memory : ErrorCode::internal,
         "could not run: " + failure);
  }
  if (first_start_ == 0.0) first_start_ = commands.start_time();
  last_end_ = commands.end_time();
}

bool MetalDevice::idle() {
  commit();
  while (!running_.empty() && running_.front()->done()) {
    const auto first = std::move(running_.front());
    running_.pop_front();
    finish(*first);
  }
  return running_.empty();
}

void MetalDevice::synchronize() {
  commit();
  while (!running_.empty()) {
    const auto first = std::move(running_.front());
    running_.pop_front();
    first->wait();
    finish(*first);
  }
}

void MetalDevice::start_timer() {
  synchronize();
  first_start_ = last_end_ = 0.0;
}

double MetalDevice::stop_timer() {
  synchronize();
  return (last_end_ - first_start_) * 1e3;
}

}  // namespace set_native::metal
