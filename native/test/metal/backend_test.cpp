#include <memory>
#include <string>
#include <vector>

#include "core/error.h"
#include "gpu/backend.h"
#include "gpu/device.h"
#include "metal/backend.h"
#include "test/check.h"
#include "test/emulator/metal_gpu.h"

/*
 * The back end "metal" as programs see it, with emulated GPUs for its opener.
 */
namespace set_native {
namespace {

using namespace test;

std::unique_ptr<metal::Gpu> sound(std::string&) {
  return std::make_unique<EmulatedGpu>();
}

/** A GPU with the back end's kernels, of which one is changed by `change`. */
template <class Change>
metal::Opener with_changed(const std::string& name, Change change) {
  auto kernels = std::make_shared<std::vector<simt_metal::Kernel>>(simt_metal::kernels());
  for (simt_metal::Kernel& kernel : *kernels)
    if (name == kernel.name) change(kernel);
  return [kernels](std::string&) {
    EmulatedGpu::Options options;
    options.kernels = kernels.get();
    return std::make_unique<EmulatedGpu>(options);
  };
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST("metal back end: a sound GPU is named, passes its trial and opens") {
  const auto backend = metal::make_backend(&sound);
  CHECK(!backend->untried().empty());
  const Availability availability = backend->probe();
  CHECK_MSG(availability.available && availability.device == "Emulated M0, 4.3 GB", availability.device);
  CHECK(backend->untried().empty());
  CHECK(!backend->refuse("too late") && backend->probe().available);
  CHECK(gpu::open_device(*backend)->allocate(100)->bytes() == 100);
  if (simt::kThreads) skip("a trial is too slow with a thread per GPU thread");
  const std::string reason = backend->try_out();
  CHECK_MSG(reason.empty(), reason);
}

TEST("metal back end: without a GPU it says why, and opens nothing") {
  const auto backend = metal::make_backend([](std::string& reason) {
    reason = "Metal finds no GPU";
    return std::unique_ptr<metal::Gpu>();
  });
  CHECK(backend->probe().reason == "not available, because Metal finds no GPU");
  CHECK(backend->try_out() == backend->probe().reason);
  CHECK(backend->untried().empty());
  CHECK_THROWS(backend_unavailable, gpu::open_device(*backend));
}

TEST("metal back end: of a compiler's many lines the reason has the one that counts") {
  const auto backend = metal::make_backend([](std::string& reason) {
    reason =
        "could not compile: Compilation failed:\na.metal:1:2: warning: w\na.metal:3:4: error: e\n  code\n   "
        "^\n";
    return std::unique_ptr<metal::Gpu>();
  });
  CHECK(backend->probe().reason ==
        "not available, because could not compile: Compilation failed: a.metal:3:4: error: e");
}

TEST("metal back end: one that was refused is never opened") {
  const auto backend = metal::make_backend(
      [](std::string&) -> std::unique_ptr<metal::Gpu> { throw Error(ErrorCode::internal, "[test] opened"); });
  CHECK(backend->refuse("its trial crashed"));
  CHECK(backend->probe().reason == "not available, because its trial crashed");
  CHECK(backend->untried().empty());
  CHECK_THROWS(backend_unavailable, gpu::open_device(*backend));
}

TEST("metal back end: its trial notices a kernel that computes nothing, and one that does not compile") {
  if (simt::kThreads) skip("a trial is too slow with a thread per GPU thread");
  const auto idle = metal::make_backend(with_changed(
      "backward_16_2", [](simt_metal::Kernel& kernel) { kernel.run = [](const simt_metal::Arguments&) {}; }));
  CHECK(idle->probe().available);
  const std::string differs = idle->try_out();
  CHECK_MSG(has(differs, "not available, because its trial failed: ") && has(differs, "pairs of links"),
            differs);
  const auto lacking = metal::make_backend(
      with_changed("occupy_32", [](simt_metal::Kernel& kernel) { kernel.name = "gone"; }));
  const std::string fails = lacking->try_out();
  CHECK_MSG(has(fails, "its trial failed: [metal] could not compile occupy_32"), fails);
}

}  // namespace
}  // namespace set_native
