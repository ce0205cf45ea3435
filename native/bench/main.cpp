#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include "core/backend.h"
#include "core/error.h"
#include "core/philox.h"
#include "cpu/kernels.h"

/*
 * set_native_bench [--epsilon 13] [--batch 40] [--threads 0] [--isa NAME] [--runs 9] [--dense 0|1]
 *
 * Times the CPU back end without Node: the kernels on one layer of 3000 x 3000, then epochs of the reference network
 * 784-3000-3000-3000-10 on 5000 random samples. Kernels are compared with plain loops in double first, the network's
 * training, evaluation, prediction and evolution with the reference back end.
 */
using namespace set_native;

namespace {

constexpr uint32_t kNeurons = 3000;
constexpr uint32_t kSamples = 5000;
constexpr cpu::UpdateRule kRule{0.05f, 0.9f, 0.0f, 0.0002f};

struct Settings {
  double epsilon = 13.0;
  uint32_t batch = 40;
  uint32_t threads = 0;
  int runs = 9;
  bool dense = true;
};

/** Median and minimum wall time in ms of `runs` calls after one to warm up. */
struct Times {
  double median, minimum;
};

Times time(int runs, const std::function<void()>& body) {
  body();
  std::vector<double> ms;
  for (int r = 0; r < runs; ++r) {
    const auto start = std::chrono::steady_clock::now();
    body();
    ms.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count());
  }
  std::sort(ms.begin(), ms.end());
  return {ms[ms.size() / 2], ms.front()};
}

void require(bool right, const std::string& what) {
  if (!right) throw std::runtime_error(what + " is wrong: not timed");
}

float noise(uint64_t index) {
  return symmetric_unit(draw(1, Stream::split, 0, 0, index)[0]);
}

/** rows x stride, the first `batch` columns random, the rest zero. */
AlignedVector<float> random_rows(size_t rows, size_t stride, size_t batch, uint64_t salt) {
  AlignedVector<float> values(rows * stride, 0.0f);
  for (size_t r = 0; r < rows; ++r)
    for (size_t b = 0; b < batch; ++b) values[r * stride + b] = noise(salt << 40 | r * stride | b << 24);
  return values;
}

bool near(const AlignedVector<float>& got, const std::vector<double>& want) {
  double largest = 0.0;
  for (const double w : want) largest = std::max(largest, std::fabs(w));
  for (size_t k = 0; k < want.size(); ++k)
    if (!(std::fabs(got[k] - want[k]) <= 1e-5 * largest)) return false;
  return true;
}

/** One layer with its batch, and what its passes should give. */
struct Problem {
  Layer layer;
  size_t batch, stride;
  AlignedVector<float> x, dz, z, dx, gradient, scratch, dz_by_sample;

  Problem(double epsilon, uint32_t batch_size, size_t width)
      : batch(batch_size), stride((batch + width - 1) / width * width), scratch(kNeurons) {
    ModelSpec spec;
    spec.sizes = {kNeurons, kNeurons};
    spec.epsilon = epsilon;
    layer = build_model(spec).layers.front();
    x = random_rows(kNeurons, stride, batch, 1);
    dz = random_rows(kNeurons, stride, batch, 2);
    z.resize(kNeurons * stride);
    dx.resize(kNeurons * stride);
    gradient.resize(layer.nnz());
    const size_t outputs_stride = (kNeurons + 15) / 16 * 16;
    dz_by_sample.resize(batch * outputs_stride);
    for (size_t j = 0; j < kNeurons; ++j)
      for (size_t b = 0; b < batch; ++b) dz_by_sample[b * outputs_stride + j] = dz[j * stride + b];
  }

