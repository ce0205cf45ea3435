#include "gpu/op_table.h"

/*
 * Instances of the kernels that are templates, with the names that the host asks for (gpu/ops.h,
 * kernel_name). metal/embed.js puts this file behind all others.
 */
#define SET_INSTANCE(op, name, ...) \
  template [[host_name(name)]] kernel decltype(op<__VA_ARGS__>) op<__VA_ARGS__>;

#define SET_INSTANCES_single(op)

#define SET_INSTANCES_per_index(op)     \
  SET_INSTANCE(op, #op "_16", uint16_t) \
  SET_INSTANCE(op, #op "_32", uint32_t)

#define SET_INSTANCE_OF_HEIGHT(height, op, bits, Index) \
  SET_INSTANCE(op, #op "_" #bits "_" #height, Index, height)
#define SET_INSTANCES_per_height(op)                        \
  SET_GPU_HEIGHTS(SET_INSTANCE_OF_HEIGHT, op, 16, uint16_t) \
  SET_GPU_HEIGHTS(SET_INSTANCE_OF_HEIGHT, op, 32, uint32_t)

#define SET_INSTANCES(op, family, threads, Params, Buffers) SET_INSTANCES_##family(op)

SET_GPU_OPS(SET_INSTANCES)
