#include "cpu/shuffle.h"
#include "cpu/simd/sparse.h"

/*
 * The sparse kernels for rows of one or two samples: training with tiny batches, inference of a single sample.
 *
 * A whole matrix of activations fits L1 here (24 KB for 3000 neurons), and what costs is the number of instructions per
 * link and the stream of weights. So vectors run along neighbouring sources of a block (their rows lie side by side:
 * one vector holds two sources of two samples, or four of one) or, for single links, along neighbouring links of a
 * source.
 *
 * Forward scatters: sources are walked, z_j += w x_i is read and written in L1. Weights and targets are then two plain
 * streams, where gathering would take a cache line per weight; whoever updates a weight can also be the one to use it;
 * and groups whose inputs are all zero, as many are after a ReLU, are passed over. Backward is the general one: by
 * source, dx in registers, gradients to `dots`. Per link: 2 stride flops forward, 4 backward; 6 and 14 bytes streamed
 * at height 1.
 */
namespace set_native::cpu::SET_ISA {
namespace {

typedef float UnalignedFloat4s SET_FLOATS(4, sizeof(float));

SET_INLINE Float4 load4(const float* p) {
  return *reinterpret_cast<const UnalignedFloat4s*>(p);
}
/** {p[0], p[1], 0, 0} */
SET_INLINE Float4 load2(const float* p) {
  return Float4{p[0], p[1], 0.0f, 0.0f};
}
SET_INLINE void store2(float* p, Float4 v) {
  p[0] = v[0];
  p[1] = v[1];
}
SET_INLINE void store4(float* p, Float4 v) {
  *reinterpret_cast<UnalignedFloat4s*>(p) = v;
}
/** {v0, v0, v1, v1} */
SET_INLINE Float4 each_twice(Float4 v) {
  return SET_SHUFFLE(v, v, 0, 0, 1, 1);
}
SET_INLINE Float4 low_twice(Float4 v) {
  return SET_SHUFFLE(v, v, 0, 1, 0, 1);
}
SET_INLINE Float4 high_first(Float4 v) {
  return SET_SHUFFLE(v, v, 2, 3, 0, 1);
}
/** {a0 + a1, a2 + a3, b0 + b1, b2 + b3} */
SET_INLINE Float4 pair_sums(Float4 a, Float4 b) {
  return SET_SHUFFLE(a, b, 0, 2, 4, 6) + SET_SHUFFLE(a, b, 1, 3, 5, 7);
}
SET_INLINE Float4 all(float s) {
  return s - Float4{};
}

/**
 * S samples of G sources that are neighbours: S G floats, side by side in x and dx, held in kVectors vectors (the last
 * half empty when they are but two). Lane l belongs to source l / S, sample l % S.
 */
template <size_t S, size_t G>
struct Unit {
  static constexpr size_t kLanes = S * G;
  static constexpr size_t kVectors = kLanes <= 4 ? 1 : kLanes / 4;