  /** Plain loops over the links in double. */
  void check(const std::string& what) const {
    std::vector<double> want_z(kNeurons * stride), want_dx(kNeurons * stride), want_gradient(layer.nnz());
    for (size_t j = 0; j < kNeurons; ++j)
      for (size_t b = 0; b < stride; ++b) want_z[j * stride + b] = layer.bias[j];
    for (size_t i = 0; i < kNeurons; ++i) {
      const size_t first = layer.dense ? i * kNeurons : layer.links.row_offsets[i];
      const size_t last = layer.dense ? first + kNeurons : layer.links.row_offsets[i + 1];
      for (size_t k = first; k < last; ++k) {
        const size_t j = layer.dense ? k - first : layer.links.col_indices[k];
        for (size_t b = 0; b < batch; ++b) {
          const double w = layer.weights[k], xb = x[i * stride + b], dzb = dz[j * stride + b];
          want_z[j * stride + b] += w * xb;
          want_dx[i * stride + b] += w * dzb;
          want_gradient[k] += xb * dzb;
        }
      }
    }
    require(near(z, want_z) && near(dx, want_dx) && near(gradient, want_gradient), what);
  }
};

void bench_sparse(const cpu::KernelTable& table, const Settings& settings) {
  Problem p(settings.epsilon, settings.batch, table.width);
  if (p.layer.dense) return;
  TargetView view;
  build_target_view(p.layer.links, view);
  const auto linear = cpu::ActivationKind::linear;
  const cpu::SparseForward forward{view.offsets.data(),
                                   view.sources.data(),
                                   view.links.data(),
                                   p.layer.weights.data(),
                                   p.layer.bias.data(),
                                   p.x.data(),
                                   p.z.data(),
                                   p.stride,
                                   linear};
  cpu::SparseBackward backward{p.layer.links.row_offsets.data(),
                               p.layer.links.col_indices.data(),
                               p.layer.weights.data(),
                               nullptr,
                               p.gradient.data(),
                               p.x.data(),
                               p.dz.data(),
                               p.dx.data(),
                               nullptr,
                               nullptr,
                               p.stride,
                               linear,
                               kRule,
                               p.scratch.data()};
  table.sparse_forward(forward, 0, kNeurons);
  table.sparse_backward(backward, 0, kNeurons);
  p.check("the sparse layer");
  backward.velocity = p.layer.momentum.data();
  backward.gradient = nullptr;
  const auto report = [&](const char* name, const Times& times) {
    const double links = static_cast<double>(p.layer.nnz());
    std::printf("%-16s %8.3f ms median %8.3f ms minimum %7.2f ns per link (1 thread)\n", name, times.median,
                times.minimum, times.median * 1e6 / links);
  };
  const int runs = settings.runs * 5;
  report("sparse_forward", time(runs, [&] { table.sparse_forward(forward, 0, kNeurons); }));
  report("sparse_backward", time(runs, [&] { table.sparse_backward(backward, 0, kNeurons); }));
}

void bench_dense(const cpu::KernelTable& table, const Settings& settings) {
  Problem p(kNeurons, settings.batch, table.width);
  const auto linear = cpu::ActivationKind::linear;
  const cpu::DenseForward forward{
      p.layer.weights.data(), p.layer.bias.data(), p.x.data(), p.z.data(), kNeurons, kNeurons, p.stride, linear};
  cpu::DenseBackward backward{p.layer.weights.data(),
                              nullptr,
                              p.gradient.data(),
                              p.x.data(),
                              p.dz.data(),
                              p.dz_by_sample.data(),
                              p.dz_by_sample.size() / p.batch,
                              p.dx.data(),
                              nullptr,
                              nullptr,
                              kNeurons,
                              kNeurons,
                              p.batch,
                              p.stride,
                              linear,
                              kRule};
  table.dense_forward(forward, 0, kNeurons);
  table.dense_backward(backward, 0, kNeurons);
  p.check("the dense layer");
  backward.velocity = p.layer.momentum.data();
  backward.gradient = nullptr;
  const auto report = [&](const char* name, double passes, const Times& times) {
    const double flops = 2.0 * passes * kNeurons * kNeurons * static_cast<double>(p.batch);
    std::printf("%-16s %8.3f ms median %8.3f ms minimum %7.1f GFLOP/s (1 thread)\n", name, times.median, times.minimum,
                flops / times.median * 1e-6);
  };
  report("dense_forward", 1, time(settings.runs, [&] { table.dense_forward(forward, 0, kNeurons); }));
  report("dense_backward", 2, time(settings.runs, [&] { table.dense_backward(backward, 0, kNeurons); }));
}

