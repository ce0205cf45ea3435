#pragma once

#include "cuda/backward.cuh"
#include "cuda/forward.cuh"
#include "cuda/gather.cuh"
#include "cuda/kernel_list.h"
#include "cuda/loss.cuh"
#include "cuda/order.cuh"
#include "cuda/piecewise.cuh"
#include "cuda/step.cuh"
#include "cuda/wide_backward.cuh"
#include "gpu/ops.h"

namespace set_native::cuda {

template <class Index, unsigned kHeight>
void add_layer_kernels(KernelList& list, bool wide) {
  list.add({gpu::Op::forward, wide, kHeight}, &forward<Index, kHeight>);
  list.add({gpu::Op::backward, wide, kHeight}, &backward<Index, kHeight>);
  list.add({gpu::Op::input_gradient, wide, kHeight}, &input_gradient<Index, kHeight>);
  list.add({gpu::Op::update_links, wide, kHeight}, &update_links<Index, kHeight>);
}

template <class Index>
void add_heights(KernelList& list, bool wide) {
  add_layer_kernels<Index, 1>(list, wide);
  add_layer_kernels<Index, 2>(list, wide);
  add_layer_kernels<Index, 4>(list, wide);
  add_layer_kernels<Index, 8>(list, wide);
  add_layer_kernels<Index, 0>(list, wide);
}

/** Instances of the kernels of training and inference: of those that walk links one for each height, 0 for
 * any. */
inline void add_training_kernels(KernelList& list) {
  add_heights<uint16_t>(list, false);
  add_heights<uint32_t>(list, true);
  list.add({gpu::Op::order}, &order);
  list.add({gpu::Op::sort_tiles}, &sort_tiles);
  list.add({gpu::Op::sort_merge}, &sort_merge);
  list.add({gpu::Op::gather}, &gather);
  list.add({gpu::Op::piecewise}, &piecewise);
  list.add({gpu::Op::piecewise_backward}, &piecewise_backward);
  list.add({gpu::Op::loss}, &loss);
  list.add({gpu::Op::evaluate}, &evaluate);
  list.add({gpu::Op::output}, &output);
  list.add({gpu::Op::end_step}, &end_step);
  list.add({gpu::Op::finite}, &finite);
}

}  // namespace set_native::cuda
