#pragma once

#include <cstdint>

#include "cuda/cells.cuh"
#include "cuda/kernel_list.h"
#include "cuda/propose.cuh"
#include "cuda/rebuild.cuh"
#include "cuda/scan.cuh"
#include "cuda/select.cuh"
#include "cuda/target_index.cuh"
#include "gpu/ops.h"

namespace set_native::cuda {

/** Instances of the kernels of evolution that read or write indices. */
template <class Index>
void add_index_kernels(KernelList& list, bool wide) {
  using gpu::Op;
  list.add({Op::occupy, wide}, &occupy<Index>);
  list.add({Op::move_kept, wide}, &move_kept<Index>);
  list.add({Op::place_grown, wide}, &place_grown<Index>);
  list.add({Op::index_targets, wide}, &index_targets<Index>);
}

/** Instances of the kernels of evolution. */
inline void add_evolution_kernels(KernelList& list) {
  using gpu::Op;
  list.add({Op::scan_tiles}, &scan_tiles);
  list.add({Op::scan_add}, &scan_add);
  list.add({Op::rank_bits}, &rank_bits);
  list.add({Op::check_finite}, &check_finite);
  list.add({Op::block_scores}, &block_scores);
  list.add({Op::count_signs}, &count_signs);
  list.add({Op::count_nearest}, &count_nearest);
  list.add({Op::select_histogram}, &select_histogram);
  list.add({Op::select_digit}, &select_digit);
  list.add({Op::count_ties}, &count_ties);
  list.add({Op::mark_pruned}, &mark_pruned);
  list.add({Op::propose}, &propose);
  list.add({Op::claim}, &claim);
  list.add({Op::settle}, &settle);
  list.add({Op::compact}, &compact);
  list.add({Op::propose_rest}, &propose_rest);
  list.add({Op::transpose_bits}, &transpose_bits);
  list.add({Op::set_offsets}, &set_offsets);
  list.add({Op::grow_weights}, &grow_weights);
  add_index_kernels<uint16_t>(list, false);
  add_index_kernels<uint32_t>(list, true);
}

}  // namespace set_native::cuda
