#include "test/emulator/metal_gpu.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "core/error.h"

namespace set_native::test {

struct EmulatedGpu::Count {
  uint64_t bytes = 0;
  size_t live = 0;
};

struct EmulatedGpu::Memory {
  Memory(std::shared_ptr<Count> of, size_t size)
      : count(std::move(of)), bytes(size), data(new unsigned char[size]) {
    simt::poison(data.get(), size);
    count->bytes += bytes;
    ++count->live;
  }
  ~Memory() {
    count->bytes -= bytes;
    --count->live;
  }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  std::shared_ptr<Count> count;
  size_t bytes;
  std::unique_ptr<unsigned char[]> data;
};

namespace {

constexpr size_t kMostShared = 32u << 10, kMostBytes = 4096;
constexpr uint32_t kMostThreads = 1024;

[[noreturn]] void refuse(const std::string& message) {
  throw Error(ErrorCode::internal, "[emulator] " + message);
}

class Buffer final : public metal::GpuBuffer {
 public:
  explicit Buffer(std::shared_ptr<EmulatedGpu::Memory> memory) : memory_(std::move(memory)) {}
  void* contents() const override { return memory_->data.get(); }
  const std::shared_ptr<EmulatedGpu::Memory>& memory() const { return memory_; }

 private:
  std::shared_ptr<EmulatedGpu::Memory> memory_;
};

class Function final : public metal::GpuFunction {
 public:
  Function(const simt_metal::Kernel& of, uint32_t threads) : kernel(of), most_(threads) {}
  uint32_t most_threads() const override { return most_; }
  uint32_t simd_width() const override { return simt::kWarp; }
  const simt_metal::Kernel& kernel;

 private:
  uint32_t most_;
};

/** What an index has been set to: a place in a buffer, or bytes. The memory lives as long as this. */
struct Argument {
  std::shared_ptr<EmulatedGpu::Memory> buffer;
  size_t offset = 0;
  std::shared_ptr<std::vector<unsigned char>> bytes;

  bool is_set() const { return buffer != nullptr || bytes != nullptr; }
  unsigned char* memory() const { return bytes != nullptr ? bytes->data() : buffer->data.get() + offset; }
  size_t size() const { return bytes != nullptr ? bytes->size() : buffer->bytes - offset; }
};

struct Dispatch {
  const simt_metal::Kernel* kernel;
  std::array<Argument, simt_metal::kIndices> arguments;
  size_t shared;
  uint32_t teams_x, teams_y, threads;
};

void run_dispatch(const Dispatch& dispatch, const simt::Schedule& schedule) {
  simt_metal::Arguments arguments;
  for (uint32_t k = 0; k < simt_metal::kIndices; ++k)
    if (dispatch.arguments[k].is_set()) arguments.memory[k] = dispatch.arguments[k].memory();
  try {
    simt::run({{dispatch.teams_x, dispatch.teams_y, 1}, dispatch.threads, dispatch.shared}, schedule,
              [&] { dispatch.kernel->run(arguments); });
  } catch (const simt::Fault& fault) {
    refuse(std::string(dispatch.kernel->name) + ": " + fault.what());
  }
}

}  // namespace

struct EmulatedGpu::Tape {
  std::vector<Dispatch> dispatches;
  bool done = false;
  std::string failure;
  double start = 0.0, end = 0.0;
};

namespace {

class Commands final : public metal::GpuCommands {
 public:
  explicit Commands(EmulatedGpu& gpu) : gpu_(gpu), tape_(std::make_shared<EmulatedGpu::Tape>()) {}

  void set_function(const metal::GpuFunction& function) override {
    function_ = &dynamic_cast<const Function&>(function);
  }
  void set_buffer(const metal::GpuBuffer& buffer, size_t offset, uint32_t index) override {
    const auto& memory = dynamic_cast<const Buffer&>(buffer).memory();
    if (offset > memory->bytes) refuse("a buffer bound from beyond its end");
    if (offset % 4 != 0) refuse("a buffer bound from a place that is not a multiple of 4");
    at(index) = {memory, offset, nullptr};
  }
  void set_bytes(const void* bytes, size_t size, uint32_t index) override {
    if (size == 0 || size > kMostBytes) refuse(std::to_string(size) + " bytes of parameters");
    const auto* from = static_cast<const unsigned char*>(bytes);
    at(index) = {nullptr, 0, std::make_shared<std::vector<unsigned char>>(from, from + size)};
  }
  void set_threadgroup_memory(size_t bytes) override {
    if (bytes == 0 || bytes % 16 != 0 || bytes > kMostShared)
      refuse(std::to_string(bytes) + " bytes of threadgroup memory");
    shared_ = bytes;
  }
  void dispatch(uint32_t teams_x, uint32_t teams_y, uint32_t threads) override {
    // Metal keeps what was set; the host sets all of it each time, and what it forgot shows.
    const Function* function = std::exchange(function_, nullptr);
    Dispatch dispatch{nullptr, std::exchange(arguments_, {}), std::exchange(shared_, 0), teams_x, teams_y,
                      threads};
    if (committed_) refuse("a dispatch after commit");
    if (function == nullptr) refuse("a dispatch without a function");
    dispatch.kernel = &function->kernel;
    const std::string name = dispatch.kernel->name;
    if (threads != function->most_threads())
      refuse(name + ": threadgroups of another size than it was compiled for");
    for (const uint32_t index : dispatch.kernel->buffers)
      if (!dispatch.arguments[index].is_set())
        refuse(name + ": buffer " + std::to_string(index) + " is not bound");
    for (const auto& [index, size] : dispatch.kernel->values) {
      const Argument& argument = dispatch.arguments[index];
      const size_t bound = argument.is_set() ? argument.size() : 0;
      if (bound != size)
        refuse(name + " reads " + std::to_string(size) + " bytes from index " + std::to_string(index) +
               ", bound are " + std::to_string(bound));
    }
    tape_->dispatches.push_back(std::move(dispatch));
  }

