# The tests of GPU kernels, emulated: their sources, and C++ made of the Metal kernels.
{
  "sources": [
    "<!@(node -p \"require('./native/sources.json').gpu_test.join(' ')\")",
    "<(INTERMEDIATE_DIR)/metal_kernels.cpp", "<(INTERMEDIATE_DIR)/metal_planted.cpp"
  ],
  "actions": [
    {
      "action_name": "metal_kernels",
      "message": "Making C++ of the Metal kernels",
      "inputs": [
        "metal/embed.js", "test/emulator/metal_bindings.js", "core/vocabulary.h",
        "<!@(node -p \"['gpu', 'metal', 'metal/kernels'].flatMap((f) => fs.readdirSync('native/' + f).map((n) => 'native/' + f + '/' + n)).filter((n) => /[.](h|metal)$/.test(n)).join(' ')\")"
      ],
      "outputs": ["<(INTERMEDIATE_DIR)/metal_kernels.cpp"],
      "action": ["node", "native/test/emulator/metal_bindings.js", "<(INTERMEDIATE_DIR)/metal_kernels.cpp"]
    },
    {
      "action_name": "metal_planted",
      "inputs": ["metal/embed.js", "test/emulator/metal_bindings.js", "test/emulator/planted.metal"],
      "outputs": ["<(INTERMEDIATE_DIR)/metal_planted.cpp"],
      "action": [
        "node", "native/test/emulator/metal_bindings.js", "<(INTERMEDIATE_DIR)/metal_planted.cpp",
        "planted", "test/emulator/planted.metal"
      ]
    }
  ]
}
