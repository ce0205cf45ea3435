#pragma once

#include "core/update_rule.h"
#include "core/vocabulary.h"
#include "gpu/binding.h"
#include "gpu/draw_key.h"
#include "gpu/language.h"

namespace set_native::gpu {

/*
 * What the kernels of training and inference take: for each operation a structure of numbers, and one of the
 * buffers. Buffers may be null where that is said.
 *
 * A layer has n sources (inputs) and m targets (outputs); Index is the layer's width of indices. What changes
 * from step to step, or from epoch to epoch, stands in the state, in device memory, so that one recording of
 * a step serves all. `stride` counts floats and is a multiple of 4. A team of threads is what CUDA calls a
 * thread block and Metal a threadgroup; it has kTrainThreads where gpu/op_table.h says nothing else.
 *
 * A kernel that meets an activation, a loss or a RegrowInit that it does not know makes NaNs of it: the
 * loss stops being a number, and training stops, where else another network would be trained in silence.
 */

SET_CONSTANT uint32_t kTrainThreads = 256;
SET_CONSTANT uint32_t kTrainWarps = kTrainThreads / 32;
SET_CONSTANT uint32_t kPassStride = 128;  // floats of a row that the lanes of one warp hold
SET_CONSTANT uint32_t kChunk = 8;         // sources of a block that are kept in registers at once
SET_CONSTANT uint32_t kSortTile = 2048;   // keys that one team sorts
SET_CONSTANT uint32_t kSortThreads = 512;

enum class StopReason : uint32_t { running, cancelled, diverged };

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
  StopReason stop;
  UpdateRule rule;  // of this step
};

// ---- The order of an epoch --------------------------------------------------------------------------------

/** order: a draw for each of `count` samples, the largest draw for all others. Any number of teams. */
struct OrderParams {
  DrawKey key;
  uint32_t count, size;  // size: a power of two of at least kSortTile
};

/**
 * sort_tiles: stages first .. last of a bitonic sort by (draw, number), as far as they stay in a tile. One
 * team per tile; shared memory: the tile. sort_merge: the step of one stage that exchanges over `distance`.
 * One thread per pair.
 */
struct SortParams {
  uint32_t size;
  uint32_t first, last;  // stages, powers of two
  uint32_t distance;
};

/** order, sort_tiles, sort_merge. */
struct OrderBuffers {
  Binding draws;    // u64[size]
  Binding numbers;  // u32[size]
};

// ---- Forward ----------------------------------------------------------------------------------------------

/**
 * gather: samples order[first ..] feature-major, padding columns zero. One team per 32 features; shared
 * memory: 32 x 33 floats. Without a state `first` and `batch` hold.
 */
struct GatherParams {
  uint32_t features, stride;
  uint32_t first, batch;
};
struct GatherBuffers {
  Binding state;  // StepState, or null
  Binding data;   // f32[count][features]
  Binding order;  // u32[count], or null: as they come
  Binding x;      // f32[features][stride]
};

/**
 * forward: `warps`, a divisor of kTrainWarps, share a target. Teams: x by targets, y by kPassStride of the
 * stride. Shared memory: kTrainThreads float4 when warps > 1.
 */
struct ForwardParams {
  uint32_t outputs, stride, height;
  Activation activation;  // not a piecewise one
  uint32_t warps;
};
struct ForwardBuffers {
  Binding state;           // StepState, or null: runs always
  Binding target_offsets;  // u32[m + 1]
  Binding target_groups;   // Index[blocks]
  Binding target_blocks;   // u32[blocks]
  Binding weights;         // f32[blocks height]
  Binding bias;            // f32[m]
  Binding x;               // f32[groups height][stride]
  Binding z;               // f32[m][stride]
};

/** piecewise, piecewise_backward: one warp per row. */
struct PiecewiseParams {
  uint32_t outputs, stride;
};
struct PiecewiseBuffers {
  Binding state;           // StepState, or null: runs always
  Binding pieces;          // f32[4][m]
  Binding z;               // f32[m][stride]
  Binding pre_activation;  // f32[m][stride], or null
};

// ---- Losses and outputs -----------------------------------------------------------------------------------

/**
 * loss: adds to the state's loss; where the batch's is not finite, sets the state's stop and leaves all else.
 * One team; shared memory: kTrainThreads doubles.
 */
struct LossParams {
  uint32_t outputs, stride;
  Loss loss;
};
struct LossBuffers {
  Binding state;    // StepState
  Binding order;    // u32[count], or null: as they come
  Binding labels;   // u32[count], or null
  Binding targets;  // f32[count][outputs], or null
  Binding z;        // f32[outputs][stride]
  Binding dz;       // f32[outputs][stride]
};

