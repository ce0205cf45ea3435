#pragma once

#include <cstdint>

namespace set_native {

/** Number of targets that are computed side by side for one sample (layout/target_rows.h). */
constexpr uint32_t kBundle = 16;

}  // namespace set_native
