#pragma once

#include "cpu/kernels.h"
#include "cpu/simd/vec.h"

namespace set_native::cpu::SET_ISA {

void drop_outputs(const DropOutputs& op, size_t begin, size_t end);

}  // namespace set_native::cpu::SET_ISA
