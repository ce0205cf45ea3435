#pragma once

#include <cstddef>
#include <cstdint>

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
  Array<float> velocity;  // of momentum SGD
  Array<uint16_t>
      birth;  // birth_of the epoch whose evolution grew the link, 0 = initial; empty in dense layers
};

/** The arrays with one number, or four, per target neuron. */
template <template <class> class Array>
struct NeuronArrays {
  Array<float> bias;             // m
  Array<float> bias_velocity;    // m
  Array<float> pieces;           // 4 x m: t_l, a_l, t_r, a_r of every target; empty unless is_piecewise
  Array<float> pieces_velocity;  // 4 x m; empty unless the pieces are learned
};

/**
 * Calls body(name, array of the first holder, the same array of the second ...) for each array per link.
 * Weights come first; `name` is what users call the array.
 */
template <class Body, class... Holders>
void for_each_link_array(Body&& body, Holders&&... holders) {
  body("weights", holders.weights...);
  body("momentum", holders.velocity...);
  body("birth", holders.birth...);
}

/** The same for the arrays per neuron. */
template <class Body, class... Holders>
void for_each_neuron_array(Body&& body, Holders&&... holders) {
  body("bias", holders.bias...);
  body("biasMomentum", holders.bias_velocity...);
  body("pieces", holders.pieces...);
  body("piecesMomentum", holders.pieces_velocity...);
}

/** What holds no numbers of type T, but knows how long one is. */
template <class T>
struct SizeOf {
  size_t bytes = sizeof(T);
};

/** Bytes of all that is kept per link: of its past a dense layer's has no birth. */
inline size_t bytes_per_link(bool dense) {
  const LinkArrays<SizeOf> sizes;
  size_t bytes = 0;
  for_each_link_array([&](const char*, const auto& size) { bytes += size.bytes; }, sizes);
  return dense ? bytes - sizes.birth.bytes : bytes;
}

/** Bytes of all that is kept per target neuron. */
inline size_t bytes_per_neuron(bool piecewise) {
  const NeuronArrays<SizeOf> sizes;
  const size_t bias = sizes.bias.bytes + sizes.bias_velocity.bytes;
  return piecewise ? bias + 4 * (sizes.pieces.bytes + sizes.pieces_velocity.bytes) : bias;
}

}  // namespace set_native
