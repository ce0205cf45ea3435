#ifdef __APPLE__
// Without it <ucontext.h> is refused. NOLINTNEXTLINE(bugprone-reserved-identifier)
#define _XOPEN_SOURCE 600
#define _DARWIN_C_SOURCE  // NOLINT(bugprone-reserved-identifier): what that would hide
#endif

#include "test/emulator/simt.h"

#include <cstring>

/*
 * The SIMT machine on fibers. A worker is a fiber that runs one GPU thread after the other, so that threads
 * which never wait cost no switch; where one waits, the next that can go on is switched to directly.
 */

namespace set_native::simt {

void poison(void* memory, size_t bytes) {
  const uint32_t pattern = 0xffc5a5a5u;
  auto* to = static_cast<unsigned char*>(memory);
  for (size_t k = 0; k < bytes; k += sizeof pattern)
    std::memcpy(to + k, &pattern, bytes - k < sizeof pattern ? bytes - k : sizeof pattern);
}

}  // namespace set_native::simt

#ifndef SET_SIMT_THREADS

#include <algorithm>
#include <exception>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#define SET_SIMT_ASAN
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SET_SIMT_ASAN
#endif
#endif
#ifdef SET_SIMT_ASAN
#include <sanitizer/common_interface_defs.h>
#endif

#if !(defined(__x86_64__) && defined(__linux__))
#include <ucontext.h>
#define SET_SIMT_UCONTEXT
#endif

namespace set_native::simt {

namespace {

#ifdef SET_SIMT_ASAN
constexpr size_t kStack = size_t{256} << 10;
#else
constexpr size_t kStack = size_t{64} << 10;
#endif
constexpr unsigned kNone = ~0u;
constexpr uint64_t kCanary = 0x5e7a11f5c0ffee42u;

/** Where an execution stopped; and what AddressSanitizer wants to know of its stack. */
struct Context {
#ifdef SET_SIMT_UCONTEXT
  ucontext_t context;
#else
  void* stack_pointer = nullptr;
#endif
  const void* bottom = nullptr;
  size_t size = 0;
  void* fake_stack = nullptr;
};

#ifndef SET_SIMT_UCONTEXT
// Saves what a call must preserve, and nothing else: swapcontext asks the system for its signal mask each
// time.
extern "C" void set_simt_switch(void** save, void* to);
asm(R"(
.text
.globl set_simt_switch
.hidden set_simt_switch
.type set_simt_switch, @function
set_simt_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size set_simt_switch, .-set_simt_switch
)");
#endif

void switch_to(Context& from, Context& to) {
#ifdef SET_SIMT_ASAN
  __sanitizer_start_switch_fiber(&from.fake_stack, to.bottom, to.size);
#endif
#ifdef SET_SIMT_UCONTEXT
  swapcontext(&from.context, &to.context);
#else
  set_simt_switch(&from.stack_pointer, to.stack_pointer);
#endif
#ifdef SET_SIMT_ASAN
  __sanitizer_finish_switch_fiber(from.fake_stack, nullptr, nullptr);
#endif
}

struct Fiber {
  Context context;
  std::unique_ptr<unsigned char[]> stack;
  unsigned thread = kNone;  // the GPU thread it runs
};

/** A point that `count` threads, from `first` on, must reach together. */
struct Meeting {
  unsigned first = 0, count = 0, arrived = 0;
  const char* what = nullptr;
  int line = 0;
};

struct Warp {
  Meeting meeting;
  unsigned turn = 0;
  // Two sets in turn: who comes to the next exchange has read the last one's values.
  alignas(16) unsigned char slots[2][kWarp * kSlotBytes];
};

struct Block {
  Meeting meeting;
  unsigned turn = 0;
  unsigned sums[2] = {0, 0};
  std::unique_ptr<unsigned char[]> shared;
};

/** Threads that can go on, as bits. */
class Ready {
 public:
  void fill(unsigned count) {
    words_.assign((count + 63) / 64, 0);
    count_ = 0;
    set(0, count);
  }
  void set(unsigned first, unsigned count) {
    for (unsigned t = first; t < first + count;) {
      const unsigned bits = std::min(64 - t % 64, first + count - t);
      words_[t / 64] |= (bits == 64 ? ~uint64_t{0} : (uint64_t{1} << bits) - 1) << t % 64;
      t += bits;
    }
    count_ += count;
  }
  void clear(unsigned t) {
    words_[t / 64] &= ~(uint64_t{1} << t % 64);
    --count_;
  }
  unsigned lowest(unsigned from = 0) const {
    for (unsigned w = from / 64; w < words_.size(); ++w) {
      uint64_t word = words_[w];
      if (w == from / 64) word &= ~uint64_t{0} << from % 64;
      if (word != 0) return w * 64 + static_cast<unsigned>(__builtin_ctzll(word));
    }
    return kNone;
  }
  unsigned highest() const {
    for (auto w = static_cast<unsigned>(words_.size()); w-- > 0;)
      if (words_[w] != 0) return w * 64 + 63 - static_cast<unsigned>(__builtin_clzll(words_[w]));
    return kNone;
  }
  bool empty() const { return count_ == 0; }

