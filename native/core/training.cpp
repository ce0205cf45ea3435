#include "core/training.h"

#include <cmath>
#include <numeric>

#include "core/error.h"
#include "core/philox.h"

namespace set_native {

std::vector<uint32_t> epoch_order(uint64_t seed, uint32_t epoch, uint64_t count, bool shuffle) {
  if (shuffle) return random_order(seed, Stream::shuffle, epoch, count);
  std::vector<uint32_t> order(count);
  std::iota(order.begin(), order.end(), 0u);
  return order;
}

namespace {

[[noreturn]] void refuse(ErrorCode code, const std::string& operation, const std::string& text) {
  throw Error(code, "[" + operation + "] " + text);
}

}  // namespace

void check_options(const TrainOptions& options, const std::string& operation) {
  if (options.batch_size == 0)
    refuse(ErrorCode::out_of_range, operation, "batch size must be at least 1, got 0");
  const struct {
    const char* name;
    float value;
  } rates[] = {{"learning rate", options.learning_rate},
               {"momentum", options.momentum},
               {"l2", options.l2},
               {"weight decay", options.decay}};
  for (const auto& rate : rates)
    if (!std::isfinite(rate.value) || rate.value < 0.0f)
      refuse(ErrorCode::out_of_range, operation,
             std::string(rate.name) + " must be a finite number of at least 0, got " +
                 std::to_string(rate.value));
}

namespace {
const char* const kOverflowed = " overflowed: lower the learning rate or scale the data";
}

void refuse_loss(uint32_t epoch, uint64_t batch, const std::string& place) {
  refuse(ErrorCode::non_finite, "train",
         "the loss must stay a finite number, but in epoch " + std::to_string(epoch) + ", batch " +
             std::to_string(batch) + ", " + place + kOverflowed);
}

void refuse_trained(uint32_t epoch, size_t layer, size_t layers) {
  refuse(ErrorCode::non_finite, "train",
         "weights must stay finite, but at the end of epoch " + std::to_string(epoch) +
             ", the weights of layer " + std::to_string(layer) + " of " + std::to_string(layers) +
             kOverflowed);
}

void refuse_outputs(uint64_t row, const std::string& place) {
  refuse(ErrorCode::non_finite, "predict",
         "outputs must be finite numbers, but for row " + std::to_string(row) + ", " + place + kOverflowed);
}

}  // namespace set_native
