#include "bench/ceilings.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <fstream>
#include <string>
#include <thread>

#include "bench/measure.h"
#include "bench/probes.h"
#include "core/aligned.h"
#include "core/philox.h"
#include "layout/thread_pool.h"

namespace set_native::bench {

namespace {

constexpr int kTries = 11, kCaseTries = 4;
// Length of a try: long enough for the clock and the barrier, short enough to fall between interruptions.
constexpr double kTryMs = 2.0;

std::atomic<float> sink;  // takes the results of the probes, so that the compiler does not drop them

void keep(float value) {
  sink.store(value, std::memory_order_relaxed);
}

/**
 * Returns the best rate of several tries: units per ns of all threads together, where work(thread, rounds)
 * does rounds x units_per_round units on each thread.
 */
template <class Work>
double best_rate(ThreadPool& pool, int tries, double units_per_round, Work&& work) {
  const auto timed = [&](size_t rounds) {
    const auto start = Clock::now();
    pool.run([&](unsigned t) { work(t, rounds); });
    return ms_since(start) * 1e6;
  };
  // Rounds that fill a try, by the least of three times, because one may have been interrupted.
  size_t rounds = 1;
  while (std::min({timed(rounds), timed(rounds), timed(rounds)}) < kTryMs * 1e6 / 2) rounds *= 2;
  double best = 0.0;
  for (int t = 0; t < tries; ++t)
    best = std::max(best, units_per_round * static_cast<double>(rounds * pool.size()) / timed(rounds));
  return best;
}

/** Returns the GB/s of sequential reads, `bytes` per thread. */
double read_bandwidth(ThreadPool& pool, const Probes& probe, int tries, double bytes) {
  constexpr size_t kStep = 128;
  const size_t count = std::max<size_t>(1, static_cast<size_t>(bytes) / sizeof(float) / kStep) * kStep;
  std::vector<AlignedVector<float>> data(pool.size());
  // The thread that reads the data also writes it first, so that it lies near its core.
  pool.run([&](unsigned t) { data[t].assign(count, 1.0f); });
  return best_rate(pool, tries, static_cast<double>(count * sizeof(float)),
                   [&](unsigned t, size_t rounds) { keep(probe.read(data[t].data(), count, rounds)); });
}

/** Returns the least time per call of several batches of calls, in ns. */
template <class Body>
double least_ns(int batches, int calls, Body&& body) {
  double best = 1e18;
  for (int batch = 0; batch < batches; ++batch) {
    const auto start = Clock::now();
    for (int call = 0; call < calls; ++call) body();
    best = std::min(best, ms_since(start) * 1e6 / calls);
  }
  return best;
}

/** Spins until `turn` is `wanted`. */
void await(const std::atomic<int>& turn, int wanted) {
  for (int looks = 1; turn.load(std::memory_order_acquire) != wanted; ++looks)
    if (looks % 1024 == 0) std::this_thread::yield();  // the other thread may have no core of its own
}

/** Returns the time of a cache line from core to core and back: a second thread answers the caller. */
double ping_pong_ns() {
  constexpr int kCalls = 2000, kBatches = 10;
  alignas(64) std::atomic<int> turn{0};
  std::thread other([&turn] {
    for (int t = 1; t < 2 * kCalls * kBatches; t += 2) {
      await(turn, t);
      turn.store(t + 1, std::memory_order_release);
    }
  });
  int t = 0;
  const double best = least_ns(kBatches, kCalls, [&] {
    turn.store(t + 1, std::memory_order_release);
    await(turn, t += 2);
  });
  other.join();
  return best;
}

#if defined(__linux__)
/** Returns the size of the data cache of `level` in bytes, 0 where the system does not give it. */
double cache_size(int level) {
  for (int index = 0; index < 8; ++index) {
    const std::string folder = "/sys/devices/system/cpu/cpu0/cache/index" + std::to_string(index) + "/";
    int found = 0;
    std::string type;
    double kilobytes = 0.0;
    std::ifstream(folder + "level") >> found;
    std::ifstream(folder + "type") >> type;
    std::ifstream(folder + "size") >> kilobytes;  // as in "512K"
    if (found == level && type != "Instruction") return kilobytes * 1024.0;
  }
  return 0.0;
}
#else
double cache_size(int) {
  return 0.0;
}
#endif

}  // namespace

Caches caches() {
  const auto known = [](double size, double otherwise) { return size > 0.0 ? size : otherwise; };
  return {known(cache_size(1), 32.0 * 1024), known(cache_size(2), 512.0 * 1024),
          known(cache_size(3), 8.0 * 1048576)};
}

const Ceilings& Machine::ceilings(unsigned threads) {
  const auto known = ceilings_.find(threads);
  if (known != ceilings_.end()) return known->second;
  ThreadPool pool(threads);
  const Probes& probe = probes(table_.name);
  Ceilings all{};
  all.threads = threads;
  all.gflops = best_rate(pool, kTries, probe.flops_per_round,
                         [&](unsigned, size_t rounds) { keep(probe.multiply_add(rounds)); });
  // Half of a cache, so that other data in it do not matter; of the shared cache a thread's share.
  all.l1 = read_bandwidth(pool, probe, kTries, caches_.l1 / 2);
  all.l2 = read_bandwidth(pool, probe, kTries, caches_.l2 / 2);
  all.l3 = read_bandwidth(pool, probe, kTries, std::max(2 * caches_.l2, caches_.l3 / 4 / threads));
  all.dram = read_bandwidth(pool, probe, kTries, std::min(512e6, std::max(64e6, 4 * caches_.l3)) / threads);
  all.row_ns = row_ns(threads, 3000, 160);
  if (threads > 1) {
    all.barrier_ns = least_ns(10, 2000, [&] { pool.run([](unsigned) {}); });
    all.ping_pong_ns = ping_pong_ns();
  }
  return ceilings_.emplace(threads, all).first->second;
}

double Machine::row_ns(unsigned threads, size_t rows, size_t row_bytes) {
  ThreadPool pool(threads);
  const size_t visits = std::min<size_t>(std::max<size_t>(rows, 1u << 12), 1u << 21);
  std::vector<uint32_t> order(visits);
  for (size_t k = 0; k < visits; ++k)
    order[k] = static_cast<uint32_t>(below(word64(draw(1, Stream::split, 0, 1, k)), rows));
  std::vector<AlignedVector<char>> data(threads);
  pool.run([&](unsigned t) { data[t].assign(rows * row_bytes + kAlignment, 0); });
  double best = 0.0;
  for (const bool prefetch : {false, true})
    best = std::max(
        best, best_rate(pool, kCaseTries, static_cast<double>(visits), [&](unsigned t, size_t rounds) {
          for (size_t round = 0; round < rounds; ++round)
            keep(static_cast<float>(touch_rows(data[t].data(), row_bytes, order.data(), visits, prefetch)));
        }));
  double& least = row_ns_.emplace(std::make_tuple(threads, rows, row_bytes), threads / best).first->second;
  return least = std::min(least, threads / best);
}

double Machine::stream_bandwidth(unsigned threads, double footprint) {
  const int size_class =
      std::max(20, static_cast<int>(std::lround(2.0 * std::log2(footprint))));  // at least 1 KB
  double& most = stream_[{threads, size_class}];
  ThreadPool pool(threads);
  const double bytes = std::min(512e6, std::exp2(size_class / 2.0));
  return most = std::max(most, read_bandwidth(pool, probes(table_.name), kCaseTries, bytes / threads));
}

}  // namespace set_native::bench
