# The addon, and nothing else: tests, sanitizers, benchmark and CUDA library are CMake's. Sources, flags and defines:
# native/sources.json, which CMakeLists.txt reads too.
{
  "targets": [
    {
      "target_name": "set_kernels_portable", "type": "static_library",
      "includes": ["native/target.gypi"],
      "sources": ["<!@(node native/list.js kernels)"],
      "defines": ["SET_ISA=portable"]
    },
    {
      "target_name": "set_core", "type": "static_library",
      "includes": ["native/target.gypi"],
      "sources": ["<!@(node native/list.js core)"],
      "dependencies": ["set_kernels_portable"],
      "export_dependent_settings": ["set_kernels_portable"],
      "conditions": [
        ["target_arch=='x64'", {"dependencies": ["set_kernels_avx2", "set_kernels_avx512"]}],
        ["OS=='linux'", {"link_settings": {"libraries": ["<!@(node native/list.js link linux)"]}}],
        ["OS=='mac'", {
          "sources": ["<!@(node native/list.js metal)", "<(INTERMEDIATE_DIR)/metal_source.cpp"],
          "actions": [{
            "action_name": "metal_source",
            "message": "Joining the Metal kernels",
            "inputs": [
              "native/metal/embed.js", "native/core/vocabulary.h",
              "<!@(node -p \"['gpu', 'metal', 'metal/kernels'].flatMap((f) => fs.readdirSync('native/' + f).map((n) => 'native/' + f + '/' + n)).filter((n) => /[.](h|metal)$/.test(n)).join(' ')\")"
            ],
            "outputs": ["<(INTERMEDIATE_DIR)/metal_source.cpp"],
            "action": ["node", "native/metal/embed.js", "<(INTERMEDIATE_DIR)/metal_source.cpp"]
          }],
          "xcode_settings": {"OTHER_CFLAGS": ["<!@(node native/list.js mac flags)"]},
          "link_settings": {"libraries": ["<!@(node native/list.js link mac)"]}
        }, {
          "sources": ["<!@(node native/list.js no_metal)"]
        }]
      ]
    },
    {
      "target_name": "set_native",
      "includes": ["native/target.gypi"],
      "sources": ["<!@(node native/list.js addon)", "<!@(node native/list.js bench)"],
      "defines": [
        "NAPI_VERSION=8", "NODE_ADDON_API_CPP_EXCEPTIONS", "NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS",
        "NODE_ADDON_API_DISABLE_DEPRECATED"
      ],
      "include_dirs": ["<!(node -p \"require('node-addon-api').include_dir\")"],
      "dependencies": ["set_core"],
      "conditions": [
        ["OS=='linux'", {
          "ldflags": ["-Wl,--gc-sections", "-Wl,--exclude-libs,ALL", "-Wl,-z,nodelete", "-static-libstdc++"]
        }]
      ]
    }
  ],
  "conditions": [
    ["target_arch=='x64'", {
      "targets": [
        {
          "target_name": "set_kernels_avx2", "type": "static_library",
          "includes": ["native/target.gypi"],
          "sources": ["<!@(node native/list.js kernels)"],
          "defines": ["SET_ISA=avx2"],
          "cflags": ["<!@(node native/list.js isa avx2)"],
          "xcode_settings": {"OTHER_CFLAGS": ["<!@(node native/list.js isa avx2)"]}
        },
        {
          "target_name": "set_kernels_avx512", "type": "static_library",
          "includes": ["native/target.gypi"],
          "sources": ["<!@(node native/list.js kernels)"],
          "defines": ["SET_ISA=avx512"],
          "cflags": ["<!@(node native/list.js isa avx512)"],
          "xcode_settings": {"OTHER_CFLAGS": ["<!@(node native/list.js isa avx512)"]}
        }
      ]
    }]
  ]
}
