#pragma once

#include "cpu/simd/rows.h"

/* The dense kernels of one instruction set: general ones, and parts of them for rows narrower than a vector. */
namespace set_native::cpu::SET_ISA {

void dense_forward(const DenseForward& op, size_t begin, size_t end);
void dense_backward(const DenseBackward& op, size_t begin, size_t end);

void dense_small_forward(const DenseForward& op, size_t begin, size_t end);
/** dx_i += the share of targets [j, j + count). */
void dense_small_dx(const DenseBackward& op, size_t i, size_t j, size_t count);

}  // namespace set_native::cpu::SET_ISA
