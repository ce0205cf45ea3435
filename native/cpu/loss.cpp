#include "cpu/loss.h"

#include <algorithm>
#include <cmath>

namespace set_native::cpu {

namespace {

/** Targets of a batch, in either form, and weights. */
struct TargetOf {
  const Targets& given;
  size_t outputs;

  double operator()(size_t sample, size_t output) const {
    if (given.values != nullptr) return given.values[sample * outputs + output];
    return outputs == 1 ? given.labels[sample] : (given.labels[sample] == output ? 1.0 : 0.0);
  }
  double weight(size_t sample) const { return given.weights == nullptr ? 1.0 : given.weights[sample]; }
};

double sigmoid(double z) {
  return 1.0 / (1.0 + std::exp(-z));
}

/** Largest logit of a column. It ignores NaN, which exp then propagates into the loss. */
double largest(const float* z, size_t outputs, size_t stride) {
  float top = z[0];
  for (size_t o = 1; o < outputs; ++o) top = std::max(top, z[o * stride]);
  return top;
}

/** Loss of one sample, whose columns z and dz point at. dz holds exp(z - top) until the sum is known. */
double softmax_cross_entropy(const float* z, size_t outputs, size_t batch, size_t stride,
                             const TargetOf& target, size_t sample, float* dz) {
  const double top = largest(z, outputs, stride);
  double sum = 0.0;
  for (size_t o = 0; o < outputs; ++o) {
    const double e = std::exp(z[o * stride] - top);
    sum += e;
    if (dz != nullptr) dz[o * stride] = static_cast<float>(e);
  }
  const double log_sum = top + std::log(sum);
  double loss = 0.0;
  for (size_t o = 0; o < outputs; ++o) {
    const double t = target(sample, o);
    if (t != 0.0) loss += t * (log_sum - z[o * stride]);
    if (dz != nullptr)
      dz[o * stride] = static_cast<float>(target.weight(sample) *
                                          ((dz[o * stride] / sum - t) / static_cast<double>(batch)));
  }
  return loss;
}

double sigmoid_cross_entropy(const float* z, size_t outputs, size_t batch, size_t stride,
                             const TargetOf& target, size_t sample, float* dz) {
  double loss = 0.0;
  for (size_t o = 0; o < outputs; ++o) {
    const double v = z[o * stride], t = target(sample, o);
    loss += (v < 0.0 ? 0.0 : v) - v * t + std::log1p(std::exp(-std::fabs(v)));
    if (dz != nullptr)
      dz[o * stride] =
          static_cast<float>(target.weight(sample) * ((sigmoid(v) - t) / static_cast<double>(batch)));
  }
  return loss;
}

double squared_error(const float* z, size_t outputs, size_t batch, size_t stride, const TargetOf& target,
                     size_t sample, float* dz) {
  double loss = 0.0;
  for (size_t o = 0; o < outputs; ++o) {
    const double error = z[o * stride] - target(sample, o);
    loss += error * error;
    if (dz != nullptr)
      dz[o * stride] =
          static_cast<float>(target.weight(sample) * (2.0 * error / static_cast<double>(outputs * batch)));
  }
  return loss / static_cast<double>(outputs);
}

}  // namespace

double loss_and_gradient(Loss loss, const float* z, size_t outputs, size_t batch, size_t stride,
                         const Targets& targets, float* dz) {
  const auto of_sample = loss == Loss::softmax_cross_entropy          ? softmax_cross_entropy
                         : loss == Loss::sigmoid_binary_cross_entropy ? sigmoid_cross_entropy
                                                                      : squared_error;
  const TargetOf target{targets, outputs};
  double sum = 0.0;
  for (size_t b = 0; b < batch; ++b)
    sum += target.weight(b) *
           of_sample(z + b, outputs, batch, stride, target, b, dz == nullptr ? nullptr : dz + b);
  for (size_t o = 0; dz != nullptr && o < outputs; ++o)
    for (size_t b = batch; b < stride; ++b) dz[o * stride + b] = 0.0f;
  return sum;
}

void output_activation(Loss loss, float* z, size_t outputs, size_t batch, size_t stride) {
  if (loss == Loss::mse) return;
  for (size_t b = 0; b < batch; ++b) {
    float* column = z + b;
    if (loss == Loss::sigmoid_binary_cross_entropy) {
      for (size_t o = 0; o < outputs; ++o)
        column[o * stride] = static_cast<float>(sigmoid(column[o * stride]));
      continue;
    }
    const double top = largest(column, outputs, stride);
    double sum = 0.0;
    for (size_t o = 0; o < outputs; ++o) sum += std::exp(column[o * stride] - top);
    for (size_t o = 0; o < outputs; ++o)
      column[o * stride] = static_cast<float>(std::exp(column[o * stride] - top) / sum);
  }
}

}  // namespace set_native::cpu
