#pragma once

#include <cstddef>
#include <cstdint>

namespace set_native::gpu {

/*
 * The kernels that every GPU back end has, one entry per operation. What a kernel takes, its parameters and
 * buffers in their order, stands beside its parameter structure in train_params.h and evolve_params.h.
 */
enum class Op : uint32_t {
  // Training and inference.
  order,
  sort_tiles,
  sort_merge,
  gather,
  forward,
  piecewise,
  loss,
  evaluate,
  output,
  backward,
  input_gradient,
  update_links,
  piecewise_backward,
  end_step,
  finite,
  // Evolution.
  scan_tiles,
  scan_add,
  rank_bits,
  check_finite,
  block_scores,
  count_signs,
  count_nearest,
  select_histogram,
  select_digit,
  count_ties,
  mark_pruned,
  occupy,
  propose,
  claim,
  settle,
  compact,
  propose_rest,
  transpose_bits,
  set_offsets,
  move_kept,
  place_grown,
  index_targets,
  grow_weights,
};

/** The name of an operation: that of its kernel. */
inline const char* op_name(Op op) {
  static constexpr const char* kNames[] = {
      "order",
      "sort_tiles",
      "sort_merge",
      "gather",
      "forward",
      "piecewise",
      "loss",
      "evaluate",
      "output",
      "backward",
      "input_gradient",
      "update_links",
      "piecewise_backward",
      "end_step",
      "finite",
      "scan_tiles",
      "scan_add",
      "rank_bits",
      "check_finite",
      "block_scores",
      "count_signs",
      "count_nearest",
      "select_histogram",
      "select_digit",
      "count_ties",
      "mark_pruned",
      "occupy",
      "propose",
      "claim",
      "settle",
      "compact",
      "propose_rest",
      "transpose_bits",
      "set_offsets",
      "move_kept",
      "place_grown",
      "index_targets",
      "grow_weights",
  };
  static_assert(sizeof kNames / sizeof kNames[0] == static_cast<size_t>(Op::grow_weights) + 1,
                "one name per operation");
  return kNames[static_cast<size_t>(op)];
}

/** Which of an operation's instances: the width of a layer's indices and the height of its blocks. */
struct KernelId {
  Op op;
  bool wide = false;    // 32-bit indices instead of 16
  uint32_t height = 0;  // of the blocks, where the kernel is made for one; else 0
};

}  // namespace set_native::gpu
