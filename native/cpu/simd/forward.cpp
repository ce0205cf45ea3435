#include "cpu/simd/sparse.h"

/*
 * z_j = f(b_j + sum over links (i, j) of w_ij x_i), j in [begin, end): by gathering, or by scattering onto
 * the biases. Scattering needs two more passes over z, of 8 bytes per number each: little beside a row's
 * links.
 */
namespace set_native::cpu::SET_ISA {
namespace {

template <class Index>
void forward_any(const SparseForward<Index>& op, size_t begin, size_t end) {
  if (!scatters(op.height, op.stride)) return gather(op, begin, end);
  for (size_t j = begin; j < end; ++j)
    for (size_t s = 0; s < op.stride; ++s) op.z[j * op.stride + s] = op.bias[j];
  if (op.stride <= kLongestScattered)
    scatter_small(op, 0, op.groups);
  else
    scatter(op);
  activate(op.z + begin * op.stride, (end - begin) * op.stride, op.activation);
}

}  // namespace

void forward(const SparseForward<uint16_t>& op, size_t begin, size_t end) {
  forward_any(op, begin, end);
}
void forward(const SparseForward<uint32_t>& op, size_t begin, size_t end) {
  forward_any(op, begin, end);
}

}  // namespace set_native::cpu::SET_ISA