  static SET_INLINE Float4 rows(const float* x, size_t q) {
    if (kLanes == 1) return Float4{x[0], 0.0f, 0.0f, 0.0f};
    return kLanes == 2 ? load2(x) : load4(x + 4 * q);
  }
  /** The weight of each lane's source. */
  static SET_INLINE Float4 weights(const float* w, size_t q) {
    if (G == 1) return all(w[0]);
    if (S == 2) return each_twice(load2(w + 2 * q));
    return G == 2 ? load2(w) : load4(w + 4 * q);
  }
};

bool all_zero(const float* values, size_t count) {
  for (size_t k = 0; k < count; ++k)
    if (values[k] != 0.0f) return false;  // NaN is not zero, and goes on
  return true;
}

/** z_j += the share of G sources, for the blocks k in [first, last) of their group; `weights` is that of block `first`.
 */
template <class Index, size_t S, size_t G>
SET_INLINE void scatter_unit(const SparseForward<Index>& op, const float* x, const float* weights, uint32_t first,
                             uint32_t last) {
  using U = Unit<S, G>;
  if constexpr (U::kLanes == 1) {
    const float s = x[0];
    const size_t height = op.height;
    const Index* targets = op.targets;
    float* z = op.z;
    uint32_t k = first;
    if (height == 1)
      for (; k + 4 <= last; k += 4, weights += 4)  // distinct targets: four reads before the first write
      {
        float &a = z[targets[k]], &b = z[targets[k + 1]], &c = z[targets[k + 2]], &d = z[targets[k + 3]];
        const float va = fma(weights[0], s, a), vb = fma(weights[1], s, b), vc = fma(weights[2], s, c),
                    vd = fma(weights[3], s, d);
        a = va;
        b = vb;
        c = vc;
        d = vd;
      }
    for (; k < last; ++k, weights += height) z[targets[k]] = fma(weights[0], s, z[targets[k]]);
  } else {
    const size_t height = op.height;
    const Index* targets = op.targets;
    float* const all_z = op.z;
    Float4 rows[U::kVectors];
    for (size_t q = 0; q < U::kVectors; ++q) rows[q] = U::rows(x, q);
    for (uint32_t k = first; k < last; ++k, weights += height) {
      float* z = all_z + targets[k] * S;
      if constexpr (S == 2 && G == 1) {
        store2(z, fma(all(weights[0]), rows[0], load2(z)));
      } else {
        Float4 sum = U::weights(weights, 0) * rows[0];
        for (size_t q = 1; q < U::kVectors; ++q) sum = fma(U::weights(weights, q), rows[q], sum);
        if constexpr (S == 2) {
          store2(z, load2(z) + (sum + high_first(sum)));
        } else {
          z[0] += U::kLanes == 2 ? sum[0] + sum[1] : (sum[0] + sum[2]) + (sum[1] + sum[3]);
        }
      }
    }
  }
}

template <class Index, size_t S, size_t G>
void scatter_groups(const SparseForward<Index>& op, size_t begin, size_t end) {
  for (size_t group = begin; group < end; ++group) {
    const uint32_t first = op.group_offsets[group], last = op.group_offsets[group + 1];
    const float* x = op.x + group * op.height * S;
    if (first == last || all_zero(x, op.height * S)) continue;
    for (size_t part = 0; part < op.height; part += G)
      scatter_unit<Index, S, G>(op, x + part * S, op.weights + first * op.height + part, first, last);
  }
}

template <class Index, size_t S>
void scatter_samples(const SparseForward<Index>& op, size_t begin, size_t end) {
  (S == 1 && op.height % 8 == 0 ? scatter_groups<Index, S, 8 / S>
   : op.height % 4 == 0         ? scatter_groups<Index, S, 4>
   : op.height % 2 == 0         ? scatter_groups<Index, S, 2>
                                : scatter_groups<Index, S, 1>)(op, begin, end);
}

template <class Index>
void scatter_any(const SparseForward<Index>& op, size_t begin, size_t end) {
  op.stride == 1 ? scatter_samples<Index, 1>(op, begin, end) : scatter_samples<Index, 2>(op, begin, end);
}

/** Gradients of the blocks of G > 1 sources into `dots`, and (unless dx is nullptr) their dx. */
template <class Index, size_t S, size_t G>
SET_INLINE void backward_unit(const SparseBackward<Index>& op, size_t source, const float* weights, uint32_t first,
                              uint32_t last, float* dots, float* dx) {
  using U = Unit<S, G>;
  const size_t height = op.height;
  const Index* targets = op.targets;
  const float* all_dz = op.dz;
  Float4 rows[U::kVectors], sum[U::kVectors];
  for (size_t q = 0; q < U::kVectors; ++q) {
    rows[q] = U::rows(op.x + source * S, q);
    sum[q] = Float4{};
  }
  for (uint32_t k = first; k < last; ++k, weights += height, dots += height) {
    const float* row = all_dz + targets[k] * S;
    const Float4 dz = S == 1 ? all(row[0]) : low_twice(load2(row));
    Float4 product[U::kVectors];
    for (size_t q = 0; q < U::kVectors; ++q) {
      product[q] = rows[q] * dz;
      sum[q] = fma(U::weights(weights, q), dz, sum[q]);
    }
    if constexpr (S == 1) {
      for (size_t q = 0; q < U::kVectors; ++q) G == 2 ? store2(dots, product[q]) : store4(dots + 4 * q, product[q]);
    } else if constexpr (G == 2) {
      store2(dots, pair_sums(product[0], product[0]));
    } else {
      store4(dots, pair_sums(product[0], product[1]));
    }
  }
  if (dx == nullptr) return;
  for (size_t q = 0; q < U::kVectors; ++q) {
    const Float4 v = through_activation(rows[q], sum[q], op.activation);
    U::kLanes == 2 ? store2(dx, v) : store4(dx + 4 * q, v);
  }
}

/** The same for one source, whose links come `height` weights apart: four links side by side. */
template <class Index, size_t S>
SET_INLINE void backward_single(const SparseBackward<Index>& op, size_t source, const float* weights, uint32_t first,
                                uint32_t last, float* dots, float* dx) {
  const size_t height = op.height;
  const float* x = op.x + source * S;
  const Index* targets = op.targets;
  const float* dz = op.dz;
  float sum[S] = {};
  uint32_t k = first;
  Float4 even = {}, odd = {};
  for (; k + 4 <= last; k += 4, weights += 4 * height, dots += 4 * height) {
    const Float4 w =
        height == 1 ? load4(weights) : Float4{weights[0], weights[height], weights[2 * height], weights[3 * height]};
    Float4 gradient;
    if constexpr (S == 1) {
      const Float4 four = {dz[targets[k]], dz[targets[k + 1]], dz[targets[k + 2]], dz[targets[k + 3]]};
      even = fma(w, four, even);
      gradient = all(x[0]) * four;
    } else {
      const auto two_rows = [&](uint32_t at) __attribute__((always_inline)) {
        const float *a = dz + targets[at] * S, *b = dz + targets[at + 1] * S;
        return Float4{a[0], a[1], b[0], b[1]};
      };
      const Float4 first_two = two_rows(k), last_two = two_rows(k + 2);
      even = fma(each_twice(w), first_two, even);
      odd = fma(each_twice(high_first(w)), last_two, odd);
      const Float4 samples = low_twice(load2(x));
      gradient = pair_sums(samples * first_two, samples * last_two);
    }
    if (height == 1)
      store4(dots, gradient);
    else
      for (size_t p = 0; p < 4; ++p) dots[p * height] = gradient[p];
  }
  even += odd;
  if constexpr (S == 1) {
    sum[0] = (even[0] + even[2]) + (even[1] + even[3]);
  } else {
    sum[0] = even[0] + even[2];
    sum[1] = even[1] + even[3];
  }
  for (; k < last; ++k, weights += height, dots += height) {
    const float* row = dz + targets[k] * S;
    dots[0] = x[0] * row[0];
    for (size_t s = 1; s < S; ++s) dots[0] = fma(x[s], row[s], dots[0]);
    for (size_t s = 0; s < S; ++s) sum[s] = fma(weights[0], row[s], sum[s]);
  }
  for (size_t s = 0; dx != nullptr && s < S; ++s) dx[s] = through_activation(x[s], sum[s], op.activation);
}

template <class Index, size_t S, size_t G>
void backward_groups(const SparseBackward<Index>& op, size_t begin, size_t end, float* dots) {
  const uint32_t start = op.offsets[begin];
  for (size_t group = begin; group < end; ++group) {
    const uint32_t first = op.offsets[group], last = op.offsets[group + 1];
    for (size_t part = 0; part < op.height; part += G) {
      const size_t source = group * op.height + part;
      const float* weights = op.weights + first * op.height + part;
      float* own_dots = dots + (first - start) * op.height + part;
      float* dx = op.dx == nullptr ? nullptr : op.dx + source * S;
      if constexpr (G == 1)
        backward_single<Index, S>(op, source, weights, first, last, own_dots, dx);
      else
        backward_unit<Index, S, G>(op, source, weights, first, last, own_dots, dx);
    }
  }
}

template <class Index, size_t S>
GroupsFunction<Index> groups_function(size_t height) {
  if (S == 1 && height % 8 == 0) return backward_groups<Index, S, 8 / S>;
  if (height % 4 == 0) return backward_groups<Index, S, 4>;
  if (height % 2 == 0) return backward_groups<Index, S, 2>;
  return backward_groups<Index, S, 1>;
}

}  // namespace

void scatter(const SparseForward<uint16_t>& op, size_t begin, size_t end) {
  scatter_any(op, begin, end);
}
void scatter(const SparseForward<uint32_t>& op, size_t begin, size_t end) {
  scatter_any(op, begin, end);
}

void finish_forward(const FinishForward& op, size_t begin, size_t end) {
  const size_t size = op.outputs * op.stride;
  for (size_t j = begin; j < end; ++j)
    for (size_t s = 0; s < op.stride; ++s) {
      const size_t at = j * op.stride + s;
      float sum = op.bias[j];
      for (size_t p = 0; p < op.count; ++p) sum += op.parts[p * size + at];
      op.z[at] = sum;
    }
  activate(op.z + begin * op.stride, (end - begin) * op.stride, op.activation);
}

GroupsFunction<uint16_t> small_backward(const SparseBackward<uint16_t>& op) {
  return op.stride == 1 ? groups_function<uint16_t, 1>(op.height) : groups_function<uint16_t, 2>(op.height);
}
GroupsFunction<uint32_t> small_backward(const SparseBackward<uint32_t>& op) {
  return op.stride == 1 ? groups_function<uint32_t, 1>(op.height) : groups_function<uint32_t, 2>(op.height);
}

}  // namespace set_native::cpu::SET_ISA