void bench_network(const Settings& settings) {
  ModelSpec spec;
  spec.sizes = {784, kNeurons, kNeurons, kNeurons, 10};
  spec.epsilon = settings.epsilon;
  const Model model = build_model(spec);
  uint64_t links = 0;
  for (const Layer& layer : model.layers) links += layer.nnz();

  std::vector<float> x(size_t{kSamples} * 784);
  std::vector<uint32_t> labels(kSamples);
  for (size_t k = 0; k < x.size(); ++k) x[k] = noise(k);
  for (uint32_t s = 0; s < kSamples; ++s) labels[s] = s % 10;
  Samples samples{x.data(), labels.data(), nullptr, kSamples, 784, 10};
  TrainOptions options;
  options.batch_size = settings.batch;
  options.learning_rate = 0.01f;
  const std::atomic<bool> go_on{false};

  Samples few = samples;
  few.count = std::min<uint64_t>(kSamples, 3 * uint64_t{settings.batch} + 1);
  const auto close = [](double got, double want) { return std::fabs(got - want) <= 1e-4 * want; };
  const auto oracle = reference_backend().create(model, {}), network = cpu_backend().create(model, {settings.threads});
  oracle->evolve({}, options.epoch);  // first, while the weights are equal: then the links must be, too
  network->evolve({}, options.epoch);
  const Model evolved = network->download(), expected = oracle->download();
  for (size_t l = 0; l < model.layers.size(); ++l)
    require(evolved.layers[l].links.col_indices == expected.layers[l].links.col_indices, "evolution");
  require(close(network->train_epoch(few, options, go_on), oracle->train_epoch(few, options, go_on)), "training");
  require(close(network->evaluate(few, go_on).loss, oracle->evaluate(few, go_on).loss), "evaluation");
  std::vector<float> got(10 * few.count), want(10 * few.count);
  network->predict(few, got.data(), go_on);
  oracle->predict(few, want.data(), go_on);
  for (size_t k = 0; k < got.size(); ++k) require(std::fabs(got[k] - want[k]) <= 1e-3f, "prediction");

  std::printf("784-3000-3000-3000-10, epsilon %g: %llu links, batch %u, %u samples\n", settings.epsilon,
              static_cast<unsigned long long>(links), settings.batch, kSamples);
  const auto report = [](const char* name, const Times& times) {
    std::printf("%-16s %8.2f ms median %8.2f ms minimum\n", name, times.median, times.minimum);
  };
  report("train epoch", time(settings.runs, [&] { network->train_epoch(samples, options, go_on); }));
  report("evaluate", time(settings.runs, [&] { network->evaluate(samples, go_on); }));
  report("evolve", time(settings.runs, [&] { network->evolve({}, options.epoch); }));
  report("  by reference", time(3, [&] { oracle->evolve({}, options.epoch); }));
  Samples one = samples;
  one.count = 1;
  std::vector<float> out(10);
  report("predict 1", time(settings.runs * 20, [&] { network->predict(one, out.data(), go_on); }));
}

Settings parse(int argc, char** argv) {
  Settings settings;
  for (int a = 1; a < argc; a += 2) {
    const std::string name = argv[a];
    if (a + 1 == argc) throw std::runtime_error(name + " needs a value");
    const char* value = argv[a + 1];
    if (name == "--epsilon")
      settings.epsilon = std::atof(value);
    else if (name == "--batch")
      settings.batch = static_cast<uint32_t>(std::atoi(value));
    else if (name == "--threads")
      settings.threads = static_cast<uint32_t>(std::atoi(value));
    else if (name == "--runs")
      settings.runs = std::atoi(value);
    else if (name == "--dense")
      settings.dense = std::atoi(value) != 0;
    else if (name == "--isa")
      setenv("SET_NATIVE_ISA", value, 1);
    else
      throw std::runtime_error("unknown option " + name + "; see the head of native/bench/main.cpp");
  }
  if (settings.batch == 0 || settings.runs < 1) throw std::runtime_error("--batch and --runs must be at least 1");
  return settings;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const Settings settings = parse(argc, argv);
    const cpu::KernelTable& table = cpu::kernels();
    std::printf("%s; kernels %s, width %zu\n", cpu_backend().probe().device.c_str(), table.name, table.width);
    bench_sparse(table, settings);
    if (settings.dense) bench_dense(table, settings);
    bench_network(settings);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
