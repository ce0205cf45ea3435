#include <algorithm>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/error.h"
#include "metal/device.h"
#include "metal/trial.h"
#include "test/check.h"
#include "test/emulator/metal_gpu.h"
#include "test/gpu/forwarding_device.h"

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

  void queue(const gpu::Launch& launch, const gpu::Arguments& arguments) override {
    if (decides_(launch)) ForwardingDevice::queue(launch, arguments);
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

TEST("metal trial: a sound GPU passes, and uses kernels of every operation") {
  if (simt::kThreads) skip("too slow with a thread per GPU thread");
  std::set<gpu::Op> used;
  const std::string difference = trial([&](const gpu::Launch& launch) {
    used.insert(launch.kernel.op);
    const std::vector<gpu::KernelId> all = gpu::all_kernels();
    CHECK_MSG(std::find(all.begin(), all.end(), launch.kernel) != all.end(),
              gpu::kernel_name(launch.kernel) << " is not among those that the trial compiles");
    return true;
  });
  CHECK_MSG(difference.empty(), difference);
  for (size_t k = 0; k < gpu::kOpCount; ++k)
    CHECK_MSG(used.count(static_cast<gpu::Op>(k)) == 1, gpu::kOps[k].name << " was not used");
}

TEST("metal trial: every kernel that is asked for is there") {
  metal::MetalDevice device(std::make_unique<EmulatedGpu>());
  for (const gpu::KernelId& kernel : gpu::all_kernels()) device.prepare(kernel);
}

TEST("metal trial: an operation that does nothing is noticed") {
  if (simt::kThreads) skip("too slow with a thread per GPU thread");
  using gpu::Op;
  // Without these others would leave their buffers, or nothing changes as long as all numbers are finite.
  const std::set<Op> unseen = {Op::order,       Op::finite,       Op::scan_tiles,   Op::scan_add,
                               Op::rank_bits,   Op::check_finite, Op::block_scores, Op::count_ties,
                               Op::propose,     Op::settle,       Op::compact,      Op::transpose_bits,
                               Op::set_offsets, Op::move_kept,    Op::place_grown,  Op::index_targets};
  for (size_t k = 0; k < gpu::kOpCount; ++k) {
    const auto op = static_cast<Op>(k);
    if (unseen.count(op) == 1) continue;
    const std::string difference = trial([&](const gpu::Launch& launch) { return launch.kernel.op != op; });
    CHECK_MSG(!difference.empty(), gpu::kOps[k].name);
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
