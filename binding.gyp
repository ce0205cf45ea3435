# The addon (and, with SET_NATIVE_TESTS=1, the native tests, which also get the 16-wide kernels compiled without
# AVX-512 instructions, to test their logic on any machine). Sources and instruction-set flags: native/sources.json,
# which CMakeLists.txt reads too.
{
  "variables": {
    "native_sanitized%": "<!(node -p \"process.env.SET_NATIVE_SANITIZED || 0\")",
    "native_tests%": "<!(node -p \"process.env.SET_NATIVE_TESTS || 0\")",
    "native_cuda%": "<!(node -p \"process.env.SET_NATIVE_CUDA || 0\")"
  },
  "targets": [
    {
      "target_name": "set_kernels_portable", "type": "static_library",
      "includes": ["native/target.gypi"],
      "sources": ["<!@(node -p \"require('./native/sources.json').kernels.join(' ')\")"],
      "defines": ["SET_ISA=portable"]
    },
    {
      "target_name": "set_core", "type": "static_library",
      "includes": ["native/target.gypi"],
      "sources": ["<!@(node -p \"require('./native/sources.json').core.join(' ')\")"],
      "dependencies": ["set_kernels_portable"],
      "export_dependent_settings": ["set_kernels_portable"],
      "link_settings": {"conditions": [["OS=='linux'", {"libraries": ["-ldl"]}]]},
      "conditions": [
        ["target_arch=='x64'", {"dependencies": ["set_kernels_avx2", "set_kernels_avx512"]}],
        ["OS=='mac'", {
          "sources": [
            "<!@(node -p \"require('./native/sources.json').metal.join(' ')\")", "<(INTERMEDIATE_DIR)/metal_source.cpp"
          ],
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
          "xcode_settings": {"CLANG_ENABLE_OBJC_ARC": "YES"},
          # CoreGraphics: without it Metal gives programs of the command line no default device.
          "link_settings": {
            "libraries": ["-framework Foundation", "-framework Metal", "-framework CoreGraphics", "-lobjc"]
          }
        }, {
          "sources": ["<!@(node -p \"require('./native/sources.json').no_metal.join(' ')\")"]
        }]
      ]
    },
    {
      "target_name": "set_native",
      "includes": ["native/target.gypi"],
      "sources": [
        "<!@(node -p \"require('./native/sources.json').addon.join(' ')\")",
        "<!@(node -p \"require('./native/sources.json').bench.join(' ')\")"
      ],
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
          "sources": ["<!@(node -p \"require('./native/sources.json').kernels.join(' ')\")"],
          "defines": ["SET_ISA=avx2"],
          "cflags": ["<!@(node -p \"require('./native/sources.json').isa.avx2.gnu.join(' ')\")"],
          "xcode_settings": {"OTHER_CPLUSPLUSFLAGS": ["$(inherited)", "<!@(node -p \"require('./native/sources.json').isa.avx2.gnu.join(' ')\")"]}
        },
        {
          "target_name": "set_kernels_avx512", "type": "static_library",
          "includes": ["native/target.gypi"],
          "sources": ["<!@(node -p \"require('./native/sources.json').kernels.join(' ')\")"],
          "defines": ["SET_ISA=avx512"],
          "cflags": ["<!@(node -p \"require('./native/sources.json').isa.avx512.gnu.join(' ')\")"],
          "xcode_settings": {"OTHER_CPLUSPLUSFLAGS": ["$(inherited)", "<!@(node -p \"require('./native/sources.json').isa.avx512.gnu.join(' ')\")"]}
        }
      ]
    }],
    ["native_cuda==1", {
      "targets": [
        {
          "target_name": "set_native_cuda", "type": "none",
          "actions": [{
            "action_name": "nvcc",
            "message": "Compiling the CUDA library",
            "inputs": [
              "native/sources.json",
              "<!@(node -p \"['core', 'cuda', 'gpu'].flatMap((f) => fs.readdirSync('native/' + f).map((n) => 'native/' + f + '/' + n)).join(' ')\")"
            ],
            "outputs": ["<(PRODUCT_DIR)/libset_native_cuda.so"],
            "action": [
              "nvcc", "-shared", "-cudart=static", "-Inative",
              "<!@(node -p \"const { nvcc, sources } = require('./native/sources.json').cuda; [...nvcc, ...sources].join(' ')\")",
              "-Xcompiler=-static-libgcc,-static-libstdc++", "-Xlinker=--exclude-libs,ALL",
              "-o", "<(PRODUCT_DIR)/libset_native_cuda.so"
            ]
          }]
        }
      ]
    }],
    ["native_tests==1", {
      "targets": [
        {
          # An executable to gyp, because node-gyp calls every module .node, and that is for addons.
          "target_name": "set_native_cuda_fake", "type": "executable",
          "includes": ["native/target.gypi"],
          "sources": ["<!@(node -p \"require('./native/sources.json').fake_cuda.join(' ')\")"],
          "product_name": "libset_native_cuda_fake", "product_extension": "so",
          "ldflags": ["-shared"],
          "xcode_settings": {"OTHER_LDFLAGS": ["-dynamiclib"]}
        },
        {
          "target_name": "set_kernels_emulated16", "type": "static_library",
          "includes": ["native/target.gypi"],
          "sources": ["<!@(node -p \"require('./native/sources.json').kernels.join(' ')\")"],
          "defines": ["SET_ISA=emulated16", "SET_VEC_WIDTH=16"],
          "cflags": ["-Wno-psabi"]
        },
        {
          "target_name": "set_native_test", "type": "executable",
          "includes": ["native/target.gypi", "native/gpu_test.gypi"],
          "sources": [
            "<!@(node -p \"require('./native/sources.json').test.join(' ')\")",
            "<!@(node -p \"require('./native/sources.json').fuzz.join(' ')\")"
          ],
          "dependencies": ["set_core", "set_kernels_emulated16", "set_native_cuda_fake"]
        },
        {
          "target_name": "set_native_instructions", "type": "executable",
          "includes": ["native/target.gypi"],
          "sources": ["<!@(node -p \"require('./native/sources.json').instructions.join(' ')\")"],
          "dependencies": ["set_core"]
        }
      ]
    }],
    ["native_sanitized==1", {
      # The tests of GPU kernels, and those kernels, under sanitizers; the rest of the core as it is.
      "targets": [
        {
          "target_name": "set_native_gpu_asan", "type": "executable",
          "includes": ["native/target.gypi", "native/gpu_test.gypi"],
          "cflags": ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g1", "-O1"],
          "ldflags": ["-fsanitize=address,undefined"],
          "dependencies": ["set_core"]
        },
        {
          "target_name": "set_native_gpu_tsan", "type": "executable",
          "includes": ["native/target.gypi", "native/gpu_test.gypi"],
          # Whole evolutions ask the host's thread pool, whose order ThreadSanitizer cannot see here: npm run test:tsan.
          "sources!": ["native/test/gpu_evolution_test.cpp"],
          "cflags": ["-fsanitize=thread", "-g1", "-O1"],
          "ldflags": ["-fsanitize=thread"],
          "dependencies": ["set_core"]
        }
      ]
    }]
  ]
}
