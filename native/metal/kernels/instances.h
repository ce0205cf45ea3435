#pragma once

/*
 * Instances of kernels that are templates, under the names that the host looks for: <op>_<bits of an index>,
 * and for kernels that walk blocks of links <op>_<bits>_<height>, where height 0 stands for any.
 */
#define SET_INSTANCE(op, name, ...) \
  template [[host_name(name)]] kernel decltype(op<__VA_ARGS__>) op<__VA_ARGS__>;

#define SET_INDEX_INSTANCES(op)         \
  SET_INSTANCE(op, #op "_16", uint16_t) \
  SET_INSTANCE(op, #op "_32", uint32_t)

#define SET_HEIGHT_INSTANCES(op, bits, Index)    \
  SET_INSTANCE(op, #op "_" #bits "_1", Index, 1) \
  SET_INSTANCE(op, #op "_" #bits "_2", Index, 2) \
  SET_INSTANCE(op, #op "_" #bits "_4", Index, 4) \
  SET_INSTANCE(op, #op "_" #bits "_8", Index, 8) \
  SET_INSTANCE(op, #op "_" #bits "_0", Index, 0)

#define SET_LAYER_INSTANCES(op)          \
  SET_HEIGHT_INSTANCES(op, 16, uint16_t) \
  SET_HEIGHT_INSTANCES(op, 32, uint32_t)

/** A buffer argument that may be missing: null unless bit `index` of `given` is set. */
#define SET_GIVEN(given, index, buffer) (((given) >> (index) & 1u) != 0 ? (buffer) : nullptr)
