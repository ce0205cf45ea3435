#pragma once

#include "cuda/backward.cuh"
#include "cuda/device_code.cuh"
#include "cuda/forward.cuh"
#include "cuda/gather.cuh"
#include "cuda/loss.cuh"
#include "cuda/piecewise.cuh"
#include "cuda/step.cuh"
#include "cuda/wide_backward.cuh"
#include "gpu/train_params.h"

/*
 * All steps of an epoch in one cooperative launch: the kernels of a step one after the other, with a barrier
 * of the whole grid between them instead of a launch. Their blocks are dealt to the blocks that are there, in
 * turn; each is the same function with the same number, so that the bits are those of the single kernels, for
 * any number of blocks.
 *
 * Kernels take a fixed number of buffers and a network has any number of layers. So `note_layer` first writes
 * the addresses of each layer's buffers, which only the device knows, into a table on the device.
 *
 * Per step 2 barriers per layer and 3 more, one more for each piecewise layer in each direction.
 */
namespace set_native::cuda {

struct LayerPlace {
  const uint32_t* offsets;
  const void* targets;
  float *weights, *velocity;
  const uint32_t* target_offsets;
  const void* target_groups;
  const uint32_t* target_blocks;
  float *bias, *bias_velocity, *pieces, *pieces_velocity;
  float *x, *pre_activation,
      *dx;  // below the layer; z before a piecewise activation, or null; gradient below, or null
  gpu::NoteLayerParams p;
};

__global__ void note_layer(gpu::NoteLayerParams p, uint64_t* places, const uint32_t* offsets,
                           const uint32_t* targets, float* weights, float* velocity,
                           const uint32_t* target_offsets, const uint32_t* target_groups,
                           const uint32_t* target_blocks, float* bias, float* bias_velocity, float* pieces,
                           float* pieces_velocity, float* x, float* pre_activation, float* dx) {
  static_assert(sizeof(LayerPlace) <= gpu::kLayerPlaceBytes, "places are as far apart as the host thinks");
  if (threadIdx.x != 0) return;
  auto* bytes = reinterpret_cast<unsigned char*>(places) + p.layer * gpu::kLayerPlaceBytes;
  *reinterpret_cast<LayerPlace*>(bytes) = {offsets,
                                           targets,
                                           weights,
                                           velocity,
                                           target_offsets,
                                           target_groups,
                                           target_blocks,
                                           bias,
                                           bias_velocity,
                                           pieces,
                                           pieces_velocity,
                                           x,
                                           pre_activation,
                                           dx,
                                           p};
}

/** Calls body(block, tile) for those of a kernel's blocks that are this block's. */
template <class Body>
__device__ inline void for_blocks(uint32_t blocks, uint32_t tiles, Body&& body) {
  for (uint32_t k = blockIdx.x; k < blocks * tiles; k += gridDim.x) {
    body(k % blocks, k / blocks);
    __syncthreads();  // shared memory is free again
  }
}

template <class Index, unsigned kHeight>
struct LayerCode {
  __device__ static void forward(const LayerPlace& l, const float* x, float* z, float4* shared) {
    for_blocks(l.p.forward_blocks, l.p.tiles, [&](uint32_t block, uint32_t tile) {
      forward_targets<Index, kHeight>(l.p.forward, block, tile, l.target_offsets,
                                      static_cast<const Index*>(l.target_groups), l.target_blocks, l.weights,
                                      l.bias, x, z, shared);
    });
  }
  __device__ static void backward(const LayerPlace& l, const gpu::StepState& state, const float* dz,
                                  float* bias, float* bias_velocity, uint32_t* barrier, float4* shared) {
    const auto* targets = static_cast<const Index*>(l.targets);
    if (l.p.forward.stride <= gpu::kPassStride) {
      for_blocks(l.p.backward_blocks, 1, [&](uint32_t block, uint32_t) {
        backward_groups<Index, kHeight>(l.p.backward, block, state, l.offsets, targets, l.weights, l.velocity,
                                        l.x, dz, bias, bias_velocity, shared);
      });
      return;
    }
    if (l.p.backward.wants_dx != 0) {
      for_blocks(l.p.backward_blocks, l.p.tiles, [&](uint32_t block, uint32_t tile) {
        input_gradient_groups<Index, kHeight>(l.p.backward, block, tile, l.offsets, targets, l.weights, l.x,
                                              dz, l.dx, shared);
      });
      SET_GRID_BARRIER(barrier);
    }
    for_blocks(l.p.backward_blocks, 1, [&](uint32_t block, uint32_t) {
      update_groups<Index, kHeight>(l.p.backward, block, state, l.offsets, targets, l.weights, l.velocity,
                                    l.x, dz, l.dx, bias, bias_velocity);
    });
  }
};

/** Calls body with the code for a layer's indices and height. */
template <class Index, class Body>
__device__ inline void with_height(uint32_t height, Body&& body) {
  if (height == 1)
    body(LayerCode<Index, 1>{});
  else if (height == 2)
    body(LayerCode<Index, 2>{});
  else if (height == 4)
    body(LayerCode<Index, 4>{});
  else if (height == 8)
    body(LayerCode<Index, 8>{});
  else
    body(LayerCode<Index, 0>{});
}
template <class Body>
__device__ inline void with_code(const gpu::NoteLayerParams& p, Body&& body) {
  if (p.wide != 0)
    with_height<uint32_t>(p.instance_height, body);
  else
    with_height<uint16_t>(p.instance_height, body);
}

__global__ void __launch_bounds__(gpu::kTrainThreads, 2)
    epoch(gpu::EpochParams p, gpu::StepState* state, const uint64_t* places, uint32_t* barrier,
          const uint32_t* cancel, const float* data, const uint32_t* order, const uint32_t* labels,
          const float* targets, float* logits, float* dz) {
  SET_SHARED(memory);
  auto* shared = reinterpret_cast<float4*>(memory);
  const auto* first_place = reinterpret_cast<const unsigned char*>(places);
  const auto layer = [&](uint32_t l) -> const LayerPlace& {
    return *reinterpret_cast<const LayerPlace*>(first_place + l * gpu::kLayerPlaceBytes);
  };
  for (uint32_t step = 0; step < p.steps && !stopped(state); ++step) {
    for_blocks((p.gather.features + kGatherTile - 1) / kGatherTile, 1, [&](uint32_t block, uint32_t) {
      gather_features(p.gather, block, state->first, state->batch, data, order, layer(0).x,
                      reinterpret_cast<float*>(memory));
    });
    SET_GRID_BARRIER(barrier);
    for (uint32_t l = 0; l < p.layers; ++l) {
      const LayerPlace& at = layer(l);
      float* z = l + 1 < p.layers ? layer(l + 1).x : logits;
      with_code(at.p, [&](auto code) { decltype(code)::forward(at, at.x, z, shared); });
      SET_GRID_BARRIER(barrier);
      if (at.pieces == nullptr) continue;
      for_blocks(at.p.row_blocks, 1, [&](uint32_t block, uint32_t) {
        piecewise_rows({at.p.forward.outputs, at.p.forward.stride}, block, at.pieces, z, at.pre_activation);
      });
      SET_GRID_BARRIER(barrier);
    }
    if (blockIdx.x == 0)
      loss_of_batch(p.loss, state, order, labels, targets, logits, dz, reinterpret_cast<double*>(memory));
    SET_GRID_BARRIER(barrier);
    if (stopped(state)) return;
    const float* above = dz;
    for (uint32_t l = p.layers; l-- > 0;) {
      const LayerPlace& at = layer(l);
      const bool bends = l > 0 && layer(l - 1).pieces != nullptr;
      float* bias = l > 0 && !bends ? layer(l - 1).bias : nullptr;
      float* bias_velocity = l > 0 && !bends ? layer(l - 1).bias_velocity : nullptr;
      with_code(at.p, [&](auto code) {
        decltype(code)::backward(at, *state, above, bias, bias_velocity, barrier, shared);
      });
      SET_GRID_BARRIER(barrier);
      above = at.dx;
      if (!bends) continue;
      const LayerPlace& below = layer(l - 1);
      for_blocks(below.p.row_blocks, 1, [&](uint32_t block, uint32_t) {
        piecewise_rows_backward({below.p.forward.outputs, below.p.forward.stride}, block, *state,
                                below.pre_activation, at.dx, below.pieces, below.pieces_velocity, below.bias,
                                below.bias_velocity);
      });
      SET_GRID_BARRIER(barrier);
    }
    const LayerPlace& last = layer(p.layers - 1);
    if (blockIdx.x == 0)
      finish_step({p.loss.outputs, p.loss.stride}, state, cancel, dz, last.bias, last.bias_velocity);
    SET_GRID_BARRIER(barrier);
  }
}

}  // namespace set_native::cuda
