#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/error.h"
#include "gpu/model.h"
#include "metal/device.h"
#include "test/check.h"
#include "test/emulator/metal_gpu.h"
#include "test/model_support.h"

#if defined(__linux__) && (defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__))
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#define SET_STOPPED_BY_SANITIZER
#endif

/*
 * Metal's host code over an emulated GPU: the rules that it keeps, how failures come back; and the emulator itself, on
 * kernels with planted bugs.
 */
namespace set_native {

using namespace test;

namespace {

using metal::MetalDevice;
using simt::Order;

constexpr uint32_t kThreads = 64;

const simt::Schedule kSchedules[] = {{Order::forward, 0}, {Order::reversed, 0}, {Order::shuffled, 1}};

/** Runs one of the planted kernels on the numbers 1 .. kThreads; what it wrote to as many. */
std::vector<uint32_t> run_planted(const std::string& name, uint32_t count, const simt::Schedule& schedule = {},
                                  size_t shared = kThreads * 4) {
  EmulatedGpu::Options options;
  options.schedule = schedule;
  options.kernels = &simt_metal::planted();
  EmulatedGpu gpu(options);
  std::string problem;
  const auto function = gpu.make_function(name, kThreads, problem);
  CHECK_MSG(function != nullptr, problem);
  const auto in = gpu.make_buffer(kThreads * 4), out = gpu.make_buffer(kThreads * 4);
  for (uint32_t k = 0; k < kThreads; ++k) static_cast<uint32_t*>(in->contents())[k] = k + 1;
  std::memset(out->contents(), 0, kThreads * 4);
  const auto commands = gpu.make_commands();
  commands->set_function(*function);
  commands->set_bytes(&count, sizeof count, 0);
  commands->set_buffer(*in, 0, 1);
  commands->set_buffer(*out, 0, 2);
  commands->set_threadgroup_memory(shared);
  commands->dispatch(1, 1, kThreads);
  commands->commit();
  commands->wait();
  const auto* got = static_cast<const uint32_t*>(out->contents());
  return {got, got + kThreads};
}

std::string fault_of(const std::string& kernel, uint32_t count) {
  try {
    run_planted(kernel, count);
  } catch (const Error& error) {
    return error.what();
  }
  return "no fault";
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST("metal emulator: a missing barrier shows as results that depend on the schedule") {
  if (simt::kThreads) skip("its data race is ThreadSanitizer's to find");
  std::set<std::vector<uint32_t>> right, wrong;
  for (const simt::Schedule& schedule : kSchedules) {
    right.insert(run_planted("pass_on", 3, schedule));
    wrong.insert(run_planted("missing_barrier", 3, schedule));
  }
  CHECK_EQ(right.size(), 1u);
  CHECK_EQ((*right.begin())[5], 9u);
  CHECK(wrong.size() > 1);
}

TEST("metal emulator: barriers and simdgroups that diverge are refused, with their lines") {
  if (simt::kThreads) skip("what was in the way of others is told otherwise there");
  const std::string barrier = fault_of("divergent_barrier", 5), simd = fault_of("divergent_simd", 40);
  CHECK_MSG(has(barrier, "threadgroup_barrier (line ") && has(barrier, "deadlock"), barrier);
  CHECK_MSG(has(simd, "divergence") && has(simd, "simd_sum (line ") && has(simd, "simd_or (line "), simd);
  CHECK(fault_of("divergent_barrier", kThreads) == "no fault");
}

TEST("metal emulator: lanes that do not exist hold nothing, weak exchanges fail now and then") {
  const auto down = run_planted("beyond_the_simdgroup", 1);
  CHECK_EQ(down[0], 3u);
  CHECK(down[31] != 32u + 33u && down[31] != 2 * 32u);
  uint32_t swapped = 0;
  for (const uint32_t value : run_planted("weak_once", 7)) swapped += value == 7;
  CHECK(swapped > 0 && swapped < kThreads);
}

#if defined(SET_STOPPED_BY_SANITIZER)

/** In the process that stopped_by_sanitizer starts. */
TEST("metal planted: a kernel named by SET_NATIVE_TEST_PLANTED") {
  const char* kernel = std::getenv("SET_NATIVE_TEST_PLANTED");
  if (kernel == nullptr) skip("it is run by the test of what sanitizers find");
  const std::string named = kernel;
  const size_t colon = named.find(':');
  run_planted(named.substr(0, colon), static_cast<uint32_t>(std::stoul(named.substr(colon + 1))));
}

/** What a sanitizer says of a planted kernel in a process of its own. */
std::string verdict(const std::string& kernel, uint32_t count) {
  const std::string command = "SET_NATIVE_TEST_PLANTED=" + kernel + ":" + std::to_string(count) +
                              " TSAN_OPTIONS=halt_on_error=1 /proc/" + std::to_string(getpid()) +
                              "/exe 'metal planted' 2>&1";
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return "no process";
  std::string text(1 << 16, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), pipe));
  pclose(pipe);
  return text;
}

#endif

#if defined(__SANITIZE_ADDRESS__)
TEST("metal emulator: AddressSanitizer stops a kernel that leaves its buffer or its threadgroup memory") {
  for (const std::string kernel : {"out_of_bounds", "shared_out_of_bounds"}) {
    const std::string right = verdict(kernel, 0), wrong = verdict(kernel, kThreads);
    CHECK_MSG(has(right, "1 passed, 0 failed"), right);
    CHECK_MSG(has(wrong, "AddressSanitizer: heap-buffer-overflow") && has(wrong, "planted.metal"), wrong);
  }
}
#endif

#if defined(__SANITIZE_THREAD__)
TEST("metal emulator: ThreadSanitizer stops a kernel without its barrier, or without an atomic") {
  const std::string right = verdict("pass_on", 20);
  CHECK_MSG(has(right, "1 passed, 0 failed"), right);
  for (const auto& [kernel, count] : {std::pair{"missing_barrier", 1000u}, {"without_atomic", 200000u}}) {
    const std::string wrong = verdict(kernel, count);  // long enough for threads to meet
    CHECK_MSG(has(wrong, "ThreadSanitizer: data race") && has(wrong, "planted.metal"), wrong);
  }
}
#endif

}  // namespace
}  // namespace set_native
