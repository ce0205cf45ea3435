#include "reference/ops.h"

#include <algorithm>
#include <cmath>

namespace set_native::reference {

Csr full_pattern(uint32_t inputs, uint32_t outputs) {
  Csr csr;
  csr.rows = inputs;
  csr.cols = outputs;
  csr.row_offsets.push_back(0);
  for (uint32_t i = 0; i < inputs; ++i) {
    for (uint32_t j = 0; j < outputs; ++j) csr.col_indices.push_back(j);
    csr.row_offsets.push_back(static_cast<uint32_t>(csr.col_indices.size()));
  }
  return csr;
}

namespace {
double sigmoid(double z) {
  // e^-|z| never overflows, and neither branch loses digits far from zero.
  const double e = std::exp(-std::fabs(z));
  return z >= 0.0 ? 1.0 / (1.0 + e) : e / (1.0 + e);
}
}  // namespace

double activate(Activation activation, double z) {
  switch (activation) {
    case Activation::relu:
      return z < 0.0 ? 0.0 : z;  // written so that NaN stays NaN
    case Activation::tanh:
      return std::tanh(z);
    case Activation::sigmoid:
      return sigmoid(z);
    default:  // linear, and piecewise activations, which are a separate operation
      return z;
  }
}

double activation_slope(Activation activation, double y) {
  switch (activation) {
    case Activation::relu:
      return y > 0.0 ? 1.0 : 0.0;
    case Activation::tanh:
      return 1.0 - y * y;
    case Activation::sigmoid:
      return y * (1.0 - y);
    default:
      return 1.0;
  }
}

std::vector<double> forward(const Csr& links, const std::vector<double>& weights,
                            const std::vector<double>& bias, const std::vector<double>& x, size_t batch,
                            Activation activation) {
  const size_t n = links.rows, m = links.cols;
  std::vector<double> y(batch * m);
  for (size_t s = 0; s < batch; ++s) {
    for (size_t j = 0; j < m; ++j) y[s * m + j] = bias[j];
    for (size_t i = 0; i < n; ++i)
      for (size_t k = links.row_offsets[i]; k < links.row_offsets[i + 1]; ++k)
        y[s * m + links.col_indices[k]] += weights[k] * x[s * n + i];
    for (size_t j = 0; j < m; ++j) y[s * m + j] = activate(activation, y[s * m + j]);
  }
  return y;
}

std::vector<double> input_gradient(const Csr& links, const std::vector<double>& weights,
                                   const std::vector<double>& x, const std::vector<double>& dz, size_t batch,
                                   Activation activation) {
  const size_t n = links.rows, m = links.cols;
  std::vector<double> dx(batch * n);
  for (size_t s = 0; s < batch; ++s) {
    for (size_t i = 0; i < n; ++i) {
      double sum = 0.0;
      for (size_t k = links.row_offsets[i]; k < links.row_offsets[i + 1]; ++k)
        sum += weights[k] * dz[s * m + links.col_indices[k]];
      dx[s * n + i] = activation_slope(activation, x[s * n + i]) * sum;
    }
  }
  return dx;
}

void piecewise(std::vector<double>& z, const std::vector<double>& pieces, size_t outputs, size_t batch) {
  for (size_t s = 0; s < batch; ++s)
    for (size_t j = 0; j < outputs; ++j) {
      const double t_l = pieces[j], a_l = pieces[outputs + j], t_r = pieces[2 * outputs + j];
      const double a_r = pieces[3 * outputs + j];
      double& value = z[s * outputs + j];
      if (value >= t_r)
        value = t_r + a_r * (value - t_r);
      else if (value <= t_l)
        value = t_l + a_l * (value - t_l);
    }
}

std::vector<double> piecewise_gradient(const std::vector<double>& z, std::vector<double>& dy,
                                       const std::vector<double>& pieces, size_t outputs, size_t batch) {
  std::vector<double> gradient(4 * outputs);
  for (size_t s = 0; s < batch; ++s)
    for (size_t j = 0; j < outputs; ++j) {
      const double value = z[s * outputs + j];
      const bool right = value >= pieces[2 * outputs + j], left = !right && value <= pieces[j];
      if (!right && !left) continue;
      const size_t t = right ? 2 * outputs + j : j, a = t + outputs;
      double& d = dy[s * outputs + j];
      gradient[t] += (1.0 - pieces[a]) * d;
      gradient[a] += (value - pieces[t]) * d;
      d *= pieces[a];
    }
  return gradient;
}

std::vector<double> weight_gradient(const Csr& links, const std::vector<double>& x,
                                    const std::vector<double>& dz, size_t batch) {
  const size_t n = links.rows, m = links.cols;
  std::vector<double> gradient(links.nnz());
  for (size_t s = 0; s < batch; ++s)
    for (size_t i = 0; i < n; ++i)
      for (size_t k = links.row_offsets[i]; k < links.row_offsets[i + 1]; ++k)
        gradient[k] += x[s * n + i] * dz[s * m + links.col_indices[k]];
  return gradient;
}

std::vector<double> bias_gradient(const std::vector<double>& dz, size_t outputs, size_t batch) {
  std::vector<double> gradient(outputs);
  for (size_t s = 0; s < batch; ++s)
    for (size_t j = 0; j < outputs; ++j) gradient[j] += dz[s * outputs + j];
  return gradient;
}

void momentum_update(std::vector<double>& weights, std::vector<double>& velocity,
                     const std::vector<double>& gradient, const TrainOptions& options) {
  const double rate = options.learning_rate, momentum = options.momentum, l2 = options.l2,
               decay = options.decay;
  for (size_t k = 0; k < weights.size(); ++k) {
    velocity[k] = momentum * velocity[k] - rate * (gradient[k] + l2 * weights[k]);
    weights[k] += velocity[k] - decay * weights[k];
  }
}

void adamw_update(std::vector<double>& weights, std::vector<double>& first_moment,
                  std::vector<double>& second_moment, const std::vector<double>& gradient,
                  const TrainOptions& options, uint64_t t) {
  const double beta1 = options.momentum, beta2 = options.beta2, steps = static_cast<double>(t);
  for (size_t k = 0; k < weights.size(); ++k) {
    const double h = gradient[k] + options.l2 * weights[k];
    first_moment[k] = beta1 * first_moment[k] + (1.0 - beta1) * h;
    second_moment[k] = beta2 * second_moment[k] + (1.0 - beta2) * h * h;
    const double mean = first_moment[k] / (1.0 - std::pow(beta1, steps));
    const double square = second_moment[k] / (1.0 - std::pow(beta2, steps));
    weights[k] -=
        options.learning_rate * mean / (std::sqrt(square) + options.tiny) + options.decay * weights[k];
  }
}

double loss_and_gradient(Loss loss, const std::vector<double>& z, size_t outputs, size_t batch,
                         const Targets& targets, std::vector<double>* dz) {
  const auto target = [&](size_t s, size_t j) -> double {
    if (targets.values != nullptr) return targets.values[s * outputs + j];
    if (outputs == 1) return targets.labels[s];
    return targets.labels[s] == j ? 1.0 : 0.0;
  };
  std::vector<double> y = z;
  output_activation(loss, y, outputs, batch);
  if (dz != nullptr) dz->assign(batch * outputs, 0.0);

  // Loss and gradient, sample by sample.
  const double samples = static_cast<double>(batch), width = static_cast<double>(outputs);
  double total = 0.0;
  for (size_t s = 0; s < batch; ++s) {
    const double* zs = &z[s * outputs];
    const double largest = *std::max_element(zs, zs + outputs);
    double exponentials = 0.0;
    for (size_t j = 0; j < outputs; ++j) exponentials += std::exp(zs[j] - largest);
    const double log_sum = largest + std::log(exponentials);  // log of the sum of e^z; cannot overflow

    const double weight = targets.weights == nullptr ? 1.0 : targets.weights[s];
    for (size_t j = 0; j < outputs; ++j) {
      const double t = target(s, j), error = y[s * outputs + j] - t;
      double slope = error;
      switch (loss) {
        case Loss::softmax_cross_entropy:
          if (t != 0.0) total -= weight * (t * (zs[j] - log_sum));  // 0 log 0 = 0
          break;
        case Loss::sigmoid_binary_cross_entropy:
          total += weight * (std::max(zs[j], 0.0) - zs[j] * t + std::log1p(std::exp(-std::fabs(zs[j]))));
          break;
        case Loss::mse:
          total += weight * (error * error / width);
          slope = 2.0 * error / width;
          break;
      }
      if (dz != nullptr) (*dz)[s * outputs + j] = weight * (slope / samples);
    }
  }
  return total;
}

void output_activation(Loss loss, std::vector<double>& z, size_t outputs, size_t batch) {
  if (loss == Loss::mse) return;
  for (size_t s = 0; s < batch; ++s) {
    double* zs = &z[s * outputs];
    if (loss == Loss::sigmoid_binary_cross_entropy) {
      for (size_t j = 0; j < outputs; ++j) zs[j] = sigmoid(zs[j]);
      continue;
    }
    const double largest = *std::max_element(zs, zs + outputs);
    double sum = 0.0;
    for (size_t j = 0; j < outputs; ++j) sum += zs[j] = std::exp(zs[j] - largest);
    for (size_t j = 0; j < outputs; ++j) zs[j] /= sum;
  }
}

uint64_t count_correct(Loss loss, const std::vector<double>& z, size_t outputs, size_t batch,
                       const uint32_t* labels) {
  const double boundary = loss == Loss::mse ? 0.5 : 0.0;
  uint64_t correct = 0;
  for (size_t s = 0; s < batch; ++s) {
    const double* zs = &z[s * outputs];
    const size_t answer = outputs == 1 ? (zs[0] > boundary ? 1 : 0)
                                       : static_cast<size_t>(std::max_element(zs, zs + outputs) - zs);
    correct += answer == labels[s];
  }
  return correct;
}

}  // namespace set_native::reference
