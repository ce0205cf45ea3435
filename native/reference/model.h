#pragma once

#include <cstdint>
#include <type_traits>
#include <vector>

#include "core/backend.h"
#include "core/csr.h"
#include "core/model.h"

/*
 * A whole network in double, as plain data: what reference_backend() trains, and what finite differences are
 * taken of. Layouts as in reference/ops.h.
 */
namespace set_native::reference {

/** What core's Layer keeps in float, in double. */
template <class T>
using WideArray = std::vector<std::conditional_t<std::is_same_v<T, float>, double, T>>;

struct NetworkLayer : LinkArrays<WideArray>, NeuronArrays<WideArray> {
  Csr links;  // the full pattern for a dense layer
  Activation activation = Activation::linear;
};

/** The output layer is linear (check_model sees to it): what follows it belongs to the loss. */
struct Network {
  std::vector<NetworkLayer> layers;
  Optimizer optimizer = Optimizer::sgd;
  Loss loss = Loss::softmax_cross_entropy;
};

Network make_network(const Model& model);

/** Inputs of every layer and, last, the logits: layers + 1 matrices, the first one x [batch][inputs]. */
std::vector<std::vector<double>> forward(const Network& network, const std::vector<double>& x, size_t batch);

/** Gradients of the mean loss of a batch. */
struct Gradients {
  std::vector<std::vector<double>> weights;  // per layer
  std::vector<std::vector<double>> bias;
  std::vector<std::vector<double>> pieces;  // empty where the activation has none
  std::vector<double> x;                    // by the inputs, [batch][inputs]
};

/** `values` are those of `forward`, `dz` the gradient by the logits. */
Gradients backward(const Network& network, const std::vector<std::vector<double>>& values,
                   const std::vector<double>& dz, size_t batch);

}  // namespace set_native::reference
