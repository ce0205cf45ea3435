#include <cmath>
#include <limits>
#include <random>

#include "backends.h"
#include "core/backend.h"
#include "core/csr.h"
#include "core/model.h"
#include "core/philox.h"
#include "cpu/backend.h"
#include "gpu/backend.h"
#include "gpu/device.h"
#include "layout/network.h"
#include "reference/backend.h"
#include "test/check.h"

namespace set_native {

TEST("philox: published known answers") {
  // kat_vectors of Random123, philox4x32 with 10 rounds.
  const PhiloxBlock zeros = philox4x32_10({0, 0, 0, 0}, {0, 0});
  CHECK((zeros == PhiloxBlock{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  constexpr uint32_t kOnes = 0xffffffff;
  const PhiloxBlock ones = philox4x32_10({kOnes, kOnes, kOnes, kOnes}, {kOnes, kOnes});
  CHECK((ones == PhiloxBlock{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  const PhiloxBlock pi =
      philox4x32_10({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0});
  CHECK((pi == PhiloxBlock{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST("philox: a draw is the block of its counter words") {
  const PhiloxBlock block = draw(0x299f31d0a4093822, Stream::regrow, 0x123, 7, 0x85a308d3243f6a88, 0x456);
  CHECK((block == philox4x32_10({0x243f6a88, 0x85a308d3, 7, 0x04123456}, {0xa4093822, 0x299f31d0})));
  CHECK(word64(block, 0) == (static_cast<uint64_t>(block[1]) << 32 | block[0]));
  CHECK(word64(block, 1) == (static_cast<uint64_t>(block[3]) << 32 | block[2]));
}

TEST("philox: draws in batches equal draws one by one") {
  std::mt19937_64 random(test::seed());
  for (size_t count = 0; count < 20; ++count) {
    std::vector<uint64_t> index(count), got(count + 1, 42);
    for (uint64_t& i : index) i = random();
    const uint64_t seed = random();
    draw_many(seed, Stream::weights, 9, 77, index.data(), 5, count, got.data());
    for (size_t k = 0; k < count; ++k)
      CHECK_EQ(got[k], word64(draw(seed, Stream::weights, 9, 77, index[k], 5)));
    CHECK_EQ(got[count], 42u);
  }
}

TEST("philox: numbers stay in their ranges") {
  constexpr uint64_t kMost = std::numeric_limits<uint64_t>::max();
  CHECK(unit_open(0) > 0.0);
  CHECK(unit_open(kMost) < 1.0);
  CHECK_EQ(symmetric_unit(0), -1.0f);
  CHECK(symmetric_unit(0xffffffff) < 1.0f);
  CHECK_EQ(symmetric_unit(0x80000000), 0.0f);
  for (const uint64_t count : {uint64_t{1}, uint64_t{3}, uint64_t{1} << 40, kMost}) {
    CHECK_EQ(below(0, count), 0u);
    CHECK_EQ(below(kMost, count), count - 1);
    CHECK_EQ(below(uint64_t{1} << 63, count), count / 2);
  }
}

TEST("csr: accepts what is right and refuses each broken rule") {
  const Csr good{3, 4, {0, 2, 2, 5}, {0, 3, 1, 2, 3}};
  check_csr(good, "test");
  check_csr({2, 2, {0, 0, 0}, {}}, "test");
  const auto broken = [&](auto change) {
    Csr csr = good;
    change(csr);
    check_csr(csr, "test");
  };
  CHECK_THROWS(invalid_csr, broken([](Csr& c) { c.row_offsets.clear(); }));
  CHECK_THROWS(invalid_csr, broken([](Csr& c) { c.row_offsets.pop_back(); }));
  CHECK_THROWS(invalid_csr, broken([](Csr& c) { c.row_offsets[0] = 1; }));
  CHECK_THROWS(invalid_csr, broken([](Csr& c) { c.row_offsets[3] = 4; }));
  CHECK_THROWS(invalid_csr, broken([](Csr& c) { c.row_offsets[1] = 3; }));
  CHECK_THROWS(invalid_csr, broken([](Csr& c) { c.row_offsets[1] = 4000000000u; }));
  CHECK_THROWS(invalid_csr, broken([](Csr& c) { c.col_indices[1] = 4; }));
  CHECK_THROWS(invalid_csr, broken([](Csr& c) { c.col_indices[3] = 1; }));
  CHECK_THROWS(invalid_csr, broken([](Csr& c) { c.col_indices[4] = 0; }));
  CHECK_THROWS(invalid_csr, broken([](Csr& c) { c.cols = 3; }));
  CHECK_THROWS(invalid_csr, broken([](Csr& c) { c.rows = 4; }));
  try {
    broken([](Csr& c) { c.col_indices[3] = 1; });
  } catch (const Error& error) {
    const std::string expected =
        "[test] columns of a row must be strictly ascending, but column 1 follows 1 in row 2";
    CHECK_MSG(error.what() == expected, error.what());
  }
}

TEST("csr: fan-in counts the links into each target") {
  const Csr csr{3, 4, {0, 2, 2, 5}, {0, 3, 0, 1, 3}};
  CHECK(fan_in(csr) == std::vector<uint32_t>({2, 1, 0, 2}));
}

TEST("model: layers are as the specification says") {
  ModelSpec spec;
  spec.sizes = {50, 300, 200, 10};
  spec.epsilon = 6;
  spec.seed = test::seed();
  spec.activation = Activation::tanh;
  for (const Topology topology :
       {Topology::erdos_renyi, Topology::motif, Topology::motif_printed, Topology::dense}) {
    spec.topology = topology;
    const Model model = build_model(spec);
    check_model(model, "test");
    CHECK_EQ(model.layers.size(), 3u);
    CHECK_EQ(model.seed, spec.seed);
    for (size_t l = 0; l < 3; ++l) {
      const Layer& layer = model.layers[l];
      CHECK_EQ(layer.inputs, spec.sizes[l]);
      CHECK_EQ(layer.outputs, spec.sizes[l + 1]);
      // 200 x 10 at epsilon 6: p = 6 * 210 / 2000 = 0.63; the others are sparser.
      CHECK_EQ(layer.dense, topology == Topology::dense);
      CHECK(layer.activation == (l < 2 ? Activation::tanh : Activation::linear));
      for (const float v : layer.velocity) CHECK_EQ(v, 0.0f);
      for (const float b : layer.bias) CHECK_EQ(b, 0.0f);
      for (const uint16_t e : layer.birth) CHECK_EQ(e, 0);
    }
  }
}

TEST("model: a layer whose cell probability reaches one is dense") {
  ModelSpec spec;
  spec.sizes = {300, 300, 10};  // p = 13 * 310 / 3000 > 1
  CHECK(!build_model(spec).layers[0].dense);
  CHECK(build_model(spec).layers[1].dense);
  CHECK_EQ(build_model(spec).layers[1].weights.size(), 3000u);
  CHECK_EQ(cell_probability(13, 300, 10), 1.0);
  CHECK_EQ(cell_probability(1, 100, 100), 0.02);
}

TEST("model: same seed, same model; another seed, another") {
  ModelSpec spec;
  spec.sizes = {40, 60, 5};
  spec.epsilon = 3;
  spec.seed = test::seed();
  const Model a = build_model(spec), b = build_model(spec);
  ++spec.seed;
  const Model c = build_model(spec);
  CHECK(a.layers[0].links.col_indices == b.layers[0].links.col_indices);
  CHECK(a.layers[0].weights == b.layers[0].weights);
  CHECK(a.layers[0].links.col_indices != c.layers[0].links.col_indices);
  CHECK(a.layers[0].weights != c.layers[0].weights);
}

TEST("model: refuses specifications that cannot be") {
  const auto build = [](std::vector<uint32_t> sizes, double epsilon,
                        Topology topology = Topology::erdos_renyi, uint32_t motif_size = 2) {
    ModelSpec spec;
    spec.sizes = std::move(sizes);
    spec.epsilon = epsilon;
    spec.topology = topology;
    spec.motif_size = motif_size;
    return build_model(spec);
  };
  CHECK_THROWS(out_of_range, build({}, 13));
  CHECK_THROWS(out_of_range, build({10}, 13));
  CHECK_THROWS(out_of_range, build({10, 0, 10}, 13));
  CHECK_THROWS(out_of_range, build(std::vector<uint32_t>(kMaxLayers + 1, 2), 13));
  for (const double epsilon : {0.0, -1.0, std::nan(""), std::numeric_limits<double>::infinity()}) {
    CHECK_THROWS(out_of_range, build({10, 10}, epsilon));
    CHECK_EQ(build({10, 10}, epsilon, Topology::dense).layers[0].nnz(), 100u);
  }
  CHECK_THROWS(out_of_range, build({100, 100}, 1, Topology::motif, 1));
  CHECK_THROWS(out_of_range, build({100, 100}, 1, Topology::motif, kMaxMotifSize + 1));
  CHECK_THROWS(shape, build({10, 1}, 13));  // a softmax over one output
  CHECK_EQ(build({1, 2}, 13).layers[0].nnz(), 2u);
}

TEST("model: refuses what does not fit before it allocates") {
  ModelSpec spec;
  constexpr uint32_t kHuge = std::numeric_limits<uint32_t>::max();
  spec.sizes = {4000000u, 4000000u};  // few neurons, 1.28e14 bytes of cells
  spec.topology = Topology::dense;
  CHECK_THROWS(out_of_memory, build_model(spec));
  spec.topology = Topology::erdos_renyi;
  spec.sizes = {kHuge, kHuge};
  spec.epsilon = 1;  // 8.6e9 links
  CHECK_THROWS(out_of_range, build_model(spec));
  spec.sizes.assign(1000, 1000000u);
  spec.epsilon = 2000;  // 4e9 links and 8.8e10 bytes per layer
  CHECK_THROWS(out_of_memory, build_model(spec));
  spec.epsilon = 1e-12;  // hardly a link, but the neurons alone are too many
  spec.sizes.assign(1000, kHuge);
  CHECK_THROWS(out_of_memory, build_model(spec));
}

TEST("model: check finds every inconsistency") {
  ModelSpec spec;
  spec.sizes = {30, 40, 20};
  spec.epsilon = 3;
  spec.seed = test::seed();
  const Model good = build_model(spec);
  const auto broken = [&](auto change) {
    Model model = good;
    change(model);
    check_model(model, "test");
  };
  broken([](Model&) {});
  CHECK_THROWS(shape, broken([](Model& m) { m.layers.clear(); }));
  CHECK_THROWS(shape, broken([](Model& m) { m.layers[0].inputs = 0; }));
  CHECK_THROWS(shape, broken([](Model& m) { std::swap(m.layers[0], m.layers[1]); }));
  CHECK_THROWS(shape, broken([](Model& m) { m.layers[1].links.rows = 39; }));
  CHECK_THROWS(invalid_csr, broken([](Model& m) { m.layers[1].links.col_indices[0] = 20; }));
  CHECK_THROWS(shape, broken([](Model& m) { m.layers[1].weights.pop_back(); }));
  CHECK_THROWS(shape, broken([](Model& m) { m.layers[1].velocity.pop_back(); }));
  CHECK_THROWS(shape, broken([](Model& m) { m.layers[1].birth.push_back(0); }));
  CHECK_THROWS(shape, broken([](Model& m) { m.layers[0].bias.pop_back(); }));
  CHECK_THROWS(shape, broken([](Model& m) { m.layers[0].bias_velocity.push_back(0); }));
  CHECK_THROWS(shape, broken([](Model& m) { m.layers[0].dense = true; }));
  CHECK_THROWS(non_finite, broken([](Model& m) { m.layers[1].weights[3] = NAN; }));
  CHECK_THROWS(non_finite, broken([](Model& m) { m.layers[0].velocity[0] = INFINITY; }));
  CHECK_THROWS(non_finite, broken([](Model& m) { m.layers[0].bias[0] = -INFINITY; }));
  CHECK_THROWS(non_finite, broken([](Model& m) { m.layers[0].bias_velocity[0] = NAN; }));
  CHECK_THROWS(invalid_argument, broken([](Model& m) { m.layers[1].activation = Activation::relu; }));
  CHECK_THROWS(shape, broken([](Model& m) { m.layers[0].pieces.resize(4); }));
  CHECK_THROWS(shape, broken([](Model& m) { m.layers[0].activation = Activation::srelu; }));
}

TEST("model: piecewise activations bring four numbers per neuron") {
  ModelSpec spec;
  spec.sizes = {10, 20, 15, 30, 5};
  spec.epsilon = 2.0;
  spec.activation = Activation::all_relu;
  spec.alpha = 0.25;
  const auto pieces_of = [](const Layer& layer, uint32_t j) {
    const uint32_t m = layer.outputs;
    return std::vector<float>{layer.pieces[j], layer.pieces[m + j], layer.pieces[2 * m + j],
                              layer.pieces[3 * m + j]};
  };
  const Model fixed = build_model(spec);
  for (uint32_t l = 0; l < 3; ++l) {  // -alpha and alpha in turn, from the first hidden layer on
    CHECK(pieces_of(fixed.layers[l], 7) ==
          (std::vector<float>{0.0f, l % 2 == 0 ? -0.25f : 0.25f, 0.0f, 1.0f}));
    CHECK(fixed.layers[l].pieces_velocity.empty());
  }
  CHECK(fixed.layers[3].pieces.empty());
  spec.activation = Activation::leaky_relu;
  const Model leaky = build_model(spec);
  for (uint32_t l = 0; l < 3; ++l)
    CHECK(pieces_of(leaky.layers[l], 7) == (std::vector<float>{0.0f, 0.25f, 0.0f, 1.0f}));
  spec.activation = Activation::srelu;
  const Model learned = build_model(spec);
  for (uint32_t l = 0; l < 3; ++l) {
    CHECK(pieces_of(learned.layers[l], 7) == (std::vector<float>{0.0f, 0.2f, 1.0f, 1.0f}));
    CHECK_EQ(learned.layers[l].pieces_velocity.size(), learned.layers[l].pieces.size());
  }
  for (const Backend* backend : {&cpu_backend(), &reference_backend()})
    CHECK(backend->model_bytes(spec) > 32.0 * 65);
  for (const double alpha : {-0.1, 1.1, static_cast<double>(NAN)}) {
    spec.alpha = alpha;
    CHECK_THROWS(out_of_range, build_model(spec));
  }
  const auto broken = [&](auto change) {
    Model model = learned;
    change(model);
    check_model(model, "test");
  };
  broken([](Model&) {});
  CHECK_THROWS(shape, broken([](Model& m) { m.layers[1].pieces.pop_back(); }));
  CHECK_THROWS(shape, broken([](Model& m) { m.layers[1].pieces_velocity.clear(); }));
  CHECK_THROWS(shape, broken([](Model& m) { m.layers[1].activation = Activation::all_relu; }));
  CHECK_THROWS(non_finite, broken([](Model& m) { m.layers[0].pieces[0] = NAN; }));
  CHECK_THROWS(non_finite, broken([](Model& m) { m.layers[0].pieces_velocity[0] = INFINITY; }));
}

TEST("model: AdamW brings second moments, momentum SGD none") {
  ModelSpec spec;
  spec.sizes = {10, 20, 15, 5};
  spec.epsilon = 2.0;
  spec.activation = Activation::srelu;
  const Model sgd = build_model(spec);
  spec.optimizer = Optimizer::adamw;
  Model model = build_model(spec);
  for (size_t l = 0; l < 3; ++l) {
    const Layer &layer = model.layers[l], &other = sgd.layers[l];
    CHECK(layer.weights == other.weights);
    CHECK_EQ(layer.second_moment.size(), layer.weights.size());
    CHECK_EQ(layer.bias_second_moment.size(), layer.bias.size());
    CHECK_EQ(layer.pieces_second_moment.size(), layer.pieces_velocity.size());
    CHECK(other.second_moment.empty() && other.bias_second_moment.empty() &&
          other.pieces_second_moment.empty());
  }
  check_model(model, "test");
  model.optimizer = Optimizer::sgd;
  CHECK_THROWS(shape, check_model(model, "test"));
}

TEST("model bytes: what a packed network takes, within the spread of its links") {
  for (const auto& [topology, motif_size, optimizer] : {std::tuple{Topology::erdos_renyi, 2u, Optimizer::sgd},
                                                        {Topology::motif, 4u, Optimizer::adamw},
                                                        {Topology::dense, 2u, Optimizer::adamw}}) {
    ModelSpec spec;
    spec.optimizer = optimizer;
    spec.sizes = {300, 400, 350, 10};
    spec.topology = topology;
    spec.motif_size = motif_size;
    spec.activation = Activation::srelu;
    const PackedNetwork network = pack_network(build_model(spec));
    for (const bool dense_by_target : {false, true}) {
      size_t bytes = 0;
      for (const PackedLayer& layer : network.layers) {
        const auto add = [&](const char*, const auto& values) { bytes += values.size() * sizeof(values[0]); };
        for_each_neuron_array(add, layer);
        std::visit(
            [&](const auto& blocks) {
              for_each_link_array(add, blocks);
              const size_t index = sizeof(blocks.targets[0]);
              const bool by_target = !layer.dense || dense_by_target;
              bytes += blocks.size() * (index + (by_target ? index + 4 : 0));
            },
            layer.blocks);
      }
      const double expected = packed_bytes(spec, dense_by_target);
      CHECK_MSG(std::fabs(expected / static_cast<double>(bytes) - 1.0) < 0.06,
                "topology " << static_cast<int>(topology) << ": " << expected << " expected, " << bytes
                            << " taken");
    }
  }
}

TEST("back ends: those of the processor have no device and need no trial") {
  for (const Backend* backend : {&cpu_backend(), &reference_backend()}) {
    CHECK(backend->untried().empty() && backend->try_out().empty());
    CHECK(!backend->refuse("a reason") && backend->probe().available);
    CHECK_EQ(gpu::capacity_of(*backend).warps, 0u);
    CHECK_THROWS(backend_unavailable, gpu::open_device(*backend));
  }
  CHECK(&find_backend("cpu") == &cpu_backend());
  CHECK_THROWS(invalid_argument, find_backend("auto"));
}

}  // namespace set_native
