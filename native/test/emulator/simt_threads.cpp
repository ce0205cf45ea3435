#include "test/emulator/simt.h"

/*
 * The SIMT machine with an OS thread for every GPU thread, for ThreadSanitizer. The order of things is the
 * system's.
 */
#ifdef SET_SIMT_THREADS

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace set_native::simt {

namespace {

constexpr unsigned kThreadsAtOnce =
    256;  // blocks that fit run at once, so that races between blocks show, too

struct Stopped {};  // unwinds a GPU thread once another has failed

struct Meeting {
  unsigned count = 0, arrived = 0;
  uint64_t turn = 0;
  const char* what = nullptr;
  int line = 0;
  std::condition_variable over{};
};

struct Warp {
  Meeting meeting;
  alignas(16) unsigned char slots[2][kWarp * kSlotBytes];
};

struct Block {
  Meeting meeting, end;
  unsigned sums[2] = {0, 0};
  std::deque<Warp> warps;
  std::unique_ptr<unsigned char[]> shared;
};

struct Machine {
  std::mutex mutex;
  std::exception_ptr error;
  std::deque<Block> blocks;
  unsigned running = 0, waiting = 0;  // threads

  void fail(std::exception_ptr why) {
    if (error == nullptr) error = std::move(why);
    for (Block& block : blocks) {
      block.meeting.over.notify_all();
      block.end.over.notify_all();
      for (Warp& warp : block.warps) warp.meeting.over.notify_all();
    }
  }
  /** Called with the mutex held: nobody is left that could let the others go on. */
  void fail_when_stuck() {
    if (waiting < running || running == 0 || error != nullptr) return;
    const Meeting* stuck = &blocks.front().meeting;
    for (Block& block : blocks) {
      if (block.meeting.arrived > 0) stuck = &block.meeting;
      for (Warp& warp : block.warps)
        if (warp.meeting.arrived > 0) stuck = &warp.meeting;
    }
    fail(std::make_exception_ptr(Fault(std::string("deadlock: threads wait in ") + stuck->what + " (line " +
                                       std::to_string(stuck->line) + ") that others never reach")));
  }
  /** Called with the mutex held; `deposit(turn)` before anybody can go on. */
  template <class Deposit>
  uint64_t meet(std::unique_lock<std::mutex>& lock, Meeting& meeting, const char* what, int line,
                Deposit&& deposit) {
    if (meeting.arrived == 0) {
      meeting.what = what;
      meeting.line = line;
    } else if (meeting.line != line || std::strcmp(meeting.what, what) != 0) {
      throw Fault(std::string("divergence: one thread is in ") + meeting.what + " (line " +
                  std::to_string(meeting.line) + "), another in " + what + " (line " + std::to_string(line) +
                  ")");
    }
    const uint64_t turn = meeting.turn;
    deposit(turn % 2);
    if (++meeting.arrived == meeting.count) {
      meeting.arrived = 0;
      waiting -= meeting.count - 1;
      ++meeting.turn;
      meeting.over.notify_all();
    } else {
      ++waiting;
      fail_when_stuck();
      meeting.over.wait(lock, [&] { return meeting.turn != turn || error != nullptr; });
    }
    if (error != nullptr) throw Stopped{};
    return turn % 2;
  }
  void meet(Meeting& meeting, const char* what, int line) {
    std::unique_lock<std::mutex> lock(mutex);
    meet(lock, meeting, what, line, [](uint64_t) {});
  }
  void leave() {
    const std::lock_guard<std::mutex> lock(mutex);
    --running;
    fail_when_stuck();
  }
};

struct Self {
  Machine* machine = nullptr;
  Block* block = nullptr;
  Warp* warp = nullptr;
  Place place;
};
thread_local Self self;

void run_thread(Machine& machine, const Shape& shape, unsigned at_once, unsigned slot, unsigned thread,
                const std::function<void()>& kernel) {
  const unsigned blocks = shape.blocks.x * shape.blocks.y * shape.blocks.z;
  Block& block = machine.blocks[slot];
  self.machine = &machine;
  self.block = &block;
  self.warp = &block.warps[thread / kWarp];
  try {
    for (unsigned number = slot; number < blocks; number += at_once) {
      if (thread == 0) {
        poison(block.shared.get(), shape.shared_bytes);
        block.sums[0] = block.sums[1] = 0;
      }
      machine.meet(block.end, "the start of a block", 0);
      self.place = {{thread, 0, 0},
                    {number % shape.blocks.x, number / shape.blocks.x % shape.blocks.y,
                     number / (shape.blocks.x * shape.blocks.y)},
                    {shape.threads, 1, 1},
                    shape.blocks};
      kernel();
      machine.meet(block.end, "the end of a block", 0);
    }
  } catch (const Stopped&) {
  } catch (...) {
    const std::lock_guard<std::mutex> lock(machine.mutex);
    machine.fail(std::current_exception());
  }
  machine.leave();
}

}  // namespace

void run(const Shape& shape, const Schedule&, const std::function<void()>& kernel) {
  if (shape.threads == 0 || shape.threads > 1024 || shape.threads % kWarp != 0)
    throw Fault("a block has a multiple of 32 threads, at most 1024, not " + std::to_string(shape.threads));
  const unsigned blocks = shape.blocks.x * shape.blocks.y * shape.blocks.z;
  if (blocks == 0) throw Fault("a launch has at least one block");
  const unsigned at_once = std::min(blocks, std::max(1u, kThreadsAtOnce / shape.threads));
  Machine machine;
  machine.running = at_once * shape.threads;
  machine.blocks.resize(at_once);
  for (Block& block : machine.blocks) {
    block.meeting.count = block.end.count = shape.threads;
    block.warps.resize(shape.threads / kWarp);
    for (Warp& warp : block.warps) warp.meeting.count = kWarp;
    block.shared.reset(new unsigned char[shape.shared_bytes]);
  }
  std::vector<std::thread> threads;
  for (unsigned slot = 0; slot < at_once; ++slot)
    for (unsigned t = 0; t < shape.threads; ++t)
      threads.emplace_back([&, slot, t] { run_thread(machine, shape, at_once, slot, t, kernel); });
  for (std::thread& thread : threads) thread.join();
  if (machine.error != nullptr) std::rethrow_exception(machine.error);
}

const Place& place() {
  return self.place;
}

unsigned char* shared_memory() {
  return self.block->shared.get();
}

void block_barrier(const char* what, int line) {
  self.machine->meet(self.block->meeting, what, line);
}

const unsigned char* exchange(const void* value, size_t bytes, const char* what, int line) {
  Warp& warp = *self.warp;
  std::unique_lock<std::mutex> lock(self.machine->mutex);
  const uint64_t turn = self.machine->meet(lock, warp.meeting, what, line, [&](uint64_t set) {
    std::memcpy(warp.slots[set] + self.place.thread.x % kWarp * kSlotBytes, value, bytes);
  });
  return warp.slots[turn];
}

unsigned block_sum(unsigned value, const char* what, int line) {
  Block& block = *self.block;
  std::unique_lock<std::mutex> lock(self.machine->mutex);
  const uint64_t turn = self.machine->meet(lock, block.meeting, what, line, [&](uint64_t set) {
    if (block.meeting.arrived == 0) block.sums[set] = 0;
    block.sums[set] += value;
  });
  return block.sums[turn];
}

}  // namespace set_native::simt

#endif
