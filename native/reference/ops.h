#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/csr.h"
#include "core/model.h"
#include "core/samples.h"
#include "core/training.h"

/*
 * Every operation of training in double precision, one scalar at a time: the oracle that kernels are compared
 * with.
 *
 * Matrices are sample-major, [batch][neurons] without padding: x[s * n + i] is neuron i of sample s, because
 * a network is defined one sample at a time. Weights follow the links in CSR order, row = source i, column =
 * target j; a dense layer has the full pattern. Callers must pass matching sizes: nothing is checked here.
 */
namespace set_native::reference {

/** Pattern of a dense layer, with all n x m links. */
Csr full_pattern(uint32_t inputs, uint32_t outputs);

/** f(z), or z for piecewise activations, which are separate operations below. */
double activate(Activation activation, double z);

/** f'(z), computed from the output y = f(z). It is 0 for relu at 0, and 1 for piecewise activations. */
double activation_slope(Activation activation, double y);

/** y_j = f(b_j + sum over links (i, j) of w x_i). Returns [batch][cols]. */
std::vector<double> forward(const Csr& links, const std::vector<double>& weights,
                            const std::vector<double>& bias, const std::vector<double>& x, size_t batch,
                            Activation activation);

/**
 * dx_i = f'(x_i) * sum over links (i, j) of w dz_j, where f is the activation that gave x. Returns
 * [batch][rows].
 */
std::vector<double> input_gradient(const Csr& links, const std::vector<double>& weights,
                                   const std::vector<double>& x, const std::vector<double>& dz, size_t batch,
                                   Activation activation);

/** g_ij = sum over the batch of x_i dz_j for the links only (SDDMM). Returns [nnz]. */
std::vector<double> weight_gradient(const Csr& links, const std::vector<double>& x,
                                    const std::vector<double>& dz, size_t batch);

/** g_j = sum over the batch of dz_j. Returns [outputs]. */
std::vector<double> bias_gradient(const std::vector<double>& dz, size_t outputs, size_t batch);

/** Applies f in place to z [batch][outputs], f as defined at is_piecewise. `pieces` is [4][outputs]. */
void piecewise(std::vector<double>& z, const std::vector<double>& pieces, size_t outputs, size_t batch);

/**
 * Turns the gradient dy by y = f(z) into the gradient by z in place, dz = f'(z) dy. Returns the gradient by
 * the pieces [4][outputs]: dt = (1 - a) dy and da = (z - t) dy for the piece that z lies on, each summed over
 * the batch.
 */
std::vector<double> piecewise_gradient(const std::vector<double>& z, std::vector<double>& dy,
                                       const std::vector<double>& pieces, size_t outputs, size_t batch);

/** Updates in place: v = momentum v - learning_rate (g + l2 w), w = w + (v - decay w). */
void momentum_update(std::vector<double>& weights, std::vector<double>& velocity,
                     const std::vector<double>& gradient, const TrainOptions& options);

/**
 * Updates in place by step t, counted from 1, of AdamW (Loshchilov and Hutter 2019, algorithm 2):
 *   h = g + l2 w,  m = beta1 m + (1 - beta1) h,  s = beta2 s + (1 - beta2) h^2,
 *   w = w - learning_rate (m / (1 - beta1^t)) / (sqrt(s / (1 - beta2^t)) + tiny) - decay w.
 */
void adamw_update(std::vector<double>& weights, std::vector<double>& first_moment,
                  std::vector<double>& second_moment, const std::vector<double>& gradient,
                  const TrainOptions& options, uint64_t t);

/**
 * Returns the sum of the losses of a batch and, unless `dz` is null, sets it to the gradient of their *mean*
 * by the logits z [batch][outputs]. Targets are as in Samples: labels [batch] (one-hot; with one output the
 * label itself) or values [batch][outputs]. Loss and gradient of each sample are multiplied by its weight.
 *
 * softmax_cross_entropy:
 *   -sum t log softmax(z),  dz = (softmax(z) - t) / batch, which holds for targets that sum to 1
 * sigmoid_binary_cross_entropy:
 *   sum of max(z, 0) - z t + log(1 + e^-|z|),  dz = (sigmoid(z) - t) / batch
 * mse:
 *   mean over outputs of (z - t)^2,  dz = 2 (z - t) / (outputs batch)
 */
double loss_and_gradient(Loss loss, const std::vector<double>& z, size_t outputs, size_t batch,
                         const Targets& targets, std::vector<double>* dz);

/**
 * Turns logits [batch][outputs] into outputs in place: by softmax over the outputs, sigmoid, or (mse) not at
 * all.
 */
void output_activation(Loss loss, std::vector<double>& z, size_t outputs, size_t batch);

/**
 * Counts the samples that the logits z [batch][outputs] classify correctly: the largest logit (the first of
 * equals) is that of the label. A single output predicts class 1 if it exceeds 0.5, which for the sigmoid is
 * a logit above 0. Logits are compared because outputs that saturate become equal.
 */
uint64_t count_correct(Loss loss, const std::vector<double>& z, size_t outputs, size_t batch,
                       const uint32_t* labels);

}  // namespace set_native::reference
