#pragma once

#include <cstdint>
#include <vector>

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
  /** Rows of the matrix below layer l: outputs of layer l - 1 or sources of layer l, whichever are more. */
  uint32_t rows_below(size_t l) const;
};

double value_of(const Device& device, const LossSum& sum);

/** Floats of a row of activations. */
inline uint32_t row_stride(uint32_t batch) {
  return (batch + 3) / 4 * 4;
}

/** Entries of the two arrays in which so many samples, at most 2^31, are put in order. */
uint32_t order_size(uint64_t count);

/** order[k], k < count: epoch_order(seed, epoch, count, true), in memory for order_size(count) numbers and
 * draws. */
void queue_order(Device& device, uint64_t seed, uint32_t epoch, uint32_t count, const Buffer& draws,
                 const Buffer& order);

/** Samples of a batch as rows of x: those of the state, or without one `batch` of them from `first` on. */
void queue_gather(Device& device, const GatherParams& params, const GatherBuffers& buffers);

/** z = f(W x + b) of layer l; what a piecewise activation changes goes to `pre_activation`, if given. */
void queue_forward(Device& device, const Network& network, size_t l, Binding state, const Buffer& x,
                   const Buffer& z, const Buffer* pre_activation, uint32_t stride);

/** dz, and the sum of losses added to the state, of the batch that the state names. */
void queue_loss(Device& device, const Network& network, uint32_t stride, const LossBuffers& buffers);

/**
 * Backward through layer l from dz, with the updates of its links and of the bias of the layer below. Rows of
 * at most kPassStride floats: the gradient takes the place of x; longer ones: it goes to `dx`. Without it in
 * the first layer.
 */
void queue_backward(Device& device, Network& network, size_t l, Binding state, const Buffer& x,
                    const Buffer& dz, const Buffer* dx, uint32_t stride);

/** From the gradient by the output of layer l, which is piecewise, to the one by its z, in place, with the
 * updates. */
void queue_piecewise_backward(Device& device, Network& network, size_t l, Binding state,
                              const Buffer& pre_activation, const Buffer& dy, uint32_t stride);

}  // namespace set_native::gpu
