#pragma once

#include <cstddef>
#include <cstdint>

#include "core/evolution.h"
#include "gpu/device.h"
#include "gpu/evolve_step.h"
#include "gpu/layer.h"

namespace set_native::gpu {

/**
 * Evolution of the layers of one model where they are: on the device. Same definition, same links and
 * weights, bit for bit, as the CPU's and the reference's (core/evolution.h).
 *
 * On the device itself evolve: single links in blocks of height 1 and whole motifs in blocks
 * of motif_size, in buffers that stay where they are (what was recorded with them can be replayed). All else
 * takes the way over the host, where evolve_layer does it: layers whose blocks have another height than
 * the policy needs, half-full slots, runs; and layers so large and sparse that their bitmaps, about 3 bits
 * per group and target, would take more than a quarter of the device's free memory. Such a layer may come
 * back with blocks of another height, in other buffers.
 *
 * Scratch memory, kept between calls up to kKept bytes, beside the bitmaps and for K replaced blocks: 12 K
 * bytes, and the larger of a copy of the layer's blocks (index + 10 height bytes each) and 16 to 24 K bytes.
 * It is allocated before anything changes: when it, or the host's memory, runs out, the layer is as it was.
 */
class Evolution {
 public:
  explicit Evolution(Device& device);

  /**
   * What precedes every evolution, changing nothing: checks policy and key (out_of_range) and that all
   * weights are finite (non_finite, naming the link). False: nothing to do (dense layer, no
   * links).
   */
  bool begin(const Layer& layer, const EvolutionPolicy& policy, const EvolutionKey& key);

  /**
   * One evolution in place. Requires that `begin` was true. On the device about 30 kernels and two to five
   * looks from the host. Throws out_of_memory where the device lacks room for the scratch memory.
   */
  LayerEvolution run(Layer& layer, const EvolutionPolicy& policy, const EvolutionKey& key);

 private:
  static constexpr size_t kKept = size_t{256} << 20;

  bool is_for_device(const Layer& layer, const EvolutionPolicy& policy) const;
  void prepare_bounds(uint32_t inputs);
  LayerEvolution run_on_host(Layer& layer, const EvolutionPolicy& policy, const EvolutionKey& key);

  Device& device_;
  EvolutionMemory memory_;
};

}  // namespace set_native::gpu
