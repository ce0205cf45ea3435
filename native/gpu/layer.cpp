#include "gpu/layer.h"

#include <variant>

namespace set_native::gpu {

namespace {

template <class Values>
std::unique_ptr<Buffer> upload(Device& device, const Values& values) {
  const size_t bytes = values.size() * sizeof(values[0]);
  auto buffer = device.allocate(bytes);
  device.upload(*buffer, 0, values.data(), bytes);
  return buffer;
}

template <class Values>
void download(Device& device, const std::unique_ptr<Buffer>& buffer, Values& values) {
  if (buffer == nullptr) return;
  values.resize(buffer->bytes() / sizeof(values[0]));
  device.download(values.data(), *buffer, 0, buffer->bytes());
}

template <class Index>
Blocks<Index> download_blocks(Device& device, const Layer& layer) {
  Blocks<Index> blocks;
  blocks.inputs = layer.inputs;
  blocks.outputs = layer.outputs;
  blocks.height = layer.height;
  download(device, layer.offsets, blocks.offsets);
  download(device, layer.targets, blocks.targets);
  download(device, layer.weights, blocks.weights);
  download(device, layer.velocity, blocks.velocity);
  download(device, layer.birth, blocks.birth);
  download(device, layer.target_offsets, blocks.by_target.offsets);
  download(device, layer.target_groups, blocks.by_target.groups);
  download(device, layer.target_blocks, blocks.by_target.blocks);
  return blocks;
}

}  // namespace

size_t layer_bytes(const PackedLayer& layer) {
  return std::visit(
      [&](const auto& blocks) {
        const size_t size = blocks.size(), index = sizeof(typename std::decay_t<decltype(blocks)>::IndexType);
        const size_t per_link = 2 * sizeof(float) + (layer.dense ? 0 : sizeof(uint16_t));
        return size * (per_link * blocks.height + sizeof(uint32_t) + 2 * index) +
               (size_t{blocks.groups()} + layer.outputs + 2) * sizeof(uint32_t) +
               (layer.bias.size() + layer.bias_velocity.size() + layer.pieces.size() +
                layer.pieces_velocity.size()) *
                   sizeof(float);
      },
      layer.blocks);
}

Layer upload_layer(Device& device, PackedLayer& layer) {
  Layer to;
  to.inputs = layer.inputs;
  to.outputs = layer.outputs;
  to.dense = layer.dense;
  to.activation = layer.activation;
  to.wide = layer.blocks.index() == 1;
  std::visit(
      [&](auto& blocks) {
        if (blocks.by_target.offsets.empty()) blocks.index_targets();
        to.height = blocks.height;
        to.groups = blocks.groups();
        to.blocks = blocks.size();
        to.offsets = upload(device, blocks.offsets);
        to.targets = upload(device, blocks.targets);
        to.weights = upload(device, blocks.weights);
        to.velocity = upload(device, blocks.velocity);
        if (!layer.dense) to.birth = upload(device, blocks.birth);
        to.target_offsets = upload(device, blocks.by_target.offsets);
        to.target_groups = upload(device, blocks.by_target.groups);
        to.target_blocks = upload(device, blocks.by_target.blocks);
      },
      layer.blocks);
  to.bias = upload(device, layer.bias);
  to.bias_velocity = upload(device, layer.bias_velocity);
  if (!layer.pieces.empty()) to.pieces = upload(device, layer.pieces);
  if (!layer.pieces_velocity.empty()) to.pieces_velocity = upload(device, layer.pieces_velocity);
  return to;
}

PackedLayer download_layer(Device& device, const Layer& layer) {
  PackedLayer to;
  to.inputs = layer.inputs;
  to.outputs = layer.outputs;
  to.dense = layer.dense;
  to.activation = layer.activation;
  if (layer.wide)
    to.blocks = download_blocks<uint32_t>(device, layer);
  else
    to.blocks = download_blocks<uint16_t>(device, layer);
  download(device, layer.bias, to.bias);
  download(device, layer.bias_velocity, to.bias_velocity);
  download(device, layer.pieces, to.pieces);
  download(device, layer.pieces_velocity, to.pieces_velocity);
  return to;
}

}  // namespace set_native::gpu
