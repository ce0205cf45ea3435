#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/update_rule.h"
#include "core/vocabulary.h"

namespace set_native {

/**
 * Steps on the mean losses of batches: core/update_rule.h says what each does. The thesis' weight decay is
 * `decay` (not scaled by the learning rate, biases too); coupled L2 is `l2`.
 */
struct TrainOptions {
  uint32_t epoch = 1;  // 1-based; with the model's seed it determines the order of the samples
  uint32_t batch_size = 40;
  float learning_rate = 0.05f;
  float momentum = 0.9f;  // beta1 of AdamW
  float beta2 = 0.999f;   // of AdamW
  float tiny = 1e-8f;     // of AdamW
  float l2 = 0.0f;
  float decay = 0.0002f;
  bool shuffle = true;
  // An epoch may be trained in parts, so that something can be done between steps: the same bits as at once.
  uint64_t first_step = 0;      // of the epoch, from 0 on
  uint64_t steps = UINT64_MAX;  // at most
};

/** The steps [begin, end) of an epoch that options name, and the number of samples in them. */
struct StepRange {
  uint64_t begin = 0;
  uint64_t end = 0;
  uint64_t samples = 0;
  uint64_t before = 0;  // steps of the epochs before, which are taken to have had as many as this one
};

/** Throws out_of_range where the first step is beyond the epoch. */
StepRange step_range(const TrainOptions& options, uint64_t samples, const std::string& operation);

/** What step t does, counted from 1 over the life of the model. */
UpdateRule update_rule(const TrainOptions& options, Optimizer optimizer, uint64_t t);

struct Evaluation {
  double loss = 0.0;      // mean over the samples
  double accuracy = 0.0;  // share of samples whose largest output is the label; 0 without labels
};

/** Order of the samples in an epoch: random_order of stream `shuffle`, or as they come. */
std::vector<uint32_t> epoch_order(uint64_t seed, uint32_t epoch, uint64_t count, bool shuffle);

/**
 * Throws out_of_range unless the batch has a sample, the rates are finite and not negative, and those of
 * moments below 1.
 */
void check_options(const TrainOptions& options, const std::string& operation);

/** Where an epoch stopped making sense: the loss of this batch is not finite. */
struct Divergence {
  uint64_t batch = 0;  // from 1 on; 0: none
  size_t samples = 0;  // of the batch
};

/** How an epoch ended, on every back end. */
struct EpochResult {
  double loss = 0.0;  // sum over the samples
  Divergence divergence;
  bool cancelled = false;
  size_t overflowed_layer = 0;  // from 1 on: its parameters are not finite in the end; 0: none
};

/**
 * The mean loss over the samples of the steps that options name. Throws what BackendModel::train_epoch says
 * where it did not end well; `place` is then asked where the batch that diverged did so.
 */
double mean_loss(const EpochResult& result, const TrainOptions& options, uint64_t samples, size_t layers,
                 const std::function<std::string()>& place);

/** Whether numbers of a batch are finite; layers count from 0. */
struct FiniteChecks {
  std::function<bool()> samples;
  std::function<bool(size_t layer)> weights, outputs;
};

/** The first place, from the samples upwards, where numbers are not finite. */
std::string place_of_overflow(size_t layers, const FiniteChecks& finite);

/** Throw non_finite: the loss of a batch, counted from 1, because of what overflowed at `place`; ... */
[[noreturn]] void refuse_loss(uint32_t epoch, uint64_t batch, const std::string& place);
/** ... and the weights that an epoch left in a layer, counted from 1. */
[[noreturn]] void refuse_trained(uint32_t epoch, size_t layer, size_t layers);

/** Throws non_finite: the outputs of a row of samples, counted from 0, because of what overflowed at `place`.
 */
[[noreturn]] void refuse_outputs(uint64_t row, const std::string& place);

}  // namespace set_native
