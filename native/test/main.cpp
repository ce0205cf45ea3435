#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>

#include "test/check.h"

namespace set_native::test {

namespace {
constexpr int kFailuresPerTest = 20;
int failures = 0;

struct TooManyFailures {};
}  // namespace

std::vector<Case>& cases() {
  static std::vector<Case> all;
  return all;
}

void fail(const char* file, int line, const std::string& message) {
  std::printf("  %s:%d: %s\n", file, line, message.c_str());
  if (++failures >= kFailuresPerTest) throw TooManyFailures{};
}

uint64_t seed() {
  static const uint64_t value = [] {
    const char* given = std::getenv("SET_NATIVE_TEST_SEED");
    return given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  }();
  return value;
}

}  // namespace set_native::test

/** Runs the tests whose names contain every argument; the last line is `N passed, N failed[, N skipped]`. */
int main(int argc, char** argv) {
  using namespace set_native::test;
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  std::printf("seed %llu (repeat with SET_NATIVE_TEST_SEED)\n", static_cast<unsigned long long>(seed()));
  int passed = 0, failed = 0, skipped = 0;
  for (const Case& test : cases()) {
    bool wanted = true;
    for (int i = 1; i < argc; ++i) wanted = wanted && std::strstr(test.name, argv[i]) != nullptr;
    if (!wanted) continue;
    failures = 0;
    const auto start = std::chrono::steady_clock::now();
    try {
      test.body();
    } catch (const TooManyFailures&) {
    } catch (const Skip& reason) {
      ++skipped;
      std::printf("skip %s: %s\n", test.name, reason.reason.c_str());
      continue;
    } catch (const std::exception& error) {
      std::printf("  threw: %s\n", error.what());
      ++failures;
    }
    const double ms =
        std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
    std::printf("%s %s (%.0f ms)\n", failures == 0 ? "ok  " : "FAIL", test.name, ms);
    ++(failures == 0 ? passed : failed);
  }
  if (passed + failed + skipped == 0) std::printf("no test matches\n");
  std::printf("%d passed, %d failed", passed, failed);
  if (skipped > 0) std::printf(", %d skipped", skipped);
  std::printf("\n");
  return failed == 0 && passed > 0 ? 0 : 1;
}
