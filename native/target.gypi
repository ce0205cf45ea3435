# Flags of every native target. They stand here, not in target_defaults, which lose against Node's common.gypi.
{
  "include_dirs": ["."],
  "cflags": ["-O3", "-fPIC", "-fvisibility=hidden", "-ffp-contract=off", "-Wall", "-Wextra"],
  "cflags!": ["-fno-exceptions"],
  "cflags_cc": ["-std=c++17"],
  "cflags_cc!": ["-fno-exceptions", "-fno-rtti", "-std=gnu++17", "-std=gnu++20"],
  "ldflags": ["-pthread"],
  "xcode_settings": {
    "GCC_ENABLE_CPP_EXCEPTIONS": "YES",
    "GCC_ENABLE_CPP_RTTI": "YES",
    "GCC_SYMBOLS_PRIVATE_EXTERN": "YES",
    "CLANG_CXX_LANGUAGE_STANDARD": "c++17",
    "CLANG_CXX_LIBRARY": "libc++",
    "MACOSX_DEPLOYMENT_TARGET": "11.0",
    "GCC_OPTIMIZATION_LEVEL": "3",
    "OTHER_CFLAGS": ["-ffp-contract=off"]
  },
  "conditions": [["target_arch=='x64'", {"defines": ["SET_HAVE_X86_KERNELS"]}]]
}
