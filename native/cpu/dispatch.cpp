#include <cstdlib>
#include <cstring>
#include <string>

#include "core/error.h"
#include "cpu/kernels.h"
#if defined(SET_HAVE_X86_KERNELS)
#include "core/x86_features.h"
#endif

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

/** Every table compiled in, widest first. */
const Candidate kCandidates[] = {
#if defined(SET_HAVE_X86_KERNELS)
    {&avx512::table, [] { return x86_features().avx512; }},
    {&avx2::table, [] { return x86_features().avx2; }},
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
