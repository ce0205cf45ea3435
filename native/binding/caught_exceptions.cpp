#include <pthread.h>

#include <cstdlib>

/*
 * The two functions of the C++ ABI that hand out a thread's stack of caught exceptions (Itanium C++ ABI:
 * Exception Handling, 2.2.2), for addons with libc++ inside. libc++abi's own use a thread-local variable,
 * for which a shared object on x86-64 must name the dynamic linker among the libraries that it needs.
 */
namespace {

struct CaughtExceptions {
  void* top;
  unsigned uncaught;
};

pthread_key_t key;
pthread_once_t once = PTHREAD_ONCE_INIT;

void make_key() {
  if (pthread_key_create(&key, std::free) != 0) std::abort();
}

}  // namespace

extern "C" {

/** The stack of this thread; null before the first exception. */
__attribute__((visibility("hidden"))) void* __cxa_get_globals_fast() {
  pthread_once(&once, make_key);
  return pthread_getspecific(key);
}

__attribute__((visibility("hidden"))) void* __cxa_get_globals() {
  void* globals = __cxa_get_globals_fast();
  if (globals == nullptr) {
    globals = std::calloc(1, sizeof(CaughtExceptions));
    if (globals == nullptr || pthread_setspecific(key, globals) != 0) std::abort();
  }
  return globals;
}
}
