#pragma once

/*
 * Choices that describe a model, its training and its evolution, with the numbers that kernels use for them.
 * C++, CUDA and the Metal shading language all read this header. A value never changes its number.
 */
#if !defined(__METAL_VERSION__)
#include <cstdint>
#endif

namespace set_native {

enum class Topology : uint32_t { erdos_renyi, motif, motif_printed, dense };
enum class Init : uint32_t { he_dense, he_fan_in, normal };
enum class RegrowInit : uint32_t { he_dense, zero, he_fan_in };
enum class Activation : uint32_t { relu, tanh, sigmoid, linear, all_relu, srelu, leaky_relu };
enum class Optimizer : uint32_t { sgd, adamw };
enum class Loss : uint32_t { softmax_cross_entropy, sigmoid_binary_cross_entropy, mse };

// Evolution: which links are removed and where others grow (core/evolution.h).
enum class MotifParse : uint32_t { aligned, runs };
enum class MotifScore : uint32_t { mean, max, min, sum };
enum class Prune : uint32_t { by_sign, thesis, lowest };
enum class Grow : uint32_t { random, walk, gradient };

}  // namespace set_native
