#pragma once

namespace set_native::metal {

/** All kernels in the Metal shading language. Made by metal/embed.js when set-native is built. */
extern const char* const kSource;

}  // namespace set_native::metal
