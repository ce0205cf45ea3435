#pragma once

#include <cstdint>
#include <vector>

#include "core/dropout.h"
#include "core/model.h"
#include "gpu/device.h"
#include "gpu/layer.h"
#include "gpu/train_params.h"

namespace set_native::gpu {

/** A network on a device. */
struct Network {
  std::vector<Layer> layers;
  Optimizer optimizer = Optimizer::sgd;
  Loss loss = Loss::softmax_cross_entropy;
  uint64_t seed = 0;

  uint32_t features() const { return layers.front().inputs; }
  uint32_t outputs() const { return layers.back().outputs; }
  /**
   * Returns the rows of the matrix below layer l: the outputs of layer l - 1 or the sources of layer l,
   * rounded up to whole groups, whichever are more.
   */
  uint32_t rows_below(size_t l) const;
};

/** Returns the value of a sum that a kernel of this device wrote. */
double value_of(const Device& device, const LossSum& sum);

/** Returns the floats in a row of activations: the batch, rounded up to a multiple of 4. */
inline uint32_t row_stride(uint32_t batch) {
  return (batch + 3) / 4 * 4;
}

/** Returns the entries of each of the two arrays that sort `count` samples, at most 2^31. */
uint32_t order_size(uint64_t count);

/**
 * Queues the order of an epoch: order[k], k < count, becomes epoch_order(seed, epoch, count, true). Both
 * buffers have order_size(count) entries.
 */
void queue_order(Device& device, uint64_t seed, uint32_t epoch, uint32_t count, const Buffer& draws,
                 const Buffer& order);

/**
 * Queues the copy of a batch into the columns of x. The state names its samples; without a state they are
 * `batch` samples from `first` on.
 */
void queue_gather(Device& device, const GatherParams& params, const GatherBuffers& buffers);

/** Queues z = f(W x + b) of layer l. `pre_activation`, if given, gets W x + b of a piecewise activation. */
void queue_forward(Device& device, const Network& network, size_t l, Binding state, const Buffer& x,
                   const Buffer& z, const Buffer* pre_activation, uint32_t stride);

/** Queues the dropout of the outputs z of layer l, for the batch that the state names. */
void queue_dropout(Device& device, const Network& network, size_t l, Binding state, const Buffer& z,
                   uint32_t stride, const Dropout& dropout);

/** Queues dz of the batch that the state names; the sum of its losses is added to the state. */
void queue_loss(Device& device, const Network& network, uint32_t stride, const LossBuffers& buffers);

/**
 * Queues the backward pass through layer l from dz, with the updates of its links and of the bias of the
 * layer below. In rows of at most kPassStride floats dx replaces x; of longer rows it goes to `dx`. The first
 * layer has no dx. `dropout` is what dropped x.
 */
void queue_backward(Device& device, Network& network, size_t l, Binding state, const Buffer& x,
                    const Buffer& dz, const Buffer* dx, uint32_t stride, const Dropout& dropout = {});

/**
 * Queues the backward pass through the piecewise activation of layer l: dy, the gradient by its output,
 * becomes dz, the gradient by its pre-activation. Updates its bias and its pieces.
 */
void queue_piecewise_backward(Device& device, Network& network, size_t l, Binding state,
                              const Buffer& pre_activation, const Buffer& dy, uint32_t stride);

}  // namespace set_native::gpu
