#include "gpu/passes.h"

#include <algorithm>
#include <cstring>

#include "core/philox.h"

namespace set_native::gpu {

namespace {

uint32_t share(uint64_t items, uint32_t unit) {
  return static_cast<uint32_t>(std::max<uint64_t>(1, (items + unit - 1) / unit));
}

KernelId kernel_for(Op op, const Layer& layer) {
  return kernel_of(op, layer.wide, layer.height);
}

/** Warps that share a row of so many blocks on average: few enough that each has some to do. */
uint32_t warps_for(uint32_t blocks, uint32_t rows, uint32_t stride) {
  constexpr double kTurns = 16.0;  // of a warp, before another pays
  const uint32_t width = std::min(stride / 4, 32u), slots = 32 / width;
  const double turns = static_cast<double>(blocks) / rows / slots;
  uint32_t warps = 1;
  while (warps < kTrainWarps && turns > kTurns * warps) warps *= 2;
  return warps;
}

uint32_t tiles(uint32_t stride) {
  return share(stride, kPassStride);
}

ForwardParams forward_params(const Network& network, size_t l, uint32_t stride) {
  const Layer& layer = network.layers[l];
  ForwardParams params{};
  params.outputs = layer.outputs;
  params.stride = stride;
  params.height = layer.height;
  params.activation = static_cast<uint32_t>(pointwise(layer.activation));
  params.warps = warps_for(layer.blocks, layer.outputs, stride);
  return params;
}

BackwardParams backward_params(const Network& network, size_t l, uint32_t stride) {
  const Layer& layer = network.layers[l];
  BackwardParams params{};
  params.inputs = layer.inputs;
  params.groups = layer.groups;
  params.stride = stride;
  params.height = layer.height;
  params.warps = warps_for(layer.blocks, layer.groups, stride);
  params.wants_dx = l > 0;
  if (l > 0) params.activation = static_cast<uint32_t>(pointwise(network.layers[l - 1].activation));
  return params;
}

constexpr size_t kFloat4 = 4 * sizeof(float);

}  // namespace

double value_of(const Device& device, const LossSum& sum) {
  static_assert(sizeof(LossSum) == sizeof(double) && sizeof(LossSum) == 2 * sizeof(float), "");
  if (device.has_doubles()) {
    double value;
    std::memcpy(&value, &sum, sizeof value);
    return value;
  }
  float parts[2];
  std::memcpy(parts, &sum, sizeof parts);
  return static_cast<double>(parts[0]) + parts[1];
}

uint32_t Network::rows_below(size_t l) const {
  const uint32_t below = l == 0 ? 0 : layers[l - 1].outputs;
  const uint32_t above = l == layers.size() ? 0 : layers[l].input_rows();
  return std::max(below, above);
}

uint32_t order_size(uint64_t count) {
  uint32_t size = kSortTile;
  while (size < count) size *= 2;
  return size;
}

void queue_order(Device& device, uint64_t seed, uint32_t epoch, uint32_t count, const Buffer& draws,
                 const Buffer& order) {
  const uint32_t size = order_size(count), tiles = size / kSortTile;
  OrderParams params{};
  params.key = draw_key(seed, static_cast<uint32_t>(Stream::shuffle), 0, epoch);
  params.count = count;
  params.size = size;
  device.dispatch({{Op::order}, std::min(size / kTrainThreads, 1024u)}, {{&draws}, {&order}}, params);
  const auto sort_in_tiles = [&](uint32_t first, uint32_t last) {
    constexpr size_t kShared = kSortTile * (sizeof(uint64_t) + sizeof(uint32_t));
    device.dispatch({{Op::sort_tiles}, tiles, 1, kShared}, {{&draws}, {&order}},
                    SortParams{size, first, last, 0});
  };
  sort_in_tiles(2, kSortTile);
  for (uint64_t stage = 2 * kSortTile; stage <= size; stage *= 2) {
    const auto s = static_cast<uint32_t>(stage);
    for (uint32_t distance = s / 2; distance >= kSortTile; distance /= 2)
      device.dispatch({{Op::sort_merge}, size / 2 / kTrainThreads}, {{&draws}, {&order}},
                      SortParams{size, s, s, distance});
    sort_in_tiles(s, s);
  }
}

void queue_gather(Device& device, const Network& network, Binding state, Binding data, Binding order,
                  const GatherParams& params, const Buffer& x) {
  constexpr uint32_t kTile = 32;
  device.dispatch(
      {{Op::gather}, share(network.features(), kTile), 1, size_t{kTile} * (kTile + 1) * sizeof(float)},
      {state, data, order, {&x}}, params);
}

void queue_forward(Device& device, const Network& network, size_t l, Binding state, const Buffer& x,
                   const Buffer& z, const Buffer* pre_activation, uint32_t stride) {
  const Layer& layer = network.layers[l];
  const ForwardParams params = forward_params(network, l, stride);
  device.dispatch({kernel_for(Op::forward, layer), share(layer.outputs, kTrainWarps / params.warps),
                   tiles(stride), params.warps > 1 ? kTrainThreads * kFloat4 : 0},
                  {state,
                   {layer.target_offsets.get()},
                   {layer.target_groups.get()},
                   {layer.target_blocks.get()},
                   {layer.weights.get()},
                   {layer.bias.get()},
                   {&x},
                   {&z}},
                  params);
  if (!is_piecewise(layer.activation)) return;
  device.dispatch({{Op::piecewise}, share(layer.outputs, kTrainWarps)},
                  {state, {layer.pieces.get()}, {&z}, {pre_activation}},
                  PiecewiseParams{layer.outputs, stride});
}

void queue_loss(Device& device, const Network& network, Binding state, Binding order, Binding labels,
                Binding targets, const Buffer& z, const Buffer& dz, uint32_t stride) {
  device.dispatch({{Op::loss}, 1, 1, kTrainThreads * sizeof(double)},
                  {state, order, labels, targets, {&z}, {&dz}},
                  LossParams{network.outputs(), stride, static_cast<uint32_t>(network.loss)});
}

void queue_backward(Device& device, Network& network, size_t l, Binding state, const Buffer& x,
                    const Buffer& dz, const Buffer* dx, uint32_t stride) {
  Layer& layer = network.layers[l];
  const BackwardParams params = backward_params(network, l, stride);
  Binding bias, bias_velocity;
  if (l > 0) {
    Layer& below = network.layers[l - 1];
    if (!is_piecewise(below.activation)) {
      bias = {below.bias.get()};
      bias_velocity = {below.bias_velocity.get()};
    }
  }
  const uint32_t teams = share(layer.groups, kTrainWarps / params.warps);
  const uint32_t rows = kernel_for(Op::backward, layer).height;
  const size_t shared = params.warps > 1 ? kTrainThreads * kFloat4 * (rows > 0 ? rows : kChunk) : 0;
  const Binding offsets{layer.offsets.get()}, targets{layer.targets.get()}, weights{layer.weights.get()},
      velocity{layer.velocity.get()};
  if (stride <= kPassStride) {
    device.dispatch({kernel_for(Op::backward, layer), teams, 1, shared},
                    {state, offsets, targets, weights, velocity, {&x}, {&dz}, bias, bias_velocity}, params);
    return;
  }
  if (l > 0)
    device.dispatch({kernel_for(Op::input_gradient, layer), teams, tiles(stride), shared},
                    {state, offsets, targets, weights, {&x}, {&dz}, {dx}}, params);
  device.dispatch({kernel_for(Op::update_links, layer), teams},
                  {state, offsets, targets, weights, velocity, {&x}, {&dz}, {dx}, bias, bias_velocity},
                  params);
}

void queue_piecewise_backward(Device& device, Network& network, size_t l, Binding state,
                              const Buffer& pre_activation, const Buffer& dy, uint32_t stride) {
  Layer& layer = network.layers[l];
  device.dispatch({{Op::piecewise_backward}, share(layer.outputs, kTrainWarps)},
                  {state,
                   {&pre_activation},
                   {&dy},
                   {layer.pieces.get()},
                   {layer.pieces_velocity.get()},
                   {layer.bias.get()},
                   {layer.bias_velocity.get()}},
                  PiecewiseParams{layer.outputs, stride});
}

}  // namespace set_native::gpu
