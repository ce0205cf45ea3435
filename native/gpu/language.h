#pragma once

/*
 * Macros for headers that C++, CUDA and the Metal shading language all read: parameters of kernels, Philox.
 * Metal never sees the lines from `#if !defined(__METAL_VERSION__)` to its `#else` or `#endif`, because
 * metal/embed.js leaves them out of the text.
 *
 *   SET_CONSTANT    stands before a constant of namespace scope
 *   SET_GPU         stands before a function that kernels call
 *   SET_THREAD      stands before a type, in references and pointers to a thread's own variables
 */
#if defined(__METAL_VERSION__)
#define SET_CONSTANT static constant constexpr
#define SET_GPU inline
#define SET_THREAD thread
#elif defined(__CUDACC__)
#include <cstdint>
#define SET_CONSTANT constexpr
#define SET_GPU __host__ __device__ inline
#define SET_THREAD
#else
#include <cstdint>
#define SET_CONSTANT constexpr
#define SET_GPU inline
#define SET_THREAD
#endif
