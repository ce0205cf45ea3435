#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>
#include <type_traits>
#include <vector>

namespace set_native {

/**
 * Pool of threads that run one task together, for many runs with little time between them.
 *
 * A pool of N threads has N - 1 workers; the thread that calls `run` is thread 0. A worker that waits for the
 * next run, or a caller that waits for the workers, spins for about 50 us and then sleeps: runs that follow
 * each other closely cost no system call, and an idle pool costs no CPU time. One caller at a time.
 */
class ThreadPool {
 public:
  /** Starts the workers. Throws Error(out_of_memory) if the system cannot start as many threads. */
  explicit ThreadPool(unsigned threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  unsigned size() const { return static_cast<unsigned>(workers_.size()) + 1; }

  /** Calls task(t) for t = 0 .. team - 1, as below. A team of one is the caller alone and wakes no worker. */
  template <class Task>
  void run(unsigned team, Task&& task) {
    if (team == 1) return task(0u);
    run([&](unsigned t) {
      if (t < team) task(t);
    });
  }

  /**
   * Returns when all `team` threads of the current run have called it. What they wrote before is then visible
   * to all. No thread may throw before the last barrier of the run: the others would wait for ever.
   */
  void barrier(unsigned team);

  /**
   * Calls task(t) for t = 0 .. size() - 1, each on its own thread, and returns when all are done. What they
   * wrote is then visible to the caller. If tasks threw, rethrows the first exception after all have ended.
   */
  template <class Task>
  void run(Task&& task) {
    using Plain = std::remove_reference_t<Task>;
    run_erased([](void* context, unsigned t) { (*static_cast<Plain*>(context))(t); },
               const_cast<void*>(static_cast<const void*>(&task)));
  }

 private:
  using Function = void (*)(void* context, unsigned thread);

  void run_erased(Function function, void* context);
  void work(unsigned thread);
  void call_task(unsigned thread);
  void stop();

  std::vector<std::thread> workers_;
  Function function_ = nullptr;  // task of the current run; written before `run_number_`, read after it
  void* context_ = nullptr;
  bool stopping_ = false;

  alignas(64) std::atomic<uint64_t> run_number_{0};  // number of runs started
  alignas(64) std::atomic<unsigned> working_{0};     // number of workers that have not finished the run
  alignas(64) std::atomic<unsigned> sleepers_{0};    // number of threads that sleep or are about to
  alignas(64) std::atomic<unsigned> arrived_{0};     // number of threads that reached the current barrier
  alignas(64) std::atomic<uint64_t> barriers_{0};    // number of barriers passed
  std::mutex mutex_;
  std::condition_variable wake_;
  std::exception_ptr error_;  // first exception of the run; guarded by `mutex_`
};

}  // namespace set_native
