#include "core/error.h"

#include <cstdio>

#if defined(_WIN32)
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
#if defined(_WIN32)
  MEMORYSTATUSEX status{};
  status.dwLength = sizeof status;
  return GlobalMemoryStatusEx(&status) ? static_cast<double>(status.ullTotalPhys) : 0.0;
#else
  return static_cast<double>(sysconf(_SC_PHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGE_SIZE));
#endif
}
}  // namespace

void require_memory(double bytes, const std::string& what) {
  const double all = physical_memory();
  if (all <= 0.0 || bytes <= all) return;
  char text[160];
  std::snprintf(text, sizeof text, " needs about %.1f GB, this machine has %.1f GB", bytes / 1e9, all / 1e9);
  throw Error(ErrorCode::out_of_memory, what + text);
}

}  // namespace set_native
