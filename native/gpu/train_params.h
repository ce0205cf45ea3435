#pragma once

#include "core/update_rule.h"
#include "core/vocabulary.h"
#include "gpu/binding.h"
#include "gpu/draw_key.h"
#include "gpu/language.h"

namespace set_native::gpu {

/*
 * The arguments of the kernels of training and inference: each operation has a structure of numbers and one
 * of buffers. A buffer may be null only where its comment says so.
 *
 * A layer has n sources (inputs) and m targets (outputs); Index is the type of its indices. A matrix has rows
 * of `stride` floats, a multiple of 4, and a column per sample of the batch. Numbers that change from step to
 * step, or from epoch to epoch, are in the state, in device memory, so that one recording of a step serves
 * all steps. A team of threads is what CUDA calls a thread block and Metal a threadgroup; gpu/op_table.h
 * gives its size.
 *
 * A kernel that meets an activation, a loss or a RegrowInit that it does not know writes NaNs: the loss stops
 * being a number, and training stops, where it would otherwise train another network in silence.
 */

SET_CONSTANT uint32_t kTrainThreads = 256;
SET_CONSTANT uint32_t kTrainWarps = kTrainThreads / 32;
SET_CONSTANT uint32_t kPassStride = 128;  // floats of a row that the lanes of one warp hold
SET_CONSTANT uint32_t kChunk = 8;         // sources of a block that a thread keeps in registers at once
SET_CONSTANT uint32_t kSortTile = 2048;   // keys that one team sorts
SET_CONSTANT uint32_t kSortThreads = 512;

enum class StopReason : uint32_t { running, cancelled, diverged };

/**
 * A sum of losses as the device's kernels write it: a double or, on a device without doubles, two floats that
 * add up to it (Device::has_doubles).
 */
struct alignas(8) LossSum {
  uint32_t words[2];
};

struct StepState {
  LossSum loss;                      // sum over the samples so far
  uint32_t step, count, full_batch;  // number of this step; samples of the epoch, and of a full batch
  uint32_t first, batch;             // first sample and samples of this step
  StopReason stop;
  UpdateRule rule;  // rule of this step
  uint32_t epoch;
};

// ---- The order of an epoch --------------------------------------------------------------------------------

/** order: draws for `count` samples, and the largest draw for all other entries. Any number of teams. */
struct OrderParams {
  DrawKey key;
  uint32_t count, size;  // size: number of entries, a power of two of at least kSortTile
};

/**
 * sort_tiles: the steps within a tile of stages first .. last of a bitonic sort by (draw, number). One team
 * per tile; shared memory: the tile. sort_merge: the step of stage `first` that exchanges over `distance`.
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
 * gather: writes samples order[first] .. order[first + batch - 1] as columns of x, and zeros to the columns
 * of padding. One team per 32 features; shared memory: 32 x 33 floats. `first` and `batch` hold without a
 * state.
 */
struct GatherParams {
  uint32_t features, stride;
  uint32_t first, batch;
};
struct GatherBuffers {
  Binding state;  // StepState, or null
  Binding data;   // f32[count][features]
  Binding order;  // u32[count], or null: samples in their own order
  Binding x;      // f32[features][stride]
};

/**
 * forward: `warps` warps, a divisor of kTrainWarps, share a target. Teams: x by targets, y by kPassStride
 * floats of the stride. Shared memory: kTrainThreads float4 when warps > 1.
 */
struct ForwardParams {
  uint32_t outputs, stride, height;
  Activation activation;  // not a piecewise one
  uint32_t warps;
};
struct ForwardBuffers {
  Binding state;           // StepState, or null: always runs
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
  Binding state;           // StepState, or null: always runs
  Binding pieces;          // f32[4][m]
  Binding z;               // f32[m][stride]
  Binding pre_activation;  // f32[m][stride], or null
};

/**
 * dropout: drops outputs z of a hidden layer (gpu/dropout.h). A thread for each column of kDropoutNeurons
 * rows.
 */
struct DropoutParams {
  DrawKey key;  // the state has the epoch
  uint32_t outputs, stride;
  uint32_t threshold;  // threshold and gain as in core/dropout.h
  float gain;
};
struct DropoutBuffers {
  Binding state;  // StepState
  Binding z;      // f32[m][stride]
};

// ---- Losses and outputs -----------------------------------------------------------------------------------

/**
 * loss: writes dz and adds the batch's loss to the state's. If the batch's loss is not finite, it sets the
 * state's stop and changes nothing else. One team; shared memory: kTrainThreads doubles.
 */
struct LossParams {
  uint32_t outputs, stride;
  Loss loss;
};
struct LossBuffers {
  Binding state;    // StepState
  Binding order;    // u32[count], or null: samples in their own order
  Binding labels;   // u32[count], or null
  Binding targets;  // f32[count][outputs], or null
  Binding weights;  // f32[count], or null: 1 each
  Binding z;        // f32[outputs][stride]
  Binding dz;       // f32[outputs][stride]
};

/**
 * evaluate: writes the loss and the correct answers of one batch to entry `result`; its labels and targets
 * start at sample `first`. One team; shared memory: kTrainThreads doubles. output: writes the outputs of one
 * batch. Any number of teams.
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
  Binding weights;  // f32[count], or null: 1 each
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
 * All second moments may be null: then the rule is that of momentum SGD, else that of AdamW.
 */

/**
 * backward: for stride <= kPassStride. input_gradient and update_links do in two passes, for any stride, what
 * backward does in one. `warps` warps share a group. Teams: x by groups, in input_gradient y by kPassStride
 * floats of the stride. Shared memory of backward and input_gradient when warps > 1: kTrainThreads float4 for
 * each source of a block, for kChunk sources if the kernel takes any height.
 */
struct BackwardParams {
  uint32_t inputs, groups, stride, height;
  Activation activation;  // activation of the layer below, not a piecewise one
  uint32_t warps;
  uint32_t wants_dx;
  float keep, gain;  // of the dropout of x, as in core/dropout.h; 1 without it
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

/** end_step: updates the output layer's bias and moves the state to the next step. One team. */
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
  Binding corrections;  // f32[steps of the epoch][3]: rate, scale, decay of each step; or null: they stay
};

/**
 * finite: sets flag number `flag` if a value is not finite among the first `columns` of each `stride` values.
 * Any number of teams.
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
