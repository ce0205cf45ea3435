#include "gpu/dropout.h"
#include "gpu/train_params.h"
#include "metal/kernels/columns.h"

/*
 * Dropout of a hidden layer's outputs in place: -0 where they are dropped, else gain z, and 0 in place of -0.
 * A thread takes eight neighbouring neurons of one sample, which share a block of Philox, about 100
 * instructions; the threads of a simdgroup read and write neighbouring samples. 8 bytes per number.
 */
using namespace metal;
using namespace set_native::gpu;

kernel void dropout(constant DropoutParams& p [[buffer(0)]], device const StepState* state [[buffer(1)]],
                    device float* z [[buffer(2)]], uint3 team [[threadgroup_position_in_grid]],
                    uint32_t index [[thread_index_in_threadgroup]]) {
  const uint32_t k = team.x * kTrainThreads + index;
  const uint32_t group = k / p.stride, column = k % p.stride;
  const uint32_t first = group * kDropoutNeurons;
  if (stopped(state) || first >= p.outputs) return;
  const DrawKey key = {p.key.seed_low, p.key.seed_high, state->epoch, p.key.last_word};
  const PhiloxWords words = dropout_words(key, state->first + column, group);
  for (uint32_t r = 0; r < kDropoutNeurons && first + r < p.outputs; ++r) {
    const uint64_t at = static_cast<uint64_t>(first + r) * p.stride + column;
    const float kept = p.gain * z[at];
    if (is_dropped(words, r, p.threshold))
      z[at] = as_type<float>(kDroppedOutput);
    else
      z[at] = as_type<uint32_t>(kept) == kDroppedOutput ? 0.0f : kept;
  }
}
