#pragma once

#include "cpu/trainer.h"
#include "layout/network.h"
#include "layout/thread_pool.h"
#include "test/cpu/kernel_support.h"
#include "test/model_support.h"

/*
 * What the tests of the CPU back end's trainer share.
 */
namespace set_native::test {

/** A trainer with its network and its threads. `epoch` returns the mean loss. */
struct Training {
  PackedNetwork network;
  ThreadPool pool;
  cpu::Trainer trainer;

  Training(const Model& model, unsigned threads, const cpu::KernelTable& table = cpu::kernels())
      : network(pack_network(model)), pool(threads), trainer(network, table, pool) {}
  double epoch(const Samples& samples, const TrainOptions& options) {
    const EpochResult result = trainer.run_epoch(samples, options, kGoOn);
    CHECK(!result.cancelled && result.divergence.batch == 0);
    return result.loss / static_cast<double>(samples.count);
  }
  Model model() const { return unpack_network(network); }
};

/** The same network in motifs of so many sources. */
inline ModelSpec motif_spec(ModelSpec spec, uint32_t motif_size) {
  if (motif_size == 1) return spec;
  spec.topology = Topology::motif;
  spec.motif_size = motif_size;
  return spec;
}

}  // namespace set_native::test
