#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <limits>
#include <string>
#include <vector>

#include "core/error.h"

namespace set_native::bench {

/** Wall times of repeated calls, in milliseconds. */
struct Times {
  size_t runs = 0;
  double median = 0.0, p95 = 0.0, minimum = 0.0;
  double p99 = std::numeric_limits<double>::quiet_NaN();  // needs 100 calls or more
  double deviation = 0.0;                                 // median absolute deviation from the median
};

/**
 * How often to repeat: until there are `least_runs` runs and `least_ms` have passed; but no further than to
 * `most_runs`, or than to `most_ms` with 3 runs.
 */
struct Effort {
  size_t least_runs = 15;
  double least_ms = 100.0;
  double most_ms = 1500.0;
  size_t most_runs = 5000;
};

using Clock = std::chrono::steady_clock;

inline double ms_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

/** A clock that measures how long something takes. */
class Stopwatch {
 public:
  virtual ~Stopwatch() = default;
  virtual void start() = 0;
  virtual double stop() = 0;  // milliseconds since start
};

class WallClock final : public Stopwatch {
 public:
  void start() override { start_ = Clock::now(); }
  double stop() override { return ms_since(start_); }

 private:
  Clock::time_point start_;
};

/** Returns the value that `share` of the sorted values do not exceed. */
inline double percentile(const std::vector<double>& sorted, double share) {
  return sorted[std::min(sorted.size() - 1, static_cast<size_t>(share * static_cast<double>(sorted.size())))];
}

inline Times summarize(std::vector<double> ms) {
  std::sort(ms.begin(), ms.end());
  Times times;
  times.runs = ms.size();
  times.minimum = ms.front();
  times.median = percentile(ms, 0.5);
  times.p95 = percentile(ms, 0.95);
  if (ms.size() >= 100) times.p99 = percentile(ms, 0.99);
  for (double& value : ms) value = std::fabs(value - times.median);
  std::sort(ms.begin(), ms.end());
  times.deviation = percentile(ms, 0.5);
  return times;
}

/**
 * Times `body`; `prepare` runs before every call and is not timed. A first call warms up, so that data that
 * fit a cache are there. Throws Error(aborted) when `cancel` is set.
 */
template <class Prepare, class Body>
Times measure(const Effort& effort, const std::atomic<bool>& cancel, Stopwatch& watch, Prepare&& prepare,
              Body&& body) {
  std::vector<double> ms;
  const auto begin = Clock::now();
  for (bool warm = false;; warm = true) {
    if (cancel.load(std::memory_order_relaxed)) throw Error(ErrorCode::aborted, "[bench] cancelled");
    prepare();
    watch.start();
    body();
    const double time = watch.stop();
    if (warm) ms.push_back(time);
    const double elapsed = ms_since(begin);
    const bool enough = ms.size() >= effort.least_runs && elapsed >= effort.least_ms;
    const bool too_long = ms.size() >= 3 && elapsed >= effort.most_ms;
    if (enough || too_long || ms.size() >= effort.most_runs) return summarize(std::move(ms));
  }
}

/** Times `body` by the wall clock. */
template <class Prepare, class Body>
Times measure(const Effort& effort, const std::atomic<bool>& cancel, Prepare&& prepare, Body&& body) {
  WallClock wall;
  return measure(effort, cancel, wall, prepare, body);
}

template <class Body>
Times measure(const Effort& effort, const std::atomic<bool>& cancel, Body&& body) {
  return measure(effort, cancel, [] {}, body);
}

}  // namespace set_native::bench
