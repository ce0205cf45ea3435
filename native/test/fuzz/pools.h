#pragma once

#include "layout/thread_pool.h"
#include "test/fuzz/input.h"

namespace set_native::test {

/** One thread mostly: where others work too, several take a hundred times as long. */
inline ThreadPool& any_pool(Input& in) {
  static ThreadPool one(1), two(2), three(3);
  const uint32_t choice = in.below(16);
  return choice == 1 ? two : choice == 2 ? three : one;
}

}  // namespace set_native::test
