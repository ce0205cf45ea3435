#pragma once

#include "cpu/simd/rows.h"

/* Kernels of one instruction set: general ones, and those for rows of one or two samples. */
namespace set_native::cpu::SET_ISA {

void forward(const SparseForward<uint16_t>& op, size_t begin, size_t end);
void forward(const SparseForward<uint32_t>& op, size_t begin, size_t end);
/** Forward pass of single links. */
void gather(const SparseForward<uint16_t>& op, size_t begin, size_t end);
void gather(const SparseForward<uint32_t>& op, size_t begin, size_t end);
/** Adds the shares of all groups to z, in rows of more than kLongestScattered samples. */
void scatter(const SparseForward<uint16_t>& op);
void scatter(const SparseForward<uint32_t>& op);
void backward(const SparseBackward<uint16_t>& op, size_t begin, size_t end);
void backward(const SparseBackward<uint32_t>& op, size_t begin, size_t end);

/** Adds the shares of groups [begin, end) to z, in rows of one or two samples. */
void scatter_small(const SparseForward<uint16_t>& op, size_t begin, size_t end);
void scatter_small(const SparseForward<uint32_t>& op, size_t begin, size_t end);
void dot(const Dot<uint16_t>& op);
void dot(const Dot<uint32_t>& op);
void finish_forward(const FinishForward& op, size_t begin, size_t end);

/**
 * Function that computes the gradients of the links of groups [begin, end) into `dots`, where it may write up
 * to 15 floats more, and dx if wanted.
 */
template <class Index>
using GroupsFunction = void (*)(const SparseBackward<Index>&, size_t begin, size_t end, float* dots);

/** Returns that function for strides 1 and 2. */
GroupsFunction<uint16_t> small_backward(const SparseBackward<uint16_t>& op);
GroupsFunction<uint32_t> small_backward(const SparseBackward<uint32_t>& op);

}  // namespace set_native::cpu::SET_ISA
