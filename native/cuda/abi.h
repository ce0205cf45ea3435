#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>

#include "cuda/library.h"
#include "gpu/ops.h"

namespace set_native::cuda {

/** An FNV-1a hash of numbers and texts. */
class AbiHash {
 public:
  constexpr void add(uint64_t number) {
    for (int byte = 0; byte < 8; ++byte) {
      hash_ = (hash_ ^ (number & 0xff)) * 16777619u;
      number >>= 8;
    }
  }
  constexpr void add(const char* text) {
    for (; *text != '\0'; ++text) add(static_cast<uint64_t>(*text));
    add(uint64_t{0});
  }
  constexpr uint32_t value() const { return hash_; }

 private:
  uint32_t hash_ = 2166136261u;
};

/** Returns the ABI number of these operations, heights of blocks, and sizes of types at the boundary. */
template <size_t kCount, size_t kHeightCount>
constexpr uint32_t abi_of(const gpu::OpInfo (&ops)[kCount], const uint32_t (&heights)[kHeightCount],
                          std::initializer_list<size_t> sizes) {
  AbiHash hash;
  for (const gpu::OpInfo& op : ops) {
    hash.add(op.name);
    hash.add(static_cast<uint64_t>(op.family));
    hash.add(op.threads);
    hash.add(op.params_bytes);
    hash.add(op.buffers);
  }
  for (const uint32_t height : heights) hash.add(height);
  for (const size_t size : sizes) hash.add(size);
  return hash.value();
}

/**
 * The number by which program and library recognise each other. It is computed from the operations, their
 * arguments and the layout of library.h, so it changes with them and is never raised by hand.
 */
constexpr uint32_t kAbi =
    abi_of(gpu::kOps, gpu::kHeights,
           {sizeof(Library), sizeof(LaunchShape), sizeof(Probe), sizeof(Failure), kMostBuffers});

}  // namespace set_native::cuda
