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

/** Uploads an array per link or per neuron. Returns null for an array that the layer does not have. */
template <class Values>
std::unique_ptr<Buffer> upload_array(Device& device, const Values& values) {
  return values.empty() ? nullptr : upload(device, values);
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
  for_each_link_array(
      [&](const char*, const auto& buffer, auto& values) { download(device, buffer, values); }, layer,
      blocks);
  download(device, layer.target_offsets, blocks.by_target.offsets);
  download(device, layer.target_groups, blocks.by_target.groups);
  download(device, layer.target_blocks, blocks.by_target.blocks);
  return blocks;
}

}  // namespace

size_t layer_bytes(const PackedLayer& layer) {
  size_t bytes = 0;
  const auto add = [&](const char*, const auto& values) { bytes += values.size() * sizeof(values[0]); };
  for_each_neuron_array(add, layer);
  std::visit(
      [&](const auto& blocks) {
        for_each_link_array(add, blocks);
        // Targets by group, and the view by target (offsets, groups, numbers of blocks), which upload_layer
        // makes where it is missing.
        const size_t index = sizeof(typename std::decay_t<decltype(blocks)>::IndexType);
        bytes += blocks.size() * (2 * index + sizeof(uint32_t)) +
                 (size_t{blocks.groups()} + layer.outputs + 2) * sizeof(uint32_t);
      },
      layer.blocks);
  return bytes;
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
        for_each_link_array(
            [&](const char*, auto& buffer, const auto& values) { buffer = upload_array(device, values); }, to,
            blocks);
        to.target_offsets = upload(device, blocks.by_target.offsets);
        to.target_groups = upload(device, blocks.by_target.groups);
        to.target_blocks = upload(device, blocks.by_target.blocks);
      },
      layer.blocks);
  for_each_neuron_array(
      [&](const char*, auto& buffer, const auto& values) { buffer = upload_array(device, values); }, to,
      layer);
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
  for_each_neuron_array(
      [&](const char*, const auto& buffer, auto& values) { download(device, buffer, values); }, layer, to);
  return to;
}

}  // namespace set_native::gpu
