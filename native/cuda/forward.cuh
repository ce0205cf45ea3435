#pragma once

#include "cuda/columns.cuh"
#include "cuda/device_code.cuh"
#include "gpu/train_params.h"

/*
 * z_j = f(b_j + sum over the blocks of target j of w_r x_(g height + r), r = 0 .. height - 1)
 *
 * A target belongs to `warps` warps of one thread block, a number fixed for a layer by its mean fan-in; the
 * slots of these warps take its blocks of links in turn. Each lane sums one float4 of the row, slots and
 * warps are added up in a fixed order, and bias and activation are applied before the one store. A link takes
 * 2 stride flops and 4 stride bytes of x, mostly from L2; a block of links takes one index, one number and
 * `height` weights, so that higher blocks read neighbouring rows of x for one index. kHeight 0 stands for any
 * height.
 */
namespace set_native::cuda {

/** Returns the lane's sum over blocks begin, begin + step, .. of a target, without the bias. */
template <class Index, unsigned kHeight>
__device__ inline float4 forward_sum(const gpu::ForwardParams& p, const Columns& c, uint32_t begin,
                                     uint32_t end, uint32_t step, const Index* groups, const uint32_t* blocks,
                                     const float* weights, const float4* x) {
  const uint32_t height = kHeight != 0 ? kHeight : p.height;
  float4 sum = zero4();
  SET_UNROLL_2
  for (uint32_t k = begin; k < end; k += step) {
    const float4* row = x + static_cast<uint64_t>(groups[k]) * height * c.row + c.column;
    const float* w = weights + static_cast<uint64_t>(blocks[k]) * height;
    SET_UNROLL
    for (uint32_t r = 0; r < height; ++r) sum = fma4(w[r], row[static_cast<uint64_t>(r) * c.row], sum);
  }
  return sum;
}

/** Computes the targets of thread block x, part y of their rows. */
template <class Index, unsigned kHeight>
__global__ void __launch_bounds__(gpu::kTrainThreads)
    forward(gpu::ForwardParams p, const gpu::StepState* state, const uint32_t* offsets, const Index* groups,
            const uint32_t* blocks, const float* weights, const float* bias, const float* x, float* z) {
  SET_SHARED(memory);
  if (stopped(state)) return;
  auto* const partial = reinterpret_cast<float4*>(memory);
  const Columns c(p.stride, blockIdx.y);
  const uint32_t warp = threadIdx.x / 32, part = warp % p.warps;
  const uint32_t target = blockIdx.x * (gpu::kTrainWarps / p.warps) + warp / p.warps;
  float4 sum = zero4();
  if (target < p.outputs && c.active)
    sum = forward_sum<Index, kHeight>(p, c, offsets[target] + part * c.slots + c.slot, offsets[target + 1],
                                      p.warps * c.slots, groups, blocks, weights,
                                      reinterpret_cast<const float4*>(x));
  sum = c.over_slots(sum);
  if (p.warps > 1) {
    partial[threadIdx.x] = sum;
    __syncthreads();
    for (uint32_t w = 1; part == 0 && w < p.warps; ++w) sum = add4(sum, partial[threadIdx.x + w * 32]);
  }
  if (part != 0 || target >= p.outputs || c.slot != 0) return;
  const float b = bias[target];
  sum = activate(add4(sum, make_float4(b, b, b, b)), p.activation);
  reinterpret_cast<float4*>(z)[static_cast<uint64_t>(target) * c.row + c.column] = sum;
}

}  // namespace set_native::cuda
