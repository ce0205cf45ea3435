#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>
#include <vector>

#include "cuda/device_code.cuh"
#include "gpu/ops.h"

namespace set_native::cuda {

/** One instance of a kernel. It takes a parameter structure by value, then a pointer for each Binding. */
struct Kernel {
  gpu::KernelId id;
  const void* function;
  size_t params_bytes;
  size_t buffers;
#ifndef __CUDACC__
  /** Runs the function as plain C++, for one GPU thread. */
  void (*call)(const void* function, const void* params, void* const* buffers);
#endif
};

class KernelList {
 public:
  /** Adds a kernel of an operation that takes these Params and Buffers. */
  template <class Params, class Buffers, class... T>
  void add(gpu::KernelId id, void (*function)(Params, T*...)) {
    static_assert(sizeof...(T) == gpu::kBufferCount<Buffers>, "a pointer for each buffer of the operation");
    static_assert(std::is_trivially_copyable_v<Params>, "parameters are copied to the device as they are");
    Kernel kernel{};
    kernel.id = id;
    kernel.function = reinterpret_cast<const void*>(function);
    kernel.params_bytes = sizeof(Params);
    kernel.buffers = sizeof...(T);
#ifndef __CUDACC__
    kernel.call = &call<std::index_sequence_for<T...>, Params, T...>;
#endif
    kernels_.push_back(kernel);
  }

  std::vector<Kernel> take() { return std::move(kernels_); }

 private:
#ifndef __CUDACC__
  template <class Numbers, class Params, class... T>
  static void call(const void* function, const void* params, void* const* buffers) {
    call_with<Params, T...>(Numbers{}, function, params, buffers);
  }
  template <class Params, class... T, size_t... K>
  static void call_with(std::index_sequence<K...>, const void* function, const void* params,
                        void* const* buffers) {
    const auto kernel = reinterpret_cast<void (*)(Params, T*...)>(const_cast<void*>(function));
    kernel(*static_cast<const Params*>(params), static_cast<T*>(buffers[K])...);
  }
#endif

  std::vector<Kernel> kernels_;
};

}  // namespace set_native::cuda
