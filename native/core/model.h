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
 * Made of three straight pieces:
 *   f(z) = t_r + a_r (z - t_r) for z >= t_r,  else t_l + a_l (z - t_l) for z <= t_l,  else z
 * srelu learns the four numbers of every neuron (Jin et al. 2016, eq. 3); leaky-relu is z above 0 and alpha z
 * below it (Maas et al. 2013); all-relu is z above 0 and below it -alpha z and alpha z in turn, in the first
 * hidden layer -alpha z (Curci et al. 2021, eq. 3).
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
 * What a layer's kernels apply to every output on its own: linear where a piecewise activation follows as an
 * operation of its own.
 */
inline Activation pointwise(Activation activation) {
  return is_piecewise(activation) ? Activation::linear : activation;
}

/** The last birth that links tell apart: it stands for that epoch and all later ones. */
constexpr uint16_t kLastBirth = 0xffff;

/** Birth of the links that the evolution after an epoch grows. */
inline uint16_t birth_of(uint32_t epoch) {
  return epoch < kLastBirth ? static_cast<uint16_t>(epoch) : kLastBirth;
}

/**
 * One layer of n sources and m targets on the host, the form in which every back end takes and gives it.
 *
 * Sparse: `links` holds the pattern, and the arrays per link stand in its order.
 * Dense: `links` is empty and the arrays per link hold all n x m cells row by row, which is the same order.
 */
struct Layer : LinkArrays<AlignedVector>, NeuronArrays<AlignedVector> {
  uint32_t inputs = 0;   // n, sources
  uint32_t outputs = 0;  // m, targets
  bool dense = false;
  Activation activation = Activation::relu;
  Csr links;

  uint64_t nnz() const { return weights.size(); }
};

/** What the output layer's activation is follows from the loss: softmax, sigmoid, or none (mse). */
struct Model {
  std::vector<Layer> layers;
  Optimizer optimizer = Optimizer::sgd;  // which decides what is kept beside each parameter
  Loss loss = Loss::softmax_cross_entropy;
  uint64_t seed = 0;
};

/** Sources per motif at most: beyond it cutting a layer into slots would cost more than its links. */
constexpr uint32_t kMaxMotifSize = 64;

struct ModelSpec {
  std::vector<uint32_t> sizes;  // inputs, hidden ..., outputs: at least two
  Topology topology = Topology::erdos_renyi;
  double epsilon =
      13.0;  // Erdős–Rényi density parameter; cell probability p = min(1, epsilon (n + m) / (n m))
  uint32_t motif_size = 2;  // sources per motif for Topology::motif, 2 .. kMaxMotifSize
  Init init = Init::he_fan_in;
  Activation activation = Activation::relu;  // of the hidden layers
  double alpha = 0.6;                        // slope of all-relu and leaky-relu below 0, from 0 to 1
  Optimizer optimizer = Optimizer::sgd;
  Loss loss = Loss::softmax_cross_entropy;
  uint64_t seed = 0;
};

/**
 * Draws topology and weights (streams `topology` and `weights`); biases, moments and births are zero.
 * A layer with p >= 1 is dense and stays so. O(nnz).
 * Throws out_of_range, shape, or out_of_memory before anything is allocated.
 */
Model build_model(const ModelSpec& spec);

/** Throws unless every layer is consistent in itself and with its neighbours, and all numbers are finite. */
void check_model(const Model& model, const std::string& operation);

/** A layer that build_model will draw. */
struct ExpectedLayer {
  uint32_t inputs = 0;
  uint32_t outputs = 0;
  bool dense = false;
  bool piecewise = false;
  double links = 0.0;       // on average
  uint32_t motif_size = 1;  // sources of the whole motifs that they come in
};

/** Checks a spec, throwing as build_model does but for memory. */
std::vector<ExpectedLayer> expected_layers(const ModelSpec& spec);

/** Throws out_of_memory, naming the network, unless the process may still take so many bytes. */
void require_memory_for(const ModelSpec& spec, double bytes);

/** p = min(1, epsilon (n + m) / (n m)), the probability of a cell. */
double cell_probability(double epsilon, uint32_t inputs, uint32_t outputs);

struct LayerStats {
  uint32_t inputs;
  uint32_t outputs;
  bool dense;
  uint64_t nnz;
  std::vector<uint64_t> links_by_birth;  // [e] = links born in the evolution after epoch e, [kLastBirth]
                                         // after that or a later one; [0] = initial links
};

/** Counts links by birth epoch; length = last birth + 1. Dense layers: all links are initial. */
LayerStats layer_stats(const Layer& layer);

}  // namespace set_native
