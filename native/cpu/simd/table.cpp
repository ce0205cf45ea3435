#include "cpu/simd/rows.h"

/* The table of one instruction set, filled with the kernels compiled beside it. */
namespace set_native::cpu::SET_ISA {

void sparse_forward(const SparseForward& op, size_t begin, size_t end);
void sparse_backward(const SparseBackward& op, size_t begin, size_t end);
void dense_forward(const DenseForward& op, size_t begin, size_t end);
void dense_backward(const DenseBackward& op, size_t begin, size_t end);

void momentum_update(float* weights, float* velocity, const float* gradient, size_t count, const UpdateRule& rule) {
  update(weights, velocity, gradient, count, rule);
}

#define SET_TEXT2(name) #name
#define SET_TEXT(name) SET_TEXT2(name)

extern const KernelTable table;
const KernelTable table = {SET_TEXT(SET_ISA), kWidth,         sparse_forward, sparse_backward,
                           dense_forward,     dense_backward, momentum_update};

}  // namespace set_native::cpu::SET_ISA
