#include "cpu/pace.h"

#include <functional>
#include <map>

#include "test/cpu/kernel_support.h"

/*
 * How the way of sharing work is chosen, with made-up times: what counts is how many steps are spent in which
 * mode.
 */
namespace set_native {

using namespace test;

namespace {

using cpu::Pace;
using cpu::TeamMode;

/** Seconds that a step takes in a mode. */
using Cost = std::function<double(TeamMode)>;

/** The time of `steps` steps under a pace, compared with that in the best of modes at hand. */
double slowdown(Pace& pace, uint64_t steps, const Cost& cost, double best) {
  double time = 0.0;
  uint64_t done = 0;
  while (done < steps) {
    const uint32_t now = pace.steps();
    const double seconds = cost(pace.mode());
    pace.report(seconds);
    time += seconds * now;
    done += now;
  }
  return time / (best * static_cast<double>(done));
}

std::string text(TeamMode mode) {
  return std::to_string(mode.threads) + (mode.replicated ? " threads with copies" : " threads");
}

/** The modes that a pace of so many threads tries. */
std::vector<TeamMode> modes_of(unsigned threads) {
  Pace pace(threads);
  std::map<std::pair<unsigned, bool>, int> seen;
  for (int k = 0; k < 100; ++k) {
    ++seen[{pace.mode().threads, pace.mode().replicated}];
    pace.report(1.0);
  }
  std::vector<TeamMode> modes;
  for (const auto& [mode, count] : seen) modes.push_back({mode.first, mode.second});
  return modes;
}

TEST("pace: tries one thread, all of them, and copies for every team") {
  for (const unsigned threads : {1u, 2u, 3u, 8u}) {
    bool one = false, all = false;
    for (const TeamMode& mode : modes_of(threads)) {
      CHECK(mode.threads >= 1 && mode.threads <= threads);
      CHECK(mode.threads > 1 || !mode.replicated);
      one = one || mode.threads == 1;
      all = all || (mode.threads == threads && mode.replicated == (threads > 1));
    }
    CHECK(one && all);
  }
}

TEST("pace: settles on the fastest mode, whichever it is, and loses little time over it") {
  for (const unsigned threads : {2u, 4u, 8u})
    for (const TeamMode& fastest : modes_of(threads)) {
      Pace pace(threads);
      const Cost cost = [&](TeamMode mode) {
        return mode.threads == fastest.threads && mode.replicated == fastest.replicated ? 1.0 : 1.5;
      };
      const double first = slowdown(pace, 200, cost, 1.0), later = slowdown(pace, 5000, cost, 1.0);
      CHECK_MSG(first < 1.15, text(fastest) << ": " << first << " times the best time in 200 steps");
      CHECK_MSG(later < 1.02, text(fastest) << ": " << later << " times the best time afterwards");
    }
}

TEST("pace: noise does not drive it from a mode that is clearly the best") {
  for (const TeamMode& fastest : modes_of(4)) {
    Random random(70);
    Pace pace(4);
    // Every measurement is up to 30 % off, and one in twenty is disturbed by something else.
    const Cost cost = [&](TeamMode mode) {
      const bool best = mode.threads == fastest.threads && mode.replicated == fastest.replicated;
      const double noise = random.in(1.0f, 1.3f) * (random.below(20) == 0 ? 5.0 : 1.0);
      return (best ? 1.0 : 2.0) * noise;
    };
    slowdown(pace, 200, cost, 1.0);
    const double expected = 1.15 * (1.0 + 4.0 / 20.0), later = slowdown(pace, 20000, cost, expected);
    CHECK_MSG(later < 1.5, text(fastest) << ": " << later << " times the best time");
  }
}

TEST("pace: leaves a mode that has become slow, and comes back when it is fast again") {
  for (const TeamMode& favourite : modes_of(4)) {
    Pace pace(4);
    double slow = 1.0;
    const Cost cost = [&](TeamMode mode) {
      return mode.threads == favourite.threads && mode.replicated == favourite.replicated ? slow : 1.5;
    };
    slowdown(pace, 20000, cost, 1.0);
    slow = 6.0;  // other processes have come
    slowdown(pace, 500, cost, 1.5);
    const double away = slowdown(pace, 5000, cost, 1.5);
    CHECK_MSG(away < 1.1, text(favourite) << ": " << away << " times the best time after it became slow");
    slow = 1.0;  // and gone
    slowdown(pace, 10000, cost, 1.0);
    const double back = slowdown(pace, 5000, cost, 1.0);
    CHECK_MSG(back < 1.1, text(favourite)
                              << ": " << back << " times the best time after it became fast again");
  }
}

TEST("pace: restarted, it has forgotten") {
  Pace pace(2);
  slowdown(pace, 5000, [](TeamMode mode) { return mode.threads == 1 ? 1.0 : 1e6; }, 1.0);
  pace.restart();
  const Cost cost = [](TeamMode mode) { return mode.threads == 1 ? 3.0 : 1.0; };
  slowdown(pace, 100, cost, 1.0);
  CHECK(slowdown(pace, 1000, cost, 1.0) < 1.1);
}

}  // namespace
}  // namespace set_native
