#include "gpu/train_params.h"
#include "metal/kernels/columns.h"
#include "metal/kernels/given.h"

/*
 * z_j = f(b_j + sum over the blocks of target j of w_r x_(g height + r), r = 0 .. height - 1)
 *
 * A target belongs to `warps` warps of one threadgroup, a number fixed for a layer by its mean fan-in; the
 * slots of these warps take its blocks of links in turn. Each lane sums one float4 of the row, slots and
 * warps are added up in a fixed order, and bias and activation are applied before the one store. A link takes
 * 2 stride flops and 4 stride bytes of x, mostly from caches; a block of links takes one index, one number
 * and `height` weights, so that higher blocks read neighbouring rows of x for one index. kHeight 0 stands for
 * any height.
 */
using namespace metal;
using namespace set_native::gpu;

/** Computes the targets of threadgroup x, part y of their rows. */
template <typename Index, uint32_t kHeight>
kernel void forward(constant ForwardParams& p [[buffer(0)]], device const StepState* state [[buffer(1)]],
                    device const uint32_t* offsets [[buffer(2)]], device const Index* groups [[buffer(3)]],
                    device const uint32_t* blocks [[buffer(4)]], device const float* weights [[buffer(5)]],
                    device const float* bias [[buffer(6)]], device const float4* x [[buffer(7)]],
                    device float4* z [[buffer(8)]], constant uint32_t& given [[buffer(30)]],
                    threadgroup float4* partial [[threadgroup(0)]],
                    uint3 team [[threadgroup_position_in_grid]], uint32_t lane [[thread_index_in_simdgroup]],
                    uint32_t warp [[simdgroup_index_in_threadgroup]]) {
  if (stopped(SET_GIVEN(given, 1, state))) return;
  const Columns c(p.stride, team.y, lane);
  const uint32_t part = warp % p.warps, target = team.x * (kTrainWarps / p.warps) + warp / p.warps;
  const uint32_t height = kHeight != 0 ? kHeight : p.height;
  float4 sum = float4(0.0f);
  if (target < p.outputs && c.active) {
    const uint32_t end = offsets[target + 1], step = p.warps * c.slots;
    for (uint32_t k = offsets[target] + part * c.slots + c.slot; k < end; k += step) {
      device const float4* row = x + static_cast<uint32_t>(groups[k]) * height * c.row + c.column;
      device const float* w = weights + static_cast<uint64_t>(blocks[k]) * height;
      for (uint32_t r = 0; r < height; ++r) sum = fma(float4(w[r]), row[r * c.row], sum);
    }
  }
  sum = c.over_slots(sum);
  if (p.warps > 1) {
    const uint32_t index = warp * 32 + lane;
    partial[index] = sum;
    threadgroup_barrier(mem_flags::mem_threadgroup);
    for (uint32_t w = 1; part == 0 && w < p.warps; ++w) sum = sum + partial[index + w * 32];
  }
  if (part != 0 || target >= p.outputs || c.slot != 0) return;
  z[target * c.row + c.column] = activate4(sum + float4(bias[target]), p.activation);
}
