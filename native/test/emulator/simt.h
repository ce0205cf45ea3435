#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <stdexcept>

/*
 * A small SIMT machine on the CPU: runs a kernel, given as a function that every GPU thread calls, block by
 * block. The built-ins that kernels use are made of this in cuda.h.
 *
 * GPU threads are fibers on one OS thread. What runs next is decided where a thread waits, by the schedule: a
 * kernel without a missing barrier gives the same result for every schedule. Rules that hardware does not
 * check are checked: every thread of a block (of a warp) must come to the same barrier (collective), at the
 * same line, and none may have left before. Shared memory is exactly as large as asked for and starts as
 * NaNs.
 *
 * With SET_SIMT_THREADS, which ThreadSanitizer builds have, each GPU thread is an OS thread and several
 * blocks run at once: what is not ordered by a barrier or an atomic is a data race, and found. Much slower.
 */
#if defined(__SANITIZE_THREAD__) && !defined(SET_SIMT_THREADS)
#define SET_SIMT_THREADS
#endif
#if defined(__has_feature) && !defined(SET_SIMT_THREADS)
#if __has_feature(thread_sanitizer)
#define SET_SIMT_THREADS
#endif
#endif

namespace set_native::simt {

#ifdef SET_SIMT_THREADS
constexpr bool kThreads = true;
#else
constexpr bool kThreads = false;
#endif

constexpr unsigned kWarp = 32;
constexpr size_t kSlotBytes = 16;  // of a value that a warp exchanges

struct Dim {
  unsigned x = 1, y = 1, z = 1;
};

enum class Order { forward, reversed, shuffled };

/** Which of the threads that can go on goes on. */
struct Schedule {
  Order order = Order::forward;
  uint32_t seed = 1;  // of `shuffled`
};

struct Shape {
  Dim blocks;
  unsigned threads = kWarp;  // per block: a multiple of kWarp, at most 1024
  size_t shared_bytes = 0;
};

/** A rule that a kernel broke. */
class Fault : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/** Runs the kernel to its end. Throws Fault, or what the kernel throws; then memory is as it was at that
 * moment. */
void run(const Shape& shape, const Schedule& schedule, const std::function<void()>& kernel);

// ---- Called by kernels ------------------------------------------------------------------------------------

struct Place {
  Dim thread{0, 0, 0}, block{0, 0, 0}, block_dim, grid_dim;
};
const Place& place();

unsigned char* shared_memory();

void block_barrier(const char* what, int line);

/** The values of all lanes of a warp, one in `kSlotBytes`, until the warp's next exchange. */
const unsigned char* exchange(const void* value, size_t bytes, const char* what, int line);

/** The same for all threads of a block: sum of their values. */
unsigned block_sum(unsigned value, const char* what, int line);

/** Fills memory with a pattern that is NaN as a float and large as an integer. */
void poison(void* memory, size_t bytes);

}  // namespace set_native::simt
