#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/aligned.h"
#include "core/csr.h"
#include "core/link_arrays.h"
#include "core/vocabulary.h"

namespace set_native {

/**
 * Whether an activation consists of three straight pieces:
 *   f(z) = t_r + a_r (z - t_r) for z >= t_r,  else t_l + a_l (z - t_l) for z <= t_l,  else z
 * srelu learns the four numbers of every neuron (Jin et al. 2016, eq. 3). leaky-relu is z above 0 and alpha z
 * below it (Maas et al. 2013). all-relu is z above 0; below 0 it alternates from layer to layer between
 * -alpha z, which the first hidden layer has, and alpha z (Curci et al. 2021, eq. 3).
 */
inline bool is_piecewise(Activation activation) {
  return activation == Activation::all_relu || activation == Activation::srelu ||
         activation == Activation::leaky_relu;
}

/** Whether training updates the pieces of the activation. */
inline bool learns_pieces(Activation activation) {
  return activation == Activation::srelu;
}

/**
 * Activation that the kernels of a layer apply to each output: `activation`, or linear for a piecewise one,
 * which is a separate operation.
 */
inline Activation pointwise(Activation activation) {
  return is_piecewise(activation) ? Activation::linear : activation;
}

/** Largest birth that is stored. It stands for its epoch and all later ones. */
constexpr uint16_t kLastBirth = 0xffff;

/** Birth of the links that the evolution after `epoch` grows. */
inline uint16_t birth_of(uint32_t epoch) {
  return epoch < kLastBirth ? static_cast<uint16_t>(epoch) : kLastBirth;
}

/**
 * One layer of n sources and m targets on the host. Every back end accepts and returns layers in this form.
 *
 * Sparse: `links` holds the pattern, and the arrays per link follow its order.
 * Dense: `links` is empty and the arrays per link hold all n x m cells row by row, which is the same order.
 */
struct Layer : LinkArrays<AlignedVector>, NeuronArrays<AlignedVector> {
  uint32_t inputs = 0;   // number of sources, n
  uint32_t outputs = 0;  // number of targets, m
  bool dense = false;
  Activation activation = Activation::relu;
  Csr links;

  uint64_t nnz() const { return weights.size(); }
};

/**
 * A network on the host. Its loss implies the activation of the output layer: softmax, sigmoid, none (mse).
 */
struct Model {
  std::vector<Layer> layers;
  Optimizer optimizer = Optimizer::sgd;  // determines which moments are kept for each parameter
  Loss loss = Loss::softmax_cross_entropy;
  uint64_t seed = 0;
};

/**
 * Largest number of sources per motif. With more, cutting a layer into slots would cost more than its links.
 */
constexpr uint32_t kMaxMotifSize = 64;

struct ModelSpec {
  std::vector<uint32_t> sizes;  // inputs, hidden ..., outputs: at least two
  Topology topology = Topology::erdos_renyi;
  // Erdős–Rényi density parameter; the cell probability is p = min(1, epsilon (n + m) / (n m)).
  double epsilon = 13.0;
  uint32_t motif_size = 2;  // number of sources per motif for Topology::motif, 2 .. kMaxMotifSize
  Init init = Init::he_fan_in;
  Activation activation = Activation::relu;  // activation of the hidden layers
  double alpha = 0.6;                        // slope of all-relu and leaky-relu below 0, from 0 to 1
  Optimizer optimizer = Optimizer::sgd;
  Loss loss = Loss::softmax_cross_entropy;
  uint64_t seed = 0;
};

/**
 * Builds a model: draws topology and weights (streams `topology` and `weights`) and sets biases, moments and
 * births to zero. A layer with p >= 1 is dense and stays dense. O(nnz).
 * Throws out_of_range, shape or out_of_memory before anything is allocated.
 */
Model build_model(const ModelSpec& spec);

/** Fills with zeros those moments of the optimizer that the layer does not have yet. */
void start_moments(Layer& layer, Optimizer optimizer);

/** Throws unless every layer is consistent in itself and with the layer below, and all numbers are finite. */
void check_model(const Model& model, const std::string& operation);

/** Expected numbers of a layer that build_model will draw. */
struct ExpectedLayer {
  uint32_t inputs = 0;
  uint32_t outputs = 0;
  bool dense = false;
  bool piecewise = false;
  double links = 0.0;       // mean number of links
  uint32_t motif_size = 1;  // number of sources of the whole motifs that the links form
};

/** Returns the layers of a spec. Throws as build_model does, except for memory. */
std::vector<ExpectedLayer> expected_layers(const ModelSpec& spec);

/** Throws out_of_memory, naming the network, unless the machine or container has `bytes`. */
void require_memory_for(const ModelSpec& spec, double bytes);

/** Probability that a cell holds a link: p = min(1, epsilon (n + m) / (n m)). */
double cell_probability(double epsilon, uint32_t inputs, uint32_t outputs);

struct LayerStats {
  uint32_t inputs;
  uint32_t outputs;
  bool dense;
  uint64_t nnz;
  // [e] is the number of links grown by the evolution after epoch e, [kLastBirth] also by later ones; [0] is
  // the number of initial links.
  std::vector<uint64_t> links_by_birth;
};

/** Counts links by birth; the length is the last birth + 1. All links of a dense layer are initial. */
LayerStats layer_stats(const Layer& layer);

}  // namespace set_native
