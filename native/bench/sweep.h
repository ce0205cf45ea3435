#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

namespace set_native::bench {

/*
 * The sweep: training, evolution and initialisation over six orders of magnitude of links.
 *
 * The network is 1-n-n-1 with n = links / 100 neurons: one layer of `links` links, 100 from and to each
 * neuron, between two of n links, so that it passes gradients on like a middle layer. Batch 32, erdos_renyi
 * or motifs. Each point needs a process of its own, because the memory of the process is measured.
 */
constexpr uint32_t kSweepBatch = 32;

struct SweepPoint {
  uint64_t links = 0;  // links asked for; the network has `nnz` links
  uint32_t neurons = 0;
  uint32_t motif_size = 0;
  unsigned threads = 0;
  uint64_t nnz = 0;
  const char* failure = nullptr;  // difference from the reference, or null; after one nothing is timed
  // Median nanoseconds per link of one step of training, of one evolution, and of topology, weights, indices.
  double train_ns = 0.0, evolve_ns = 0.0, initialise_ns = 0.0;
  // Resident bytes per link beyond those of the process before: after initialisation, and at the peak.
  double model_bytes = 0.0, peak_bytes = 0.0;
};

/** Returns the slope of log(times) against log(links), at least two points; 1 is linear. */
double fitted_exponent(const std::vector<double>& links, const std::vector<double>& times);

/** Returns the points of the sweep: 1, 3, 10, 30 ... times 10^5 up to `most` links, at least one. */
std::vector<uint64_t> sweep_links(uint64_t most);

/**
 * Measures a point of the sweep. With up to a million links it first compares an evolution and a step with
 * the reference. Throws Error(aborted).
 */
SweepPoint measure_sweep_point(uint64_t links, uint32_t motif_size, unsigned threads, const std::string& isa,
                               const std::atomic<bool>& cancel);

}  // namespace set_native::bench
