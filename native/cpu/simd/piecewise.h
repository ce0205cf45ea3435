#pragma once

#include "cpu/kernels.h"
#include "cpu/simd/vec.h"

namespace set_native::cpu::SET_ISA {

void piecewise(const Piecewise& op, size_t begin, size_t end);
void piecewise_backward(const PiecewiseBackward& op, size_t begin, size_t end);

}  // namespace set_native::cpu::SET_ISA
