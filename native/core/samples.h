#pragma once

#include <cstdint>
#include <string>

namespace set_native {

/**
 * A view of samples in host memory, row by row: x is [count][features]. Either `labels` (class numbers,
 * one-hot targets; with a single output the label itself is the target) or `targets` [count][outputs] or
 * neither.
 */
struct Samples {
  const float* x = nullptr;
  const uint32_t* labels = nullptr;
  const float* targets = nullptr;
  uint64_t count = 0;
  uint32_t features = 0;
  uint32_t outputs = 0;  // columns of `targets`
  uint64_t id = 0;  // what tells these samples from all others, as long as the process lives, if they never
                    // change (next_samples_id); 0: no such promise, so no back end keeps a copy of its own
};

/** A number that no samples have had before. */
uint64_t next_samples_id();

/**
 * Throws invalid_argument, shape or out_of_range unless the samples fit a model of so many features and
 * outputs: labels included, and at least one sample. With a single output labels are 0 or 1.
 */
void check_samples(const Samples& samples, uint32_t features, uint32_t outputs, const std::string& operation);

/** check_samples for samples that need labels or targets: those of training and evaluation. */
void check_targets(const Samples& samples, uint32_t features, uint32_t outputs, const std::string& operation);

}  // namespace set_native
