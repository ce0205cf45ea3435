#pragma once

#include <cstdint>
#include <functional>
#include <sstream>
#include <string>
#include <vector>

#include "core/error.h"

/*
 * A test framework in one header, so that the native tests build on any machine with a compiler.
 *
 *   TEST("csr: refuses unsorted columns") { CHECK(...); CHECK_EQ(a, b); CHECK_THROWS(invalid_csr, f()); }
 *
 * A failed CHECK is recorded with file and line and the test goes on; after 20 failures it is left.
 */
namespace set_native::test {

struct Case {
  const char* name;
  void (*body)();
};

struct Skip {
  std::string reason;
};

std::vector<Case>& cases();
void fail(const char* file, int line, const std::string& message);

struct Register {
  Register(const char* name, void (*body)()) { cases().push_back({name, body}); }
};

/** Leaves the running test and reports it as skipped, with the reason. */
[[noreturn]] inline void skip(const std::string& reason) {
  throw Skip{reason};
}

/** Seed of randomised tests: SET_NATIVE_TEST_SEED, or drawn anew and printed by the runner. */
uint64_t seed();

template <class A, class B>
void check_eq(const A& a, const B& b, const char* text, const char* file, int line) {
  if (a == b) return;
  std::ostringstream message;
  message << text << ": " << +a << " and " << +b << " differ";
  fail(file, line, message.str());
}

}  // namespace set_native::test

#define SET_TEST_JOIN2(a, b) a##b
#define SET_TEST_JOIN(a, b) SET_TEST_JOIN2(a, b)
#define TEST(name)                                                                       \
  static void SET_TEST_JOIN(test_body_, __LINE__)();                                     \
  static const ::set_native::test::Register SET_TEST_JOIN(test_registration_, __LINE__)( \
      name, &SET_TEST_JOIN(test_body_, __LINE__));                                       \
  static void SET_TEST_JOIN(test_body_, __LINE__)()
#define CHECK(condition)                                                        \
  do {                                                                          \
    if (!(condition)) ::set_native::test::fail(__FILE__, __LINE__, #condition); \
  } while (0)
/** For conditions that need their values told: message is streamed, `"row " << i`. */
#define CHECK_MSG(condition, message)                                   \
  do {                                                                  \
    if (!(condition)) {                                                 \
      std::ostringstream set_test_out;                                  \
      set_test_out << #condition << ": " << message;                    \
      ::set_native::test::fail(__FILE__, __LINE__, set_test_out.str()); \
    }                                                                   \
  } while (0)
#define CHECK_EQ(a, b) ::set_native::test::check_eq((a), (b), #a " == " #b, __FILE__, __LINE__)
/** The expression must throw set_native::Error with ErrorCode::code_. */
#define CHECK_THROWS(code_, expression)                                                       \
  do {                                                                                        \
    try {                                                                                     \
      (void)(expression);                                                                     \
      ::set_native::test::fail(__FILE__, __LINE__, #expression " did not throw");             \
    } catch (const ::set_native::Error& set_test_error) {                                     \
      if (set_test_error.code() != ::set_native::ErrorCode::code_)                            \
        ::set_native::test::fail(__FILE__, __LINE__,                                          \
                                 std::string(#expression " threw ") + set_test_error.what()); \
    }                                                                                         \
  } while (0)
