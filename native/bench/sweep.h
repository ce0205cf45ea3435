#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

namespace set_native::bench {

/*
 * Training, evolution and initialisation over six orders of magnitude of links.
 *
 * The network is 1-n-n-1 with n = links / 100 neurons: one layer of `links` links, 100 from and to each
 * neuron, between two of n links, so that it passes gradients on like a middle layer. Batch 32, erdos_renyi
 * or motifs. Each point wants a process of its own: its memory is then its own, too.
 */
constexpr uint32_t kSweepBatch = 32;

struct SweepPoint {
  uint64_t links = 0;  // asked for; the three below are of all links there are
  uint32_t neurons = 0;
  uint32_t motif_size = 0;
  unsigned threads = 0;
  uint64_t nnz = 0;
  const char* failure = nullptr;  // what differs from the reference: then nothing was timed
  // Median nanoseconds per link: one step of training, one evolution, topology + weights + indices.
  double train_ns = 0.0, evolve_ns = 0.0, initialise_ns = 0.0;
  // Resident bytes per link beyond what the process had before: after initialisation, and the most at any
  // time.
  double model_bytes = 0.0, peak_bytes = 0.0;
};

/** Slope of log(times) against log(links): 1 is linear. Of at least two points. */
double fitted_exponent(const std::vector<double>& links, const std::vector<double>& times);

/** Points of the sweep, 1, 3, 10, 30 ... times 10^5 up to `most` links, at least one. */
std::vector<uint64_t> sweep_links(uint64_t most);

/** With up to a million links the first evolution and step are compared with the reference. Throws
 * Error(aborted). */
SweepPoint measure_sweep_point(uint64_t links, uint32_t motif_size, unsigned threads, const std::string& isa,
                               const std::atomic<bool>& cancel);

}  // namespace set_native::bench
