#include <utility>

#include "bench/target.h"
#include "cpu/backend.h"
#include "cpu/kernels.h"
#include "layout/network.h"

namespace set_native::bench {

namespace {

class CpuTarget final : public Target {
 public:
  CpuTarget(const cpu::KernelTable& kernels, Machine& machine) : kernels_(kernels), machine_(machine) {}

  std::unique_ptr<BackendModel> create(Model model, unsigned threads) override {
    return cpu_backend().create(std::move(model), {threads, kernels_.name});
  }
  size_t stride(size_t batch) const override { return cpu::row_stride(kernels_, batch); }
  Stopwatch& stopwatch() override { return wall_; }
  Limit limit(const std::vector<Work>& work, double times, unsigned threads) override {
    return limit_of(machine_, work, times, threads);
  }

 private:
  const cpu::KernelTable& kernels_;
  Machine& machine_;
  WallClock wall_;
};

}  // namespace

std::unique_ptr<Target> cpu_target(const cpu::KernelTable& kernels, Machine& machine) {
  return std::make_unique<CpuTarget>(kernels, machine);
}

}  // namespace set_native::bench
