#include "layout/thread_pool.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <system_error>
#include <utility>

#include "core/available_cpus.h"
#include "core/error.h"

namespace set_native {

namespace {

constexpr auto kSpin = std::chrono::microseconds(50);
constexpr int kPausesPerLook = 32;  // number of pauses between two readings of the clock

void pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__) || defined(__arm__)
  __asm__ volatile("yield");
#endif
}

/**
 * Spins until `ready` or about 50 us have passed. Yields from time to time, in case there are more threads
 * than cores. Returns whether `ready`.
 */
template <class Ready>
bool spin_until(Ready ready) {
  for (int i = 0; i < kPausesPerLook; ++i) {
    if (ready()) return true;
    pause();
  }
  const auto end = std::chrono::steady_clock::now() + kSpin;
  do {
    for (int i = 0; i < kPausesPerLook; ++i) {
      if (ready()) return true;
      pause();
    }
    std::this_thread::yield();
  } while (std::chrono::steady_clock::now() < end);
  return ready();
}

/**
 * Spins, then sleeps until `ready`. No wake-up is lost: the sleeper counts itself before it checks the
 * condition for the last time, and the waker changes the condition before it reads the count, all in
 * sequential consistency.
 */
template <class Ready>
void wait_until(Ready ready, std::atomic<unsigned>& sleepers, std::mutex& mutex,
                std::condition_variable& wake) {
  if (spin_until(ready)) return;
  std::unique_lock<std::mutex> lock(mutex);
  sleepers.fetch_add(1);
  wake.wait(lock, ready);
  sleepers.fetch_sub(1);
}

void wake_sleepers(std::atomic<unsigned>& sleepers, std::mutex& mutex, std::condition_variable& wake) {
  if (sleepers.load() == 0) return;
  {
    const std::lock_guard<std::mutex> lock(mutex);
  }
  wake.notify_all();
}

/** Number of threads that the shares of this process hold. */
std::atomic<unsigned> shared_out{0};

/** CPUs of this process, read once. */
unsigned cpus() {
  static const unsigned count = available_cpus();
  return count;
}

}  // namespace

ThreadPool::Share::~Share() {
  shared_out.fetch_sub(held_);
  pool_.size_ = pool_.capacity();
}

void ThreadPool::Share::renew(unsigned wanted) {
  wanted = std::clamp(wanted, 1u, pool_.capacity());
  const unsigned all = std::max(cpus(), pool_.capacity());
  unsigned out = shared_out.load(), others, got;
  do {
    others = out - held_;
    got = std::min(wanted, all > others ? all - others : 1u);
  } while (!shared_out.compare_exchange_weak(out, others + got));
  pool_.size_ = held_ = got;
}

ThreadPool::ThreadPool(unsigned threads) {
  size_ = std::max(threads, 1u);
  try {
    workers_.reserve(threads);
    for (unsigned t = 1; t < threads; ++t) workers_.emplace_back([this, t] { work(t); });
  } catch (const std::system_error& error) {
    const size_t started = workers_.size() + 1;
    stop();
    throw Error(ErrorCode::out_of_memory,
                "[threads] " + std::to_string(threads) + " threads were asked for, the system " +
                    "starts only " + std::to_string(started) + " (" + error.what() + "); ask for fewer");
  } catch (...) {
    stop();
    throw;
  }
}

ThreadPool::~ThreadPool() {
  stop();
}

void ThreadPool::stop() {
  stopping_ = true;
  run_number_.fetch_add(1);
  wake_sleepers(sleepers_, mutex_, wake_);
  for (std::thread& worker : workers_) worker.join();
  workers_.clear();
}

void ThreadPool::call_task(unsigned thread) {
  try {
    function_(context_, thread);
  } catch (...) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (error_ == nullptr) error_ = std::current_exception();
  }
}

void ThreadPool::run_erased(Function function, void* context) {
  function_ = function;
  context_ = context;
  if (!workers_.empty()) {
    working_.store(static_cast<unsigned>(workers_.size()));
    run_number_.fetch_add(1);
    wake_sleepers(sleepers_, mutex_, wake_);
  }
  call_task(0);
  wait_until([this] { return working_.load() == 0; }, sleepers_, mutex_, wake_);
  if (error_ != nullptr) std::rethrow_exception(std::exchange(error_, nullptr));
}

void ThreadPool::barrier(unsigned team) {
  if (team == 1) return;
  const uint64_t passed = barriers_.load();
  if (arrived_.fetch_add(1) + 1 == team) {
    arrived_.store(0);
    barriers_.fetch_add(1);
    wake_sleepers(sleepers_, mutex_, wake_);
    return;
  }
  wait_until([this, passed] { return barriers_.load() != passed; }, sleepers_, mutex_, wake_);
}

void ThreadPool::work(unsigned thread) {
  for (uint64_t seen = 0;; ++seen) {
    wait_until([this, seen] { return run_number_.load() != seen; }, sleepers_, mutex_, wake_);
    if (stopping_) return;
    call_task(thread);
    if (working_.fetch_sub(1) == 1) wake_sleepers(sleepers_, mutex_, wake_);
  }
}

}  // namespace set_native
