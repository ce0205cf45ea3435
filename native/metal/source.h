#pragma once

namespace set_native::metal {

/** The source text of all kernels, which metal/embed.js makes when set-native is built. */
extern const char* const kSource;

}  // namespace set_native::metal
