#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "core/error.h"
#include "metal/device.h"
#include "metal/trial.h"
#include "test/check.h"
#include "test/emulator/metal_gpu.h"
#include "test/forwarding_device.h"

/*
 * The trial of a Mac's GPU, on emulated ones that are sound, and on ones that compute wrongly.
 */
namespace set_native {
namespace {

using namespace test;

/** Metal's device on an emulated GPU; `decides` says of each dispatch whether it takes place. */
class Lying final : public ForwardingDevice {
 public:
  explicit Lying(std::function<bool(const gpu::Launch&)> decides)
      : ForwardingDevice(std::make_unique<metal::MetalDevice>(std::make_unique<EmulatedGpu>())),
        decides_(std::move(decides)) {}

  void dispatch(const gpu::Launch& launch, std::initializer_list<gpu::Binding> buffers, const void* params,
                size_t params_bytes) override {
    if (decides_(launch)) ForwardingDevice::dispatch(launch, buffers, params, params_bytes);
  }

 private:
  std::function<bool(const gpu::Launch&)> decides_;
};

/** What the trial says of such a device, or what it throws. */
std::string trial(const std::function<bool(const gpu::Launch&)>& decides) {
  try {
    return metal::difference_from_cpu(std::make_shared<Lying>(decides));
  } catch (const Error& error) {
    return error.what();
  }
}

using Kernel = std::pair<std::string, uint32_t>;

TEST("metal trial: a sound GPU passes, and uses kernels of every operation") {
  if (simt::kThreads) skip("too slow with a thread per GPU thread");
  std::set<gpu::Op> ops;
  std::set<Kernel> used;
  const std::string difference = trial([&](const gpu::Launch& launch) {
    ops.insert(launch.kernel.op);
    used.emplace(metal::function_name(launch.kernel), launch.threads);
    return true;
  });
  CHECK_MSG(difference.empty(), difference);
  std::set<Kernel> known;
  for (const auto& [id, threads] : metal::all_kernels()) {
    CHECK_MSG(ops.count(id.op) == 1, gpu::op_name(id.op) << " was not used");
    known.emplace(metal::function_name(id), threads);
  }
  for (const Kernel& kernel : used)
    CHECK_MSG(known.count(kernel) == 1, kernel.first << " of " << kernel.second);
}

TEST("metal trial: every kernel that is asked for is there") {
  metal::MetalDevice device(std::make_unique<EmulatedGpu>());
  for (const auto& [kernel, threads] : metal::all_kernels()) device.prepare(kernel, threads);
}

TEST("metal trial: an operation that does nothing is noticed") {
  if (simt::kThreads) skip("too slow with a thread per GPU thread");
  using gpu::Op;
  // Not those without which others would leave their buffers, nor those that look for numbers that are not
  // finite.
  for (const Op op : {Op::sort_tiles,   Op::sort_merge,     Op::gather,        Op::forward,
                      Op::piecewise,    Op::loss,           Op::evaluate,      Op::output,
                      Op::backward,     Op::input_gradient, Op::update_links,  Op::piecewise_backward,
                      Op::end_step,     Op::count_signs,    Op::count_nearest, Op::select_histogram,
                      Op::select_digit, Op::mark_pruned,    Op::occupy,        Op::claim,
                      Op::propose_rest, Op::grow_weights}) {
    const std::string difference = trial([&](const gpu::Launch& launch) { return launch.kernel.op != op; });
    CHECK_MSG(!difference.empty(), gpu::op_name(op));
  }
}

TEST("metal trial: one wrong kernel of many is noticed") {
  if (simt::kThreads) skip("too slow with a thread per GPU thread");
  for (const uint32_t height : {1u, 2u, 8u, 0u}) {
    const std::string difference = trial([&](const gpu::Launch& launch) {
      return launch.kernel.op != gpu::Op::forward || launch.kernel.height != height;
    });
    CHECK_MSG(!difference.empty(), "forward of blocks of " << height);
  }
}

}  // namespace
}  // namespace set_native
