#include "cpu/probe.h"

#include <cmath>
#include <string>
#include <vector>

#include "core/training.h"
#include "cpu/kernels.h"
#include "layout/network.h"
#include "layout/thread_pool.h"
#include "reference/model.h"
#include "reference/ops.h"
#include "test/model_support.h"

/*
 * Scores of growth by gradient: those of the CPU back end against gradients in double of networks that have
 * every link, and the op beneath them against a plain sum.
 */
namespace set_native {

using namespace test;

namespace {

using Doubles = std::vector<double>;

std::vector<const cpu::KernelTable*> tables() {
  std::vector<const cpu::KernelTable*> all;
  for (const char* name : {"portable", "avx2", "avx512"})
    if (const cpu::KernelTable* table = cpu::find_kernels(name)) all.push_back(table);
  return all;
}

/** A network with all cells of layer `l` as links; those that had none have the weight 0. */
reference::Network filled(const Model& model, size_t l) {
  reference::Network network = reference::make_network(model);
  reference::NetworkLayer& layer = network.layers[l];
  Doubles weights(size_t{layer.links.rows} * layer.links.cols, 0.0);
  for (uint32_t i = 0; i < layer.links.rows; ++i)
    for (uint32_t k = layer.links.row_offsets[i]; k < layer.links.row_offsets[i + 1]; ++k)
      weights[size_t{i} * layer.links.cols + layer.links.col_indices[k]] = layer.weights[k];
  layer.links = reference::full_pattern(layer.links.rows, layer.links.cols);
  layer.weights = weights;
  return network;
}

/** Squared gradients of the sum of the losses by every cell of layer `l`, in double. */
Doubles squared_gradients(const Model& model, size_t l, const Data& data, size_t count, uint32_t epoch) {
  const reference::Network network = filled(model, l);
  const Samples samples = data.samples();
  const std::vector<uint32_t> order = epoch_order(model.seed, epoch, samples.count, true);
  Doubles x;
  std::vector<uint32_t> labels;
  std::vector<float> weights;
  for (size_t s = 0; s < count; ++s) {
    x.insert(x.end(), samples.x + order[s] * data.features, samples.x + (order[s] + 1) * data.features);
    labels.push_back(data.labels[order[s]]);
    if (!data.weights.empty()) weights.push_back(data.weights[order[s]]);
  }
  const auto values = reference::forward(network, x, count);
  Doubles dz;
  const Targets targets{labels.data(), nullptr, weights.empty() ? nullptr : weights.data()};
  reference::loss_and_gradient(network.loss, values.back(), data.outputs, count, targets, &dz);
  Doubles squares = reference::backward(network, values, dz, count).weights[l];
  for (double& g : squares) g = std::pow(g * static_cast<double>(count), 2);
  return squares;
}

}  // namespace

TEST("probe: scores are the squared gradients of a network with every link, in double") {
  struct Case {
    const char* name;
    Activation activation;
    Topology topology;
    double epsilon;
    size_t samples, seen;
  };
  const Case cases[] = {
      {"relu", Activation::relu, Topology::erdos_renyi, 4.0, 300, 300},
      {"tanh, motifs", Activation::tanh, Topology::motif, 4.0, 129, 129},
      {"srelu", Activation::srelu, Topology::erdos_renyi, 4.0, 1500, 512},
      {"all-relu, dense", Activation::all_relu, Topology::dense, 0.0, 64, 64},
      {"one sample", Activation::relu, Topology::erdos_renyi, 4.0, 1, 1},
      {"two samples", Activation::sigmoid, Topology::motif, 4.0, 2, 2},
  };
  for (const Case& c : cases) {
    ModelSpec spec = make_spec({37, 50, 41, 5}, c.epsilon, c.activation, Loss::softmax_cross_entropy);
    spec.topology = c.topology;
    spec.motif_size = 4;
    const Model model = build_model(spec);
    Data data = make_data(37, 5, c.samples, 11);
    for (size_t s = 0; s < c.samples; ++s) data.weights.push_back(0.5f + static_cast<float>(s % 3));
    for (const cpu::KernelTable* table : tables()) {
      const PackedNetwork network = pack_network(model);
      ThreadPool one(1), three(3);
      const cpu::Probe probe(network, *table, three, data.samples(), 7);
      const cpu::Probe alone(network, *table, one, data.samples(), 7);
      for (size_t l = 0; l < model.layers.size(); ++l) {
        const Doubles want = squared_gradients(model, l, data, c.seen, 7);
        const uint32_t n = model.layers[l].inputs, m = model.layers[l].outputs;
        std::vector<uint32_t> sources, targets;
        for (uint32_t cell = 0; cell < n * m; ++cell) {
          sources.push_back(cell / m);
          targets.push_back(cell % m);
        }
        Doubles got(want.size(), -1.0), again(want.size(), -1.0);
        probe.scores(l)(sources.data(), targets.data(), got.size(), got.data());
        alone.scores(l)(sources.data(), targets.data(), again.size(), again.data());
        CHECK_MSG(got == again, c.name << ", " << table->name << ": threads change the scores");
        double largest = 0.0, worst = 0.0;
        for (size_t k = 0; k < want.size(); ++k) {
          largest = std::max(largest, std::sqrt(want[k]));
          worst = std::max(worst, std::fabs(std::sqrt(got[k]) - std::sqrt(want[k])));
        }
        CHECK_MSG(largest > 0.0, c.name << ": no gradient at all");
        CHECK_MSG(worst <= 1e-5 * largest, c.name << ", " << table->name << ", layer " << l << ": off by "
                                                  << worst << " of " << largest);
      }
    }
  }
}

TEST("probe: a loss that overflows is refused") {
  ModelSpec spec = make_spec({20, 30, 30, 3}, 4.0, Activation::relu, Loss::softmax_cross_entropy);
  PackedNetwork network = pack_network(build_model(spec));
  for (PackedLayer& layer : network.layers) enlarge_weights(layer);
  const Data data = make_data(20, 3, 40, 5);
  ThreadPool pool(2);
  CHECK_THROWS(non_finite, cpu::Probe(network, cpu::kernels(), pool, data.samples(), 1));
}

TEST("sddmm: products of rows at cells, of any stride, added to what was there") {
  for (const cpu::KernelTable* table : tables()) {
    for (const size_t batch : {1u, 2u, 3u, 16u, 40u, 100u, 128u}) {
      const size_t stride = cpu::row_stride(*table, batch), n = 9, m = 7;
      AlignedVector<float> x(n * stride), dz(m * stride);
      for (size_t k = 0; k < x.size(); ++k) x[k] = static_cast<float>(static_cast<int>(k * 37 % 101) - 50);
      for (size_t k = 0; k < dz.size(); ++k) dz[k] = static_cast<float>(static_cast<int>(k * 53 % 89) - 44);
      std::vector<uint32_t> sources, targets;
      Doubles sums, want;
      for (uint32_t k = 0; k < 40; ++k) {
        sources.push_back(k * 5 % n);
        targets.push_back(k * 3 % m);
        sums.push_back(k);
        double sum = 0.0;
        for (size_t c = 0; c < stride; ++c)
          sum += static_cast<double>(x[sources[k] * stride + c]) * dz[targets[k] * stride + c];
        want.push_back(k >= 3 && k < 38 ? k + 0.5 * sum : k);
      }
      cpu::Sddmm op{sources.data(), targets.data(), x.data(), dz.data(), stride, 0.5, sums.data()};
      table->sddmm(op, 3, 38);
      CHECK_MSG(sums == want, table->name << ", batch of " << batch);  // whole numbers: exact
    }
  }
}

TEST("probe: looks at 512 samples, at fewer of wide networks, never at none") {
  CHECK_EQ(probe_samples(5000, 60000), 512u);
  CHECK_EQ(probe_samples(5000, 100), 100u);
  CHECK_EQ(probe_samples(65536, 60000), 512u);
  CHECK_EQ(probe_samples(65537, 60000), 384u);
  CHECK_EQ(probe_samples(10'000'000, 60000), 128u);
  CHECK_EQ(probe_samples(10'000'000, 3), 3u);
}

}  // namespace set_native
