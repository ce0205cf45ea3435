/*
 * A program of libFuzzer around the target that SET_FUZZ_TARGET names. The first CHECK that fails ends it,
 * and libFuzzer keeps the input.
 */
#include <cstdio>
#include <cstdlib>

#include "test/check.h"
#include "test/fuzz/targets.h"

void set_native::test::fail(const char* file, int line, const std::string& message) {
  std::fprintf(stderr, "%s:%d: %s\n", file, line, message.c_str());
  std::abort();
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  set_native::test::SET_FUZZ_TARGET(data, size);
  return 0;
}
