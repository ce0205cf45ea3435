#pragma once

#include <cstddef>
#include <cstdint>

#include "core/vocabulary.h"

/*
 * The arrays that a layer keeps per link and per neuron, listed once. All code that handles every array
 * (checks, packing into blocks, evolution, copies to a device, counts of bytes, files) calls
 * for_each_link_array and for_each_neuron_array: a new array takes one line in a structure and one in a list
 * here, and the kernels that use it.
 */
namespace set_native {

/**
 * Arrays with one number per link. `Array<T>` is the holder's container of numbers of type T: a vector, a
 * pointer, a buffer on a device. Links are in the order of the holder: that of the CSR, or block by block.
 */
template <template <class> class Array>
struct LinkArrays {
  Array<float> weights;
  Array<float> velocity;       // velocity of momentum SGD, or first moment of AdamW
  Array<float> second_moment;  // second moment of AdamW; empty for other optimizers
  // birth_of the epoch whose evolution grew the link, 0 for initial links; empty in dense layers.
  Array<uint16_t> birth;
};

/** Arrays with one number, or four, per target neuron. */
template <template <class> class Array>
struct NeuronArrays {
  Array<float> bias;                  // m
  Array<float> bias_velocity;         // m
  Array<float> bias_second_moment;    // m; empty unless AdamW
  Array<float> pieces;                // 4 x m: t_l, a_l, t_r, a_r of every target; empty unless is_piecewise
  Array<float> pieces_velocity;       // 4 x m; empty unless the pieces are learned
  Array<float> pieces_second_moment;  // 4 x m; empty unless AdamW learns the pieces
};

/** Name of an array towards users, and whether layers with links may lack the array. */
struct ArrayName {
  const char* text;
  bool optional = false;
  constexpr operator const char*() const { return text; }
};

/**
 * Calls body(name, array of the first holder, same array of the second ...) for each array per link, weights
 * first. A body that is compiled into a hot loop takes an ArrayName, which is constant there; others take a
 * const char*.
 */
template <class Body, class... Holders>
[[gnu::always_inline]] inline void for_each_link_array(Body&& body, Holders&&... holders) {
  body(ArrayName{"weights"}, holders.weights...);
  body(ArrayName{"momentum"}, holders.velocity...);
  body(ArrayName{"secondMoment", true}, holders.second_moment...);
  body(ArrayName{"birth"}, holders.birth...);
}

/** Calls body(name, array of the first holder, same array of the second ...) for each array per neuron. */
template <class Body, class... Holders>
void for_each_neuron_array(Body&& body, Holders&&... holders) {
  body("bias", holders.bias...);
  body("biasMomentum", holders.bias_velocity...);
  body("biasSecondMoment", holders.bias_second_moment...);
  body("pieces", holders.pieces...);
  body("piecesMomentum", holders.pieces_velocity...);
  body("piecesSecondMoment", holders.pieces_second_moment...);
}

/** Container that holds no numbers of type T, only the size of one. */
template <class T>
struct SizeOf {
  size_t bytes = sizeof(T);
};

/** Bytes of all arrays per link. Links of a dense layer have no birth. */
inline size_t bytes_per_link(bool dense, Optimizer optimizer) {
  const LinkArrays<SizeOf> sizes;
  size_t bytes = 0;
  for_each_link_array([&](const char*, const auto& size) { bytes += size.bytes; }, sizes);
  if (dense) bytes -= sizes.birth.bytes;
  if (optimizer != Optimizer::adamw) bytes -= sizes.second_moment.bytes;
  return bytes;
}

/** Bytes of all arrays per target neuron. */
inline size_t bytes_per_neuron(bool piecewise, Optimizer optimizer) {
  const size_t moments = optimizer == Optimizer::adamw ? 2 : 1;
  return (piecewise ? 5 : 1) * (1 + moments) * sizeof(float);
}

}  // namespace set_native
