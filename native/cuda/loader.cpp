#include "cuda/loader.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <mutex>
#include <optional>

#if defined(__linux__)
#include <dlfcn.h>
#include <limits.h>
#include <unistd.h>

#include <cstring>

#include "cuda/abi.h"
#endif

namespace set_native::cuda {

namespace {

constexpr const char* kName = "libset_native_cuda.so";

std::mutex mutex;
std::optional<Loaded> loaded;

#if defined(__linux__)

/** Returns the folder of the file that holds this code, with a slash at its end. */
std::string own_folder() {
  Dl_info info{};
  const bool known = dladdr(reinterpret_cast<void*>(&library_path), &info) != 0 && info.dli_fname != nullptr;
  std::string file = known ? info.dli_fname : "";
  char path[PATH_MAX];
  // The name of a program that was found by PATH has no folder.
  if (file.find('/') == std::string::npos) file = "/proc/self/exe";
  if (realpath(file.c_str(), path) != nullptr) file = path;
  return file.substr(0, file.rfind('/') + 1);
}

bool is_there(const std::string& path) {
  return access(path.c_str(), R_OK) == 0;
}

std::string text_of_dlerror() {
  const char* text = dlerror();  // NOLINT(concurrency-mt-unsafe): glibc keeps one per thread
  return text != nullptr ? text : "no reason given";
}

/** Returns whether no function of the table is null. */
bool complete(const Library& library) {
  const auto* begin = reinterpret_cast<const unsigned char*>(&library) + offsetof(Library, probe);
  const auto* end = reinterpret_cast<const unsigned char*>(&library) + sizeof library;
  for (; begin != end; begin += sizeof(uintptr_t)) {
    uintptr_t entry;
    std::memcpy(&entry, begin, sizeof entry);
    if (entry == 0) return false;
  }
  return true;
}

#else

bool is_there(const std::string&) {
  return false;
}

#endif

}  // namespace

#if defined(__linux__)

std::string library_path() {
  const char* given = std::getenv("SET_NATIVE_CUDA_LIBRARY");  // NOLINT(concurrency-mt-unsafe): read only
  return given != nullptr && *given != '\0' ? given : own_folder() + kName;
}

Loaded load(const std::string& path) {
  if (!is_there(path))
    return {nullptr, "its library was not found at " + path +
                         "; with a CUDA toolkit `npx set-native build --cuda` builds it, and "
                         "SET_NATIVE_CUDA_LIBRARY names one "
                         "elsewhere"};
  void* handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) return {nullptr, "its library could not be opened: " + text_of_dlerror()};
  const auto get = reinterpret_cast<GetLibrary>(dlsym(handle, kGetLibrary));
  if (get == nullptr) return {nullptr, path + " is not a library of set-native: it lacks " + kGetLibrary};
  const Library* library = get();
  if (library == nullptr) return {nullptr, path + " gave no table"};
  if (library->abi != kAbi || library->bytes != sizeof(Library))
    return {nullptr, path + " has ABI " + std::to_string(library->abi) + " of " +
                         std::to_string(library->bytes) + " bytes, this program " + std::to_string(kAbi) +
                         " of " + std::to_string(sizeof(Library)) + ": build both from the same sources"};
  if (!complete(*library)) return {nullptr, path + " lacks functions: build it again"};
  return {library, ""};
}

#else

std::string library_path() {
  return kName;
}

Loaded load(const std::string&) {
  return {nullptr, "it works on Linux only"};
}

#endif

std::string untried_library() {
  const std::lock_guard<std::mutex> lock(mutex);
  const std::string path = library_path();
  return !loaded && is_there(path) ? path : "";
}

Loaded library() {
  const std::lock_guard<std::mutex> lock(mutex);
  if (!loaded) loaded = load(library_path());
  return *loaded;
}

bool refuse(const std::string& reason) {
  const std::lock_guard<std::mutex> lock(mutex);
  if (loaded && loaded->table != nullptr) return false;
  loaded = Loaded{nullptr, reason};
  return true;
}

}  // namespace set_native::cuda
