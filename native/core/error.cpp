#include "core/error.h"

#include <algorithm>
#include <cstdio>
#include <fstream>

#ifdef _WIN32
#include <windows.h>
#else
#include <unistd.h>
#endif

namespace set_native {

const char* code_name(ErrorCode code) {
  switch (code) {
    case ErrorCode::aborted:
      return "ERR_ABORTED";
    case ErrorCode::backend_unavailable:
      return "ERR_BACKEND_UNAVAILABLE";
    case ErrorCode::internal:
      return "ERR_INTERNAL";
    case ErrorCode::invalid_argument:
      return "ERR_INVALID_ARGUMENT";
    case ErrorCode::invalid_csr:
      return "ERR_INVALID_CSR";
    case ErrorCode::non_finite:
      return "ERR_NON_FINITE";
    case ErrorCode::out_of_memory:
      return "ERR_OUT_OF_MEMORY";
    case ErrorCode::out_of_range:
      return "ERR_OUT_OF_RANGE";
    case ErrorCode::shape:
      return "ERR_SHAPE";
  }
  return "ERR_INTERNAL";
}

namespace {
double physical_memory() {
#ifdef _WIN32
  MEMORYSTATUSEX status{};
  status.dwLength = sizeof status;
  GlobalMemoryStatusEx(&status);
  return static_cast<double>(status.ullTotalPhys);
#else
  return static_cast<double>(sysconf(_SC_PHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGE_SIZE));
#endif
}

/** Bytes of physical memory, or the limit of the container if that is less. */
double usable_memory() {
  const double physical = physical_memory();
  double limit = 0.0;
  std::ifstream file("/sys/fs/cgroup/memory.max");  // holds a number, or "max"
  return file >> limit && limit > 0.0 ? std::min(physical, limit) : physical;
}
}  // namespace

void require_memory(double bytes, const std::string& what) {
  // Read once: predictions of a single sample ask as well, and each reading opens a file.
  static const double all = usable_memory();
  if (bytes <= all) return;
  char text[240];
  std::snprintf(
      text, sizeof text,
      " needs about %.1f GB, this machine gives %.1f GB; use smaller layers, a smaller epsilon or fewer "
      "samples at a time",
      bytes / 1e9, all / 1e9);
  throw Error(ErrorCode::out_of_memory, what + text);
}

}  // namespace set_native