  void commit() override {
    if (committed_) refuse("a second commit");
    committed_ = true;
    gpu_.enqueue(tape_);
  }
  bool done() const override {
    wait_for();
    return true;
  }
  void wait() override { wait_for(); }
  std::string failure() const override { return tape_->failure; }
  bool ran_out_of_memory() const override { return tape_->failure.find("memory") != std::string::npos; }
  double start_time() const override { return tape_->start; }
  double end_time() const override { return tape_->end; }

 private:
  Argument& at(uint32_t index) {
    if (index >= simt_metal::kIndices) refuse("index " + std::to_string(index) + " of an argument");
    return arguments_[index];
  }
  void wait_for() const {
    if (!committed_) refuse("waited for commands that were not committed");
    gpu_.run_through(*tape_);
  }

  EmulatedGpu& gpu_;
  std::shared_ptr<EmulatedGpu::Tape> tape_;
  const Function* function_ = nullptr;
  std::array<Argument, simt_metal::kIndices> arguments_{};
  size_t shared_ = 0;
  bool committed_ = false;
};

}  // namespace

EmulatedGpu::EmulatedGpu(const Options& options) : options_(options), count_(std::make_shared<Count>()) {}

EmulatedGpu::~EmulatedGpu() = default;

metal::GpuFacts EmulatedGpu::facts() const {
  return {"Emulated M0", options_.working_set, options_.longest_buffer};
}

uint64_t EmulatedGpu::allocated() const {
  return count_->bytes;
}

size_t EmulatedGpu::live_buffers() const {
  return count_->live;
}

std::unique_ptr<metal::GpuBuffer> EmulatedGpu::make_buffer(size_t bytes) {
  if (bytes == 0) refuse("a buffer of no bytes");
  if (std::exchange(fails_, false) || bytes > options_.longest_buffer ||
      bytes > options_.working_set - count_->bytes)
    return nullptr;
  return std::make_unique<Buffer>(std::make_shared<Memory>(count_, bytes));
}

std::unique_ptr<metal::GpuFunction> EmulatedGpu::make_function(const std::string& name, uint32_t threads,
                                                               std::string& problem) {
  const auto& all = options_.kernels != nullptr ? *options_.kernels : simt_metal::kernels();
  const auto at = std::find_if(all.begin(), all.end(),
                               [&](const simt_metal::Kernel& kernel) { return name == kernel.name; });
  if (at != all.end() && threads % simt::kWarp == 0 && threads <= kMostThreads)
    return std::make_unique<Function>(*at, threads);
  problem = at == all.end() ? "there is no kernel " + name : std::to_string(threads) + " threads";
  return nullptr;
}

std::unique_ptr<metal::GpuCommands> EmulatedGpu::make_commands() {
  return std::make_unique<Commands>(*this);
}

void EmulatedGpu::enqueue(std::shared_ptr<Tape> tape) {
  ++commits_;
  queue_.push_back(std::move(tape));
}

void EmulatedGpu::run_through(const Tape& last) {
  while (!last.done) {
    const std::shared_ptr<Tape> tape = queue_.front();
    queue_.pop_front();
    tape->done = true;
    tape->start = clock_ += 1e-6;
    tape->failure = std::exchange(failure_, "");
    if (tape->failure.empty())
      for (const Dispatch& dispatch : tape->dispatches) {
        if (options_.before_kernel) options_.before_kernel(dispatch.kernel->name);
        run_dispatch(dispatch, options_.schedule);
      }
    tape->end = clock_ += 1e-6;
    tape->dispatches.clear();
  }
}

}  // namespace set_native::test
