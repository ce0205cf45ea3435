#pragma once

#include "gpu/draw_key.h"
#include "gpu/language.h"

namespace set_native::gpu {

/*
 * Parameters of the kernels of training and inference, and beside each the buffers that it takes, in order.
 *
 * What changes from step to step, or from epoch to epoch, stands in the state, in device memory, so that one
 * recording of a step serves all. Kernels that are given no state (inference) always run. `stride` counts
 * floats and is a multiple of 4; Index is the layer's width of indices.
 */

SET_CONSTANT uint32_t kTrainThreads = 256;  // per block, where nothing else is said
SET_CONSTANT uint32_t kTrainWarps = kTrainThreads / 32;
SET_CONSTANT uint32_t kPassStride = 128;  // floats of a row that the lanes of one warp hold
SET_CONSTANT uint32_t kChunk = 8;         // sources of a block that are kept in registers at once
SET_CONSTANT uint32_t kSortTile = 2048;   // keys that one block sorts
SET_CONSTANT uint32_t kSortThreads = 512;

enum StopReason : uint32_t { kRunning = 0, kCancelled = 1, kDiverged = 2 };

/**
 * A sum of losses as the device's kernels write it: a double, or, where a device has none, two floats whose
 * sum it is (Device::has_doubles).
 */
struct alignas(8) LossSum {
  uint32_t words[2];
};

struct StepState {
  LossSum loss;  // over the samples so far
  uint32_t step, count, full_batch;
  uint32_t first, batch;  // of this step
  uint32_t stop;          // StopReason
  float rate, momentum, l2, decay;
};

/**
 * order: draws u64[size], numbers u32[size], size a power of two of at least kSortTile. A draw for each of
 * `count` samples, the largest draw for all others. Any number of threads.
 */
struct OrderParams {
  DrawKey key;
  uint32_t count, size;
};

/**
 * sort_tiles: draws, numbers. Stages first .. last of a bitonic sort by (draw, number) as far as they stay in
 * a tile. sort_merge: draws, numbers. The step of one stage that exchanges over `distance`, one thread per
 * pair.
 */
struct SortParams {
  uint32_t size;
  uint32_t first, last;  // stages, powers of two
  uint32_t distance;
};

/**
 * gather: state, data f32[count][features], order u32[count] or null, x f32[features][stride].
 * Samples order[first ..] feature-major; padding columns zero. One block per 32 features.
 * Without a state `first` and `batch` hold.
 */
struct GatherParams {
  uint32_t features, stride;
  uint32_t first, batch;
};

/**
 * forward: state, by-target offsets u32[m + 1], groups Index[], blocks u32[], weights, bias f32[m], x, z
 * f32[m][stride]. `warps`, a divisor of kTrainWarps, share a target. Blocks: x by targets, y by kPassStride
 * of the stride. Shared memory: kTrainThreads float4 when warps > 1.
 */
struct ForwardParams {
  uint32_t outputs, stride, height;
  uint32_t activation;  // an Activation, not a piecewise one
  uint32_t warps;
};

/** piecewise: state, pieces f32[4][m], z, pre_activation f32[m][stride] or null. One warp per row. */
/** piecewise_backward: state, pre_activation, dy, pieces, pieces_velocity or null, bias, bias_velocity. One
 * warp per row.
 */
struct PiecewiseParams {
  uint32_t outputs, stride;
};

/**
 * loss: state, order or null, labels u32[] or null, targets f32[][outputs] or null, z, dz. One block. Adds to
 * the state's loss; where the batch's is not finite, sets its stop and leaves all else.
 */
struct LossParams {
  uint32_t outputs, stride;
  uint32_t loss;  // set_native::Loss
};

/**
 * evaluate: labels or null, targets or null, z, sums LossSum[], correct u32[]: one batch, into entry
 * `result`. One block. Labels and targets are those of sample `first` on. output: z, out f32[batch][outputs].
 * Any number of threads.
 */
struct EvaluateParams {
  uint32_t outputs, stride;
  uint32_t loss;
  uint32_t first, batch;
  uint32_t result;
};

/**
 * backward, for stride <= kPassStride: state, offsets u32[groups + 1], targets Index[], weights, velocity,
 *   x f32[][stride] (becomes dx), dz f32[m][stride], bias f32[n] and bias_velocity of the layer below or
 * null. input_gradient: state, offsets, targets, weights, x, dz, dx. Blocks: y by kPassStride of the stride.
 * update_links: state, offsets, targets, weights, velocity, x, dz, dx or null, bias, bias_velocity or null.
 * `warps` share a group. Shared memory: kTrainThreads float4 for each source of a block, of kChunk where the
 * instance is for any height, when warps > 1.
 */
struct BackwardParams {
  uint32_t inputs, groups, stride, height;
  uint32_t activation;  // of the layer below
  uint32_t warps;
  uint32_t wants_dx;
};

/** end_step: state, cancel u32, dz, bias f32[m], bias_velocity. One block: the output layer's bias, the next
 * step. */
struct EndStepParams {
  uint32_t outputs, stride;
};

/** finite: values f32[count], flags u32[]. Sets flag `flag` where one is not finite. */
struct FiniteParams {
  uint32_t count, flag;
};

}  // namespace set_native::gpu
