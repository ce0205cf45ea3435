#pragma once

#include "cpu/kernels.h"

namespace set_native::cpu::SET_ISA {

void sddmm(const Sddmm& op, size_t begin, size_t end);

}  // namespace set_native::cpu::SET_ISA
