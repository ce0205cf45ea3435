#pragma once

/*
 * The operations of a GPU, one line for each. Host code, CUDA and Metal derive everything they need to know
 * about an operation from this table: its number, name, kernels, launch shape and arguments.
 *
 *   OP(name, family, threads, Params, Buffers)
 *
 *   name      name of the operation and of its kernel
 *   family    which kernels it has: `single` one, `per_index` one for each width of indices, `per_height` one
 *             for each width of indices and each height of blocks in SET_GPU_HEIGHTS
 *   threads   threads of a team, in every launch
 *   Params    structure of the numbers that it takes (train_params.h, evolve_params.h)
 *   Buffers   structure of the buffers that it takes, in the order of the kernel's arguments
 *
 * C++, CUDA and the Metal shading language all read this header.
 */
#define SET_GPU_OPS(OP)                                                                    \
  OP(order, single, kTrainThreads, OrderParams, OrderBuffers)                              \
  OP(sort_tiles, single, kSortThreads, SortParams, OrderBuffers)                           \
  OP(sort_merge, single, kTrainThreads, SortParams, OrderBuffers)                          \
  OP(gather, single, kTrainThreads, GatherParams, GatherBuffers)                           \
  OP(forward, per_height, kTrainThreads, ForwardParams, ForwardBuffers)                    \
  OP(piecewise, single, kTrainThreads, PiecewiseParams, PiecewiseBuffers)                  \
  OP(dropout, single, kTrainThreads, DropoutParams, DropoutBuffers)                        \
  OP(loss, single, kTrainThreads, LossParams, LossBuffers)                                 \
  OP(evaluate, single, kTrainThreads, EvaluateParams, EvaluateBuffers)                     \
  OP(output, single, kTrainThreads, EvaluateParams, OutputBuffers)                         \
  OP(backward, per_height, kTrainThreads, BackwardParams, BackwardBuffers)                 \
  OP(input_gradient, per_height, kTrainThreads, BackwardParams, InputGradientBuffers)      \
  OP(update_links, per_height, kTrainThreads, BackwardParams, UpdateLinksBuffers)          \
  OP(piecewise_backward, single, kTrainThreads, PiecewiseParams, PiecewiseBackwardBuffers) \
  OP(end_step, single, kTrainThreads, EndStepParams, EndStepBuffers)                       \
  OP(finite, single, kTrainThreads, FiniteParams, FiniteBuffers)                           \
  OP(scan_tiles, single, kEvolveThreads, ScanParams, ScanBuffers)                          \
  OP(scan_add, single, kEvolveThreads, ScanParams, ScanBuffers)                            \
  OP(rank_bits, single, kEvolveThreads, RankParams, RankBuffers)                           \
  OP(check_finite, single, kEvolveThreads, CheckParams, CheckBuffers)                      \
  OP(block_scores, single, kEvolveThreads, ScoreParams, ScoreBuffers)                      \
  OP(count_signs, single, kEvolveThreads, SignParams, SignBuffers)                         \
  OP(count_nearest, single, kEvolveThreads, SignParams, SignBuffers)                       \
  OP(select_histogram, single, kEvolveThreads, SelectParams, SelectHistogramBuffers)       \
  OP(select_digit, single, kEvolveThreads, SelectParams, SelectDigitBuffers)               \
  OP(count_ties, single, kEvolveThreads, MarkParams, TieBuffers)                           \
  OP(mark_pruned, single, kEvolveThreads, MarkParams, MarkBuffers)                         \
  OP(occupy, per_index, kEvolveThreads, OccupyParams, OccupyBuffers)                       \
  OP(propose, single, kEvolveThreads, RoundParams, ProposeBuffers)                         \
  OP(claim, single, kEvolveThreads, RoundParams, ClaimBuffers)                             \
  OP(settle, single, kEvolveThreads, RoundParams, SettleBuffers)                           \
  OP(compact, single, kEvolveThreads, RoundParams, CompactBuffers)                         \
  OP(propose_rest, single, kRestThreads, RoundParams, ProposeRestBuffers)                  \
  OP(transpose_bits, single, kEvolveThreads, TransposeParams, TransposeBuffers)            \
  OP(set_offsets, single, kEvolveThreads, OffsetParams, OffsetBuffers)                     \
  OP(move_kept, per_index, kEvolveThreads, MoveParams, MoveBuffers)                        \
  OP(place_grown, per_index, kEvolveThreads, PlaceParams, PlaceBuffers)                    \
  OP(index_targets, per_index, kEvolveThreads, IndexParams, IndexBuffers)                  \
  OP(grow_weights, single, kEvolveThreads, GrowParams, GrowBuffers)

/** Heights of blocks that kernels are made for; 0 stands for a kernel that takes any height. */
#define SET_GPU_HEIGHTS(HEIGHT, ...) \
  HEIGHT(1, __VA_ARGS__)             \
  HEIGHT(2, __VA_ARGS__)             \
  HEIGHT(4, __VA_ARGS__)             \
  HEIGHT(8, __VA_ARGS__)             \
  HEIGHT(0, __VA_ARGS__)
