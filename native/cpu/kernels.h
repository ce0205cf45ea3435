#pragma once

#include <cstddef>
#include <cstdint>

/*
 * The kernels that exist once per instruction set, as plain functions over plain pointers.
 *
 * Activations are feature-major: row r of a matrix holds neuron r over the samples of the batch, `stride` floats
 * apart, 64-byte aligned, stride a multiple of the table's `width`. Columns beyond the batch are padding: zero in
 * inputs and in output gradients, so they add nothing to any sum.
 *
 * Every function computes whole rows [begin, end) and writes nothing else, and the order of summation within a row
 * depends on nothing but the shapes: results do not depend on how rows are dealt to threads.
 */
namespace set_native::cpu {

enum class ActivationKind : int { relu, tanh, sigmoid, linear };  // values as in set_native::Activation

/** z_j = f(b_j + sum over links (i, j) of w x_i), for targets j. */
struct SparseForward {
  const uint32_t* offsets;  // target view: m + 1
  const uint32_t* sources;
  const uint32_t* links;  // place of the weight in `weights`
  const float* weights;
  const float* bias;  // m
  const float* x;     // n x stride
  float* z;           // m x stride
  size_t stride;
  ActivationKind activation;
};

/** Momentum SGD: v = momentum v - rate (g + l2 w), w = w + (v - decay w). */
struct UpdateRule {
  float rate;
  float momentum;
  float l2;
  float decay;
};

/**
 * For sources i and their links (i, j):
 *   dx_i = f'(x_i) * sum of w dz_j   (with the weights before the update; when dx is given)
 *   g    = sum over the batch of x_i dz_j   (kept in `gradient` when given, else only in scratch)
 *   and the update of weights and momentum by g (when momentum is given)
 *   and, when dx is given and bias is, the update of source i's own bias by the sum of dx_i.
 */
struct SparseBackward {
  const uint32_t* offsets;  // CSR by source: n + 1
  const uint32_t* targets;
  float* weights;
  float* velocity;  // momentum of each link; nullptr: no update
  float* gradient;  // nnz; nullptr: not wanted
  const float* x;   // n x stride: outputs of the layer below
  const float* dz;  // m x stride: gradient of the loss by z, already divided by the batch size
  float* dx;        // n x stride: gradient by the pre-activation of the layer below; nullptr for the first layer
  float* bias;      // n: of the layer below; nullptr: no bias update
  float* bias_velocity;
  size_t stride;
  ActivationKind activation;  // of the layer below
  UpdateRule rule;
  float* scratch;  // at least the largest fan-out of the rows, private to the caller's thread
};

/** z_j = f(b_j + sum over i of w_ij x_i) for a dense layer, for targets j; W is n x m, row by source. */
struct DenseForward {
  const float* weights;
  const float* bias;
  const float* x;
  float* z;
  size_t inputs, outputs;
  size_t stride;
  ActivationKind activation;
};

/** SparseBackward for a dense layer: the same results, `gradient` and `velocity` n x m. */
struct DenseBackward {
  float* weights;
  float* velocity;
  float* gradient;
  const float* x;
  const float* dz;
  const float* dz_by_sample;  // batch x outputs_stride: dz transposed
  size_t outputs_stride;      // at least outputs rounded up to `width`; the columns in between are zero
  float* dx;
  float* bias;
  float* bias_velocity;
  size_t inputs, outputs;
  size_t batch;
  size_t stride;
  ActivationKind activation;
  UpdateRule rule;
};

struct KernelTable {
  const char* name;  // "portable", "avx2", "avx512"
  size_t width;      // floats per vector: strides are multiples of it
  void (*sparse_forward)(const SparseForward&, size_t begin, size_t end);
  void (*sparse_backward)(const SparseBackward&, size_t begin, size_t end);
  void (*dense_forward)(const DenseForward&, size_t begin, size_t end);
  void (*dense_backward)(const DenseBackward&, size_t begin, size_t end);
  /** Update of `count` parameters whose gradient is known (output bias, and on its own in benches). */
  void (*momentum_update)(float* weights, float* velocity, const float* gradient, size_t count, const UpdateRule&);
};

/**
 * The widest table this CPU runs, or what SET_NATIVE_ISA names. Throws Error(backend_unavailable). Reads the
 * environment, which in a Node process only the JavaScript thread may do.
 */
const KernelTable& kernels();

/** By name, nullptr where not compiled in or not supported by this CPU. */
const KernelTable* find_kernels(const char* name);

}  // namespace set_native::cpu
