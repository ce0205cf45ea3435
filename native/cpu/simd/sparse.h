#pragma once

#include "cpu/simd/rows.h"

/* The sparse kernels of one instruction set: general ones, and those for rows of one or two samples. */
namespace set_native::cpu::SET_ISA {

void sparse_forward(const SparseForward<uint16_t>& op, size_t begin, size_t end);
void sparse_forward(const SparseForward<uint32_t>& op, size_t begin, size_t end);
void sparse_backward(const SparseBackward<uint16_t>& op, size_t begin, size_t end);
void sparse_backward(const SparseBackward<uint32_t>& op, size_t begin, size_t end);

/** Strides 1 and 2. */
void scatter(const SparseForward<uint16_t>& op, size_t begin, size_t end);
void scatter(const SparseForward<uint32_t>& op, size_t begin, size_t end);
void finish_forward(const FinishForward& op, size_t begin, size_t end);

/** Gradients of the links of groups [begin, end) into `dots`, which may be written three floats beyond, and dx if
 * wanted. */
template <class Index>
using GroupsFunction = void (*)(const SparseBackward<Index>&, size_t begin, size_t end, float* dots);

/** The one for strides 1 and 2. */
GroupsFunction<uint16_t> small_backward(const SparseBackward<uint16_t>& op);
GroupsFunction<uint32_t> small_backward(const SparseBackward<uint32_t>& op);

}  // namespace set_native::cpu::SET_ISA
