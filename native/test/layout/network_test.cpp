#include "layout/network.h"
#include "cpu/passes.h"

#include <numeric>

#include "test/cpu/kernel_support.h"
#include "test/model_support.h"

namespace set_native {

using namespace test;

namespace {

TEST("gather: samples to rows, for every batch, number of features and range of them") {
  Random random(50);
  constexpr uint64_t kCount = 140;
  for (const uint32_t features : {1u, 2u, 3u, 4u, 5u, 6u, 7u, 8u, 9u, 13u, 16u, 31u}) {
    // Exactly as large as the samples: a read beyond them is one beyond the array.
    const Guarded x = Guarded::copy_of(random.list(kCount * features, -1.0f, 1.0f));
    Samples samples;
    samples.x = x.data();
    samples.count = kCount;
    samples.features = features;
    std::vector<uint32_t> order(kCount);
    std::iota(order.begin(), order.end(), 0u);
    for (size_t k = kCount; k > 1; --k) std::swap(order[k - 1], order[random.below(k)]);
    for (const Batch& batch : batches())
      for (const size_t width : {4, 16}) {
        const size_t stride = batch.room <= 2 ? batch.room : (batch.room + width - 1) / width * width;
        for (const bool ordered : {false, true}) {
          const uint64_t first = random.below(kCount - batch.size + 1);
          const size_t begin = random.below(features + 1), end = begin + random.below(features + 1 - begin);
          Guarded rows(features * stride, 12345.0f);
          cpu::gather(samples, ordered ? order.data() : nullptr, first, batch.size, rows.data(), stride,
                      begin, end);
          const std::string what = std::to_string(features) + " features, [" + std::to_string(begin) + ", " +
                                   std::to_string(end) + "), batch " + std::to_string(batch.size) +
                                   " in rows of " + std::to_string(stride) + (ordered ? ", in order" : "");
          CHECK_MSG(rows.intact() && x.intact(), what << ": wrote outside the rows");
          for (size_t f = 0; f < features; ++f)
            for (size_t b = 0; b < stride; ++b) {
              const uint64_t sample = b >= batch.size ? 0 : ordered ? order[first + b] : first + b;
              const float want = f < begin || f >= end ? 12345.0f
                                 : b < batch.size      ? x[sample * features + f]
                                                       : 0.0f;
              CHECK_MSG(rows[f * stride + b] == want, what << ": feature " << f << " of sample " << b);
            }
        }
      }
  }
}

TEST("network: a model comes back as it was, its layers in the largest blocks they have") {
  for (const uint32_t motif_size : {1u, 2u, 3u, 4u, 8u, 64u}) {
    ModelSpec spec = make_spec({131, 150, 70, 9}, 9.0, Activation::tanh, Loss::mse);
    if (motif_size > 1) spec.topology = Topology::motif;
    spec.motif_size = motif_size;
    Model model = build_model(spec);
    CHECK(model.layers.back().dense);
    for (Layer& layer : model.layers) {
      for (size_t k = 0; k < layer.nnz(); ++k) layer.velocity[k] = static_cast<float>(k);
      for (size_t k = 0; k < layer.birth.size(); ++k) layer.birth[k] = static_cast<uint16_t>(k % 5);
    }
    const PackedNetwork network = pack_network(model);
    CHECK(network.loss == model.loss && network.seed == model.seed);
    CHECK(same_bits(unpack_network(network), model));
    CHECK(same_bits(unpack_network(network), model));  // which takes nothing away
    for (size_t l = 0; l < 3; ++l) {
      const PackedLayer& layer = network.layers[l];
      CHECK_EQ(layer.nnz(), model.layers[l].nnz());
      const LayerStats got = layer_stats(layer), want = layer_stats(model.layers[l]);
      CHECK(got.inputs == want.inputs && got.outputs == want.outputs && got.dense == want.dense &&
            got.nnz == want.nnz && got.links_by_birth == want.links_by_birth);
      if (layer.dense) continue;
      std::visit([&](const auto& blocks) { CHECK_EQ(blocks.height, motif_size); }, layer.blocks);
      CHECK_EQ(layer.input_rows(), (layer.inputs + motif_size - 1) / motif_size * motif_size);
    }
    CHECK_EQ(rows_between(network, 0), size_t{network.layers[0].input_rows()});
    CHECK_EQ(rows_between(network, 1), size_t{network.layers[1].input_rows()});
    CHECK_EQ(rows_between(network, 3), size_t{9});
  }
}

}  // namespace
}  // namespace set_native
