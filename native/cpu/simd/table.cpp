#include "cpu/simd/dropout.h"
#include "cpu/simd/piecewise.h"
#include "cpu/simd/sddmm.h"
#include "cpu/simd/sparse.h"

/* The table of one instruction set, filled with the kernels compiled beside it. */
namespace set_native::cpu::SET_ISA {

void update_parameters(const Parameters& parameters, const float* gradient, size_t count,
                       const UpdateRule& rule) {
  update(parameters, gradient, count, rule);
}

#define SET_TEXT2(name) #name
#define SET_TEXT(name) SET_TEXT2(name)

extern const KernelTable table;
const KernelTable table = {SET_TEXT(SET_ISA),
                           kHalf,
                           {forward, scatter_small, dot, backward},
                           {forward, scatter_small, dot, backward},
                           finish_forward,
                           piecewise,
                           piecewise_backward,
                           drop_outputs,
                           sddmm,
                           update_parameters};

}  // namespace set_native::cpu::SET_ISA
