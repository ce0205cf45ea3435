#include "cpu/simd/piecewise.h"

#include "cpu/simd/rows.h"

/*
 * Activations of three straight pieces (All-ReLU, SReLU, leaky ReLU). An output does not determine the piece
 * it comes from, so unlike other activations they are not part of the kernels that sum over links: they
 * process the finished rows while these are in L1, and z is kept for the backward pass. This costs one pass
 * over the neurons and samples, which is little beside a row's links.
 */
namespace set_native::cpu::SET_ISA {
namespace {

/**
 * Types of numbers for the arithmetic below. They have names because templates drop the attributes of vector
 * types.
 */
struct Wide {
  typedef Vec V;
};
struct Single {
  typedef float V;
};

/** The four numbers of a row's pieces, each in all lanes. */
template <class Type>
struct Pieces {
  typedef typename Type::V V;
  V t_l, a_l, t_r, a_r;
  Pieces(const float* p, size_t outputs, size_t row)
      : t_l(p[row] - V{}),
        a_l(p[outputs + row] - V{}),
        t_r(p[2 * outputs + row] - V{}),
        a_r(p[3 * outputs + row] - V{}) {}

  /** f(z). NaN lies on no piece and stays NaN. */
  SET_INLINE V apply(V z) const {
    return z >= t_r ? fma(a_r, z - t_r, t_r) : z <= t_l ? fma(a_l, z - t_l, t_l) : z;
  }
};

/** Gradients of a row's bias and, if kLearned, of its pieces: sums over the batch. */
template <class Type, bool kLearned>
struct Sums {
  typedef typename Type::V V;
  V bias{}, t_l{}, a_l{}, t_r{}, a_r{};

  /** Adds the share of z and dy, numbers of one row, to the gradients. Returns dz. */
  SET_INLINE V add(const Pieces<Type>& p, V z, V dy) {
    const V zero{}, one = 1.0f - zero;
    if (kLearned) {
      const V right = z >= p.t_r ? dy : zero;
      const V left = z >= p.t_r ? zero : z <= p.t_l ? dy : zero;
      t_r = fma(one - p.a_r, right, t_r);
      a_r = fma(z - p.t_r, right, a_r);
      t_l = fma(one - p.a_l, left, t_l);
      a_l = fma(z - p.t_l, left, a_l);
    }
    const V dz = z >= p.t_r ? p.a_r * dy : z <= p.t_l ? p.a_l * dy : dy;
    bias += dz;
    return dz;
  }
};

template <bool kLearned>
void backward(const PiecewiseBackward& op, size_t begin, size_t end) {
  UpdateRule plain = op.rule;
  plain.l2 = plain.decay = 0.0f;
  for (size_t row = begin; row < end; ++row) {
    const float* z = op.z + row * op.stride;
    float* dy = op.dy + row * op.stride;
    Sums<Wide, kLearned> wide;
    const Pieces<Wide> in_vectors(op.pieces.values, op.outputs, row);
    size_t c = 0;
    for (; c + kWidth <= op.stride; c += kWidth)
      store(dy + c, wide.add(in_vectors, load(z + c), load(dy + c)));
    const Float4 bias = sums_of(wide.bias, Vec{}, Vec{}, Vec{});
    const Float4 learned = kLearned ? sums_of(wide.t_l, wide.a_l, wide.t_r, wide.a_r) : Float4{};
    Sums<Single, kLearned> rest{bias[0], learned[0], learned[1], learned[2], learned[3]};
    const Pieces<Single> alone(op.pieces.values, op.outputs, row);
    for (; c < op.stride; ++c) dy[c] = rest.add(alone, z[c], dy[c]);
    update(op.bias.from(row), &rest.bias, 1, op.rule);
    const float gradient[] = {rest.t_l, rest.a_l, rest.t_r, rest.a_r};
    for (size_t k = 0; kLearned && k < 4; ++k)
      update(op.pieces.from(k * op.outputs + row), &gradient[k], 1, plain);
  }
}

}  // namespace

void piecewise(const Piecewise& op, size_t begin, size_t end) {
  for (size_t row = begin; row < end; ++row) {
    float* z = op.z + row * op.stride;
    float* pre_activation = op.pre_activation == nullptr ? nullptr : op.pre_activation + row * op.stride;
    for (size_t c = 0; pre_activation != nullptr && c < op.stride; ++c) pre_activation[c] = z[c];
    size_t c = 0;
    const Pieces<Wide> wide(op.pieces, op.outputs, row);
    for (; c + kWidth <= op.stride; c += kWidth) store(z + c, wide.apply(load(z + c)));
    const Pieces<Single> narrow(op.pieces, op.outputs, row);
    for (; c < op.stride; ++c) z[c] = narrow.apply(z[c]);
  }
}

void piecewise_backward(const PiecewiseBackward& op, size_t begin, size_t end) {
  op.pieces.velocity == nullptr ? backward<false>(op, begin, end) : backward<true>(op, begin, end);
}

}  // namespace set_native::cpu::SET_ISA
