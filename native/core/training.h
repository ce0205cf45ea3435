#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/update_rule.h"
#include "core/vocabulary.h"

namespace set_native {

/**
 * Options of training steps on the mean losses of batches; core/update_rule.h defines a step. `decay` is the
 * weight decay of the thesis (not scaled by the learning rate, applied to biases, too); `l2` is coupled L2.
 */
struct TrainOptions {
  uint32_t epoch = 1;  // 1-based; determines, with the model's seed, the order of the samples
  uint32_t batch_size = 40;
  float learning_rate = 0.05f;
  float momentum = 0.9f;  // momentum of SGD, beta1 of AdamW
  float beta2 = 0.999f;   // beta2 of AdamW
  float tiny = 1e-8f;     // term that keeps the denominator of AdamW above 0
  float l2 = 0.0f;
  float decay = 0.0002f;
  // Learning rates of the steps of the epoch, in place of learning_rate, and their decays, in place of decay;
  // empty: the same in all steps.
  std::vector<float> learning_rates, decays;
  // Probability of dropping an output of a hidden layer, from 0 to below 1 (core/dropout.h).
  float dropout = 0.0f;
  bool shuffle = true;
  // An epoch may be trained in parts, so that the caller can act between steps. The bits are those of
  // training it at once.
  uint64_t first_step = 0;      // first step of this part, counted from 0 in the epoch
  uint64_t steps = UINT64_MAX;  // largest number of steps of this part
  // Number of steps of the epoch that are done, for another thread to read; null: nobody asks. A GPU counts
  // the steps that are queued.
  std::atomic<uint64_t>* progress = nullptr;
};

/** Learning rate and decay of a step of the epoch, counted from 0; beyond the last step, those of the last.
 */
float learning_rate_of(const TrainOptions& options, uint64_t step);
float decay_of(const TrainOptions& options, uint64_t step);

/** Steps [begin, end) of an epoch that options name. */
struct StepRange {
  uint64_t begin = 0;
  uint64_t end = 0;
  uint64_t samples = 0;  // number of samples in these steps
  uint64_t before = 0;   // number of steps of earlier epochs, each assumed to have as many as this one
};

/**
 * Returns the steps that the options name. Throws out_of_range if the first step lies beyond the epoch, shape
 * unless there are as many learning rates and decays as the epoch has steps, or none.
 */
StepRange step_range(const TrainOptions& options, uint64_t samples, const std::string& operation);

/** Returns the rule of step t, counted from 1 over the life of the model, which is step `step` of the epoch.
 */
UpdateRule update_rule(const TrainOptions& options, Optimizer optimizer, uint64_t t, uint64_t step = 0);

struct Evaluation {
  double loss = 0.0;      // mean over the samples
  double accuracy = 0.0;  // fraction of samples whose largest output is the label; 0 without labels
};

/** Order of the samples in an epoch: random_order of stream `shuffle`, or 0 .. count-1 without `shuffle`. */
std::vector<uint32_t> epoch_order(uint64_t seed, uint32_t epoch, uint64_t count, bool shuffle);

/**
 * Throws out_of_range unless the batch size is at least 1, all rates and decays are finite and not negative,
 * and momentum, beta2 and dropout are below 1.
 */
void check_options(const TrainOptions& options, const std::string& operation);

/** First batch of an epoch whose loss is not finite. */
struct Divergence {
  uint64_t batch = 0;  // number of the batch, from 1 on; 0: all losses are finite
  size_t samples = 0;  // number of samples in the batch
};

/** Result of an epoch, on every back end. */
struct EpochResult {
  double loss = 0.0;  // sum over the samples
  Divergence divergence;
  bool cancelled = false;
  size_t overflowed_layer = 0;  // number, from 1 on, of a layer whose parameters ended non-finite; 0: none
};

/**
 * Returns the mean loss over the samples of the steps that options name. Throws as BackendModel::train_epoch
 * does if the epoch was cancelled or diverged; for the text of the error, `place()` names where a batch
 * diverged.
 */
double mean_loss(const EpochResult& result, const TrainOptions& options, uint64_t samples, size_t layers,
                 const std::function<std::string()>& place);

/** Checks whether the numbers of a batch are finite. Layers count from 0. */
struct FiniteChecks {
  std::function<bool()> samples;
  std::function<bool(size_t layer)> weights, outputs;
};

/** Names the first place, from the samples upwards, where numbers are not finite. */
std::string place_of_overflow(size_t layers, const FiniteChecks& finite);

/** Throws non_finite for the loss of a batch, counted from 1; `place` names what overflowed. */
[[noreturn]] void refuse_loss(uint32_t epoch, uint64_t batch, const std::string& place);
/** Throws non_finite for the weights of a layer, counted from 1, at the end of an epoch. */
[[noreturn]] void refuse_trained(uint32_t epoch, size_t layer, size_t layers);

/** Throws non_finite for the outputs of a row, counted from 0; `place` names what overflowed. */
[[noreturn]] void refuse_outputs(uint64_t row, const std::string& place);

}  // namespace set_native
