#pragma once

#include <map>
#include <tuple>
#include <utility>

#include "cpu/kernels.h"

namespace set_native::bench {

/** Bytes of a core's data caches, and of the last-level cache that it shares with others. */
struct Caches {
  double l1, l2, l3;
};

/** Returns the sizes that the operating system gives, or else 32 KB, 512 KB and 8 MB. */
Caches caches();

/** Measured limits: the best of several tries on `threads` threads at once, each with data of its own. */
struct Ceilings {
  unsigned threads;
  double gflops;            // float32 multiply-add in registers
  double l1, l2, l3, dram;  // sequential reads, GB/s, all threads together
  double row_ns;            // a random row of 160 bytes out of 3000, on each thread, as sparse layers read
  double barrier_ns;        // an empty run of the pool; 0 for one thread
  double ping_pong_ns;      // a cache line from a core to another and back; 0 for one thread
};

/** The limits of the machine, measured with the instruction set of one kernel table. */
class Machine {
 public:
  explicit Machine(const cpu::KernelTable& table) : table_(table), caches_(bench::caches()) {}

  const cpu::KernelTable& table() const { return table_; }
  const Caches& caches() const { return caches_; }

  /** Returns the ceilings. The first call measures them, in about a second. */
  const Ceilings& ceilings(unsigned threads);

  /**
   * Returns the nanoseconds that it takes to bring a random row of `row_bytes` bytes from a matrix of `rows`
   * rows into L1, on each of `threads` cores with a matrix of its own. There is one load per cache line, so
   * that only the lines count, with prefetch where that is faster. Each call measures; the result is the best
   * so far.
   */
  double row_ns(unsigned threads, size_t rows, size_t row_bytes);

  /**
   * Returns the GB/s at which `threads` threads read `footprint` bytes in order, again and again, each its
   * own share. The buffer has about that size, to a factor of 1.2. The result is the best so far, as above.
   */
  double stream_bandwidth(unsigned threads, double footprint);

 private:
  const cpu::KernelTable& table_;
  Caches caches_;
  std::map<unsigned, Ceilings> ceilings_;
  std::map<std::tuple<unsigned, size_t, size_t>, double> row_ns_;
  std::map<std::pair<unsigned, int>, double> stream_;  // by threads and size class
};

}  // namespace set_native::bench
