#pragma once

#include <cstdint>
#include <string>

#include "core/vocabulary.h"

namespace set_native {

/**
 * View of samples in host memory, row by row: x is [count][features]. At most one of `labels` and `targets`
 * is given. `labels` [count] are class numbers that stand for one-hot targets; with a single output the label
 * itself is the target. `targets` is [count][outputs]. `weights` [count], at least 0, multiply the loss of
 * each sample, and so its gradient; null: 1 each.
 */
struct Samples {
  const float* x = nullptr;
  const uint32_t* labels = nullptr;
  const float* targets = nullptr;
  uint64_t count = 0;
  uint32_t features = 0;
  uint32_t outputs = 0;  // number of columns of `targets`
  // Unique in the process (next_samples_id) if the samples never change, so that a back end may keep a copy.
  // 0: they may change, and no back end keeps a copy.
  uint64_t id = 0;
  const float* weights = nullptr;
};

/** What the outputs of a batch are to be, and what each of its samples counts, as in Samples. */
struct Targets {
  const uint32_t* labels = nullptr;
  const float* values = nullptr;
  const float* weights = nullptr;
};

/** Returns the targets of the samples from `first` on. */
Targets targets_from(const Samples& samples, uint64_t first);

/** Returns an id that no samples have had before in this process. */
uint64_t next_samples_id();

/**
 * Throws invalid_argument, shape or out_of_range unless there is at least one sample and the samples, with
 * their labels, fit a model of so many features and outputs. With a single output labels are 0 or 1.
 */
void check_samples(const Samples& samples, uint32_t features, uint32_t outputs, const std::string& operation);

/**
 * Does what check_samples does, and requires labels, or targets that the loss can take: from 0 to 1 for
 * sigmoid_binary_cross_entropy; for softmax_cross_entropy those of a sample add up to 1, too, within 0.001.
 * For training and evaluation.
 */
void check_targets(const Samples& samples, uint32_t features, uint32_t outputs, Loss loss,
                   const std::string& operation);

/** Throws invalid_argument where growth by gradient has no samples, else does what check_targets does. */
void check_probe(const Samples* probe, uint32_t features, uint32_t outputs, Loss loss);

}  // namespace set_native
