#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

/*
 * The Metal kernels as the emulator runs them. metal_bindings.js makes the tables of their source text.
 */
namespace set_native::simt_metal {

constexpr uint32_t kIndices = 31;  // of buffer arguments

/** What an encoder holds when a kernel is dispatched: memory by index. */
class Arguments {
 public:
  template <class T>
  T* buffer(uint32_t index) const {
    return static_cast<T*>(memory[index]);
  }
  template <class T>
  const T* value(uint32_t index) const {
    return static_cast<const T*>(memory[index]);
  }

  void* memory[kIndices] = {};
};

struct Kernel {
  const char* name;
  void (*run)(const Arguments& arguments);          // one GPU thread
  std::vector<uint32_t> buffers;                    // indices of pointers
  std::vector<std::pair<uint32_t, size_t>> values;  // index and size of what is read as one value
};

/** All kernels of native/metal/kernels. */
const std::vector<Kernel>& kernels();

/** Those of native/test/emulator/planted.metal: each breaks a rule. */
const std::vector<Kernel>& planted();

}  // namespace set_native::simt_metal
