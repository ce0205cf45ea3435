#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace set_native::cpu {

/**
 * How a team of threads shares its arrays. Weights are copied to each thread (replicas.h), which is faster
 * wherever they fit; activations lie all in one place or, replicated, are copied, too.
 */
struct TeamMode {
  unsigned threads;
  bool replicated;
};

/**
 * Finds the team that trains fastest, by trying.
 *
 * It depends on things that nobody tells and that change while a program runs: how far apart the cores are
 * (copies win where they share no cache, and lose where they do), whether other processes want them (a team
 * waits for its slowest member, so that two threads on two crowded cores are slower than one), how small the
 * network is. All modes give the same bits, so each is tried for a few steps and the best is kept. The others
 * are tried again now and then, at intervals that double as long as the answer stays the same. A single trial
 * is easily disturbed: a mode that once was fast keeps most of its good name when a trial of it goes badly,
 * and loses it when it is used and stays slow.
 */
class Pace {
 public:
  static constexpr uint32_t kTrialSteps = 4, kSteps = 16;

  /** For up to `threads` threads. */
  explicit Pace(unsigned threads) {
    for (const unsigned team : {threads, threads / 2, 1u}) {
      if (team == 0 || (!modes_.empty() && modes_.back().threads == team)) continue;
      modes_.push_back({team, false});
      if (team > 1) modes_.push_back({team, true});
    }
    restart();
  }

  /** Forgets what was measured: the work has changed. */
  void restart() {
    seconds_.assign(modes_.size(), 0.0);
    trial_ = now_ = 0;
    interval_ = kShortest;
  }

  TeamMode mode() const { return modes_[now_]; }
  /** Steps to run in this mode before the next report. */
  uint32_t steps() const { return trying() ? kTrialSteps : kSteps; }

  /** After steps() steps in mode(). */
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
  static constexpr double kForgiven = 1.25;  // growth of a record by one bad trial, at most
  static constexpr double kNews = 0.25;      // weight of the latest window in the record of the mode in use
  static constexpr uint32_t kShortest = 8, kLongest = 256;  // windows between two rounds of trials

  bool trying() const { return trial_ < modes_.size(); }
  uint32_t best() const {
    return static_cast<uint32_t>(std::min_element(seconds_.begin(), seconds_.end()) - seconds_.begin());
  }

  std::vector<TeamMode> modes_;
  std::vector<double> seconds_;  // record of each mode, per step
  uint32_t trial_ = 0;           // mode under trial, or beyond the last
  uint32_t now_ = 0;
  uint32_t best_before_ = 0;  // after the last round of trials
  uint32_t interval_ = kShortest, windows_left_ = 0;
};

}  // namespace set_native::cpu
