#include "cpu/replicas.h"

#include <algorithm>
#include <cstdint>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace set_native::cpu {

namespace {

/**
 * Copies with non-temporal stores, which bypass the caches and so take no line from another core. The copy is
 * visible to other threads after the next barrier.
 */
void stream_copy(const float* from, float* to, size_t count) {
#if defined(__SSE2__)
  constexpr size_t kLine = kAlignment / sizeof(float);
  const size_t head =
      std::min(count, (kLine - reinterpret_cast<uintptr_t>(to) / sizeof(float) % kLine) % kLine);
  size_t k = head;
  std::copy_n(from, head, to);
  for (; k + kLine <= count; k += kLine)
    for (size_t q = 0; q < kLine; q += 4) _mm_stream_ps(to + k + q, _mm_loadu_ps(from + k + q));
  std::copy(from + k, from + count, to + k);
  _mm_sfence();
#else
  std::copy_n(from, count, to);
#endif
}

}  // namespace

void Replicas::publish(unsigned thread, size_t begin, size_t end) {
  if (!copies_.empty() && begin < end)
    stream_copy(copies_[thread].data() + begin, shared_ + begin, end - begin);
}

void Replicas::pull(unsigned thread, size_t begin, size_t end) {
  if (!copies_.empty() && begin < end)
    std::copy(shared_ + begin, shared_ + end, copies_[thread].data() + begin);
}

}  // namespace set_native::cpu
