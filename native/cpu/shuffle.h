#pragma once

/*
 * SET_SHUFFLE(a, b, i, j, k, l) returns lanes {i, j, k, l} of the eight lanes of a and b, two vectors of
 * four. Clang and GCC from 12 on have one builtin for it, older GCC another. It is a macro because kernel
 * files must not share inline functions.
 */
#if defined(__has_builtin)
#if __has_builtin(__builtin_shufflevector)
#define SET_SHUFFLE(a, b, i, j, k, l) __builtin_shufflevector(a, b, i, j, k, l)
#endif
#endif
#if !defined(SET_SHUFFLE)
typedef int SetShuffleLanes __attribute__((vector_size(16)));
#define SET_SHUFFLE(a, b, i, j, k, l) __builtin_shuffle(a, b, SetShuffleLanes{i, j, k, l})
#endif
