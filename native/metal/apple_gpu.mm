#import <Foundation/Foundation.h>
#import <Metal/Metal.h>

#include <map>
#include <mutex>
#include <utility>

#include "metal/gpu.h"

/*
 * Implements metal/gpu.h with Metal: each method is one or two calls of the framework. Compiled with ARC.
 *
 * An Apple GPU from M1 on (family Apple7) has what the kernels need: simdgroups of 32 threads with shuffles
 * and reductions, 32 KiB of threadgroup memory, memory shared with the CPU.
 */
namespace set_native::metal {

namespace {

std::string text_of(NSString* text) {
  const char* utf8 = text.UTF8String;
  return utf8 != nullptr ? utf8 : "no reason given";
}

/**
 * Runs `work` with a pool for the objects that it autoreleases, because C++ threads have none. Returns false,
 * with the reason in `problem`, if it raises an Objective-C exception, which must not reach C++.
 */
template <class Work>
bool guarded(std::string& problem, Work work) {
  @autoreleasepool {
    @try {
      work();
      return true;
    } @catch (id exception) {
      problem = text_of([exception description]);
      return false;
    }
  }
}

class AppleBuffer final : public GpuBuffer {
 public:
  explicit AppleBuffer(id<MTLBuffer> buffer) : buffer_(buffer) {}
  void* contents() const override { return buffer_.contents; }
  id<MTLBuffer> buffer() const { return buffer_; }

 private:
  id<MTLBuffer> buffer_;
};

class AppleFunction final : public GpuFunction {
 public:
  explicit AppleFunction(id<MTLComputePipelineState> pipeline) : pipeline_(pipeline) {}
  uint32_t most_threads() const override {
    return static_cast<uint32_t>(pipeline_.maxTotalThreadsPerThreadgroup);
  }
  uint32_t simd_width() const override { return static_cast<uint32_t>(pipeline_.threadExecutionWidth); }
  id<MTLComputePipelineState> pipeline() const { return pipeline_; }

 private:
  id<MTLComputePipelineState> pipeline_;
};

/**
 * A command buffer. It keeps the objects that it uses until it has run. After an exception it is left alone.
 */
class AppleCommands final : public GpuCommands {
 public:
  AppleCommands(id<MTLCommandBuffer> commands, id<MTLComputeCommandEncoder> encoder)
      : commands_(commands), encoder_(encoder) {}
  ~AppleCommands() override { end(); }
  AppleCommands(const AppleCommands&) = delete;
  AppleCommands& operator=(const AppleCommands&) = delete;

  void set_function(const GpuFunction& function) override {
    const id<MTLComputePipelineState> pipeline = static_cast<const AppleFunction&>(function).pipeline();
    ask([&] { [encoder_ setComputePipelineState:pipeline]; });
  }
  void set_buffer(const GpuBuffer& buffer, size_t offset, uint32_t index) override {
    const id<MTLBuffer> memory = static_cast<const AppleBuffer&>(buffer).buffer();
    ask([&] { [encoder_ setBuffer:memory offset:offset atIndex:index]; });
  }
  void set_bytes(const void* bytes, size_t size, uint32_t index) override {
    ask([&] { [encoder_ setBytes:bytes length:size atIndex:index]; });
  }
  void set_threadgroup_memory(size_t bytes) override {
    ask([&] { [encoder_ setThreadgroupMemoryLength:bytes atIndex:0]; });
  }
  void dispatch(uint32_t teams_x, uint32_t teams_y, uint32_t threads) override {
    ask([&] {
      [encoder_ dispatchThreadgroups:MTLSizeMake(teams_x, teams_y, 1)
               threadsPerThreadgroup:MTLSizeMake(threads, 1, 1)];
    });
  }

