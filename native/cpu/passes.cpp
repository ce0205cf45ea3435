#include "cpu/passes.h"

#include <algorithm>

#include "cpu/shuffle.h"

namespace set_native::cpu {

Cut whole_cut(const PackedLayer& layer) {
  return std::visit([](const auto& b) { return Cut{b.offsets.data(), b.offsets.data() + 1}; }, layer.blocks);
}

void forward_rows(const KernelTable& table, const PackedNetwork& network, size_t l, const Cut& cut,
                  const float* weights, const float* x, float* z, size_t stride, size_t begin, size_t end,
                  float* pre_activation) {
  std::visit(
      [&](const auto& blocks) {
        using Index = typename std::decay_t<decltype(blocks)>::IndexType;
        sparse_kernels<Index>(table).forward(forward_op(network, l, blocks, cut, weights, x, z, stride),
                                             begin, end);
      },
      network.layers[l].blocks);
  piecewise_rows(table, network, l, z, pre_activation, stride, begin, end);
}

void dot_rows(const KernelTable& table, const PackedNetwork& network, size_t l, const AnyTargetRows& rows,
              const float* x, float* z) {
  const PackedLayer& layer = network.layers[l];
  std::visit(
      [&](const auto& r) {
        using Index = typename std::decay_t<decltype(r.sources)>::value_type;
        Dot<Index> op{};
        op.targets = r.targets.data();
        op.lengths = r.lengths.data();
        op.sources = r.sources.data();
        op.weights = r.weights.data();
        op.bias = layer.bias.data();
        op.x = x;
        op.z = z;
        op.outputs = layer.outputs;
        op.activation = pointwise(layer.activation);
        sparse_kernels<Index>(table).dot(op);
      },
      rows);
  piecewise_rows(table, network, l, z, nullptr, 1, 0, layer.outputs);
}

void piecewise_rows(const KernelTable& table, const PackedNetwork& network, size_t l, float* z,
                    float* pre_activation, size_t stride, size_t begin, size_t end) {
  const PackedLayer& layer = network.layers[l];
  if (!is_piecewise(layer.activation)) return;
  Piecewise op{};
  op.pieces = layer.pieces.data();
  op.z = z;
  op.pre_activation = pre_activation;
  op.outputs = layer.outputs;
  op.stride = stride;
  table.piecewise(op, begin, end);
}

namespace {

constexpr size_t kTile = 4;
typedef float Float4 __attribute__((vector_size(16), may_alias, aligned(4)));

/** Transposes a tile: row f becomes feature `feature` + f of the four samples p[0 .. 3], for f = 0 .. 3. */
void transpose(const float* const* p, size_t feature, float* row, size_t stride) {
  const auto load = [&](size_t s) { return *reinterpret_cast<const Float4*>(p[s] + feature); };
  const Float4 a = load(0), b = load(1), c = load(2), d = load(3);
  const Float4 ab_low = SET_SHUFFLE(a, b, 0, 4, 1, 5), ab_high = SET_SHUFFLE(a, b, 2, 6, 3, 7);
  const Float4 cd_low = SET_SHUFFLE(c, d, 0, 4, 1, 5), cd_high = SET_SHUFFLE(c, d, 2, 6, 3, 7);
  const auto put = [&](size_t f, Float4 v) { *reinterpret_cast<Float4*>(row + f * stride) = v; };
  put(0, SET_SHUFFLE(ab_low, cd_low, 0, 1, 4, 5));
  put(1, SET_SHUFFLE(ab_low, cd_low, 2, 3, 6, 7));
  put(2, SET_SHUFFLE(ab_high, cd_high, 0, 1, 4, 5));
  put(3, SET_SHUFFLE(ab_high, cd_high, 2, 3, 6, 7));
}

}  // namespace

void gather(const Samples& samples, const uint32_t* order, uint64_t first, size_t batch, float* x,
            size_t stride, size_t begin, size_t end) {
  // Zero the padding columns.
  for (size_t f = begin; f < end && batch < stride; ++f)
    std::fill(x + f * stride + batch, x + (f + 1) * stride, 0.0f);
  // Copy four samples at a time, in tiles of four features and then feature by feature.
  for (size_t b = 0; b < batch; b += kTile) {
    const size_t count = std::min(kTile, batch - b);
    const float* sample[kTile];
    for (size_t s = 0; s < count; ++s) {
      const uint64_t number = first + b + s;
      sample[s] = samples.x + (order != nullptr ? order[number] : number) * samples.features;
    }
    size_t f = begin;
    for (; count == kTile && f + kTile <= end; f += kTile) transpose(sample, f, x + f * stride + b, stride);
    for (; f < end; ++f)
      for (size_t s = 0; s < count; ++s) x[f * stride + b + s] = sample[s][f];
  }
}

}  // namespace set_native::cpu
