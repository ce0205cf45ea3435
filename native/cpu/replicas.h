#pragma once

#include <cstddef>
#include <vector>

#include "core/aligned.h"

namespace set_native::cpu {

/**
 * One array of floats that all threads of a team read and each writes a part of, without fighting for cache
 * lines.
 *
 * A plain store to a line that another core has read costs 6 to 28 ns, more the further the cores are apart,
 * and every line of the activations is read by every core. So each thread works on a copy of its own,
 * *publishes* the part it has written into the shared array by non-temporal stores, which cost nothing of the
 * kind, and after a barrier *pulls* the others' parts, in order, at the speed of a copy. Arrays beyond
 * kLargest would not fit a core's own cache: there, and for a team of one, every thread's copy is the shared
 * array itself and both calls do nothing.
 *
 * Parts that begin at cache lines are published fastest; any are correct. A barrier of the team must lie
 * between publish and pull, and between a pull and the next publish.
 */
class Replicas {
 public:
  static constexpr size_t kLargest = size_t{1} << 20;  // floats: 4 MB

  /** `shared` must outlive the next call. The copies, one per thread or none, have undefined contents until
   * `refresh`.
   */
  void attach(float* shared, size_t count, unsigned copies) {
    shared_ = shared;
    count_ = count;
    copies_.resize(count <= kLargest ? copies : 0);
    for (AlignedVector<float>& copy : copies_) copy.resize(count);
  }

  float* own(unsigned thread) { return copies_.empty() ? shared_ : copies_[thread].data(); }
  const float* own(unsigned thread) const { return copies_.empty() ? shared_ : copies_[thread].data(); }

  /** Makes the thread's copy equal to the shared array. */
  void refresh(unsigned thread) { pull(thread, 0, count_); }
  /** Makes [begin, end) of the thread's copy visible to the others' pull. */
  void publish(unsigned thread, size_t begin, size_t end);
  /** Brings [0, count) of the shared array, but for the thread's own part [begin, end), into its copy. */
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
