#pragma once

#include "cuda/columns.cuh"
#include "cuda/device_code.cuh"
#include "gpu/train_params.h"

/*
 * The computations on logits, as cpu/loss.h defines them: losses and the gradient of their mean, answers,
 * outputs.
 *
 * One thread per sample, in double, as on the CPU. The samples of a thread are summed in order, threads by a
 * tree, so the sum does not depend on the schedule. Padding columns of the gradient are zero. One thread
 * block suffices: a batch has outputs x batch numbers, some thousand operations, most of them exponentials.
 */
namespace set_native::cuda {

/** The target of an output of a sample, by its label or by values, and the weight of a sample. */
struct TargetOf {
  const uint32_t* labels;
  const float *values, *weights;
  uint32_t outputs;

  __device__ double operator()(uint64_t sample, uint32_t output) const {
    if (values != nullptr) return values[sample * outputs + output];
    return outputs == 1 ? labels[sample] : labels[sample] == output ? 1.0 : 0.0;
  }
  __device__ double weight(uint64_t sample) const { return weights == nullptr ? 1.0 : weights[sample]; }
};

__device__ inline double sigmoid_of(double z) {
  return 1.0 / (1.0 + exp(-z));
}

/** The largest logit z of a sample, and the sum of exp(z - top). */
struct Softmax {
  double top, sum;