/**
 * evaluate: one batch, into entry `result`; labels and targets are those of sample `first` on. One team;
 * shared memory: kTrainThreads doubles. output: any number of teams.
 */
struct EvaluateParams {
  uint32_t outputs, stride;
  Loss loss;
  uint32_t first, batch;
  uint32_t result;
};
struct EvaluateBuffers {
  Binding labels;   // u32[count], or null
  Binding targets;  // f32[count][outputs], or null
  Binding z;        // f32[outputs][stride]
  Binding sums;     // LossSum[results]
  Binding correct;  // u32[results]
};
struct OutputBuffers {
  Binding z;    // f32[outputs][stride]
  Binding out;  // f32[batch][outputs]
};

// ---- Backward ---------------------------------------------------------------------------------------------

/*
 * Second moments may be null everywhere: then the rule is that of momentum SGD, else that of AdamW.
 */

/**
 * backward: for stride <= kPassStride. input_gradient and update_links: what backward does, in two passes,
 * for any stride; teams of the first: y by kPassStride of the stride. `warps` share a group, teams go by
 * groups. Shared memory when warps > 1, but for update_links: kTrainThreads float4 for each source of a
 * block, of kChunk where the kernel is for any height.
 */
struct BackwardParams {
  uint32_t inputs, groups, stride, height;
  Activation activation;  // of the layer below, not a piecewise one
  uint32_t warps;
  uint32_t wants_dx;
};
struct BackwardBuffers {
  Binding state;               // StepState
  Binding offsets;             // u32[groups + 1]
  Binding targets;             // Index[blocks]
  Binding weights;             // f32[blocks height]
  Binding velocity;            // f32[blocks height]
  Binding second_moment;       // f32[blocks height], or null
  Binding x;                   // f32[groups height][stride]; becomes dx
  Binding dz;                  // f32[m][stride]
  Binding bias;                // f32[n] of the layer below, or null
  Binding bias_velocity;       // f32[n] of the layer below, or null
  Binding bias_second_moment;  // f32[n] of the layer below, or null
};
struct InputGradientBuffers {
  Binding state;    // StepState
  Binding offsets;  // u32[groups + 1]
  Binding targets;  // Index[blocks]
  Binding weights;  // f32[blocks height]
  Binding x;        // f32[groups height][stride]
  Binding dz;       // f32[m][stride]
  Binding dx;       // f32[groups height][stride]
};
struct UpdateLinksBuffers {
  Binding state;               // StepState
  Binding offsets;             // u32[groups + 1]
  Binding targets;             // Index[blocks]
  Binding weights;             // f32[blocks height]
  Binding velocity;            // f32[blocks height]
  Binding second_moment;       // f32[blocks height], or null
  Binding x;                   // f32[groups height][stride]
  Binding dz;                  // f32[m][stride]
  Binding dx;                  // f32[groups height][stride], or null
  Binding bias;                // f32[n] of the layer below, or null
  Binding bias_velocity;       // f32[n] of the layer below, or null
  Binding bias_second_moment;  // f32[n] of the layer below, or null
};

struct PiecewiseBackwardBuffers {
  Binding state;                 // StepState
  Binding pre_activation;        // f32[m][stride]
  Binding dy;                    // f32[m][stride]; becomes dz
  Binding pieces;                // f32[4][m]
  Binding pieces_velocity;       // f32[4][m], or null: they are not learned
  Binding pieces_second_moment;  // f32[4][m], or null
  Binding bias;                  // f32[m]
  Binding bias_velocity;         // f32[m]
  Binding bias_second_moment;    // f32[m], or null
};

// ---- The end of a step, and of an epoch -------------------------------------------------------------------

/** end_step: the update of the output layer's bias, and the state of the next step. One team. */
struct EndStepParams {
  uint32_t outputs, stride;
};
struct EndStepBuffers {
  Binding state;               // StepState
  Binding cancel;              // u32[1], which the host may set at any time
  Binding dz;                  // f32[outputs][stride]
  Binding bias;                // f32[outputs]
  Binding bias_velocity;       // f32[outputs]
  Binding bias_second_moment;  // f32[outputs], or null
  Binding corrections;  // f32[steps of the epoch][2]: rate and scale of each step's rule, or null: they stay
};

/**
 * finite: sets flag number `flag` where one of the values is not finite: of each `stride` of them the first
 * `columns`. Any number of teams.
 */
struct FiniteParams {
  uint32_t count, flag;
  uint32_t stride, columns;
};
struct FiniteBuffers {
  Binding values;  // f32[count]
  Binding flags;   // u32[]
};

}  // namespace set_native::gpu
