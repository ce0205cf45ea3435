#pragma once

#include <cstddef>
#include <new>
#include <utility>
#include <vector>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace set_native {

constexpr std::size_t kAlignment = 64;  // bytes of a cache line and of the widest vector register

/**
 * Allocator of cache-line aligned memory for std::vector. Arrays of several megabytes ask for huge pages
 * where the system has them: rows read in random order would otherwise miss the TLB as often as the cache.
 */
template <class T>
struct AlignedAllocator {
  using value_type = T;
  AlignedAllocator() = default;
  template <class U>
  AlignedAllocator(const AlignedAllocator<U>&) {}

  T* allocate(std::size_t n) {
    if (n > static_cast<std::size_t>(-1) / sizeof(T)) throw std::bad_alloc();
    void* memory = ::operator new(n * sizeof(T), alignment(n));
#if defined(__linux__)
    // The system may refuse, which costs only speed.
    if (is_large(n)) madvise(memory, n * sizeof(T) / kHugePage * kHugePage, MADV_HUGEPAGE);
#endif
    return static_cast<T*>(memory);
  }
  void deallocate(T* p, std::size_t n) { ::operator delete(p, alignment(n)); }

  template <class U>
  bool operator==(const AlignedAllocator<U>&) const {
    return true;
  }
  template <class U>
  bool operator!=(const AlignedAllocator<U>&) const {
    return false;
  }

 private:
  static constexpr std::size_t kHugePage = std::size_t{1} << 21;
  static bool is_large(std::size_t n) { return n * sizeof(T) >= 2 * kHugePage; }
  static std::align_val_t alignment(std::size_t n) {
    return std::align_val_t{is_large(n) ? kHugePage : kAlignment};
  }
};

template <class T>
using AlignedVector = std::vector<T, AlignedAllocator<T>>;

/** The same, whose `resize` leaves new numbers unset: the threads that fill them touch their memory first. */
template <class T>
struct UnsetAllocator : AlignedAllocator<T> {
  template <class U>
  struct rebind {
    using other = UnsetAllocator<U>;
  };
  UnsetAllocator() = default;
  template <class U>
  UnsetAllocator(const UnsetAllocator<U>&) {}

  template <class U>
  void construct(U* place) {
    ::new (static_cast<void*>(place)) U;
  }
  template <class U, class Value>
  void construct(U* place, Value&& value) {
    ::new (static_cast<void*>(place)) U(std::forward<Value>(value));
  }
};

template <class T>
using UnsetVector = std::vector<T, UnsetAllocator<T>>;

}  // namespace set_native
