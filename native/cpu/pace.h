#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace set_native::cpu {

/**
 * Size of a team of threads, and how it shares activations. Each thread has a copy of the weights
 * (replicas.h), which is faster wherever they fit; activations are shared or, if `replicated`, copied, too.
 */
struct TeamMode {
  unsigned threads;
  bool replicated;
};

/**
 * Finds the team mode that trains fastest by timing the modes.
 *
 * The fastest mode depends on things that cannot be queried and that change while a program runs: how far
 * apart the cores are (copies win where cores share no cache, and lose where they do), whether other
 * processes use them (a team waits for its slowest member, so two threads on two crowded cores are slower
 * than one), and how small the network is. All modes give the same bits, so each is tried for a few steps and
 * the fastest is kept. All are tried again from time to time, at intervals that double while the result stays
 * the same. A single trial is easily disturbed: one slow trial raises a mode's record at most by a factor
 * kForgiven, while a mode in use that stays slow soon loses its good record.
 */
class Pace {
 public:
  static constexpr uint32_t kTrialSteps = 4, kSteps = 16;  // steps between two reports

  /** Tries teams of `threads`, of half as many, and of one thread. */
  explicit Pace(unsigned threads) {
    for (const unsigned team : {threads, threads / 2, 1u}) {
      if (team == 0 || (!modes_.empty() && modes_.back().threads == team)) continue;
      modes_.push_back({team, false});
      if (team > 1) modes_.push_back({team, true});
    }
    restart();
  }

  /** Forgets all records. Call it when the work changes. */
  void restart() {
    seconds_.assign(modes_.size(), 0.0);
    trial_ = now_ = 0;
    interval_ = kShortest;
  }

  TeamMode mode() const { return modes_[now_]; }
  /** Number of steps to run in mode() before the next report. */
  uint32_t steps() const { return trying() ? kTrialSteps : kSteps; }

  /** Records the time per step of steps() steps in mode(), and chooses the next mode. */
  void report(double seconds_per_step) {
    double& record = seconds_[now_];
    if (trying()) {
      record = record == 0.0 ? seconds_per_step : std::min(seconds_per_step, kForgiven * record);
      now_ = ++trial_;
      if (trying()) return;
      now_ = best();
      interval_ = now_ == best_before_ ? std::min(2 * interval_, kLongest) : kShortest;
      best_before_ = now_;
      windows_left_ = interval_;
    } else {
      record += kNews * (seconds_per_step - record);
      now_ = best();
      if (--windows_left_ == 0) trial_ = now_ = 0;
    }
  }

 private:
  static constexpr double kForgiven = 1.25;  // largest factor by which one slow trial raises a record
  static constexpr double kNews = 0.25;      // weight of the latest window in the record of the mode in use
  // Least and largest number of windows, of kSteps steps each, between two rounds of trials.
  static constexpr uint32_t kShortest = 8, kLongest = 256;

  bool trying() const { return trial_ < modes_.size(); }
  uint32_t best() const {
    return static_cast<uint32_t>(std::min_element(seconds_.begin(), seconds_.end()) - seconds_.begin());
  }

  std::vector<TeamMode> modes_;
  std::vector<double> seconds_;  // record of each mode: seconds per step
  uint32_t trial_ = 0;           // mode under trial; modes_.size() when none is
  uint32_t now_ = 0;             // mode in use
  uint32_t best_before_ = 0;     // fastest mode of the last round of trials
  uint32_t interval_ = kShortest, windows_left_ = 0;
};

}  // namespace set_native::cpu
