#pragma once

#include <cstddef>
#include <cstdint>

#include "core/vocabulary.h"

/*
 * What a layer remembers per link and per neuron, said once. Whatever goes over all of it (checks, packing
 * into blocks, evolution, copies to a device, counts of bytes, files) does so by for_each_link_array and
 * for_each_neuron_array: an array more is a line in a structure and a line in a list here, and the kernels
 * that use it.
 */
namespace set_native {

/**
 * The arrays with one number per link. `Array<T>` is how the holder keeps numbers of type T: a vector, a
 * pointer, a buffer on a device. Links stand in the order of the holder: that of the CSR, or block by block.
 */
template <template <class> class Array>
struct LinkArrays {
  Array<float> weights;
  Array<float> velocity;       // of momentum SGD; the first moment of AdamW
  Array<float> second_moment;  // of AdamW; else empty
  // birth_of the epoch whose evolution grew the link, 0 = initial; empty in dense layers.
  Array<uint16_t> birth;
};

/** The arrays with one number, or four, per target neuron. */
template <template <class> class Array>
struct NeuronArrays {
  Array<float> bias;                  // m
  Array<float> bias_velocity;         // m
  Array<float> bias_second_moment;    // m; empty unless AdamW
  Array<float> pieces;                // 4 x m: t_l, a_l, t_r, a_r of every target; empty unless is_piecewise
  Array<float> pieces_velocity;       // 4 x m; empty unless the pieces are learned
  Array<float> pieces_second_moment;  // 4 x m; empty unless they are learned by AdamW
};

/** What users call an array, and whether layers with links may lack it. */
struct ArrayName {
  const char* text;
  bool optional = false;
  constexpr operator const char*() const { return text; }
};

/**
 * Calls body(name, array of the first holder, the same array of the second ...) for each array per link, the
 * weights first. A body that is compiled into a hot loop takes the ArrayName, which is constant there; others
 * take a const char*.
 */
template <class Body, class... Holders>
[[gnu::always_inline]] inline void for_each_link_array(Body&& body, Holders&&... holders) {
  body(ArrayName{"weights"}, holders.weights...);
  body(ArrayName{"momentum"}, holders.velocity...);
  body(ArrayName{"secondMoment", true}, holders.second_moment...);
  body(ArrayName{"birth"}, holders.birth...);
}

/** The same for the arrays per neuron. */
template <class Body, class... Holders>
void for_each_neuron_array(Body&& body, Holders&&... holders) {
  body("bias", holders.bias...);
  body("biasMomentum", holders.bias_velocity...);
  body("biasSecondMoment", holders.bias_second_moment...);
  body("pieces", holders.pieces...);
  body("piecesMomentum", holders.pieces_velocity...);
  body("piecesSecondMoment", holders.pieces_second_moment...);
}

/** What holds no numbers of type T, but knows how long one is. */
template <class T>
struct SizeOf {
  size_t bytes = sizeof(T);
};

/** Bytes of all that is kept per link; one of a dense layer has no birth. */
inline size_t bytes_per_link(bool dense, Optimizer optimizer) {
  const LinkArrays<SizeOf> sizes;
  size_t bytes = 0;
  for_each_link_array([&](const char*, const auto& size) { bytes += size.bytes; }, sizes);
  if (dense) bytes -= sizes.birth.bytes;
  if (optimizer != Optimizer::adamw) bytes -= sizes.second_moment.bytes;
  return bytes;
}

/** Bytes of all that is kept per target neuron. */
inline size_t bytes_per_neuron(bool piecewise, Optimizer optimizer) {
  const size_t moments = optimizer == Optimizer::adamw ? 2 : 1;
  return (piecewise ? 5 : 1) * (1 + moments) * sizeof(float);
}

}  // namespace set_native
