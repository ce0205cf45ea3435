#pragma once

#include <cstddef>
#include <cstdint>

#include "core/evolution.h"
#include "gpu/device.h"
#include "gpu/evolve_step.h"
#include "gpu/layer.h"

namespace set_native::gpu {

/**
 * Evolution of the layers of one model on their device. It gives the same links and weights, bit for bit, as
 * the CPU and the reference (core/evolution.h defines them).
 *
 * The device evolves single links in blocks of height 1 and whole motifs in blocks of motif_size. The layer's
 * buffers stay, so that recordings of them can be replayed. The host evolves all other layers with
 * evolve_layer: by a policy that does not grow at random; those whose blocks have another height than the
 * policy needs, half-full slots, runs; and layers so large and sparse that their bitmaps, about 3 bits per
 * group and target, would take more than a quarter of the device's free memory. Such a layer may return with
 * blocks of another height, in new buffers.
 *
 * Scratch memory beside the bitmaps, for K replaced blocks: 12 K bytes, and the larger of a copy of the
 * layer's blocks (index + 10 height bytes each) and 16 to 24 K bytes. Up to kKept bytes are kept between
 * calls. The memory is allocated before anything changes: when it, or the host's memory, runs out, the layer
 * is as it was.
 */
class Evolution {
 public:
  explicit Evolution(Device& device);

  /**
   * Checks, before every evolution, policy and key (throws out_of_range) and that all weights are finite
   * (throws non_finite, naming the link). Returns false if there is nothing to do (dense layer, no links).
   * Changes nothing.
   */
  bool begin(const Layer& layer, const EvolutionPolicy& policy, const EvolutionKey& key);

  /**
   * Evolves a layer once, in place. Requires that `begin` returned true. On the device this takes about 30
   * kernels, and two to five downloads of counts. Throws out_of_memory where the device lacks room for the
   * scratch memory.
   */
  LayerEvolution run(Layer& layer, const EvolutionPolicy& policy, const EvolutionKey& key,
                     const CellScores* scores = nullptr);

 private:
  static constexpr size_t kKept = size_t{256} << 20;

  bool is_for_device(const Layer& layer, const EvolutionPolicy& policy) const;
  void prepare_bounds(uint32_t inputs);
  LayerEvolution run_on_host(Layer& layer, const EvolutionPolicy& policy, const EvolutionKey& key,
                             const CellScores* scores);

  Device& device_;
  EvolutionMemory memory_;
};

}  // namespace set_native::gpu
