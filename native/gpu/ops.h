#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "gpu/evolve_params.h"
#include "gpu/op_table.h"
#include "gpu/train_params.h"

/*
 * The operations of a GPU and the kernels that each of them has, as gpu/op_table.h lists them.
 */
namespace set_native::gpu {

enum class Op : uint32_t {
#define SET_OP(name, family, threads, Params, Buffers) name,
  SET_GPU_OPS(SET_OP)
#undef SET_OP
};

/** Which kernels an operation has. */
enum class Family : uint32_t { single, per_index, per_height };

struct OpInfo {
  const char* name;
  Family family;
  uint32_t threads;  // threads per team
  size_t params_bytes;
  size_t buffers;
};

template <class Params, class Buffers>
constexpr OpInfo make_info(const char* name, Family family, uint32_t threads) {
  OpInfo info{};
  info.name = name;
  info.family = family;
  info.threads = threads;
  info.params_bytes = sizeof(Params);
  info.buffers = kBufferCount<Buffers>;
  return info;
}

constexpr OpInfo kOps[] = {
#define SET_OP(name, family, threads, Params, Buffers) \
  make_info<Params, Buffers>(#name, Family::family, threads),
    SET_GPU_OPS(SET_OP)
#undef SET_OP
};
constexpr size_t kOpCount = sizeof kOps / sizeof kOps[0];

constexpr const OpInfo& info_of(Op op) {
  return kOps[static_cast<size_t>(op)];
}

/** Heights that have kernels of their own, and 0 for any height. */
constexpr uint32_t kHeights[] = {
#define SET_HEIGHT(height, unused) height,
    SET_GPU_HEIGHTS(SET_HEIGHT, )
#undef SET_HEIGHT
};

/** One kernel of an operation. Members that its family does not distinguish keep their defaults. */
struct KernelId {
  Op op;
  bool wide = false;    // 32-bit indices instead of 16
  uint32_t height = 0;  // height of the blocks that the kernel is made for; 0: any

  bool operator==(const KernelId& other) const {
    return op == other.op && wide == other.wide && height == other.height;
  }
};

/** Returns the kernel of an operation for layers with indices of that width and blocks of that height. */
inline KernelId kernel_of(Op op, bool wide, uint32_t height = 0) {
  KernelId id{op};
  if (info_of(op).family == Family::single) return id;
  id.wide = wide;
  if (info_of(op).family == Family::per_index) return id;
  for (const uint32_t own : kHeights)
    if (own == height) id.height = height;
  return id;
}

/** Returns the name of a kernel: "order", "occupy_16" (bits of an index), "forward_32_4" (and height). */
inline std::string kernel_name(const KernelId& id) {
  const OpInfo& info = info_of(id.op);
  std::string name = info.name;
  if (info.family != Family::single) name += id.wide ? "_32" : "_16";
  if (info.family == Family::per_height) name += "_" + std::to_string(id.height);
  return name;
}

/** Returns every kernel that the host may ask for. */
inline std::vector<KernelId> all_kernels() {
  std::vector<KernelId> all;
  for (size_t k = 0; k < kOpCount; ++k) {
    const auto op = static_cast<Op>(k);
    const Family family = info_of(op).family;
    for (const bool wide : {false, true}) {
      if (family == Family::single && wide) continue;
      if (family == Family::per_height)
        for (const uint32_t height : kHeights) all.push_back({op, wide, height});
      else
        all.push_back({op, wide});
    }
  }
  return all;
}

}  // namespace set_native::gpu
