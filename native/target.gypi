# Flags of every target: sources.json's, in place of Node's own where those differ. They stand here, not in
# target_defaults, which lose against Node's common.gypi.
{
  "include_dirs": ["<!@(node native/list.js include_dirs)"],
  "cflags!": ["-fno-exceptions"],
  "cflags_cc!": ["-fno-exceptions", "-fno-rtti", "-std=gnu++17", "-std=gnu++20"],
  "cflags_cc": ["<!@(node native/list.js flags)"],
  "xcode_settings": {
    "GCC_ENABLE_CPP_EXCEPTIONS": "YES",
    "GCC_ENABLE_CPP_RTTI": "YES",
    "CLANG_CXX_LANGUAGE_STANDARD": "",
    "CLANG_CXX_LIBRARY": "libc++",
    "MACOSX_DEPLOYMENT_TARGET": "<!(node native/list.js mac deployment_target)",
    "OTHER_CFLAGS": ["<!@(node native/list.js flags)"]
  },
  "conditions": [["target_arch=='x64'", {"defines": ["<!@(node native/list.js defines x64)"]}]]
}
