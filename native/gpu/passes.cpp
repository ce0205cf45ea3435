#include "gpu/passes.h"

#include <algorithm>
#include <cstring>

#include "core/philox.h"
#include "gpu/dropout.h"

namespace set_native::gpu {

namespace {

/** Returns ceil(items / unit), at least 1. */
uint32_t share(uint64_t items, uint32_t unit) {
  return static_cast<uint32_t>(std::max<uint64_t>(1, (items + unit - 1) / unit));
}

KernelId kernel_for(Op op, const Layer& layer) {
  return kernel_of(op, layer.wide, layer.height);
}

/**
 * Returns how many warps share a row that has blocks / rows blocks on average: few enough to keep each busy.
 */
uint32_t warps_for(uint32_t blocks, uint32_t rows, uint32_t stride) {
  constexpr double kTurns = 16.0;  // turns of a warp from which on another one pays
  const uint32_t width = std::min(stride / 4, 32u), slots = 32 / width;
  const double turns = static_cast<double>(blocks) / rows / slots;
  uint32_t warps = 1;
  while (warps < kTrainWarps && turns > kTurns * warps) warps *= 2;
  return warps;
}

/** Returns the parts of a row that teams take: kPassStride floats each. */
uint32_t tiles(uint32_t stride) {
  return share(stride, kPassStride);
}

ForwardParams forward_params(const Network& network, size_t l, uint32_t stride) {
  const Layer& layer = network.layers[l];
  ForwardParams params{};
  params.outputs = layer.outputs;
  params.stride = stride;
  params.height = layer.height;
  params.activation = pointwise(layer.activation);
  params.warps = warps_for(layer.blocks, layer.outputs, stride);
  return params;
}

BackwardParams backward_params(const Network& network, size_t l, uint32_t stride, const Dropout& dropout) {
  const Layer& layer = network.layers[l];
  BackwardParams params{};
  params.inputs = layer.inputs;
  params.groups = layer.groups;
  params.stride = stride;
  params.height = layer.height;
  params.warps = warps_for(layer.blocks, layer.groups, stride);
  params.wants_dx = l > 0;
  params.activation = l > 0 ? pointwise(network.layers[l - 1].activation) : Activation::linear;
  params.keep = dropout.keep;
  params.gain = dropout.gain;
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
  const OrderBuffers buffers{draws, order};
  OrderParams params{};
  params.key = draw_key(seed, Stream::shuffle, 0, epoch);
  params.count = count;
  params.size = size;
  device.dispatch({{Op::order}, std::min(size / kTrainThreads, 1024u)}, params, buffers);
  // Sort tiles, then merge them: steps over longer distances one by one, the others within tiles.
  const auto sort_in_tiles = [&](uint32_t first, uint32_t last) {
    constexpr size_t kShared = kSortTile * (sizeof(uint64_t) + sizeof(uint32_t));
    device.dispatch({{Op::sort_tiles}, tiles, 1, kShared}, SortParams{size, first, last, 0}, buffers);
  };
  sort_in_tiles(2, kSortTile);
  for (uint64_t stage = 2 * kSortTile; stage <= size; stage *= 2) {
    const auto s = static_cast<uint32_t>(stage);
    for (uint32_t distance = s / 2; distance >= kSortTile; distance /= 2)
      device.dispatch({{Op::sort_merge}, size / 2 / kTrainThreads}, SortParams{size, s, s, distance},
                      buffers);
    sort_in_tiles(s, s);
  }
}

void queue_gather(Device& device, const GatherParams& params, const GatherBuffers& buffers) {
  constexpr uint32_t kTile = 32;
  constexpr size_t kShared = size_t{kTile} * (kTile + 1) * sizeof(float);
  device.dispatch({{Op::gather}, share(params.features, kTile), 1, kShared}, params, buffers);
}

void queue_forward(Device& device, const Network& network, size_t l, Binding state, const Buffer& x,
                   const Buffer& z, const Buffer* pre_activation, uint32_t stride) {
  const Layer& layer = network.layers[l];
  const ForwardParams params = forward_params(network, l, stride);
  ForwardBuffers buffers;
  buffers.state = state;
  buffers.target_offsets = layer.target_offsets;
  buffers.target_groups = layer.target_groups;
  buffers.target_blocks = layer.target_blocks;
  buffers.weights = layer.weights;
  buffers.bias = layer.bias;
  buffers.x = x;
  buffers.z = z;
  const uint32_t teams = share(layer.outputs, kTrainWarps / params.warps);
  const size_t shared = params.warps > 1 ? kTrainThreads * kFloat4 : 0;
  device.dispatch({kernel_for(Op::forward, layer), teams, tiles(stride), shared}, params, buffers);
  if (!is_piecewise(layer.activation)) return;
  device.dispatch({{Op::piecewise}, share(layer.outputs, kTrainWarps)},
                  PiecewiseParams{layer.outputs, stride},
                  PiecewiseBuffers{state, layer.pieces, z, pre_activation});
}

void queue_dropout(Device& device, const Network& network, size_t l, Binding state, const Buffer& z,
                   uint32_t stride, const Dropout& dropout) {
  DropoutParams params{};
  params.key = draw_key(network.seed, Stream::dropout, static_cast<uint32_t>(l), 0);
  params.outputs = network.layers[l].outputs;
  params.stride = stride;
  params.threshold = dropout.threshold;
  params.gain = dropout.gain;
  const uint64_t threads = uint64_t{share(params.outputs, kDropoutNeurons)} * stride;
  device.dispatch({{Op::dropout}, share(threads, kTrainThreads)}, params, DropoutBuffers{state, z});
}

void queue_loss(Device& device, const Network& network, uint32_t stride, const LossBuffers& buffers) {
  device.dispatch({{Op::loss}, 1, 1, kTrainThreads * sizeof(double)},
                  LossParams{network.outputs(), stride, network.loss}, buffers);
}

void queue_backward(Device& device, Network& network, size_t l, Binding state, const Buffer& x,
                    const Buffer& dz, const Buffer* dx, uint32_t stride, const Dropout& dropout) {
  const Layer& layer = network.layers[l];
  const BackwardParams params = backward_params(network, l, stride, dropout);
  const uint32_t teams = share(layer.groups, kTrainWarps / params.warps);
  const uint32_t rows = kernel_for(Op::backward, layer).height;
  const size_t shared = params.warps > 1 ? kTrainThreads * kFloat4 * (rows > 0 ? rows : kChunk) : 0;
  // Biases of the layer below, unless piecewise_backward updates them.
  Binding bias, bias_velocity, bias_second_moment;
  if (l > 0 && !is_piecewise(network.layers[l - 1].activation)) {
    bias = network.layers[l - 1].bias;
    bias_velocity = network.layers[l - 1].bias_velocity;
    bias_second_moment = network.layers[l - 1].bias_second_moment;
  }

  // Short rows: one pass.
  if (stride <= kPassStride) {
    BackwardBuffers buffers;
    buffers.state = state;
    buffers.offsets = layer.offsets;
    buffers.targets = layer.targets;
    buffers.weights = layer.weights;
    buffers.velocity = layer.velocity;
    buffers.second_moment = layer.second_moment;
    buffers.x = x;
    buffers.dz = dz;
    buffers.bias = bias;
    buffers.bias_velocity = bias_velocity;
    buffers.bias_second_moment = bias_second_moment;
    device.dispatch({kernel_for(Op::backward, layer), teams, 1, shared}, params, buffers);
    return;
  }

  // Long rows: first the gradient, then the updates.
  if (l > 0) {
    InputGradientBuffers buffers;
    buffers.state = state;
    buffers.offsets = layer.offsets;
    buffers.targets = layer.targets;
    buffers.weights = layer.weights;
    buffers.x = x;
    buffers.dz = dz;
    buffers.dx = dx;
    device.dispatch({kernel_for(Op::input_gradient, layer), teams, tiles(stride), shared}, params, buffers);
  }
  UpdateLinksBuffers buffers;
  buffers.state = state;
  buffers.offsets = layer.offsets;
  buffers.targets = layer.targets;
  buffers.weights = layer.weights;
  buffers.velocity = layer.velocity;
  buffers.second_moment = layer.second_moment;
  buffers.x = x;
  buffers.dz = dz;
  buffers.dx = dx;
  buffers.bias = bias;
  buffers.bias_velocity = bias_velocity;
  buffers.bias_second_moment = bias_second_moment;
  device.dispatch({kernel_for(Op::update_links, layer), teams}, params, buffers);
}

void queue_piecewise_backward(Device& device, Network& network, size_t l, Binding state,
                              const Buffer& pre_activation, const Buffer& dy, uint32_t stride) {
  const Layer& layer = network.layers[l];
  PiecewiseBackwardBuffers buffers;
  buffers.state = state;
  buffers.pre_activation = pre_activation;
  buffers.dy = dy;
  buffers.pieces = layer.pieces;
  buffers.pieces_velocity = layer.pieces_velocity;
  buffers.pieces_second_moment = layer.pieces_second_moment;
  buffers.bias = layer.bias;
  buffers.bias_velocity = layer.bias_velocity;
  buffers.bias_second_moment = layer.bias_second_moment;
  device.dispatch({{Op::piecewise_backward}, share(layer.outputs, kTrainWarps)},
                  PiecewiseParams{layer.outputs, stride}, buffers);
}

}  // namespace set_native::gpu
