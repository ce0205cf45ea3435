#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

namespace set_native {

/**
 * Pool of threads that run one task together, for many runs with little time between them.
 *
 * A pool of N threads has N - 1 workers; the thread that calls `run` is thread 0. A worker that waits for the
 * next run, or a caller that waits for the workers, spins for about 50 us and then sleeps: runs that follow
 * each other closely cost no system call, and an idle pool costs no CPU time. One caller at a time.
 *
 * The pools of a process share its CPUs: a Share tells how many threads of its pool a piece of work may use.
 */
class ThreadPool {
 public:
  /** Starts the workers. Throws Error(out_of_memory) if the system cannot start as many threads. */
  explicit ThreadPool(unsigned threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  /** Number of threads of a run: all, or those of the share that is held. */
  unsigned size() const { return size_; }
  /** Number of threads that there are. */
  unsigned capacity() const { return static_cast<unsigned>(workers_.size()) + 1; }

  /**
   * A share of the CPUs of this process, for the runs of a pool while it lives. It has as many threads as are
   * wanted and as other shares leave, at least one. A pool that was made with more threads than there are
   * CPUs may use them all. One share of a pool at a time.
   */
  class Share {
   public:
    Share(ThreadPool& pool, unsigned wanted) : pool_(pool) { renew(wanted); }
    ~Share();
    Share(const Share&) = delete;
    Share& operator=(const Share&) = delete;

    /** Gives the share back and takes another: a few nanoseconds, so that long work can do so often. */
    void renew(unsigned wanted);

   private:
    ThreadPool& pool_;
    unsigned held_ = 0;
  };

  /** Calls task(t) for t = 0 .. team - 1, as below. A team of one is the caller alone and wakes no worker. */
  template <class Task>
  void run(unsigned team, Task&& task) {
    if (team == 1) return task(0u);
    const auto of_team = [&](unsigned t) {
      if (t < team) task(t);
    };
    using Plain = decltype(of_team);
    run_erased([](void* context, unsigned t) { (*static_cast<Plain*>(context))(t); },
               const_cast<void*>(static_cast<const void*>(&of_team)));
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
    run(size_, std::forward<Task>(task));
  }

 private:
  using Function = void (*)(void* context, unsigned thread);

  void run_erased(Function function, void* context);
  void work(unsigned thread);
  void call_task(unsigned thread);
  void stop();

  std::vector<std::thread> workers_;
  unsigned size_ = 1;
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
