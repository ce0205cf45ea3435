#include <cstdlib>

/*
 * What g++ compiles calls this function of libstdc++ where a std::vector would outgrow the address space;
 * a library with libc++ inside has it not. Nothing here comes near: sizes are checked before.
 */
namespace std {
// NOLINTNEXTLINE(bugprone-reserved-identifier): that is its name
__attribute__((visibility("hidden"))) void __throw_length_error(const char*) {
  std::abort();
}
}  // namespace std
