#pragma once

#include <cstddef>
#include <vector>

#include "core/aligned.h"

namespace set_native::cpu {

/**
 * An array of floats that all threads of a team read and each writes a part of, without contention for cache
 * lines.
 *
 * A plain store to a line that another core has read costs 6 to 28 ns, more the further the cores are apart,
 * and every core reads every line of the activations. So each thread works on a copy of its own. It
 * *publishes* the part it has written into the shared array by non-temporal stores, which do not have this
 * cost, and after a barrier it *pulls* the others' parts, in order, at the speed of a copy. Arrays beyond
 * kLargest would not fit a core's own cache: for these, and for a team of one, every thread's copy is the
 * shared array itself and both calls do nothing.
 *
 * Parts that begin at cache lines are published fastest, but any parts are correct. A barrier of the team
 * must lie between publish and pull, and between a pull and the next publish.
 */
class Replicas {
 public:
  static constexpr size_t kLargest = size_t{1} << 20;  // floats (4 MB)

  /**
   * Attaches an array of `count` floats, which must live until the next `attach`, and makes `copies` of it,
   * one per thread or none. The contents of the copies are undefined until `refresh`.
   */
  void attach(float* shared, size_t count, unsigned copies) {
    shared_ = shared;
    count_ = count;
    copies_.resize(count <= kLargest ? copies : 0);
    for (AlignedVector<float>& copy : copies_) copy.resize(count);
  }

  /** The thread's copy, or the shared array if there are no copies. */
  float* own(unsigned thread) { return copies_.empty() ? shared_ : copies_[thread].data(); }
  const float* own(unsigned thread) const { return copies_.empty() ? shared_ : copies_[thread].data(); }

  /** Makes the thread's copy equal to the shared array. */
  void refresh(unsigned thread) { pull(thread, 0, count_); }
  /** Copies [begin, end) of the thread's copy into the shared array, for the other threads to pull. */
  void publish(unsigned thread, size_t begin, size_t end);
  /** Copies [0, count) of the shared array, except the thread's own part [begin, end), into its copy. */
  void pull_others(unsigned thread, size_t begin, size_t end, size_t count) {
    pull(thread, 0, begin);
    pull(thread, end, count);
  }

 private:
  void pull(unsigned thread, size_t begin, size_t end);

  float* shared_ = nullptr;
  size_t count_ = 0;
  std::vector<AlignedVector<float>> copies_;
};

}  // namespace set_native::cpu