  void commit() override {
    end();
    ask([&] { [commands_ commit]; });
  }
  bool done() const override {
    return !problem_.empty() ||
           commands_.status >= MTLCommandBufferStatusCompleted;  // or failed, which is greater
  }
  void wait() override {
    ask([&] { [commands_ waitUntilCompleted]; });
  }
  std::string failure() const override {
    std::string failure = problem_;
    if (!failure.empty()) return failure;
    guarded(failure, [&] {
      if (commands_.status == MTLCommandBufferStatusError)
        failure = text_of(commands_.error.localizedDescription);
    });
    return failure;
  }
  bool ran_out_of_memory() const override {
    std::string problem;
    bool out = false;
    guarded(problem, [&] {
      NSError* error = commands_.error;
      out = [error.domain isEqualToString:MTLCommandBufferErrorDomain] &&
            error.code == MTLCommandBufferErrorOutOfMemory;
    });
    return out;
  }
  double start_time() const override { return commands_.GPUStartTime; }
  double end_time() const override { return commands_.GPUEndTime; }

 private:
  template <class Work>
  void ask(Work work) {
    if (problem_.empty()) guarded(problem_, work);
  }

  /** Ends the encoder once, even if nothing is committed: Metal aborts if one is released before its end. */
  void end() {
    if (encoder_ == nil) return;
    std::string problem;  // ignored after an earlier one: the first error is reported
    guarded(problem, [&] { [encoder_ endEncoding]; });
    if (problem_.empty()) problem_ = problem;
    encoder_ = nil;
  }

  id<MTLCommandBuffer> commands_;
  id<MTLComputeCommandEncoder> encoder_;
  std::string problem_;
};

/** The device and its compiled kernels, which all Gpus of a process share, because compiling takes long. */
class Kernels {
 public:
  id<MTLDevice> device;
  id<MTLLibrary> compiled;
  std::string reason;  // why there is no library

  /**
   * Returns a kernel, compiled once for each name and number of threads; nil with the compiler's words in
   * `problem` if that fails.
   */
  id<MTLComputePipelineState> pipeline(const std::string& name, uint32_t threads, std::string& problem) {
    const std::lock_guard<std::mutex> lock(mutex_);
    auto& pipeline = pipelines_[{name, threads}];
    if (pipeline == nil) pipeline = compile(name, threads, problem);
    return pipeline;
  }

 private:
  id<MTLComputePipelineState> compile(const std::string& name, uint32_t threads, std::string& problem) const {
    const id<MTLFunction> function = [compiled newFunctionWithName:@(name.c_str())];
    if (function == nil) {
      problem = "the library has no kernel of this name";
      return nil;
    }
    MTLComputePipelineDescriptor* descriptor = [MTLComputePipelineDescriptor new];
    descriptor.computeFunction = function;
    // Lets the kernel use as many registers as this number of threads leaves.
    descriptor.maxTotalThreadsPerThreadgroup = threads;
    descriptor.threadGroupSizeIsMultipleOfThreadExecutionWidth = YES;
    NSError* error = nil;
    const id<MTLComputePipelineState> made =
        [device newComputePipelineStateWithDescriptor:descriptor
                                              options:MTLPipelineOptionNone
                                           reflection:nil
                                                error:&error];
    if (made == nil) problem = text_of(error.localizedDescription);
    return made;
  }

  std::mutex mutex_;
  std::map<std::pair<std::string, uint32_t>, id<MTLComputePipelineState>> pipelines_;
};

class AppleGpu final : public Gpu {
 public:
  AppleGpu(Kernels& kernels, id<MTLCommandQueue> queue)
      : kernels_(kernels), device_(kernels.device), queue_(queue) {}

  GpuFacts facts() const override {
    @autoreleasepool {
      return {text_of(device_.name), device_.recommendedMaxWorkingSetSize, device_.maxBufferLength};
    }
  }
  uint64_t allocated() const override { return device_.currentAllocatedSize; }

  std::unique_ptr<GpuBuffer> make_buffer(size_t bytes) override {
    std::unique_ptr<GpuBuffer> made;
    std::string problem;
    guarded(problem, [&] {
      if (bytes > device_.maxBufferLength) return;
      const id<MTLBuffer> buffer = [device_ newBufferWithLength:bytes options:MTLResourceStorageModeShared];
      if (buffer != nil) made = std::make_unique<AppleBuffer>(buffer);
    });
    return made;
  }

