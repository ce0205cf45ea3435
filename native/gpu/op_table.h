#pragma once

/*
 * The operations of a GPU, one line for each. Host code, CUDA and Metal derive from this table all that they
 * need to know of them: numbers, names, instances of kernels, shapes of launches.
 *
 *   OP(name, family, threads)
 *
 *   name     the operation and its kernel
 *   family   which kernels it has: `single` one, `per_index` one for each width of indices, `per_height` one
 *            for each width of indices and each height of blocks in SET_GPU_HEIGHTS
 *   threads  of a team, in every launch of it
 *
 * C++, CUDA and the Metal shading language all read this header.
 */
#define SET_GPU_OPS(OP)                         \
  OP(order, single, kTrainThreads)              \
  OP(sort_tiles, single, kSortThreads)          \
  OP(sort_merge, single, kTrainThreads)         \
  OP(gather, single, kTrainThreads)             \
  OP(forward, per_height, kTrainThreads)        \
  OP(piecewise, single, kTrainThreads)          \
  OP(loss, single, kTrainThreads)               \
  OP(evaluate, single, kTrainThreads)           \
  OP(output, single, kTrainThreads)             \
  OP(backward, per_height, kTrainThreads)       \
  OP(input_gradient, per_height, kTrainThreads) \
  OP(update_links, per_height, kTrainThreads)   \
  OP(piecewise_backward, single, kTrainThreads) \
  OP(end_step, single, kTrainThreads)           \
  OP(finite, single, kTrainThreads)             \
  OP(scan_tiles, single, kEvolveThreads)        \
  OP(scan_add, single, kEvolveThreads)          \
  OP(rank_bits, single, kEvolveThreads)         \
  OP(check_finite, single, kEvolveThreads)      \
  OP(block_scores, single, kEvolveThreads)      \
  OP(count_signs, single, kEvolveThreads)       \
  OP(count_nearest, single, kEvolveThreads)     \
  OP(select_histogram, single, kEvolveThreads)  \
  OP(select_digit, single, kEvolveThreads)      \
  OP(count_ties, single, kEvolveThreads)        \
  OP(mark_pruned, single, kEvolveThreads)       \
  OP(occupy, per_index, kEvolveThreads)         \
  OP(propose, single, kEvolveThreads)           \
  OP(claim, single, kEvolveThreads)             \
  OP(settle, single, kEvolveThreads)            \
  OP(compact, single, kEvolveThreads)           \
  OP(propose_rest, single, kRestThreads)        \
  OP(transpose_bits, single, kEvolveThreads)    \
  OP(set_offsets, single, kEvolveThreads)       \
  OP(move_kept, per_index, kEvolveThreads)      \
  OP(place_grown, per_index, kEvolveThreads)    \
  OP(index_targets, per_index, kEvolveThreads)  \
  OP(grow_weights, single, kEvolveThreads)

/** Heights of blocks that kernels are made for; 0: a kernel for any height. */
#define SET_GPU_HEIGHTS(HEIGHT, ...) \
  HEIGHT(1, __VA_ARGS__)             \
  HEIGHT(2, __VA_ARGS__)             \
  HEIGHT(4, __VA_ARGS__)             \
  HEIGHT(8, __VA_ARGS__)             \
  HEIGHT(0, __VA_ARGS__)
