#include <random>
#include <vector>

#include "test/check.h"
#include "test/fuzz/targets.h"

/*
 * The targets of libFuzzer on random bytes, for machines without it: `npm run fuzz:native` looks further.
 */
namespace set_native {

namespace {

void on_random_bytes(void (*target)(const uint8_t*, size_t), int times) {
  std::mt19937_64 random(test::seed());
  for (int round = 0; round < times; ++round) {
    std::vector<uint8_t> bytes(random() % 200);
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
    target(bytes.data(), bytes.size());
  }
}

}  // namespace

TEST("fuzz: check_model accepts exactly what is sound") {
  on_random_bytes(test::fuzz_model, 5000);
}

TEST("fuzz: links packed into blocks and unpacked are the plain CSR again") {
  on_random_bytes(test::fuzz_blocks, 500);
}

TEST("fuzz: evolution on the CPU is that of the reference") {
  on_random_bytes(test::fuzz_evolve, 500);
}

}  // namespace set_native
