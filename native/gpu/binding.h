#pragma once

#include "gpu/language.h"

/*
 * The buffers that a kernel takes. Each operation has a structure of Bindings, with a name for each buffer,
 * in the order of the kernel's arguments. It stands beside the operation's parameters in train_params.h and
 * evolve_params.h. For Metal a Binding is empty: Metal reads these structures only because those headers
 * contain them.
 */
#if !defined(__METAL_VERSION__)
#include <array>
#include <cstddef>
#include <cstring>
#include <memory>
#include <type_traits>

namespace set_native::gpu {

class Buffer;

/** One buffer argument, which starts at byte `offset`. Without a buffer the kernel gets a null pointer. */
struct Binding {
  Binding() = default;
  Binding(const Buffer* from, size_t from_offset = 0) : buffer(from), offset(from_offset) {}
  Binding(const Buffer& from) : buffer(&from) {}
  template <class Kind>
  Binding(const std::unique_ptr<Kind>& from) : buffer(from.get()) {}

  const Buffer* buffer = nullptr;
  size_t offset = 0;
};

/** Number of buffers that a structure of Bindings names. */
template <class Buffers>
constexpr size_t kBufferCount = sizeof(Buffers) / sizeof(Binding);

/** Returns the Bindings of such a structure, in order. */
template <class Buffers>
std::array<Binding, kBufferCount<Buffers>> listed(const Buffers& buffers) {
  static_assert(std::is_trivially_copyable_v<Buffers> && sizeof(Buffers) % sizeof(Binding) == 0,
                "a structure of Bindings and nothing else");
  std::array<Binding, kBufferCount<Buffers>> list;
  std::memcpy(static_cast<void*>(list.data()), &buffers, sizeof buffers);
  return list;
}

}  // namespace set_native::gpu
#else
namespace set_native::gpu {

struct Binding {};

}  // namespace set_native::gpu
#endif
