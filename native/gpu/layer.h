#pragma once

#include <cstdint>
#include <memory>

#include "core/model.h"
#include "gpu/device.h"
#include "layout/network.h"

namespace set_native::gpu {

/** An array of T on a device; null where a layer on the host has an empty one. */
template <class T>
using DeviceArray = std::unique_ptr<Buffer>;

/**
 * A layer in the memory of a device. It holds what PackedLayer holds (layout/blocks.h), and dense layers have
 * a view by target, too. Index has 16 bits where the layer has at most 65,536 sources and targets, else 32
 * (`wide`).
 *
 * A block of `height` links takes 10 height + 4 + 2 sizeof(Index) bytes, in dense layers 8 height + 4 + 2
 * sizeof(Index). That is 18 (22) per single link, 14 (16) per link in motifs of two, and 9 (9.5) per cell of
 * a dense layer in blocks of eight. A target takes 12 bytes, with learned pieces 44; a group of sources 4.
 */
struct Layer : LinkArrays<DeviceArray>, NeuronArrays<DeviceArray> {
  uint32_t inputs = 0;   // n
  uint32_t outputs = 0;  // m
  uint32_t height = 1;   // sources per block
  uint32_t groups = 0;   // groups of sources: ceil(n / height)
  uint32_t blocks = 0;
  bool wide = false;
  bool dense = false;
  Activation activation = Activation::relu;

  std::unique_ptr<Buffer> offsets;         // u32[groups + 1]
  std::unique_ptr<Buffer> targets;         // Index[blocks]
  std::unique_ptr<Buffer> target_offsets;  // u32[m + 1]
  std::unique_ptr<Buffer> target_groups;   // Index[blocks]
  std::unique_ptr<Buffer> target_blocks;   // u32[blocks]

  /** Returns the rows of the layer's input matrix: its sources, rounded up to whole groups. */
  uint32_t input_rows() const { return groups * height; }
};

/** Returns the bytes that a layer takes on a device. */
size_t layer_bytes(const PackedLayer& layer);

/** Returns a copy on the device. Blocks without a view by target get one first. */
Layer upload_layer(Device& device, PackedLayer& layer);

/** Returns a copy on the host, with the view by target. Waits for the device. */
PackedLayer download_layer(Device& device, const Layer& layer);

}  // namespace set_native::gpu
