#include <cstdlib>
#include <cstring>
#include <string>

#include "core/error.h"
#include "cpu/kernels.h"

namespace set_native::cpu {

namespace portable {
extern const KernelTable table;
}
#if defined(SET_HAVE_X86_KERNELS)
namespace avx2 {
extern const KernelTable table;
}
namespace avx512 {
extern const KernelTable table;
}
#endif

namespace {

struct Candidate {
  const KernelTable* table;
  bool (*supported)();
};

/**
 * Every table compiled in, widest first. The builtins also check that the operating system saves the
 * registers.
 */
const Candidate kCandidates[] = {
#if defined(SET_HAVE_X86_KERNELS)
    {&avx512::table,
     [] {
       return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
              __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
              __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
     }},
    {&avx2::table, [] { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }},
#endif
    {&portable::table, [] { return true; }},
};

}  // namespace

const KernelTable* find_kernels(const char* name) {
  for (const Candidate& candidate : kCandidates)
    if (std::strcmp(candidate.table->name, name) == 0 && candidate.supported()) return candidate.table;
  return nullptr;
}

const KernelTable& kernels() {
  const char* variable = std::getenv("SET_NATIVE_ISA");  // NOLINT(concurrency-mt-unsafe): see kernels.h
  const std::string forced = variable != nullptr ? variable : "";
  std::string available;
  for (const Candidate& candidate : kCandidates) {
    if (!candidate.supported()) continue;
    if (forced.empty() || forced == candidate.table->name) return *candidate.table;
    available += (available.empty() ? "" : ", ") + std::string(candidate.table->name);
  }
  throw Error(ErrorCode::backend_unavailable, "[cpu] SET_NATIVE_ISA asks for '" + forced +
                                                  "', this machine has " + available +
                                                  "; unset it or name one of them");
}

}  // namespace set_native::cpu
