#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
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
#define SET_UNDER_SANITIZER
#endif

/*
 * Metal's host code over an emulated GPU: the rules that it keeps, how failures come back; and the emulator
 * itself, on kernels with planted bugs.
 */
namespace set_native {

using namespace test;

namespace {

using metal::MetalDevice;
using simt::Order;

constexpr uint32_t kThreads = 64;

const simt::Schedule kSchedules[] = {{Order::forward, 0}, {Order::reversed, 0}, {Order::shuffled, 1}};

/** Runs one of the planted kernels on the numbers 1 .. kThreads; what it wrote to as many. */
std::vector<uint32_t> run_planted(const std::string& name, uint32_t count,
                                  const simt::Schedule& schedule = {}, size_t shared = kThreads * 4) {
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

void skip_with_threads() {
  if (simt::kThreads) skip("takes too long with an OS thread for each GPU thread");
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

std::string name_of_failure(const std::function<void()>& work, ErrorCode code) {
  try {
    work();
  } catch (const Error& error) {
    CHECK(error.code() == code);
    return error.what();
  }
  return "no error";
}

struct OnMetal {
  explicit OnMetal(const EmulatedGpu::Options& options = {}) {
    auto made = std::make_unique<EmulatedGpu>(options);
    gpu = made.get();
    device = std::make_shared<MetalDevice>(std::move(made));
  }
  EmulatedGpu* gpu;
  std::shared_ptr<MetalDevice> device;
};

TEST("metal device: clears and copies any number of bytes, and no byte beside them") {
  const OnMetal on;
  constexpr size_t kBytes = 5000;
  const auto from = on.device->allocate(kBytes), to = on.device->allocate(kBytes);
  std::vector<unsigned char> source(kBytes), got(kBytes);
  for (size_t k = 0; k < kBytes; ++k) source[k] = static_cast<unsigned char>(k * 7 + 1);
  on.device->upload(*from, 0, source.data(), kBytes);
  for (const size_t bytes : {0u, 1u, 2u, 3u, 4u, 5u, 1023u, 1024u, 1026u, 4093u}) {
    std::vector<unsigned char> want(kBytes, 0xee);
    on.device->upload(*to, 0, want.data(), kBytes);
    on.device->copy(*to, 8, *from, 4, bytes);
    on.device->clear(*to, 4, std::min<size_t>(bytes, 3));
    on.device->download(got.data(), *to, 0, kBytes);
    std::copy_n(source.begin() + 4, bytes, want.begin() + 8);
    std::fill_n(want.begin() + 4, std::min<size_t>(bytes, 3), 0);
    CHECK_MSG(got == want, bytes << " bytes");
  }
  CHECK_THROWS(internal, on.device->copy(*to, 4, *from, 0, kBytes));
  CHECK_THROWS(internal, on.device->clear(*to, kBytes + 1, 0));
}

TEST("metal device: what is queued runs in one command buffer, and only when somebody waits") {
  skip_with_threads();
  const OnMetal on;
  const auto buffer = on.device->allocate(4);
  const auto step = on.device->record([&] { on.device->clear(*buffer, 0, 4); });
  const size_t before = on.gpu->commits();
  for (size_t k = 0; k < MetalDevice::kMostDispatches; ++k) on.device->replay(*step);
  CHECK_EQ(on.gpu->commits(), before);
  CHECK(on.device->idle());
  CHECK_EQ(on.gpu->commits(), before + 1);
  for (size_t k = 0; k < 2 * MetalDevice::kMostDispatches + 1; ++k) on.device->replay(*step);
  on.device->synchronize();
  CHECK_EQ(on.gpu->commits(), before + 4);
  on.device->synchronize();
  CHECK_EQ(on.gpu->commits(), before + 4);
  on.device->start_timer();
  on.device->clear(*buffer, 0, 4);
  CHECK(on.device->stop_timer() > 0.0);
  CHECK_THROWS(internal, on.device->record([&] { on.device->record([] {}); }));
}

TEST("metal device: what would take long is cut into several command buffers") {
  skip_with_threads();
  const OnMetal on;
  constexpr size_t kBytes = size_t{64} << 20;
  const auto buffer = on.device->allocate(kBytes);
  const auto step = on.device->record([&] { on.device->clear(*buffer, 0, kBytes); });
  const size_t before = on.gpu->commits(), most = MetalDevice::kMostTraffic / kBytes;
  for (size_t k = 0; k < most; ++k) on.device->replay(*step);  // never waited for: it does not run
  CHECK_EQ(on.gpu->commits(), before);
  on.device->replay(*step);
  CHECK_EQ(on.gpu->commits(), before + 1);
}

TEST("metal device: an epoch is one command buffer, and one for the look at its weights") {
  skip_with_threads();
  const OnMetal on;
  const Data data = make_data(20, 4, 200, 5);
  gpu::GpuModel model(
      on.device, build_model(make_spec({20, 32, 4}, 4.0, Activation::relu, Loss::softmax_cross_entropy)));
  model.train_epoch(data.samples(), options_for(1, 10), kGoOn);
  for (uint32_t epoch = 2; epoch <= 3; ++epoch) {
    const size_t before = on.gpu->commits();
    model.train_epoch(data.samples(), options_for(epoch, 10), kGoOn);
    CHECK_EQ(on.gpu->commits(), before + 2);
  }
}

TEST("metal device: memory that is refused and sizes that do not fit are typed errors with the numbers") {
  EmulatedGpu::Options options;
  options.working_set = 1000;
  options.longest_buffer = 600;
  const OnMetal on(options);
  const auto nothing = on.device->allocate(0);
  CHECK_EQ(nothing->bytes(), 0u);
  const auto half = on.device->allocate(500);
  const std::string full = name_of_failure([&] { on.device->allocate(501); }, ErrorCode::out_of_memory);
  CHECK_MSG(has(full, "501 bytes") && has(full, "1000 bytes"), full);
  CHECK_EQ(on.device->memory().total, 1000u);
  CHECK(on.device->memory().free < 500);
  on.gpu->fail_allocation();
  CHECK_THROWS(out_of_memory, on.device->allocate_shared(4));
  CHECK_EQ(on.device->allocate_shared(4)->bytes(), 4u);
  CHECK_THROWS(internal, on.device->upload(*half, 400, options.kernels, 101));
}

TEST("metal device: a command buffer that fails is an error, and the device goes on") {
  skip_with_threads();
  const OnMetal on;
  const Data data = make_data(20, 4, 40, 5);
  const Model start = build_model(make_spec({20, 32, 4}, 4.0, Activation::relu, Loss::softmax_cross_entropy));
  gpu::GpuModel model(on.device, start);
  const auto train = [&] { model.train_epoch(data.samples(), options_for(1, 10), kGoOn); };
  on.gpu->fail_commands("Caused GPU Hang Error");
  const std::string hang = name_of_failure(train, ErrorCode::internal);
  CHECK_MSG(has(hang, "Caused GPU Hang Error"), hang);
  on.gpu->fail_commands("Insufficient memory");
  CHECK(has(name_of_failure(train, ErrorCode::out_of_memory), "Insufficient memory"));
  train();
  const auto cpu = on_cpu(start);
  cpu->train_epoch(data.samples(), options_for(1, 10), kGoOn);
  check_close(model.download(), cpu->download(), 1e-4, "after two failures");
}

TEST("metal device: what was queued behind a failure is over when it is told") {
  skip_with_threads();
  const OnMetal on;
  const auto buffer = on.device->allocate(4), other = on.device->allocate(4);
  const auto step = on.device->record([&] { on.device->clear(*buffer, 0, 4); });
  for (size_t k = 0; k < MetalDevice::kMostDispatches + 1; ++k) on.device->replay(*step);
  on.gpu->fail_commands("Caused GPU Hang Error");  // the first of two
  CHECK_THROWS(internal, on.device->synchronize());
  const uint32_t sent = 7;
  uint32_t back = 0;
  on.device->upload(*buffer, 0, &sent, 4);
  on.device->clear(*other, 0, 4);
  on.device->download(&back, *buffer, 0, 4);
  CHECK_EQ(back, sent);
}

TEST("metal device: kernels that are missing, or do not fit their parameters, are refused by name") {
  const OnMetal on;
  const std::string missing =
      name_of_failure([&] { on.device->prepare({gpu::Op::forward, false, 3}); }, ErrorCode::internal);
  CHECK_MSG(has(missing, "forward_16_3"), missing);
  const auto buffer = on.device->allocate(16);
  const gpu::Launch launch{{gpu::Op::scan_add}};
  const uint64_t wrong = 1;
  const gpu::Binding two[] = {buffer, buffer};
  const std::string params =
      name_of_failure([&] { on.device->queue(launch, {&wrong, sizeof wrong, two, 2}); }, ErrorCode::internal);
  CHECK_MSG(has(params, "scan_add"), params);
  const gpu::ScanParams right{1};
  CHECK(has(
      name_of_failure([&] { on.device->queue(launch, {&right, sizeof right, two, 1}); }, ErrorCode::internal),
      "scan_add"));
}

TEST(
    "metal device: buffers that are dropped before their commands have run, and models that are, leave "
    "nothing") {
  skip_with_threads();
  OnMetal on;
  const size_t before = on.gpu->live_buffers();
  {
    const auto from = on.device->allocate(4096), to = on.device->allocate(4096);
    on.device->clear(*from, 0, 4096);
    on.device->copy(*to, 0, *from, 0, 4096);
  }
  on.device->synchronize();
  CHECK_EQ(on.gpu->live_buffers(), before);
  {
    const Data data = make_data(20, 4, 40, 5);
    gpu::GpuModel model(
        on.device, build_model(make_spec({20, 32, 4}, 4.0, Activation::relu, Loss::softmax_cross_entropy)));
    model.train_epoch(data.samples(), options_for(1, 10), kGoOn);
    model.evolve({}, {1});
    model.evaluate(data.samples(), kGoOn);
  }
  CHECK_EQ(on.gpu->live_buffers(), before);
}

TEST(
    "metal device: an epoch that was queued runs to its end, one cancelled before it begins changes "
    "nothing") {
  skip_with_threads();
  const Data data = make_data(20, 4, 50, 13);
  const Model start = build_model(make_spec({20, 16, 4}, 4.0, Activation::tanh, Loss::softmax_cross_entropy));
  TrainOptions train = options_for(1, 10);
  train.shuffle = false;
  std::atomic<bool> cancelled{false};
  EmulatedGpu::Options options;
  options.before_kernel = [&](const std::string& name) { cancelled = cancelled || name == "gather"; };
  const OnMetal on(options), whole;
  gpu::GpuModel model(on.device, start), other(whole.device, start);
  CHECK(std::isfinite(model.train_epoch(data.samples(), train, cancelled)));  // all was queued by then
  CHECK_THROWS(aborted, model.train_epoch(data.samples(), train, cancelled));
  other.train_epoch(data.samples(), train, kGoOn);
  CHECK(same_bits(model.download(), other.download()));
}

#if defined(SET_UNDER_SANITIZER)

/** In the process that `verdict` starts. */
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
