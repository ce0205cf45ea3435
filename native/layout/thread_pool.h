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
 * Threads that run one task together, again and again, with little time between the runs.
 *
 * A pool of N has N - 1 workers; the thread that calls `run` is thread 0. Whoever waits, a worker for the
 * next run or the caller for the workers, spins about 50 us and then sleeps: runs that follow each other
 * closely cost no system call, an idle pool costs no CPU time. One caller at a time.
 */
class ThreadPool {
 public:
  /** Throws Error(out_of_memory) when the system starts no more threads. */
  explicit ThreadPool(unsigned threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  unsigned size() const { return static_cast<unsigned>(workers_.size()) + 1; }

  /** The same on threads 0 .. team - 1; a team of one is the caller alone, and nobody is woken. */
  template <class Task>
  void run(unsigned team, Task&& task) {
    if (team == 1) return task(0u);
    run([&](unsigned t) {
      if (t < team) task(t);
    });
  }

  /**
   * Returns when all `team` threads of the present run have called it; what they wrote before is visible to
   * all. None of them may throw before the last barrier of the run: the others would wait for ever.
   */
  void barrier(unsigned team);

  /**
   * Calls task(t) for t = 0 .. size() - 1, each on its own thread, and returns when all are done: what they
   * wrote is visible to the caller. Throws the first exception a task threw, after all have ended.
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
  Function function_ = nullptr;  // task of the current run: written before `run_number_`, read after it
  void* context_ = nullptr;
  bool stopping_ = false;

  alignas(64) std::atomic<uint64_t> run_number_{0};  // raised to start a run
  alignas(64) std::atomic<unsigned> working_{0};     // workers that have not finished the run
  alignas(64) std::atomic<unsigned> sleepers_{0};    // threads that sleep or are about to
  alignas(64) std::atomic<unsigned> arrived_{0};     // at the present barrier
  alignas(64) std::atomic<uint64_t> barriers_{0};    // passed
  std::mutex mutex_;
  std::condition_variable wake_;
  std::exception_ptr error_;  // first of the run, under `mutex_`
};

}  // namespace set_native
