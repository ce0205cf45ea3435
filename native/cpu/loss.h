#pragma once

#include <cstddef>
#include <cstdint>

#include "core/model.h"
#include "core/samples.h"

namespace set_native::cpu {

/**
 * Returns the sum of the losses of a batch and, unless `dz` is null, sets it to the gradient of their *mean*
 * by the logits z.
 *
 * z and dz are outputs x stride, feature-major; columns from `batch` on are set to zero in dz. Targets are
 * labels (one-hot; with one output the label itself) or values [batch][outputs]. Loss and gradient of each
 * sample are multiplied by its weight.
 *   softmax_cross_entropy: -sum t log softmax(z), by log-sum-exp          dz = (softmax(z) - t) / batch
 *   sigmoid_binary_cross_entropy: sum of max(z, 0) - z t + log(1 + e^-|z|)  dz = (sigmoid(z) - t) / batch
 *   mse: mean over outputs of (z - t)^2                                   dz = 2 (z - t) / (outputs batch)
 * Accumulates in double, in sample order: the same bits on any number of threads.
 */
double loss_and_gradient(Loss loss, const float* z, size_t outputs, size_t batch, size_t stride,
                         const Targets& targets, float* dz);

/** Turns logits into outputs in place: by softmax over the outputs, sigmoid, or (mse) not at all. */
void output_activation(Loss loss, float* z, size_t outputs, size_t batch, size_t stride);

}  // namespace set_native::cpu
