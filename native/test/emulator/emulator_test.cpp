#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "core/error.h"
#include "cuda/kernel_list.h"
#include "test/check.h"
#include "test/emulator/device.h"
#include "test/model_support.h"

#if defined(__linux__)
#include <sys/wait.h>
#include <unistd.h>
#endif

/*
 * The emulator finds what it is there for: each kernel below has one fault, of the kind that hardware answers
 * with a wrong result now and then.
 */
namespace set_native {

using namespace test;

namespace {

using simt::Order;

struct Params {
  uint32_t count;
  uint32_t fault;
};

/** out[block] = sum of x over the block's threads, by a tree in shared memory. Fault 1: a barrier is missing.
 */
__global__ void block_sums(Params p, const float* x, float* out) {
  SET_SHARED(memory);
  auto* sums = reinterpret_cast<float*>(memory);
  const unsigned t = threadIdx.x;
  sums[t] = x[blockIdx.x * blockDim.x + t];
  __syncthreads();
  for (unsigned half = blockDim.x / 2; half > 0; half /= 2) {
    if (t < half) sums[t] += sums[t + half];
    if (p.fault == 0) __syncthreads();
  }
  if (t == 0) out[blockIdx.x] = sums[0];
}

/** out[i] = sum over the warp of x, by shuffles. */
__global__ void warp_sums(Params, const float* x, float* out) {
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  float sum = x[i];
  for (int offset = 16; offset > 0; offset /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, offset);
  out[i] = sum;
}

/** Faults: 1 two barriers, 2 a barrier that one thread passes by, 3 a shuffle without one lane, 4 a part of a
 * warp. */
__global__ void diverging(Params p, float* out) {
  const unsigned t = threadIdx.x;
  if (p.fault == 1 && t == 5)
    __syncthreads();
  else if (p.fault != 2 || t != 5)
    __syncthreads();
  float value = static_cast<float>(t);
  if (p.fault != 3 || t != 5) value = __shfl_xor_sync(p.fault == 4 ? 0xffffu : 0xffffffffu, value, 1);
  out[t] = value;
}

/** Reads or writes one element beyond its buffer (fault 1: reads; 2: beyond shared memory). */
__global__ void overrunning(Params p, const float* x, float* out) {
  SET_SHARED(memory);
  auto* shared = reinterpret_cast<float*>(memory);
  shared[p.fault == 2 ? threadIdx.x + 1 : threadIdx.x] = 0.0f;
  const unsigned i = p.fault == 1 ? threadIdx.x + 1 : threadIdx.x;
  out[threadIdx.x] = x[i] + shared[threadIdx.x];
}

template <class... T>
void launch(void (*function)(Params, T*...), const Params& params, uint32_t blocks, uint32_t threads,
            uint32_t shared_bytes, const simt::Schedule& schedule, T*... buffers) {
  cuda::KernelList list;
  list.add<Params, std::array<gpu::Binding, sizeof...(T)>>({}, function);
  run_kernel(list.take().front(), {{blocks, 1, 1}, threads, shared_bytes}, schedule, &params, sizeof params,
             {const_cast<void*>(static_cast<const void*>(buffers))...});
}

const simt::Schedule kSchedules[] = {{Order::forward, 0},
                                     {Order::reversed, 0},
                                     {Order::shuffled, 1},
                                     {Order::shuffled, 2},
                                     {Order::shuffled, 3}};

std::vector<float> counting(size_t count) {
  std::vector<float> x(count);
  for (size_t k = 0; k < count; ++k) x[k] = static_cast<float>(k);
  return x;
}

/** The message of the error, which must be `internal`. */
template <class Work>
std::string fault_of(Work&& work) {
  try {
    work();
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::internal);
    return error.what();
  }
  return "no fault";
}

void expect_fault(const std::string& message, const std::string& part) {
  CHECK_MSG(message.find(part) != std::string::npos, "expected '" << part << "', got '" << message << "'");
}

TEST("emulator: barriers, shuffles and blocks, the same for every schedule") {
  const std::vector<float> x = counting(3 * 128);
  for (const simt::Schedule& schedule : kSchedules) {
    std::vector<float> sums(3), warps(x.size());
    launch<const float, float>(&block_sums, {0, 0}, 3, 128, 512, schedule, x.data(), sums.data());
    launch<const float, float>(&warp_sums, {0, 0}, 3, 128, 0, schedule, x.data(), warps.data());
    for (size_t b = 0; b < 3; ++b)
      CHECK_EQ(sums[b], 128.0f * 127.0f / 2.0f + 128.0f * 128.0f * static_cast<float>(b));
    for (size_t k = 0; k < warps.size(); ++k)
      CHECK_EQ(warps[k], 32.0f * 31.0f / 2.0f + 32.0f * 32.0f * static_cast<float>(k / 32));
  }
}

TEST("emulator: without its barrier a sum depends on the schedule") {
  if (simt::kThreads) skip("a data race, which ThreadSanitizer stops at");
  const std::vector<float> x = counting(128);
  int right = 0;
  for (const simt::Schedule& schedule : kSchedules) {
    float sum = 0.0f;
    launch<const float, float>(&block_sums, {0, 1}, 1, 128, 512, schedule, x.data(), &sum);
    right += sum == 128.0f * 127.0f / 2.0f;
  }
  CHECK(right < 5);
}

TEST("emulator: divergent barriers, deadlocks and partial warps are refused") {
  std::vector<float> out(64);
  for (const simt::Schedule& schedule : kSchedules) {
    const auto run = [&](uint32_t fault) {
      return fault_of([&] { launch<float>(&diverging, {0, fault}, 1, 64, 0, schedule, out.data()); });
    };
    CHECK_EQ(run(0) == "no fault", true);
    expect_fault(run(1), "divergence: one thread is in __syncthreads");
    const std::string passed_by = run(2);  // the thread that goes on comes to the shuffle, or to its end
    CHECK_MSG(
        passed_by.find("deadlock") != std::string::npos || passed_by.find("divergence") != std::string::npos,
        passed_by);
    expect_fault(run(3), "deadlock: threads wait in __shfl_xor_sync");
    expect_fault(run(4), "without all lanes");
    CHECK_EQ(run(0) == "no fault", true);  // a fault leaves nothing behind
  }
}

TEST("emulator: wrong numbers of buffers, parameters of another size and bad shapes are refused") {
  cuda::KernelList list;
  list.add<Params, std::array<gpu::Binding, 2>>({}, &block_sums);
  const cuda::Kernel kernel = list.take().front();
  float x[32] = {}, out[1];
  const Params params{};
  simt::Shape shape{};
  shape.shared_bytes = 128;
  run_kernel(kernel, shape, {}, &params, sizeof params, {x, out});
  expect_fault(fault_of([&] { run_kernel(kernel, shape, {}, &params, sizeof params, {x}); }),
               "takes 2 buffers, not 1");
  expect_fault(fault_of([&] { run_kernel(kernel, shape, {}, &params, 4, {x, out}); }),
               "takes parameters of 8 bytes");
  shape.threads = 48;
  expect_fault(fault_of([&] { run_kernel(kernel, shape, {}, &params, sizeof params, {x, out}); }),
               "multiple of 32");
  shape.threads = 32;
  shape.shared_bytes = 64 << 10;
  expect_fault(fault_of([&] { run_kernel(kernel, shape, {}, &params, sizeof params, {x, out}); }),
               "shared memory");
}

TEST("emulator: memory is counted, poisoned, bounded, and fails when told to") {
  EmulatedDevice::Options options;
  options.memory = 1000;
  EmulatedDevice device(options);
  CHECK_EQ(device.memory().free, size_t{1000});
  {
    const auto a = device.allocate(600);
    float value = 0.0f;
    device.download(&value, *a, 596, 4);
    CHECK(value != value);
    CHECK_EQ(device.live_allocations(), size_t{1});
    CHECK_EQ(device.memory().free, size_t{400});
    CHECK_THROWS(out_of_memory, device.allocate(401));
    CHECK_THROWS(internal, device.download(&value, *a, 597, 4));
    CHECK_THROWS(internal, device.upload(*a, 601, &value, 0));
    device.clear(*a, 0, 600);
    device.download(&value, *a, 596, 4);
    CHECK_EQ(value, 0.0f);
  }
  CHECK_EQ(device.live_allocations(), size_t{0});
  device.fail_allocation(1);
  const auto a = device.allocate(1);
  CHECK_THROWS(out_of_memory, device.allocate(1));
  const auto b = device.allocate_shared(1);
  CHECK_EQ(device.live_allocations(), size_t{2});
}

TEST("emulator: a recording runs when it is replayed, as often as that") {
  EmulatedDevice device;
  const auto a = device.allocate(8), b = device.allocate(8);
  const uint32_t values[2] = {1, 2};
  device.upload(*a, 0, values, 8);
  const auto recording = device.record([&] {
    device.copy(*b, 0, *a, 4, 4);
    device.clear(*a, 0, 4);
  });
  uint32_t got[2];
  device.download(got, *a, 0, 4);
  CHECK_EQ(got[0], 1u);
  for (const uint32_t value : {7u, 8u}) {
    device.upload(*a, 4, &value, 4);
    device.replay(*recording);
    device.download(got, *b, 0, 4);
    CHECK_EQ(got[0], value);
  }
  CHECK_THROWS(internal, device.record([&] { device.upload(*a, 0, values, 8); }));
  CHECK_THROWS(internal, device.record([&] { device.allocate(1); }));
}

#if defined(__SANITIZE_ADDRESS__) && defined(__linux__)
TEST("emulator: AddressSanitizer stops a kernel that leaves its buffer or its shared memory") {
  for (const uint32_t fault : {0u, 1u, 2u}) {
    const pid_t child = fork();
    if (child == 0) {
      if (std::freopen("/dev/null", "w", stderr) == nullptr) _exit(3);
      EmulatedDevice device;
      const std::unique_ptr<float[]> x(new float[32]()), out(new float[32]());
      launch<const float, float>(&overrunning, {0, fault}, 1, 32, 128, {}, x.get(), out.get());
      _exit(0);
    }
    int status = 0;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_MSG((WIFEXITED(status) && WEXITSTATUS(status) == 0) == (fault == 0), "fault " << fault);
  }
}
#endif

}  // namespace
}  // namespace set_native