  __device__ Softmax(const float* z, uint32_t outputs, uint32_t stride) {
    float largest = z[0];
    for (uint32_t o = 1; o < outputs; ++o) largest = largest < z[o * stride] ? z[o * stride] : largest;
    top = largest;
    sum = 0.0;
    for (uint32_t o = 0; o < outputs; ++o) sum += exp(z[o * stride] - top);
  }
};

/** Returns the loss of a sample; NaN if `loss` is unknown. */
__device__ inline double loss_of(Loss loss, const float* z, uint32_t outputs, uint32_t stride,
                                 const TargetOf& target, uint64_t sample) {
  double sum = 0.0;
  switch (loss) {
    case Loss::softmax_cross_entropy: {
      const Softmax softmax(z, outputs, stride);
      const double log_sum = softmax.top + log(softmax.sum);
      for (uint32_t o = 0; o < outputs; ++o) {
        const double t = target(sample, o);
        if (t != 0.0) sum += t * (log_sum - z[o * stride]);
      }
      return sum;
    }
    case Loss::sigmoid_binary_cross_entropy:
      for (uint32_t o = 0; o < outputs; ++o) {
        const double v = z[o * stride], t = target(sample, o);
        sum += (v < 0.0 ? 0.0 : v) - v * t + log1p(exp(-fabs(v)));
      }
      return sum;
    case Loss::mse:
      for (uint32_t o = 0; o < outputs; ++o) {
        const double v = z[o * stride], t = target(sample, o);
        sum += (v - t) * (v - t);
      }
      return sum / outputs;
  }
  return NAN;
}

/** Writes dz of a sample. Requires that `loss` is known. */
__device__ inline void gradient_of(Loss loss, const float* z, uint32_t outputs, uint32_t stride,
                                   const TargetOf& target, uint64_t sample, double batch, float* dz) {
  const double weight = target.weight(sample);
  if (loss == Loss::softmax_cross_entropy) {
    const Softmax softmax(z, outputs, stride);
    for (uint32_t o = 0; o < outputs; ++o)
      dz[o * stride] = static_cast<float>(
          weight * ((exp(z[o * stride] - softmax.top) / softmax.sum - target(sample, o)) / batch));
    return;
  }
  for (uint32_t o = 0; o < outputs; ++o) {
    const double v = z[o * stride], t = target(sample, o);
    dz[o * stride] = static_cast<float>(
        weight * (loss == Loss::mse ? 2.0 * (v - t) / (outputs * batch) : (sigmoid_of(v) - t) / batch));
  }
}

/** Returns the sum over a thread block, which all its threads get. `sums` holds one number per thread. */
__device__ inline double over_block(double value, double* sums) {
  sums[threadIdx.x] = value;
  __syncthreads();
  for (uint32_t half = blockDim.x / 2; half > 0; half /= 2) {
    if (threadIdx.x < half) sums[threadIdx.x] += sums[threadIdx.x + half];
    __syncthreads();
  }
  return sums[0];
}

__device__ inline void add_loss(gpu::LossSum* sum, double value) {
  double so_far;
  memcpy(&so_far, sum, sizeof so_far);
  so_far += value;
  memcpy(sum, &so_far, sizeof so_far);
}

/** Computes loss and dz of the state's batch. One thread block. */
__global__ void loss(gpu::LossParams p, gpu::StepState* state, const uint32_t* order, const uint32_t* labels,
                     const float* targets, const float* weights, const float* z, float* dz) {
  SET_SHARED(memory);
  if (stopped(state)) return;
  const TargetOf target{labels, targets, weights, p.outputs};
  const uint32_t first = state->first, batch = state->batch;
  double sum = 0.0;
  for (uint32_t b = threadIdx.x; b < batch; b += blockDim.x) {
    const uint64_t sample = order != nullptr ? order[first + b] : first + b;
    sum += target.weight(sample) * loss_of(p.loss, z + b, p.outputs, p.stride, target, sample);
  }
  sum = over_block(sum, reinterpret_cast<double*>(memory));
  // All threads have the same sum, and have read `stop` before the last barrier.
  if (!isfinite(sum)) {
    if (threadIdx.x == 0) state->stop = gpu::StopReason::diverged;
    return;
  }
  if (threadIdx.x == 0) add_loss(&state->loss, sum);
  for (uint32_t b = threadIdx.x; b < p.stride; b += blockDim.x) {
    if (b >= batch) {
      for (uint32_t o = 0; o < p.outputs; ++o) dz[o * p.stride + b] = 0.0f;
      continue;
    }
    const uint64_t sample = order != nullptr ? order[first + b] : first + b;
    gradient_of(p.loss, z + b, p.outputs, p.stride, target, sample, batch, dz + b);
  }
}

__device__ inline bool is_finite(const float* z, uint32_t outputs, uint32_t stride) {
  for (uint32_t o = 0; o < outputs; ++o)
    if (!isfinite(z[o * stride])) return false;
  return true;
}

/**
 * Returns whether `label` is the answer of a column: its largest output, the first of equals; of a single
 * output, the side of one half.
 */
__device__ inline bool is_correct(Loss loss, const float* z, uint32_t outputs, uint32_t stride,
                                  uint32_t label) {
  if (outputs == 1) return (loss == Loss::mse ? z[0] > 0.5f : z[0] > 0.0f) == (label != 0);
  for (uint32_t o = 0; o < outputs; ++o)
    if (!(o < label ? z[o * stride] < z[label * stride] : z[o * stride] <= z[label * stride])) return false;
  return true;
}

/** Writes the loss and the number of correct answers of a batch. One thread block. */
__global__ void evaluate(gpu::EvaluateParams p, const uint32_t* labels, const float* targets,
                         const float* weights, const float* z, gpu::LossSum* sums, uint32_t* correct) {
  SET_SHARED(memory);
  const TargetOf target{labels, targets, weights, p.outputs};
  double sum = 0.0, right = 0.0;
  for (uint32_t b = threadIdx.x; b < p.batch; b += blockDim.x) {
    const uint64_t sample = static_cast<uint64_t>(p.first) + b;
    sum += target.weight(sample) * loss_of(p.loss, z + b, p.outputs, p.stride, target, sample);
    if (labels != nullptr && is_correct(p.loss, z + b, p.outputs, p.stride, labels[sample])) right += 1.0;
  }
  auto* shared = reinterpret_cast<double*>(memory);
  sum = over_block(sum, shared);
  __syncthreads();
  right = over_block(right, shared);
  if (threadIdx.x != 0) return;
  memcpy(&sums[p.result], &sum, sizeof sum);
  correct[p.result] = static_cast<uint32_t>(right);
}

/**
 * Writes the outputs of a batch. NaN for a sample with a logit that is not finite, and if the loss is
 * unknown.
 */
__global__ void output(gpu::EvaluateParams p, const float* z, float* out) {
  const uint32_t step = gridDim.x * blockDim.x;
  for (uint32_t b = blockIdx.x * blockDim.x + threadIdx.x; b < p.batch; b += step) {
    const float* column = z + b;
    float* row = out + static_cast<uint64_t>(b) * p.outputs;
    if (!is_finite(column, p.outputs, p.stride)) {
      for (uint32_t o = 0; o < p.outputs; ++o) row[o] = NAN;
      continue;
    }
    if (p.loss == Loss::softmax_cross_entropy) {
      const Softmax softmax(column, p.outputs, p.stride);
      for (uint32_t o = 0; o < p.outputs; ++o)
        row[o] = static_cast<float>(exp(column[o * p.stride] - softmax.top) / softmax.sum);
      continue;
    }
    for (uint32_t o = 0; o < p.outputs; ++o) {
      const float v = column[o * p.stride];
      row[o] = p.loss == Loss::mse                            ? v
               : p.loss == Loss::sigmoid_binary_cross_entropy ? static_cast<float>(sigmoid_of(v))
                                                              : NAN;
    }
  }
}

}  // namespace set_native::cuda