 private:
  std::vector<uint64_t> words_;
  unsigned count_ = 0;
};

class Machine {
 public:
  void run(const Shape& shape, const Schedule& schedule, const std::function<void()>& kernel);
  [[noreturn]] void work();
  /** The stack that the first fiber was switched to from. */
  void learn_stack(const void* bottom, size_t size) {
    if (main_.bottom != nullptr) return;
    main_.bottom = bottom;
    main_.size = size;
  }

  void meet(Meeting& meeting, const char* what, int line);
  const unsigned char* exchange(const void* value, size_t bytes, const char* what, int line);
  unsigned block_sum(unsigned value, const char* what, int line);

  const Place& place() const { return places_[current_]; }
  Block& block() { return block_; }

 private:
  void run_block(unsigned number);
  unsigned choose();
  Fiber& fiber_for(unsigned thread);
  void resume_next();
  std::exception_ptr deadlock() const;
  [[noreturn]] void stop(std::exception_ptr error);

  Shape shape_;
  Schedule schedule_;
  const std::function<void()>* kernel_ = nullptr;
  std::vector<Place> places_;
  std::vector<Fiber*> fibers_of_;  // by thread: where it waits
  std::vector<Warp> warps_;
  Block block_;
  Ready ready_;
  unsigned unfinished_ = 0, current_ = 0;
  uint64_t random_ = 0;
  std::exception_ptr error_;
  Context main_;
  Fiber* running_ = nullptr;
  std::vector<std::unique_ptr<Fiber>> fibers_;
  std::vector<Fiber*> idle_;
};

thread_local Machine* machine = nullptr;  // that runs

void enter() {
#ifdef SET_SIMT_ASAN
  const void* bottom = nullptr;
  size_t size = 0;
  __sanitizer_finish_switch_fiber(nullptr, &bottom, &size);
  machine->learn_stack(bottom, size);
#endif
  machine->work();
}

}  // namespace

/** Makes a fiber, or takes one that has nothing to do, that starts with `thread`. */
Fiber& Machine::fiber_for(unsigned thread) {
  if (idle_.empty()) {
    fibers_.push_back(std::make_unique<Fiber>());
    Fiber& fiber = *fibers_.back();
    fiber.stack.reset(new unsigned char[kStack]);
    std::memcpy(fiber.stack.get(), &kCanary, sizeof kCanary);
    fiber.context.bottom = fiber.stack.get();
    fiber.context.size = kStack;
#ifdef SET_SIMT_UCONTEXT
    getcontext(&fiber.context.context);
    fiber.context.context.uc_stack.ss_sp = fiber.stack.get();
    fiber.context.context.uc_stack.ss_size = kStack;
    fiber.context.context.uc_link = nullptr;
    makecontext(&fiber.context.context, &enter, 0);
#else
    auto top = reinterpret_cast<uintptr_t>(fiber.stack.get() + kStack) & ~uintptr_t{15};
    auto* words =
        reinterpret_cast<void**>(top) - 8;  // six registers, where to return to, and where that one returns
    std::memset(words, 0, 8 * sizeof(void*));
    words[6] = reinterpret_cast<void*>(&enter);
    fiber.context.stack_pointer = words;
#endif
    idle_.push_back(&fiber);
  }
  Fiber& fiber = *idle_.back();
  idle_.pop_back();
  fiber.thread = thread;
  return fiber;
}

unsigned Machine::choose() {
  if (ready_.empty()) return kNone;
  switch (schedule_.order) {
    case Order::forward:
      return ready_.lowest();
    case Order::reversed:
      return ready_.highest();
    case Order::shuffled:
      break;
  }
  random_ = random_ * 6364136223846793005u + 1442695040888963407u;
  const unsigned from = static_cast<unsigned>((random_ >> 33) % places_.size()), at = ready_.lowest(from);
  return at != kNone ? at : ready_.lowest();
}

void Machine::stop(std::exception_ptr error) {
  error_ = std::move(error);
  Fiber* self = running_;
  running_ = nullptr;
  switch_to(self->context, main_);
  std::terminate();  // an abandoned fiber is never switched to
}

std::exception_ptr Machine::deadlock() const {
  const Meeting* meeting = &block_.meeting;
  for (const Warp& warp : warps_)
    if (warp.meeting.arrived > 0) meeting = &warp.meeting;
  return std::make_exception_ptr(Fault(std::string("deadlock: threads wait in ") + meeting->what + " (line " +
                                       std::to_string(meeting->line) + ") that others never reach"));
}

/** Gives the OS thread to the next GPU thread that can go on; comes back when the calling fiber is chosen
 * again. */
void Machine::resume_next() {
  Fiber* self = running_;
  const unsigned next = choose();
  if (next == kNone) {
    if (unfinished_ > 0) {
      std::exception_ptr error = deadlock();
      stop(std::move(error));
    }
    running_ = nullptr;
    switch_to(self->context, main_);
    return;
  }
  ready_.clear(next);
  current_ = next;
  Fiber& fiber = fibers_of_[next] != nullptr ? *fibers_of_[next] : fiber_for(next);
  if (&fiber == self) return;
  running_ = &fiber;
  switch_to(self->context, fiber.context);
}

void Machine::work() {
  for (;;) {
    Fiber& self = *running_;
    const unsigned thread = self.thread;
    std::exception_ptr error;
    try {
      (*kernel_)();
    } catch (...) {
      error = std::current_exception();
    }
    if (error != nullptr) stop(std::move(error));  // not from within the handler, which would never end
    --unfinished_;
    uint64_t canary;
    std::memcpy(&canary, self.stack.get(), sizeof canary);
    if (canary != kCanary)
      stop(std::make_exception_ptr(Fault("a GPU thread used more stack than a fiber has")));
    fibers_of_[thread] = nullptr;
    // Idle now: the next thread starts right here, unless one that waited is chosen.
    idle_.push_back(&self);
    resume_next();
  }
}

void Machine::meet(Meeting& meeting, const char* what, int line) {
  if (meeting.arrived == 0) {
    meeting.what = what;
    meeting.line = line;
  } else if (meeting.line != line || std::strcmp(meeting.what, what) != 0) {
    throw Fault(std::string("divergence: one thread is in ") + meeting.what + " (line " +
                std::to_string(meeting.line) + "), another in " + what + " (line " + std::to_string(line) +
                ")");
  }
  const unsigned self = current_;
  if (++meeting.arrived < meeting.count) {
    fibers_of_[self] = running_;
    resume_next();
    return;
  }
  meeting.arrived = 0;
  if (self > meeting.first) ready_.set(meeting.first, self - meeting.first);
  if (self + 1 < meeting.first + meeting.count)
    ready_.set(self + 1, meeting.first + meeting.count - self - 1);
}

const unsigned char* Machine::exchange(const void* value, size_t bytes, const char* what, int line) {
  Warp& warp = warps_[current_ / kWarp];
  unsigned char* slots = warp.slots[warp.turn];
  std::memcpy(slots + current_ % kWarp * kSlotBytes, value, bytes);
  if (warp.meeting.arrived + 1 == kWarp) warp.turn ^= 1;
  meet(warp.meeting, what, line);
  return slots;
}

unsigned Machine::block_sum(unsigned value, const char* what, int line) {
  unsigned& sum = block_.sums[block_.turn];
  sum += value;
  if (block_.meeting.arrived + 1 == block_.meeting.count) {
    block_.turn ^= 1;
    block_.sums[block_.turn] = 0;
  }
  meet(block_.meeting, what, line);
  return sum;
}

void Machine::run_block(unsigned number) {
  const unsigned threads = shape_.threads;
  block_.meeting = {0, threads};
  block_.sums[0] = block_.sums[1] = 0;
  poison(block_.shared.get(), shape_.shared_bytes);
  for (unsigned t = 0; t < threads; ++t) {
    Place& p = places_[t];
    p.thread = {t, 0, 0};
    p.block = {number % shape_.blocks.x, number / shape_.blocks.x % shape_.blocks.y,
               number / (shape_.blocks.x * shape_.blocks.y)};
    p.block_dim = {threads, 1, 1};
    p.grid_dim = shape_.blocks;
  }
  for (unsigned w = 0; w < warps_.size(); ++w) warps_[w].meeting = {w * kWarp, kWarp};
  unfinished_ = threads;
  ready_.fill(unfinished_);
  const unsigned start = choose();
  ready_.clear(start);
  current_ = start;
  Fiber& fiber = fiber_for(start);
  running_ = &fiber;
  switch_to(main_, fiber.context);
  if (error_ != nullptr) {
    fibers_.clear();  // what waits is given up, with the stacks
    idle_.clear();
    fibers_of_.clear();
    std::rethrow_exception(std::exchange(error_, nullptr));
  }
}

void Machine::run(const Shape& shape, const Schedule& schedule, const std::function<void()>& kernel) {
  if (shape.threads == 0 || shape.threads > 1024 || shape.threads % kWarp != 0)
    throw Fault("a block has a multiple of 32 threads, at most 1024, not " + std::to_string(shape.threads));
  const unsigned blocks = shape.blocks.x * shape.blocks.y * shape.blocks.z;
  if (blocks == 0) throw Fault("a launch has at least one block");
  shape_ = shape;
  schedule_ = schedule;
  kernel_ = &kernel;
  random_ = schedule.seed;
  places_.resize(shape.threads);
  fibers_of_.assign(places_.size(), nullptr);
  warps_.resize(places_.size() / kWarp);
  block_.shared.reset(new unsigned char[shape.shared_bytes]);
  for (unsigned k = 0; k < blocks; ++k) run_block(schedule.order == Order::reversed ? blocks - k - 1 : k);
}

const Place& place() {
  return machine->place();
}

unsigned char* shared_memory() {
  return machine->block().shared.get();
}

void block_barrier(const char* what, int line) {
  machine->meet(machine->block().meeting, what, line);
}

const unsigned char* exchange(const void* value, size_t bytes, const char* what, int line) {
  return machine->exchange(value, bytes, what, line);
}

unsigned block_sum(unsigned value, const char* what, int line) {
  return machine->block_sum(value, what, line);
}

void run(const Shape& shape, const Schedule& schedule, const std::function<void()>& kernel) {
  static thread_local Machine the_machine;
  machine = &the_machine;
  the_machine.run(shape, schedule, kernel);
}

}  // namespace set_native::simt

#endif
