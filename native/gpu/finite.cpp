#include "gpu/finite.h"

#include <algorithm>

namespace set_native::gpu {

FiniteFlags::FiniteFlags(Device& device, size_t count)
    : device_(device), count_(count), flags_(device.allocate(count * sizeof(uint32_t))) {}

void FiniteFlags::clear() {
  device_.clear(*flags_, 0, flags_->bytes());
}

void FiniteFlags::check(size_t flag, const Layer& layer) {
  for (const auto* array : {&layer.weights, &layer.bias, &layer.pieces})
    if (*array != nullptr) queue(flag, **array, (*array)->bytes() / sizeof(float), 1, 1);
}

void FiniteFlags::check(size_t flag, const Buffer& matrix, uint32_t rows, uint32_t stride, uint32_t columns) {
  queue(flag, matrix, uint64_t{rows} * stride, stride, columns);
}

void FiniteFlags::queue(size_t flag, const Buffer& values, uint64_t count, uint32_t stride,
                        uint32_t columns) {
  constexpr uint32_t kMostTeams = 512;  // enough to fill a device
  // Kernels count in 32 bits, so each checks whole rows with at most 2^31 numbers.
  const uint64_t most = (uint64_t{1} << 31) / stride * stride;
  for (uint64_t first = 0; first < count; first += most) {
    FiniteParams params{};
    params.count = static_cast<uint32_t>(std::min(most, count - first));
    params.stride = stride;
    params.columns = columns;
    params.flag = static_cast<uint32_t>(flag);
    const uint32_t teams = std::min((params.count + kTrainThreads - 1) / kTrainThreads, kMostTeams);
    device_.dispatch({{Op::finite}, teams}, params,
                     FiniteBuffers{Binding(&values, first * sizeof(float)), flags_});
  }
}

size_t FiniteFlags::first_raised() const {
  std::vector<uint32_t> flags(count_);
  device_.download(flags.data(), *flags_, 0, flags_->bytes());
  return static_cast<size_t>(
      std::find_if(flags.begin(), flags.end(), [](uint32_t flag) { return flag != 0; }) - flags.begin());
}

}  // namespace set_native::gpu
