#include "cpu/simd/lanes.h"
#include "cpu/simd/sparse.h"

/*
 * z_j = f(b_j + sum over links (i, j) of w x_i) for one sample: SpMV by target, kBundle targets side by side
 * (layout/target_rows.h).
 *
 * Lane l of the sums is target l of a bundle. Weights and sources are two plain streams; x, 12 KB for 3000
 * neurons, stays in L1, from which each lane loads its own number: faster than the gather instruction. A sum
 * begins with the bias and takes its links by source, each by one fma, so that its bits are those of
 * scattering (small.cpp), which reads and writes z for every link. Per link: 2 flops, 6 bytes streamed.
 */
namespace set_native::cpu::SET_ISA {
namespace {

template <class Index>
void dot_any(const Dot<Index>& op) {
  constexpr size_t kVectors = kBundle / kWidth;
  const float* weights = op.weights;
  const Index* sources = op.sources;
  const float* const x = op.x;
  for (size_t first = 0; first < op.outputs; first += kBundle) {
    const size_t count = op.outputs - first < kBundle ? op.outputs - first : kBundle;
    const uint32_t* const targets = op.targets + first;
    const uint32_t* const lengths = op.lengths + first;
    float sums[kBundle];
    for (size_t t = 0; t < count; ++t) sums[t] = op.bias[targets[t]];
    // The links that all targets of the bundle have.
    uint32_t common = 0;
    if (count == kBundle) {
      common = lengths[kBundle - 1];
      Vec held[kVectors];
      for (size_t v = 0; v < kVectors; ++v) held[v] = load(sums + v * kWidth);
      for (uint32_t k = 0; k < common; ++k, weights += kBundle, sources += kBundle)
        for (size_t v = 0; v < kVectors; ++v)
          held[v] = fma(load(weights + v * kWidth),
                        rows_repeated<1, 1>([&](size_t u) __attribute__((always_inline)) {
                          return x + sources[v * kWidth + u];
                        }),
                        held[v]);
      for (size_t v = 0; v < kVectors; ++v) store(sums + v * kWidth, held[v]);
    }
    // The links that only some have.
    for (size_t t = 0; t < count; ++t) {
      for (uint32_t k = common; k < lengths[t]; ++k) sums[t] = fma(*weights++, x[*sources++], sums[t]);
      op.z[targets[t]] = sums[t];
    }
  }
  activate(op.z, op.outputs, op.activation);
}

}  // namespace

void dot(const Dot<uint16_t>& op) {
  dot_any(op);
}
void dot(const Dot<uint32_t>& op) {
  dot_any(op);
}

}  // namespace set_native::cpu::SET_ISA
