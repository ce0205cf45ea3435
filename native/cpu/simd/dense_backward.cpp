#include "cpu/simd/dense.h"

/*
 * For sources i in [begin, end) of a dense layer: dx_i = f'(x_i) sum over j of w_ij dz_j, g_ij = dot(x_i, dz_j), and
 * the momentum update of w_ij and of the bias of neuron i.
 *
 * Blocks of kSources x kTargets weights: first the block's share of dx, in register tiles of 2 sources x T vectors;
 * then its gradient, as outer products over the samples with dz_by_sample, so that vectors run along the targets and
 * nothing is reduced within a vector; then the update, while the weights are still in L1.
 * 4 n m batch flops; reads and writes weights and momentum once (16 n m bytes), reads both forms of dz n / kSources
 * times.
 */
namespace set_native::cpu::SET_ISA {
namespace {

constexpr size_t kSources = 16;
constexpr size_t kVectors = SET_VEC_WIDTH == 16 ? 2 : 3;  // of targets, in a register tile of 4 sources
constexpr size_t kTargets = SET_VEC_WIDTH == 4 ? 24 : 2 * kVectors * kWidth > 48 ? 64 : 48;
constexpr size_t kMaxTile = 5;

/** dx of I sources += the share of targets [j, j_end), for one tile of the batch. */
template <size_t I, size_t T>
void add_dx(const DenseBackward& op, size_t i, size_t j, size_t j_end, size_t column) {
  float* dx = op.dx + i * op.stride + column;
  Vec sum[I][T];
  for (size_t p = 0; p < I; ++p)
    for (size_t t = 0; t < T; ++t) sum[p][t] = load(dx + p * op.stride + t * kWidth);
  const float* weights = op.weights + i * op.outputs;
  for (; j < j_end; ++j) {
    const float* dz = op.dz + j * op.stride + column;
    Vec row[T];
    for (size_t t = 0; t < T; ++t) row[t] = in_register(load(dz + t * kWidth));
    for (size_t p = 0; p < I; ++p) {
      const Vec w = broadcast(weights[p * op.outputs + j]);
      for (size_t t = 0; t < T; ++t) sum[p][t] = fma(w, row[t], sum[p][t]);
    }
  }
  for (size_t p = 0; p < I; ++p)
    for (size_t t = 0; t < T; ++t) store(dx + p * op.stride + t * kWidth, sum[p][t]);
}

using DxFunction = void (*)(const DenseBackward&, size_t, size_t, size_t, size_t);
constexpr DxFunction kDxOfTwo[kMaxTile] = {add_dx<2, 1>, add_dx<2, 2>, add_dx<2, 3>, add_dx<2, 4>, add_dx<2, 5>};
constexpr DxFunction kDxOfOne[kMaxTile] = {add_dx<1, 1>, add_dx<1, 2>, add_dx<1, 3>, add_dx<1, 4>, add_dx<1, 5>};

/** Gradient of I sources x J vectors of targets from j on, into rows of kTargets floats. */
template <size_t I, size_t J>
void gradient_tile(const DenseBackward& op, size_t i, size_t j, float* gradient) {
  Vec sum[I][J];
  for (size_t p = 0; p < I; ++p)
    for (size_t q = 0; q < J; ++q) sum[p][q] = Vec{};
  const float* x = op.x + i * op.stride;
  const float* dz = op.dz_by_sample + j;
  for (size_t b = 0; b < op.batch; ++b, dz += op.outputs_stride) {
    Vec row[J];
    for (size_t q = 0; q < J; ++q) row[q] = in_register(load(dz + q * kWidth));
    for (size_t p = 0; p < I; ++p) {
      const Vec s = broadcast(x[p * op.stride + b]);
      for (size_t q = 0; q < J; ++q) sum[p][q] = fma(s, row[q], sum[p][q]);
    }
  }
  for (size_t p = 0; p < I; ++p)
    for (size_t q = 0; q < J; ++q) store(gradient + p * kTargets + q * kWidth, sum[p][q]);
}

/** Gradients of sources [i, i_end) and the `vectors` vectors of targets from j on. */
void block_gradient(const DenseBackward& op, size_t i, size_t i_end, size_t j, size_t vectors, float* gradient) {
  for (; i < i_end; i += i + 4 <= i_end ? 4 : 1) {
    const bool four = i + 4 <= i_end;
    size_t q = 0;
    for (; q + kVectors <= vectors; q += kVectors)
      (four ? gradient_tile<4, kVectors> : gradient_tile<1, kVectors>)(op, i, j + q * kWidth, gradient + q * kWidth);
    for (; q < vectors; ++q)
      (four ? gradient_tile<4, 1> : gradient_tile<1, 1>)(op, i, j + q * kWidth, gradient + q * kWidth);
    gradient += (four ? 4 : 1) * kTargets;
  }
}

/** Applies f' to the finished row of dx and updates the neuron's bias by its sum. */
void finish_source(const DenseBackward& op, size_t i) {
  Vec total = {};
  size_t c = i * op.stride;
  for (; c + kWidth <= (i + 1) * op.stride; c += kWidth) {
    const Vec v = through_activation(load(op.x + c), load(op.dx + c), op.activation);
    store(op.dx + c, v);
    total += v;
  }
  float gradient = sums_of(total, Vec{}, Vec{}, Vec{})[0];
  for (; c < (i + 1) * op.stride; ++c) {
    op.dx[c] = through_activation(op.x[c], op.dx[c], op.activation);
    gradient += op.dx[c];
  }
  if (op.bias != nullptr) update(op.bias + i, op.bias_velocity + i, &gradient, 1, op.rule);
}

}  // namespace

void dense_backward(const DenseBackward& op, size_t begin, size_t end) {
  const Tiling tiling(op.stride / kWidth, kMaxTile);
  const bool small = op.stride < kWidth;
  alignas(64) float gradient[kSources * kTargets] = {};
  for (size_t block = begin; block < end; block += kSources) {
    const size_t block_end = block + kSources < end ? block + kSources : end;
    if (op.dx != nullptr)
      for (size_t c = block * op.stride; c < block_end * op.stride; ++c) op.dx[c] = 0.0f;
    for (size_t j = 0; j < op.outputs; j += kTargets) {
      const size_t count = j + kTargets < op.outputs ? kTargets : op.outputs - j;
      for (size_t i = block; i < block_end; ++i)
        for (size_t ahead = kTargets; ahead < 2 * kTargets; ahead += 64 / sizeof(float)) {
          prefetch(op.weights + i * op.outputs + j + ahead);
          if (op.velocity != nullptr) prefetch(op.velocity + i * op.outputs + j + ahead);
        }
      for (size_t i = block; small && op.dx != nullptr && i < block_end; ++i) dense_small_dx(op, i, j, count);
      for (size_t pass = 0; op.dx != nullptr && pass < tiling.passes; ++pass) {
        const size_t tile = tiling.size(pass) - 1, column = tiling.first(pass) * kWidth;
        size_t i = block;
        for (; i + 2 <= block_end; i += 2) kDxOfTwo[tile](op, i, j, j + count, column);
        if (i < block_end) kDxOfOne[tile](op, i, j, j + count, column);
      }
      if (op.velocity == nullptr && op.gradient == nullptr) continue;
      block_gradient(op, block, block_end, j, (count + kWidth - 1) / kWidth, gradient);
      for (size_t i = block; i < block_end; ++i) {
        const float* row = gradient + (i - block) * kTargets;
        const size_t cell = i * op.outputs + j;
        if (op.gradient != nullptr)
          for (size_t q = 0; q < count; ++q) op.gradient[cell + q] = row[q];
        if (op.velocity != nullptr) update(op.weights + cell, op.velocity + cell, row, count, op.rule);
      }
    }
    for (size_t i = block; op.dx != nullptr && i < block_end; ++i) finish_source(op, i);
  }
}

}  // namespace set_native::cpu::SET_ISA
