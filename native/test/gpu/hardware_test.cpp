#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "backends.h"
#include "core/error.h"
#include "test/gpu/gpu_device.h"
#include "test/model_support.h"

/*
 * Whole models on a GPU against the CPU back end, with networks of the size that people train. Only with
 * SET_NATIVE_TEST_DEVICE=cuda or metal. A library that stands in for a GPU (test/cuda/fake.cpp) gets small
 * networks.
 */
namespace set_native {
namespace {

using namespace set_native::test;

bool emulated() {
  return find_backend(test_device()).probe().device.rfind("Fake", 0) == 0;
}

void need_gpu() {
  if (!test::on_gpu()) skip("SET_NATIVE_TEST_DEVICE=cuda or metal asks for tests on a GPU");
  const Availability availability = find_backend(test_device()).probe();
  if (!availability.available)
    throw Error(ErrorCode::backend_unavailable, "[test] " + test_device() + " is " + availability.reason);
}

std::unique_ptr<BackendModel> gpu_model(const Model& model) {
  return find_backend(test_device()).create(model, {});
}

std::vector<uint32_t> sizes(uint32_t outputs = 10) {
  if (emulated()) return {20, 24, 16, outputs};
  return {784, 3000, 3000, 3000, outputs};
}

struct Kind {
  const char* name;
  Model model;
  uint32_t batch;
};

std::vector<Kind> kinds() {
  const auto spec = [](Activation activation, Loss loss, uint32_t outputs = 10) {
    return make_spec(sizes(outputs), emulated() ? 3.0 : 13.0, activation, loss);
  };
  ModelSpec pairs = spec(Activation::relu, Loss::softmax_cross_entropy), eights = pairs;
  pairs.topology = eights.topology = Topology::motif;
  eights.motif_size = 8;
  const ModelSpec dense = make_spec({sizes()[0], 64, 10}, 0.0, Activation::relu, Loss::softmax_cross_entropy);
  return {{"links", build_model(spec(Activation::relu, Loss::softmax_cross_entropy)), 40},
          {"pairs", build_model(pairs), 40},
          {"blocks of eight", build_model(eights), 40},
          {"dense", build_model(dense), 33},
          {"srelu", build_model(spec(Activation::srelu, Loss::softmax_cross_entropy)), 40},
          {"all-relu", build_model(spec(Activation::all_relu, Loss::mse)), 5},
          {"leaky-relu", build_model(spec(Activation::leaky_relu, Loss::mse)), 5},
          {"tanh", build_model(spec(Activation::tanh, Loss::mse)), 2},
          {"sigmoid", build_model(spec(Activation::sigmoid, Loss::sigmoid_binary_cross_entropy, 1)), 3}};
}

TrainOptions gentle(uint32_t epoch, uint32_t batch) {
  TrainOptions options = options_for(epoch, batch);
  options.learning_rate = 0.01f;
  return options;
}

TEST("hardware: the trial that a program makes before it uses the GPU passes") {
  need_gpu();
  const std::string reason = find_backend(test_device()).try_out();
  CHECK_MSG(reason.empty(), reason);
}

TEST("hardware: the losses of the first 50 steps are the CPU's") {
  need_gpu();
  const uint32_t steps = emulated() ? 3 : 50;
  for (const Kind& kind : kinds()) {
    const Data data = make_data(sizes()[0], kind.model.layers.back().outputs, kind.batch * 4, 71);
    const auto gpu = gpu_model(kind.model), cpu = on_cpu(kind.model, 0);
    double worst = 0.0;
    for (uint32_t step = 1; step <= steps; ++step) {
      Samples batch = data.first(kind.batch);  // an epoch of one step
      batch.x += size_t{step % 4} * kind.batch * data.features;
      batch.labels += step % 4 * kind.batch;
      const double got = gpu->train_epoch(batch, gentle(step, kind.batch), kGoOn);
      const double want = cpu->train_epoch(batch, gentle(step, kind.batch), kGoOn);
      worst = std::max(worst, std::fabs(got - want) / std::fabs(want));
    }
    CHECK_MSG(worst <= 1e-4, kind.name << ": off by " << worst);
  }
}

TEST("hardware: an epoch of whole and cut batches, evaluation and prediction are the CPU's") {
  need_gpu();
  for (const Kind& kind : kinds()) {
    const uint32_t outputs = kind.model.layers.back().outputs;
    const size_t count = emulated() ? 2 * kind.batch + 1 : 1001;
    const Data data = make_data(sizes()[0], outputs, count, 72);
    const auto gpu = gpu_model(kind.model), cpu = on_cpu(kind.model, 0);
    const double got = gpu->train_epoch(data.samples(), gentle(1, kind.batch), kGoOn);
    const double want = cpu->train_epoch(data.samples(), gentle(1, kind.batch), kGoOn);
    CHECK_MSG(std::fabs(got - want) <= 1e-4 * want, kind.name << ": " << got << " and " << want);
    check_close(gpu->download(), cpu->download(), 1e-3, kind.name);
    const Evaluation seen = gpu->evaluate(data.samples(), kGoOn),
                     right = cpu->evaluate(data.samples(), kGoOn);
    CHECK_MSG(std::fabs(seen.loss - right.loss) <= 1e-3 * right.loss,
              kind.name << ": evaluated " << seen.loss);
    for (const size_t rows : {size_t{1}, size_t{2}, count / 3, count}) {
      std::vector<float> a(rows * outputs), b(a.size());
      gpu->predict(data.first(rows), a.data(), kGoOn);
      cpu->predict(data.first(rows), b.data(), kGoOn);
      double off = 0.0;
      for (size_t k = 0; k < a.size(); ++k) off = std::max(off, std::fabs(static_cast<double>(a[k]) - b[k]));
      CHECK_MSG(off <= 2e-3, kind.name << ": " << rows << " predictions off by " << off);
    }
  }
}

TEST("hardware: predictions of 100,000 samples do not depend on how many come at once") {
  need_gpu();
  const Kind kind = kinds().front();
  const size_t count = emulated() ? 300 : 100000;
  const Data data = make_data(sizes()[0], 10, 100, 73);
  std::vector<float> x;
  for (size_t s = 0; s < count; ++s)
    x.insert(x.end(), data.x.begin() + static_cast<ptrdiff_t>(s % 100 * data.features),
             data.x.begin() + static_cast<ptrdiff_t>((s % 100 + 1) * data.features));
  Samples all = data.samples();
  all.x = x.data();
  all.labels = nullptr;
  all.count = count;
  const auto gpu = gpu_model(kind.model);
  std::vector<float> few(100 * 10), many(count * 10);
  gpu->predict(data.samples(), few.data(), kGoOn);
  gpu->predict(all, many.data(), kGoOn);
  double off = 0.0;
  for (size_t k = 0; k < many.size(); ++k)
    off = std::max(off, std::fabs(static_cast<double>(many[k]) - few[k % 1000]));
  CHECK_MSG(off <= 1e-5, "off by " << off);
}

TEST("hardware: evolution gives the CPU's links, and keeps weights bit by bit") {
  need_gpu();
  for (const Kind& kind : kinds())
    for (const uint32_t motif_size : {1u, std::string(kind.name) == "blocks of eight" ? 8u : 2u}) {
      const EvolutionPolicy policy = policy_of(motif_size);
      const auto gpu = gpu_model(kind.model), cpu = on_cpu(kind.model, 0);
      for (uint32_t epoch = 1; epoch <= 3; ++epoch) {
        const auto got = gpu->evolve(policy, {epoch}), want = cpu->evolve(policy, {epoch});
        for (size_t l = 0; l < want.size(); ++l)
          CHECK_MSG(got[l].pruned == want[l].pruned && got[l].grown == want[l].grown,
                    kind.name << ", layer " << l + 1);
      }
      CHECK_MSG(same_bits(gpu->download(), cpu->download()),
                kind.name << " by " << (motif_size == 1 ? "SET" : "SET-motif"));
    }
}

/** Epochs and evolutions in turn. */
Model trained(const Kind& kind, const Data& data, uint32_t epochs) {
  const auto gpu = gpu_model(kind.model);
  for (uint32_t epoch = 1; epoch <= epochs; ++epoch) {
    gpu->train_epoch(data.samples(), gentle(epoch, kind.batch), kGoOn);
    gpu->evolve({}, {epoch});
  }
  return gpu->download();
}

TEST("hardware: the same seed gives the same bits, run after run, alone and beside others") {
  need_gpu();
  for (const Kind& kind : kinds()) {
    const Data data = make_data(sizes()[0], kind.model.layers.back().outputs, emulated() ? 50 : 500, 74);
    const Model first = trained(kind, data, 2);
    CHECK_MSG(same_bits(trained(kind, data, 2), first), kind.name);
    std::vector<Model> others(emulated() ? 0 : 4);
    std::vector<std::thread> threads;
    for (Model& other : others) threads.emplace_back([&] { other = trained(kind, data, 2); });
    for (std::thread& thread : threads) thread.join();
    for (const Model& other : others) CHECK_MSG(same_bits(other, first), kind.name << " beside others");
  }
}

TEST("hardware: memory passes through in pieces of any size") {
  need_gpu();
  TestDevice device;
  const size_t count =
      emulated() ? 1000 : 5u << 20;  // 20 MB: several halves of the staging area, and part of one
  std::vector<uint32_t> in(count + 3), out(count + 3);
  std::iota(in.begin(), in.end(), 1u);
  const auto buffer = device.allocate(in.size() * 4);
  for (const size_t some : {size_t{1}, size_t{7}, count / 2 + 1, count + 3}) {
    device.clear(*buffer, 0, buffer->bytes());
    device.upload(*buffer, 0, in.data(), some * 4);
    device.upload(*buffer, 4 * (some - 1), in.data(), 4);
    device.download(out.data(), *buffer, 0, out.size() * 4);
    bool same = out[some - 1] == 1;
    for (size_t k = 0; k + 1 < some; ++k) same = same && out[k] == in[k];
    for (size_t k = some; k < out.size(); ++k) same = same && out[k] == 0;
    CHECK_MSG(same, some << " words");
  }
  CHECK_THROWS(out_of_memory, device.allocate(device.memory().total + 1));
}

TEST("hardware: models that come and go leave no memory behind") {
  need_gpu();
  const Kind kind = kinds().front();
  const Data data = make_data(sizes()[0], 10, 400, 75);
  TestDevice device;
  const auto once = [&] {
    const auto gpu = gpu_model(kind.model);
    gpu->train_epoch(data.first(emulated() ? 40 : 400), gentle(1, 40), kGoOn);
    gpu->evolve({}, {1});
    gpu->evaluate(data.first(50), kGoOn);
  };
  for (int warm = 0; warm < 3; ++warm) once();
  const size_t before = device.memory().free;
  for (int round = 0; round < (emulated() ? 3 : 200); ++round) once();
  const size_t after = device.memory().free;
  CHECK_MSG(after + (4u << 20) >= before, "free memory went from " << before << " to " << after);
}

}  // namespace
}  // namespace set_native