  std::unique_ptr<GpuFunction> make_function(const std::string& name, uint32_t threads,
                                             std::string& problem) override {
    std::unique_ptr<GpuFunction> made;
    guarded(problem, [&] {
      const id<MTLComputePipelineState> pipeline = kernels_.pipeline(name, threads, problem);
      if (pipeline != nil) made = std::make_unique<AppleFunction>(pipeline);
    });
    return made;
  }

  std::unique_ptr<GpuCommands> make_commands() override {
    std::unique_ptr<GpuCommands> made;
    std::string problem;
    guarded(problem, [&] {
      const id<MTLCommandBuffer> commands = [queue_ commandBuffer];
      const id<MTLComputeCommandEncoder> encoder = [commands computeCommandEncoder];  // serial
      if (encoder != nil) made = std::make_unique<AppleCommands>(commands, encoder);
    });
    return made;
  }

 private:
  Kernels& kernels_;
  id<MTLDevice> device_;
  id<MTLCommandQueue> queue_;
};

/** Makes products round before something is added to them: an option that Metal has only in the source. */
const char* const kNoContraction = "#pragma METAL fp contract(off)\n";

/** Returns options for the language of macOS 11, and for arithmetic as written, without "fast math". */
MTLCompileOptions* compile_options() {
  MTLCompileOptions* options = [MTLCompileOptions new];
  options.languageVersion = MTLLanguageVersion2_3;
#if __MAC_OS_X_VERSION_MAX_ALLOWED >= 150000
  if (@available(macOS 15.0, *)) {
    options.mathMode = MTLMathModeSafe;
    options.mathFloatingPointFunctions = MTLMathFloatingPointFunctionsPrecise;
    return options;
  }
#endif
  options.fastMathEnabled = NO;
  return options;
}

/** Returns the default device, or the first of all: programs without a window may have no default. */
id<MTLDevice> find_device() {
  const id<MTLDevice> device = MTLCreateSystemDefaultDevice();
  return device != nil ? device : MTLCopyAllDevices().firstObject;
}

/** Finds the GPU and compiles the kernels, or leaves the reason why not. */
void compile(const char* source, Kernels& kernels) {
  kernels.device = find_device();
  if (kernels.device == nil) {
    kernels.reason = "Metal finds no GPU";
    return;
  }
  if (![kernels.device supportsFamily:MTLGPUFamilyApple7] || !kernels.device.hasUnifiedMemory) {
    kernels.reason = "the GPU, " + text_of(kernels.device.name) + ", is none of Apple M1 or later";
    return;
  }
  NSError* error = nil;
  const std::string text = std::string(kNoContraction) + source;
  kernels.compiled = [kernels.device newLibraryWithSource:@(text.c_str())
                                                  options:compile_options()
                                                    error:&error];
  if (kernels.compiled == nil)  // with a library, `error` may hold warnings
    kernels.reason = "Metal could not compile the kernels: " + text_of(error.localizedDescription);
}

/** Returns the shared kernels. They are never released: threads may still compute when a program ends. */
Kernels& kernels_of(const char* source) {
  static Kernels* const shared = [source] {
    auto* kernels = new Kernels;
    guarded(kernels->reason, [&] { compile(source, *kernels); });
    return kernels;
  }();
  return *shared;
}

}  // namespace

std::unique_ptr<Gpu> open_apple_gpu(const char* source, std::string& reason) {
  Kernels& kernels = kernels_of(source);
  std::unique_ptr<Gpu> gpu;
  reason = kernels.reason;
  if (kernels.compiled == nil) return gpu;
  guarded(reason, [&] {
    const id<MTLCommandQueue> queue = [kernels.device newCommandQueue];
    if (queue == nil)
      reason = "Metal gave no command queue";
    else
      gpu = std::make_unique<AppleGpu>(kernels, queue);
  });
  return gpu;
}

}  // namespace set_native::metal
