#include "gpu/train_params.h"
#include "metal/kernels/columns.h"
#include "metal/kernels/given.h"

/*
 * The computations on logits, as cpu/loss.h defines them: losses and the gradient of their mean, answers,
 * outputs.
 *
 * Metal has no doubles, so a loss beyond 3e38 counts as infinite. Sums keep the rounding errors of their
 * additions in a second float. Where the textbook's form would subtract nearly equal numbers (1 - p of a
 * confident answer, the logarithm of a number near 1), the difference itself is computed. One thread per
 * sample; the samples of a thread are summed in order, threads by a tree, so the sum does not depend on the
 * schedule. Padding columns of the gradient are zero. One threadgroup suffices: a batch has outputs x batch
 * numbers, some thousand operations, most of them exponentials.
 */
using namespace metal;
using namespace set_native::gpu;

/** A compensated sum, `high`, and its error, `low` (Neumaier 1974): exact to about twice a float's digits. */
struct LongSum {
  float high, low;

  LongSum() {
    high = 0.0f;
    low = 0.0f;
  }
  void add(float value) {
    const float sum = high + value, part = sum - high;
    if (isfinite(sum)) low += (high - (sum - part)) + (value - part);  // an infinite sum has no error
    high = sum;
  }
};

/** Returns the sum over a threadgroup, which all its threads get. `sums` holds two numbers per thread. */
inline LongSum over_threads(LongSum sum, uint32_t index, threadgroup float* sums) {
  threadgroup_barrier(mem_flags::mem_threadgroup);  // the former contents of `sums` have been read
  sums[index] = sum.high;
  sums[kTrainThreads + index] = sum.low;
  threadgroup_barrier(mem_flags::mem_threadgroup);
  for (uint32_t half_of = kTrainThreads / 2; half_of > 0; half_of /= 2) {
    if (index < half_of) {
      sum.add(sums[index + half_of]);
      sum.low += sums[kTrainThreads + index + half_of];
      sums[index] = sum.high;
      sums[kTrainThreads + index] = sum.low;
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
  }
  sum.high = sums[0];
  sum.low = sums[kTrainThreads];
  return sum;
}

inline void write_sum(device LossSum& to, LongSum sum) {
  to.words[0] = as_type<uint32_t>(sum.high);
  to.words[1] = as_type<uint32_t>(sum.low);
}

/** The target of an output of a sample, by its label or by values, and the weight of a sample. */
struct TargetOf {
  device const uint32_t* labels;
  device const float* values;
  device const float* weights;
  uint32_t outputs;

  float at(uint64_t sample, uint32_t output) const {
    if (values != nullptr) return values[sample * outputs + output];
    const uint32_t label = labels[sample];
    return outputs == 1 ? static_cast<float>(label) : label == output ? 1.0f : 0.0f;
  }
  float weight(uint64_t sample) const { return weights == nullptr ? 1.0f : weights[sample]; }
};

/**
 * Returns log(1 + x) for x >= 0, exact even where 1 + x rounds (Kahan's form): the factors' errors cancel.
 */
inline float log_above_one(float x) {
  const float sum = 1.0f + x;
  return sum == 1.0f ? x : x * (precise::log(sum) / (sum - 1.0f));
}

/** The sigmoid of z, `value` = 1 / (1 + exp(-z)), and `rest` = 1 - value. */
struct Sigmoid {
  float value, rest;

  explicit Sigmoid(float z) {
    const float e = precise::exp(-fabs(z)), large = 1.0f / (1.0f + e), small = e / (1.0f + e);
    value = z < 0.0f ? small : large;
    rest = z < 0.0f ? large : small;
  }
};

/**
 * The softmax of a column of logits z: `top` is the largest, at `largest`; `rest` sums exp(z - top) of the
 * others.
 */
struct Softmax {
  uint32_t largest;
  float top, rest;

  Softmax(device const float* z, uint32_t outputs, uint32_t stride) {
    largest = 0;
    top = z[0];
    for (uint32_t o = 1; o < outputs; ++o)
      if (top < z[o * stride]) {
        largest = o;
        top = z[o * stride];
      }
    LongSum sum;
    for (uint32_t o = 0; o < outputs; ++o)
      if (o != largest) sum.add(precise::exp(z[o * stride] - top));
    rest = sum.high + sum.low;
  }
};

/** Returns the loss of a sample; NaN if `loss` is unknown. */
inline float loss_of(Loss loss, device const float* z, uint32_t outputs, uint32_t stride,
                     thread const TargetOf& target, uint64_t sample) {
  LongSum sum;
  switch (loss) {
    case Loss::softmax_cross_entropy: {
      const Softmax softmax(z, outputs, stride);
      const float log_sum = log_above_one(softmax.rest);
      for (uint32_t o = 0; o < outputs; ++o) {
        const float t = target.at(sample, o);
        if (t != 0.0f) sum.add(t * (log_sum + (softmax.top - z[o * stride])));
      }
      return sum.high + sum.low;
    }
    case Loss::sigmoid_binary_cross_entropy:
      for (uint32_t o = 0; o < outputs; ++o) {
        const float v = z[o * stride], t = target.at(sample, o);
        sum.add((v < 0.0f ? 0.0f : v) - v * t + log_above_one(precise::exp(-fabs(v))));
      }
      return sum.high + sum.low;
    case Loss::mse:
      for (uint32_t o = 0; o < outputs; ++o) {
        const float v = z[o * stride], t = target.at(sample, o);
        sum.add((v - t) * (v - t));
      }
      return (sum.high + sum.low) / static_cast<float>(outputs);
  }
  return NAN;
}

/** Writes dz of a sample. Requires that `loss` is known. */
inline void gradient_of(Loss loss, device const float* z, uint32_t outputs, uint32_t stride,
                        thread const TargetOf& target, uint64_t sample, float batch, device float* dz) {
  const float weight = target.weight(sample);
  if (loss == Loss::softmax_cross_entropy) {
    const Softmax softmax(z, outputs, stride);
    const float total = 1.0f + softmax.rest;
    for (uint32_t o = 0; o < outputs; ++o) {
      const float t = target.at(sample, o), own = precise::exp(z[o * stride] - softmax.top);
      const float others = o == softmax.largest ? softmax.rest : total - own;
      dz[o * stride] = weight * ((own * (1.0f - t) - others * t) / total / batch);  // own / total - t
    }
    return;
  }
  for (uint32_t o = 0; o < outputs; ++o) {
    const float v = z[o * stride], t = target.at(sample, o);
    if (loss == Loss::mse) {
      dz[o * stride] = weight * (2.0f * (v - t) / (static_cast<float>(outputs) * batch));
    } else {
      const Sigmoid sigmoid(v);
      dz[o * stride] = weight * ((sigmoid.value * (1.0f - t) - sigmoid.rest * t) / batch);
    }
  }
}

/** Computes loss and dz of the state's batch. One threadgroup. */
kernel void loss(constant LossParams& p [[buffer(0)]], device StepState* state [[buffer(1)]],
                 device const uint32_t* order [[buffer(2)]], device const uint32_t* labels [[buffer(3)]],
                 device const float* targets [[buffer(4)]], device const float* weights [[buffer(5)]],
                 device const float* z [[buffer(6)]], device float* dz [[buffer(7)]],
                 constant uint32_t& given [[buffer(30)]], threadgroup float* sums [[threadgroup(0)]],
                 uint32_t index [[thread_index_in_threadgroup]]) {
  if (stopped(state)) return;
  order = SET_GIVEN(given, 2, order);
  const TargetOf target = {SET_GIVEN(given, 3, labels), SET_GIVEN(given, 4, targets),
                           SET_GIVEN(given, 5, weights), p.outputs};
  const uint32_t first = state->first, batch = state->batch;
  LongSum sum;
  for (uint32_t b = index; b < batch; b += kTrainThreads) {
    const uint64_t sample = order != nullptr ? order[first + b] : first + b;
    sum.add(target.weight(sample) * loss_of(p.loss, z + b, p.outputs, p.stride, target, sample));
  }
  sum = over_threads(sum, index, sums);
  // All threads have the same sum, and have read `stop` before the barriers of over_threads.
  if (!isfinite(sum.high)) {
    if (index == 0) state->stop = StopReason::diverged;
    return;
  }
  if (index == 0) {
    sum.add(as_type<float>(state->loss.words[0]));
    sum.add(as_type<float>(state->loss.words[1]));
    write_sum(state->loss, sum);
  }
  for (uint32_t b = index; b < p.stride; b += kTrainThreads) {
    if (b >= batch) {
      for (uint32_t o = 0; o < p.outputs; ++o) dz[o * p.stride + b] = 0.0f;
      continue;
    }
    const uint64_t sample = order != nullptr ? order[first + b] : first + b;
    gradient_of(p.loss, z + b, p.outputs, p.stride, target, sample, static_cast<float>(batch), dz + b);
  }
}

inline bool is_finite(device const float* z, uint32_t outputs, uint32_t stride) {
  for (uint32_t o = 0; o < outputs; ++o)
    if (!isfinite(z[o * stride])) return false;
  return true;
}

/**
 * Returns whether `label` is the answer of a column: its largest output, the first of equals; of a single
 * output, the side of one half.
 */
inline bool is_correct(Loss loss, device const float* z, uint32_t outputs, uint32_t stride, uint32_t label) {
  if (outputs == 1) return (loss == Loss::mse ? z[0] > 0.5f : z[0] > 0.0f) == (label != 0);
  for (uint32_t o = 0; o < outputs; ++o)
    if (!(o < label ? z[o * stride] < z[label * stride] : z[o * stride] <= z[label * stride])) return false;
  return true;
}

/** Writes the loss and the number of correct answers of a batch. One threadgroup. */
kernel void evaluate(constant EvaluateParams& p [[buffer(0)]], device const uint32_t* labels [[buffer(1)]],
                     device const float* targets [[buffer(2)]], device const float* weights [[buffer(3)]],
                     device const float* z [[buffer(4)]], device LossSum* sums [[buffer(5)]],
                     device uint32_t* correct [[buffer(6)]], constant uint32_t& given [[buffer(30)]],
                     threadgroup float* shared [[threadgroup(0)]],
                     uint32_t index [[thread_index_in_threadgroup]]) {
  labels = SET_GIVEN(given, 1, labels);
  const TargetOf target = {labels, SET_GIVEN(given, 2, targets), SET_GIVEN(given, 3, weights), p.outputs};
  LongSum sum, right;
  for (uint32_t b = index; b < p.batch; b += kTrainThreads) {
    const uint64_t sample = static_cast<uint64_t>(p.first) + b;
    sum.add(target.weight(sample) * loss_of(p.loss, z + b, p.outputs, p.stride, target, sample));
    if (labels != nullptr && is_correct(p.loss, z + b, p.outputs, p.stride, labels[sample])) right.add(1.0f);
  }
  sum = over_threads(sum, index, shared);
  right = over_threads(right, index, shared);
  if (index != 0) return;
  write_sum(sums[p.result], sum);
  correct[p.result] = static_cast<uint32_t>(right.high) + static_cast<uint32_t>(right.low);
}

/**
 * Writes the outputs of a batch. NaN for a sample with a logit that is not finite, and if the loss is
 * unknown.
 */
kernel void output(constant EvaluateParams& p [[buffer(0)]], device const float* z [[buffer(1)]],
                   device float* out [[buffer(2)]], uint3 team [[threadgroup_position_in_grid]],
                   uint3 teams [[threadgroups_per_grid]], uint32_t index [[thread_index_in_threadgroup]]) {
  for (uint32_t b = team.x * kTrainThreads + index; b < p.batch; b += teams.x * kTrainThreads) {
    device const float* column = z + b;
    device float* row = out + static_cast<uint64_t>(b) * p.outputs;
    if (!is_finite(column, p.outputs, p.stride)) {
      for (uint32_t o = 0; o < p.outputs; ++o) row[o] = NAN;
      continue;
    }
    if (p.loss == Loss::softmax_cross_entropy) {
      const Softmax softmax(column, p.outputs, p.stride);
      const float total = 1.0f + softmax.rest;
      for (uint32_t o = 0; o < p.outputs; ++o)
        row[o] = precise::exp(column[o * p.stride] - softmax.top) / total;
      continue;
    }
    for (uint32_t o = 0; o < p.outputs; ++o) {
      const float v = column[o * p.stride];
      if (p.loss == Loss::mse) {
        row[o] = v;
      } else if (p.loss == Loss::sigmoid_binary_cross_entropy) {
        const Sigmoid sigmoid(v);
        row[o] = sigmoid.value;
      } else {
        row[o] = NAN;
      }
    }
  }
}
