#include "layout/thread_pool.h"

#include <ctime>
#include <stdexcept>

#include "core/available_cpus.h"
#include "cpu/replicas.h"
#include "test/cpu/kernel_support.h"
#include "test/deadline.h"

/*
 * The thread pool, its barrier, and the copies that the threads of a team keep of shared arrays. Pools here
 * have more threads than the machine has cores.
 */
namespace set_native {

using namespace test;

namespace {

TEST("threads: every thread runs the task once, and what it wrote is seen") {
  for (const unsigned size : {1u, 2u, 3u, 9u, 33u}) {
    ThreadPool pool(size);
    CHECK_EQ(pool.size(), size);
    std::vector<unsigned> runs(size, 0);  // not atomic: the pool orders what threads do
    for (int run = 0; run < 200; ++run) pool.run([&](unsigned t) { ++runs[t]; });
    CHECK(runs == std::vector<unsigned>(size, 200));
  }
}

TEST("threads: a team smaller than the pool leaves the others out") {
  const Deadline deadline("threads: a team smaller than the pool");
  ThreadPool pool(9);
  std::vector<unsigned> runs(9, 0), want(9, 0);
  for (int run = 0; run < 300; ++run) {
    const unsigned team = 1 + static_cast<unsigned>(run) % 9;
    pool.run(team, [&](unsigned t) {
      ++runs[t];
      pool.barrier(team);
      pool.barrier(team);
    });
    for (unsigned t = 0; t < team; ++t) ++want[t];
  }
  CHECK(runs == want);
}

TEST("threads: pools share the CPUs of the process, and each has at least one") {
  const unsigned cpus = available_cpus();
  ThreadPool first(cpus), second(cpus), large(cpus + 3);
  std::vector<unsigned> runs(cpus + 3, 0);
  {
    ThreadPool::Share all(first, cpus);
    CHECK_EQ(first.size(), cpus);
    ThreadPool::Share rest(second, cpus);
    CHECK_EQ(second.size(), 1u);
    second.run([&](unsigned t) { ++runs[t]; });
    CHECK_EQ(runs[0], 1u);
    all.renew(1);
    CHECK_EQ(first.size(), 1u);
    rest.renew(cpus);
    CHECK_EQ(second.size(), std::max(1u, cpus - 1));
    // A pool that was made larger than the machine may use all of its threads, as far as others leave some.
    ThreadPool::Share more(large, cpus + 3);
    CHECK_EQ(large.size(), std::max(1u, cpus + 3 - first.size() - second.size()));
  }
  CHECK_EQ(first.size(), cpus);
  ThreadPool::Share alone(large, cpus + 3);
  CHECK_EQ(large.size(), cpus + 3);
  alone.renew(0);
  CHECK_EQ(large.size(), 1u);
}

TEST("threads: a barrier lets nobody pass before all have come, and shows what they wrote") {
  const Deadline deadline("threads: a barrier");
  for (const unsigned team : {2u, 3u, 9u}) {
    ThreadPool pool(9);
    std::vector<unsigned> round_of(team, 0);  // not atomic: barriers order what threads do
    std::vector<unsigned> early(team, 0);
    pool.run(team, [&](unsigned t) {
      for (unsigned round = 1; round <= 2000; ++round) {
        round_of[t] = round;
        if (round % 97 == t)
          std::this_thread::sleep_for(std::chrono::microseconds(150));  // the others go to sleep
        pool.barrier(team);
        for (const unsigned other : round_of) early[t] += other != round;
        pool.barrier(team);
      }
    });
    for (unsigned t = 0; t < team; ++t) CHECK_MSG(early[t] == 0, "thread " << t << " of " << team);
  }
}

TEST("threads: the first exception comes out, after all have ended, and the pool goes on") {
  const Deadline deadline("threads: exceptions");
  for (const unsigned size : {1u, 2u, 9u}) {
    ThreadPool pool(size);
    for (unsigned thrower = 0; thrower < size; ++thrower)
      for (const bool all : {false, true}) {
        std::atomic<unsigned> ended{0};
        try {
          pool.run([&](unsigned t) {
            ++ended;
            if (all || t == thrower) throw std::runtime_error("thread " + std::to_string(t));
          });
          CHECK(!"run did not throw");
        } catch (const std::runtime_error& error) {
          CHECK_MSG(all || error.what() == "thread " + std::to_string(thrower), error.what());
        }
        CHECK_EQ(ended.load(), size);
        std::atomic<unsigned> after{0};
        pool.run(size, [&](unsigned) {
          pool.barrier(size);
          ++after;
        });
        CHECK_EQ(after.load(), size);
      }
  }
}

TEST("threads: pools side by side, started from different threads") {
  const Deadline deadline("threads: pools side by side");
  std::vector<std::thread> callers;
  std::atomic<unsigned> wrong{0};
  for (int c = 0; c < 4; ++c)
    callers.emplace_back([&] {
      ThreadPool pool(3);
      std::vector<uint64_t> sums(3, 0);
      for (uint64_t run = 0; run < 300; ++run)
        pool.run(3u, [&](unsigned t) {
          sums[t] += run;
          pool.barrier(3);
          if (sums[0] != sums[1] || sums[1] != sums[2]) ++wrong;
          pool.barrier(3);
        });
    });
  for (std::thread& caller : callers) caller.join();
  CHECK_EQ(wrong.load(), 0u);
}

TEST("threads: an idle pool takes no CPU time") {
  ThreadPool pool(9);
  pool.run([](unsigned) {});
  std::this_thread::sleep_for(std::chrono::milliseconds(20));  // they spin for a moment before they sleep
  const std::clock_t before = std::clock();
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  const double busy = static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC;
  CHECK_MSG(busy < 0.02, "busy for " << busy << " s of 0.1 s");
}

TEST("threads: copies of a shared array follow it, whatever parts the threads write") {
  const Deadline deadline("threads: copies");
  constexpr unsigned kTeam = 5;
  Random random(60);
  for (const size_t count :
       {size_t{1}, size_t{15}, size_t{16}, size_t{333}, size_t{4096}, cpu::Replicas::kLargest + 1})
    for (const unsigned copies : {0u, kTeam}) {
      Guarded shared(count, 1.0f);
      cpu::Replicas replicas;
      replicas.attach(shared.data(), count, copies);
      for (unsigned t = 0; t < kTeam; ++t) {
        replicas.refresh(t);
        CHECK_EQ(replicas.own(t) == shared.data(), copies == 0 || count > cpu::Replicas::kLargest);
        for (size_t k = 0; k < count; k += 1 + count / 50) CHECK_EQ(replicas.own(t)[k], 1.0f);
      }
      ThreadPool pool(kTeam);
      for (int round = 2; round < 12; ++round) {
        // Parts at any place: neighbours share cache lines. What lies behind `used` nobody writes or asks
        // for.
        const size_t used = count - random.below(count / 2 + 1);
        std::vector<size_t> cuts{0, used};
        for (unsigned t = 1; t < kTeam; ++t) cuts.push_back(random.below(used + 1));
        std::sort(cuts.begin(), cuts.end());
        std::vector<float> kept(kTeam);
        for (unsigned t = 0; t < kTeam; ++t) kept[t] = replicas.own(t)[count - 1];
        pool.run([&](unsigned t) {
          const size_t begin = cuts[t], end = cuts[t + 1], middle = begin + (end - begin) / 3;
          for (size_t k = begin; k < end; ++k)
            replicas.own(t)[k] = static_cast<float>(round * 1000) + static_cast<float>(k % 997);
          replicas.publish(t, begin, middle);
          replicas.publish(t, middle, end);
          pool.barrier(kTeam);
          replicas.pull_others(t, begin, end, used);
          pool.barrier(kTeam);
        });
        for (unsigned t = 0; t < kTeam; ++t) {
          size_t wrong = 0;
          for (size_t k = 0; k < used; ++k)
            wrong += replicas.own(t)[k] != static_cast<float>(round * 1000) + static_cast<float>(k % 997) ||
                     shared[k] != replicas.own(t)[k];
          CHECK_MSG(wrong == 0,
                    count << " floats, thread " << t << ": " << wrong << " are not what was published");
          CHECK(used == count || replicas.own(t)[count - 1] == kept[t]);
        }
        CHECK(shared.intact());
      }
    }
}

}  // namespace
}  // namespace set_native
