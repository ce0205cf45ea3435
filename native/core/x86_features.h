#pragma once

#include <cpuid.h>

namespace set_native {

/**
 * Whether code for AVX2 with FMA and for AVX-512 (F, BW, DQ, VL) runs here: the processor has the
 * instructions, and the operating system saves their registers. Source: Intel 64 and IA-32 Architectures
 * Software Developer's Manual, volume 1, 13.3 (XGETBV), 14.5.3 and 14.7.1 (AVX2, FMA), 15.2 to 15.4
 * (AVX-512). The compilers'
 * `__builtin_cpu_supports` answers the same from a run-time library that not every one of them brings.
 */
struct X86Features {
  bool avx2 = false;
  bool avx512 = false;
};

inline X86Features x86_features() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  X86Features features;
  constexpr unsigned kFma = 1U << 12, kOsxsave = 1U << 27, kAvx = 1U << 28;  // leaf 1, ecx
  if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) == 0) return features;
  constexpr unsigned kNeeded = kFma | kOsxsave | kAvx;
  if ((ecx & kNeeded) != kNeeded) return features;

  unsigned saved = 0, high = 0;
  __asm__ volatile("xgetbv" : "=a"(saved), "=d"(high) : "c"(0));
  constexpr unsigned kYmm = 0x6, kZmm = 0xe6;  // XMM and YMM; also mask registers and both parts of ZMM
  if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) == 0) return features;
  constexpr unsigned kAvx2 = 1U << 5;                                      // leaf 7, ebx
  constexpr unsigned kAvx512 = 1U << 16 | 1U << 17 | 1U << 30 | 1U << 31;  // F, DQ, BW, VL
  features.avx2 = (ebx & kAvx2) != 0 && (saved & kYmm) == kYmm;
  features.avx512 = features.avx2 && (ebx & kAvx512) == kAvx512 && (saved & kZmm) == kZmm;
  return features;
}

}  // namespace set_native
