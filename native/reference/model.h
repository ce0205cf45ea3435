#pragma once

#include <cstdint>
#include <type_traits>
#include <vector>

#include "core/backend.h"
#include "core/csr.h"
#include "core/model.h"

/*
 * A whole network in double, as plain data. reference_backend() trains it, and tests take finite differences
 * of it. Layouts as in reference/ops.h.
 */
namespace set_native::reference {

/** Array of doubles in place of the floats of core's Layer; other types stay. */
template <class T>
using WideArray = std::vector<std::conditional_t<std::is_same_v<T, float>, double, T>>;

struct NetworkLayer : LinkArrays<WideArray>, NeuronArrays<WideArray> {
  Csr links;  // full pattern for a dense layer
  Activation activation = Activation::linear;
};

/**
 * A network. Its output layer is linear (check_model requires it); the output activation belongs to the loss.
 */
struct Network {
  std::vector<NetworkLayer> layers;
  Optimizer optimizer = Optimizer::sgd;
  Loss loss = Loss::softmax_cross_entropy;
};

/** Converts a model to double. */
Network make_network(const Model& model);

/** Factors of dropout, per layer by output [batch][outputs]: 0 or 1 / (1 - p); empty: none. */
using Factors = std::vector<std::vector<double>>;

/**
 * Returns the factors of a step whose first sample is at `place` in the order of the epoch. The output layer
 * has none. Returns an empty list if p is 0.
 */
Factors dropout_factors(const Network& network, float p, uint64_t seed, uint32_t epoch, uint64_t place,
                        size_t batch);

/**
 * Returns the inputs of every layer and, last, the logits: layers + 1 matrices, the first one x
 * [batch][inputs]. Outputs are multiplied by `factors`.
 */
std::vector<std::vector<double>> forward(const Network& network, const std::vector<double>& x, size_t batch,
                                         const Factors& factors = {});

/** Gradients of the mean loss of a batch. */
struct Gradients {
  std::vector<std::vector<double>> weights;  // per layer, by weight
  std::vector<std::vector<double>> bias;     // per layer, by bias
  std::vector<std::vector<double>> pieces;   // per layer, by piece; empty where the activation has none
  std::vector<double> x;                     // by input, [batch][inputs]
  std::vector<std::vector<double>> z;        // per layer, by the activation's input, [batch][outputs]
};

/**
 * Computes all gradients from the `values` that `forward` returned for the same factors and the gradient `dz`
 * by the logits.
 */
Gradients backward(const Network& network, const std::vector<std::vector<double>>& values,
                   const std::vector<double>& dz, size_t batch, const Factors& factors = {});

/**
 * Scores of growth by gradient for each layer (core/evolution.h), from the probe's samples, which must be
 * checked. Throws non_finite where the loss is not finite.
 */
std::vector<CellScores> gradient_scores(const Network& network, const Samples& probe, uint64_t seed,
                                        uint32_t epoch);

}  // namespace set_native::reference
