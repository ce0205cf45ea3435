#include <algorithm>
#include <array>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "core/error.h"
#include "cuda/abi.h"
#include "cuda/table.h"
#include "gpu/ops.h"
#include "metal/gpu.h"
#include "test/check.h"
#include "test/emulator/metal_kernels.h"
#include "test/gpu/gpu_device.h"

/*
 * The table of operations, and that the kernels of CUDA and of Metal are what it says.
 */
namespace set_native {
namespace {

using namespace test;
using gpu::KernelId;
using gpu::Op;

TEST("gpu operations: each kernel has a name of its own, and is the one for what it is made for") {
  std::set<std::string> names;
  for (const KernelId& id : gpu::all_kernels()) {
    CHECK_MSG(names.insert(gpu::kernel_name(id)).second, gpu::kernel_name(id));
    CHECK(gpu::kernel_of(id.op, id.wide, id.height) == id);
  }
  CHECK(names.size() > gpu::kOpCount);
  CHECK(gpu::kernel_name(gpu::kernel_of(Op::order, true, 4)) == "order");
  CHECK(gpu::kernel_name(gpu::kernel_of(Op::occupy, true, 4)) == "occupy_32");
  CHECK(gpu::kernel_name(gpu::kernel_of(Op::forward, false, 4)) == "forward_16_4");
  CHECK(gpu::kernel_name(gpu::kernel_of(Op::forward, false, 5)) == "forward_16_0");
}

TEST("gpu operations: CUDA has every kernel, with the operation's parameters and buffers") {
  for (const KernelId& id : gpu::all_kernels()) {
    const cuda::Kernel* kernel = cuda::find_kernel(id);
    const gpu::OpInfo& info = gpu::info_of(id.op);
    CHECK_MSG(kernel != nullptr && kernel->params_bytes == info.params_bytes &&
                  kernel->buffers == info.buffers && info.buffers <= cuda::kMostBuffers,
              gpu::kernel_name(id));
  }
  CHECK_EQ(cuda::kernels().size(), gpu::all_kernels().size());
}

TEST("gpu operations: Metal has every kernel, with the operation's parameters and buffers") {
  for (const KernelId& id : gpu::all_kernels()) {
    const std::string name = gpu::kernel_name(id);
    const auto& kernels = simt_metal::kernels();
    const auto kernel =
        std::find_if(kernels.begin(), kernels.end(), [&](const auto& k) { return name == k.name; });
    CHECK_MSG(kernel != kernels.end(), name);
    const gpu::OpInfo& info = gpu::info_of(id.op);
    CHECK_MSG(kernel->buffers.size() == info.buffers,
              name << " takes " << kernel->buffers.size() << " buffers");
    for (size_t b = 0; b < info.buffers; ++b)
      CHECK_MSG(kernel->buffers[b] == metal::kFirstBufferIndex + b, name << ", buffer " << b);
    const std::pair<uint32_t, size_t> params{metal::kParamsIndex, info.params_bytes};
    CHECK_MSG(kernel->values.front() == params, name);
  }
}

TEST("gpu operations: arguments of another operation are refused by name") {
  TestDevice device;
  const auto values = device.allocate(16), sums = device.allocate(16);
  const auto message = [&](const auto& params, const auto& buffers) -> std::string {
    try {
      device.dispatch({{Op::scan_add}}, params, buffers);
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  };
  device.clear(*values, 0, 16);
  device.clear(*sums, 0, 16);
  CHECK(message(gpu::ScanParams{4}, gpu::ScanBuffers{values, sums}) == "no error");
  CHECK(message(gpu::ScanParams{4}, gpu::RankBuffers{values, values, sums}) ==
        "[gpu] scan_add takes other arguments");
  CHECK(message(gpu::OffsetParams{4, 1}, gpu::ScanBuffers{values, sums}) ==
        "[gpu] scan_add takes other arguments");
}

TEST("gpu operations: the ABI of the CUDA library changes with whatever it follows from") {
  constexpr gpu::OpInfo kOps[] = {{"order", gpu::Family::single, 256, 24, 2},
                                  {"forward", gpu::Family::per_height, 256, 20, 8}};
  constexpr uint32_t kHeights[] = {1, 2};
  std::set<uint32_t> numbers{cuda::kAbi, cuda::abi_of(kOps, kHeights, {8, 16})};
  CHECK(cuda::abi_of(kOps, kHeights, {8, 16}) == cuda::abi_of(kOps, kHeights, {8, 16}));
  const auto differs = [&](uint32_t number) { return numbers.insert(number).second; };
  const auto with = [&](auto change) {
    gpu::OpInfo ops[] = {kOps[0], kOps[1]};
    change(ops[1]);
    return cuda::abi_of(ops, kHeights, {8, 16});
  };
  CHECK(differs(with([](gpu::OpInfo& op) { op.name = "forwarD"; })));
  CHECK(differs(with([](gpu::OpInfo& op) { op.name = "forward_"; })));
  CHECK(differs(with([](gpu::OpInfo& op) { op.family = gpu::Family::per_index; })));
  CHECK(differs(with([](gpu::OpInfo& op) { op.threads = 128; })));
  CHECK(differs(with([](gpu::OpInfo& op) { op.params_bytes = 24; })));
  CHECK(differs(with([](gpu::OpInfo& op) { op.buffers = 9; })));
  constexpr gpu::OpInfo kTurned[] = {kOps[1], kOps[0]};
  constexpr gpu::OpInfo kFewer[] = {kOps[0]};
  CHECK(differs(cuda::abi_of(kTurned, kHeights, {8, 16})));
  CHECK(differs(cuda::abi_of(kFewer, kHeights, {8, 16})));
  CHECK(differs(cuda::abi_of(kOps, {1, 4}, {8, 16})));
  CHECK(differs(cuda::abi_of(kOps, kHeights, {8, 24})));
  CHECK(differs(cuda::abi_of(kOps, kHeights, {8, 16, 0})));
}

}  // namespace
}  // namespace set_native
