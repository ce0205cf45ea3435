#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/backend.h"
#include "core/error.h"
#include "core/model.h"
#include "gpu/model.h"
#include "gpu/samples.h"
#include "test/check.h"
#include "test/gpu/gpu_device.h"
#include "test/model_support.h"

/*
 * Whole models on the emulated GPU, against the CPU back end and the reference. What needs many steps is left
 * to few small networks: a step takes some ten milliseconds here.
 */
namespace set_native {

using namespace test;

namespace {

using simt::Order;

const simt::Schedule kForward{Order::forward, 0}, kReversed{Order::reversed, 0},
    kShuffled{Order::shuffled, 7};

struct OnGpu {
  std::shared_ptr<TestDevice> device;
  std::unique_ptr<gpu::GpuModel> model;
};

OnGpu on_gpu(const Model& start, const simt::Schedule& schedule = {}) {
  EmulatedDevice::Options options;
  options.schedule = schedule;
  OnGpu gpu;
  gpu.device = std::make_shared<TestDevice>(options);
  gpu.model = std::make_unique<gpu::GpuModel>(gpu.device, start);
  return gpu;
}

void skip_with_threads() {
  if (simt::kThreads) skip("takes too long with an OS thread for each GPU thread");
}

/** A model of whole motifs, whose layers the back ends keep in blocks of that height. */
Model motif_model(std::vector<uint32_t> sizes, double epsilon, uint32_t motif_size, Activation activation) {
  ModelSpec spec = make_spec(std::move(sizes), epsilon, activation, Loss::softmax_cross_entropy);
  spec.topology = Topology::motif;
  spec.motif_size = motif_size;
  return build_model(spec);
}

std::string message_of(BackendModel& model, const Samples& samples, const TrainOptions& options) {
  try {
    model.train_epoch(samples, options, kGoOn);
  } catch (const Error& error) {
    return std::string(code_name(error.code())) + ": " + error.what();
  }
  return "no error";
}

/** Epochs on both; losses within 1e-4, parameters within `tolerance`. */
void follow(const Model& start, const Data& data, uint32_t batch, uint32_t epochs, double tolerance,
            const std::string& what, float dropout = 0.0f) {
  const OnGpu gpu = on_gpu(start, kShuffled);
  const auto cpu = on_cpu(start);
  for (uint32_t epoch = 1; epoch <= epochs; ++epoch) {
    TrainOptions options =
        start.optimizer == Optimizer::adamw ? adamw_options(epoch, batch) : options_for(epoch, batch);
    options.dropout = dropout;
    const double got = gpu.model->train_epoch(data.samples(), options, kGoOn);
    const double want = cpu->train_epoch(data.samples(), options, kGoOn);
    CHECK_MSG(std::fabs(got - want) <= 1e-4 * want,
              what << ", epoch " << epoch << ": loss " << got << ", on the CPU " << want);
  }
  check_close(gpu.model->download(), cpu->download(), tolerance, what);
  const Evaluation got = gpu.model->evaluate(data.samples(), kGoOn),
                   want = cpu->evaluate(data.samples(), kGoOn);
  CHECK_MSG(std::fabs(got.loss - want.loss) <= 1e-4 * want.loss, what << ": evaluation");
  CHECK_MSG(std::fabs(got.accuracy - want.accuracy) <= 1e-9, what << ": accuracy " << got.accuracy);
}

TEST("gpu training: an epoch in parts gives the bits of one at once, evolutions by step those of the CPU") {
  skip_with_threads();
  const Data data = make_data(20, 4, 53, 3);
  const Model start =
      build_model(make_spec({20, 32, 24, 4}, 3.0, Activation::relu, Loss::softmax_cross_entropy));
  const OnGpu whole = on_gpu(start), parts = on_gpu(start);
  TrainOptions options = options_for(1, 20);  // 3 steps, the last of 13 samples
  const double at_once = whole.model->train_epoch(data.samples(), options, kGoOn);
  options.steps = 1;
  double sum = parts.model->train_epoch(data.samples(), options, kGoOn) * 20.0;
  options.first_step = 1;
  options.steps = UINT64_MAX;
  sum += parts.model->train_epoch(data.samples(), options, kGoOn) * 33.0;
  CHECK(same_bits(parts.model->download(), whole.model->download()));
  CHECK(std::fabs(sum / 53.0 - at_once) < 1e-9 * (1.0 + at_once));
  const auto cpu = on_cpu(whole.model->download());
  cpu->evolve({}, {1, 3});
  whole.model->evolve({}, {1, 3});
  CHECK(same_bits(whole.model->download(), cpu->download()));
}

TEST("gpu training: a rate for each step gives the bits of a call for each step") {
  skip_with_threads();
  const Data data = make_data(20, 4, 53, 3);
  ModelSpec spec = make_spec({20, 32, 24, 4}, 3.0, Activation::srelu, Loss::softmax_cross_entropy);
  for (const Optimizer optimizer : {Optimizer::sgd, Optimizer::adamw}) {
    spec.optimizer = optimizer;
    const OnGpu whole = on_gpu(build_model(spec)), steps = on_gpu(build_model(spec));
    TrainOptions options = optimizer == Optimizer::adamw ? adamw_options(1, 20) : options_for(1, 20);
    TrainOptions by_step = options;
    by_step.learning_rates = {0.01f, 0.002f, 0.03f};
    by_step.decays = {0.001f, 0.0f, 0.0002f};
    whole.model->train_epoch(data.samples(), by_step, kGoOn);
    for (size_t s = 0; s < 3; ++s) {
      options.first_step = s;
      options.steps = 1;
      options.learning_rate = by_step.learning_rates[s];
      options.decay = by_step.decays[s];
      steps.model->train_epoch(data.samples(), options, kGoOn);
    }
    CHECK(same_bits(whole.model->download(), steps.model->download()));
    // An epoch without such rates, on the same samples, records its steps anew.
    options = optimizer == Optimizer::adamw ? adamw_options(2, 20) : options_for(2, 20);
    CHECK_EQ(whole.model->train_epoch(data.samples(), options, kGoOn),
             steps.model->train_epoch(data.samples(), options, kGoOn));
    CHECK(same_bits(whole.model->download(), steps.model->download()));
  }
}

TEST("gpu training: follows the CPU over 50 steps") {
  skip_with_threads();
  const Data data = make_data(20, 4, 78, 2);
  const Model start =
      build_model(make_spec({20, 32, 24, 4}, 3.0, Activation::tanh, Loss::softmax_cross_entropy));
  follow(start, data, 8, 5, 5e-5, "50 steps");
}

TEST("gpu training: every loss and activation, sparse and dense, labels, targets and weights") {
  skip_with_threads();
  for (const Activation activation : {Activation::tanh, Activation::sigmoid, Activation::linear})
    for (const Loss loss : {Loss::softmax_cross_entropy, Loss::sigmoid_binary_cross_entropy, Loss::mse})
      for (const uint32_t outputs : {4u, 1u}) {
        if (outputs == 1 && loss == Loss::softmax_cross_entropy) continue;  // refused
        const double epsilon = loss == Loss::mse ? 0.0 : 3.0;
        Data data = make_data(12, outputs, 23, 2);
        if (activation == Activation::sigmoid) {
          for (size_t s = 0; s < data.labels.size(); ++s)
            for (uint32_t o = 0; o < outputs; ++o)
              data.targets.push_back(data.labels[s] % outputs == o ? 0.75f
                                                                   : 0.25f / static_cast<float>(outputs - 1));
          data.labels.clear();
        }
        for (size_t s = 0; activation != Activation::linear && s < 23; ++s)
          data.weights.push_back(static_cast<float>(s % 4) / 2.0f);
        follow(build_model(make_spec({12, 18, 10, outputs}, epsilon, activation, loss)), data, 10, 2, 5e-5,
               "activation " + std::to_string(static_cast<int>(activation)) + ", loss " +
                   std::to_string(static_cast<int>(loss)) + ", outputs " + std::to_string(outputs));
      }
}

TEST("gpu training: batches of every width") {
  skip_with_threads();
  const Data data = make_data(20, 4, 70, 3);
  const Model start =
      build_model(make_spec({20, 32, 24, 4}, 3.0, Activation::tanh, Loss::softmax_cross_entropy));
  for (const uint32_t batch : {1u, 2u, 3u, 5u, 33u, 40u, 70u, 100u})
    follow(start, batch < 3 ? make_data(20, 4, 4, 3) : data, batch, 1, 5e-5,
           "batch " + std::to_string(batch));
  const Data many = make_data(20, 4, 150, 3);
  for (const uint32_t batch : {128u, 129u, 150u})
    follow(start, many, batch, 2, 5e-5, "batch " + std::to_string(batch));
}

TEST("gpu training: relu, all-relu, leaky-relu and srelu with rows of one pass and of two") {
  skip_with_threads();
  for (const Activation activation :
       {Activation::relu, Activation::all_relu, Activation::leaky_relu, Activation::srelu})
    for (const uint32_t batch : {16u, 132u})
      follow(
          build_model(make_spec({12, 20, 16, 4}, 3.0, activation, Loss::softmax_cross_entropy)),
          make_data(12, 4, batch, activation == Activation::relu ? 21 : 24), batch, 6, 5e-5,
          "activation " + std::to_string(static_cast<int>(activation)) + ", batch " + std::to_string(batch));
}

TEST("gpu training: AdamW, with rows of one pass and of two, blocks, and pieces that are learned") {
  skip_with_threads();
  for (const uint32_t batch : {16u, 132u}) {
    Model motifs = motif_model({21, 30, 26, 4}, 3.0, 4, Activation::tanh);
    motifs.optimizer = Optimizer::adamw;
    for (Layer& layer : motifs.layers) {
      layer.second_moment.assign(layer.nnz(), 0.0f);
      layer.bias_second_moment.assign(layer.outputs, 0.0f);
    }
    follow(motifs, make_data(21, 4, batch * 2 + 3, 5), batch, 2, 5e-5,
           "AdamW, batch " + std::to_string(batch));
    ModelSpec spec = make_spec({12, 20, 16, 4}, 3.0, Activation::srelu, Loss::softmax_cross_entropy);
    spec.optimizer = Optimizer::adamw;
    follow(build_model(spec), make_data(12, 4, batch, 24), batch, 4, 5e-5,
           "AdamW, srelu, batch " + std::to_string(batch));
  }
}

TEST("gpu training: AdamW in parts gives the bits of an epoch at once, and evolves as on the CPU") {
  skip_with_threads();
  const Data data = make_data(20, 4, 53, 3);
  ModelSpec spec = make_spec({20, 32, 24, 4}, 3.0, Activation::tanh, Loss::softmax_cross_entropy);
  spec.optimizer = Optimizer::adamw;
  const Model start = build_model(spec);
  const OnGpu whole = on_gpu(start), parts = on_gpu(start);
  TrainOptions options = adamw_options(2, 20);
  whole.model->train_epoch(data.samples(), options, kGoOn);
  options.steps = 2;
  parts.model->train_epoch(data.samples(), options, kGoOn);
  options.first_step = 2;
  options.steps = UINT64_MAX;
  parts.model->train_epoch(data.samples(), options, kGoOn);
  CHECK(same_bits(parts.model->download(), whole.model->download()));
  const auto cpu = on_cpu(whole.model->download());
  for (const EvolutionPolicy& policy : {policy_of(1), policy_of(2)}) {
    cpu->evolve(policy, {2, 0});
    whole.model->evolve(policy, {2, 0});
    CHECK(same_bits(whole.model->download(), cpu->download()));
  }
}

TEST("gpu training: blocks of every height, a last group cut off, rows of one pass and of two") {
  skip_with_threads();
  for (const uint32_t motif : {2u, 3u, 4u, 5u, 8u, 12u})
    for (const uint32_t batch : {6u, 132u}) {
      const Model start = motif_model({21, 30, 26, 4}, 3.0, motif, Activation::tanh);
      CHECK_EQ(pack_network(start).layers[0].height(), motif);
      follow(start, make_data(21, 4, batch * 2, 5), batch, 1, 5e-5,
             "motifs of " + std::to_string(motif) + ", batch " + std::to_string(batch));
    }
}

TEST("gpu training: dropout follows the CPU, every activation, blocks, rows of one pass and of two") {
  skip_with_threads();
  for (const uint32_t batch : {1u, 6u, 132u}) {
    const Data data = make_data(21, 4, batch == 1 ? 3 : 2 * batch + 3, 5);
    for (const Activation activation :
         {Activation::relu, Activation::tanh, Activation::sigmoid, Activation::linear, Activation::all_relu,
          Activation::srelu, Activation::leaky_relu})
      follow(build_model(make_spec({21, 30, 26, 4}, 3.0, activation, Loss::softmax_cross_entropy)), data,
             batch, 2, 5e-5,
             "dropout, activation " + std::to_string(static_cast<int>(activation)) + ", batch " +
                 std::to_string(batch),
             0.4f);
    for (const uint32_t motif : {2u, 3u, 8u})
      follow(motif_model({21, 30, 26, 4}, 3.0, motif, Activation::tanh), data, batch, 1, 5e-5,
             "dropout, motifs of " + std::to_string(motif) + ", batch " + std::to_string(batch), 0.25f);
  }
}

TEST("gpu training: dropout in parts and on repeat, in the recording of other epochs and with another p") {
  skip_with_threads();
  Data data = make_data(20, 4, 53, 3);
  Samples samples = data.samples();
  samples.id = next_samples_id();
  const Model start =
      build_model(make_spec({20, 32, 24, 4}, 3.0, Activation::srelu, Loss::softmax_cross_entropy));
  const OnGpu whole = on_gpu(start, kForward), parts = on_gpu(start, kReversed);
  const auto cpu = on_cpu(start);
  const float probabilities[] = {0.25f, 0.25f, 0.5f, 0.0f, 0.5f};
  for (uint32_t epoch = 1; epoch <= 5; ++epoch) {
    TrainOptions options = options_for(epoch, 20);
    options.dropout = probabilities[epoch - 1];
    const double got = whole.model->train_epoch(samples, options, kGoOn);
    const double want = cpu->train_epoch(samples, options, kGoOn);
    CHECK_MSG(std::fabs(got - want) <= 1e-4 * want, "epoch " << epoch << ": " << got << ", not " << want);
    for (const uint64_t first : {0u, 1u, 2u}) {
      options.first_step = first;
      options.steps = 1;
      parts.model->train_epoch(samples, options, kGoOn);
    }
    CHECK_MSG(same_bits(parts.model->download(), whole.model->download()), "epoch " << epoch);
  }
  check_close(whole.model->download(), cpu->download(), 5e-5, "dropout");
}

TEST("gpu training: rows without links, and one row with all of them") {
  skip_with_threads();
  Model start = build_model(make_spec({10, 300, 4}, 1.0, Activation::tanh, Loss::softmax_cross_entropy));
  Layer& layer = start.layers[0];
  const auto keep = [&](auto&& wanted) {
    Csr links;
    links.rows = layer.links.rows;
    links.cols = layer.links.cols;
    links.row_offsets.push_back(0);
    for (uint32_t i = 0; i < links.rows; ++i) {
      for (uint32_t j = 0; j < links.cols; ++j)
        if (wanted(i, j)) links.col_indices.push_back(j);
      links.row_offsets.push_back(static_cast<uint32_t>(links.col_indices.size()));
    }
    const size_t nnz = links.nnz();
    layer.links = std::move(links);
    layer.weights.resize(nnz);
    for (size_t k = 0; k < nnz; ++k)
      layer.weights[k] = 0.05f * static_cast<float>(static_cast<int>(k % 7) - 3);
    layer.velocity.assign(nnz, 0.0f);
    layer.birth.assign(nnz, 0);
  };
  keep([](uint32_t i, uint32_t j) { return i == 3 || (i == 7 && j == 299) || j == 5; });
  follow(start, make_data(10, 4, 13, 6), 5, 2, 5e-5, "a long row");
}

TEST("gpu training: the same bits for every schedule, and on repeat") {
  skip_with_threads();
  const Data data = make_data(20, 4, 40, 5);
  std::vector<Model> starts{
      build_model(make_spec({20, 32, 24, 4}, 4.0, Activation::relu, Loss::softmax_cross_entropy)),
      build_model(make_spec({20, 32, 24, 4}, 0.0, Activation::srelu, Loss::softmax_cross_entropy)),
      motif_model({20, 32, 24, 4}, 4.0, 2, Activation::relu)};
  for (const Model& start : starts)
    for (const uint32_t batch : {7u, 40u}) {
      const auto run = [&](const simt::Schedule& schedule) {
        const OnGpu gpu = on_gpu(start, schedule);
        std::vector<double> losses;
        for (uint32_t epoch = 1; epoch <= 2; ++epoch)
          losses.push_back(gpu.model->train_epoch(data.samples(), options_for(epoch, batch), kGoOn));
        losses.push_back(gpu.model->evaluate(data.samples(), kGoOn).loss);
        return std::make_pair(losses, gpu.model->download());
      };
      const auto once = run(kForward);
      for (const simt::Schedule& schedule : {kForward, kReversed, kShuffled}) {
        const auto again = run(schedule);
        CHECK_MSG(once.first == again.first && same_bits(once.second, again.second),
                  "batch " << batch << ": another schedule gives other bits");
      }
    }
}

TEST("gpu training: growth by walk and by gradient is the CPU's, from equal weights") {
  if (simt::kThreads) skip("it asks the host's thread pool, whose order ThreadSanitizer cannot see here");
  const Data data = make_data(20, 4, 200, 3);
  const Samples probe = data.samples();
  const Model start = motif_model({20, 32, 24, 4}, 4.0, 2, Activation::relu);
  for (const Grow grow : {Grow::walk, Grow::gradient}) {
    for (const uint32_t motif_size : {1u, 2u}) {
      EvolutionPolicy policy = policy_of(motif_size);
      policy.grow = grow;
      const OnGpu gpu = on_gpu(start);
      const auto cpu = on_cpu(start, 2);
      for (uint32_t epoch = 1; epoch <= 3; ++epoch) {
        CHECK(gpu.model->evolve(policy, {epoch}, &probe)[0].grown > 0);
        cpu->evolve(policy, {epoch}, &probe);
        CHECK(same_bits(gpu.model->download(), cpu->download()));
      }
    }
  }
}

TEST("gpu training: evolution between epochs is the CPU's") {
  skip_with_threads();
  const Data data = make_data(20, 4, 40, 7);
  const Model start =
      build_model(make_spec({20, 32, 24, 4}, 3.0, Activation::tanh, Loss::softmax_cross_entropy));
  const OnGpu gpu = on_gpu(start);
  EvolutionPolicy policy;
  for (uint32_t epoch = 1; epoch <= 3; ++epoch) {
    gpu.model->train_epoch(data.samples(), options_for(epoch, 20), kGoOn);
    const Model before = gpu.model->download();
    const auto cpu = on_cpu(before);
    const std::vector<LayerEvolution> got = gpu.model->evolve(policy, {epoch}),
                                      want = cpu->evolve(policy, {epoch});
    for (size_t l = 0; l < want.size(); ++l) CHECK_EQ(got[l].pruned, want[l].pruned);
    CHECK_MSG(same_bits(gpu.model->download(), cpu->download()), "epoch " << epoch);
    const std::vector<LayerStats> stats = gpu.model->stats(), expected = cpu->stats();
    for (size_t l = 0; l < stats.size(); ++l) CHECK(stats[l].links_by_birth == expected[l].links_by_birth);
  }
  // Blocks of another height than the layer had: motifs that an evolution by single links takes apart. The
  // samples stay, so that nothing but the new buffers asks for another recording.
  const OnGpu apart = on_gpu(motif_model({20, 32, 24, 4}, 4.0, 2, Activation::tanh));
  Samples kept = data.samples();
  kept.id = next_samples_id();
  apart.model->train_epoch(kept, options_for(1, 20), kGoOn);
  apart.model->evolve(policy, {1});
  const auto cpu = on_cpu(apart.model->download());
  const double loss = apart.model->train_epoch(kept, options_for(2, 20), kGoOn);
  const double want = cpu->train_epoch(kept, options_for(2, 20), kGoOn);
  CHECK_MSG(std::fabs(loss - want) <= 1e-4 * want, loss << " on the device, " << want << " on the CPU");
  check_close(apart.model->download(), cpu->download(), 5e-5, "after motifs were taken apart");
}

/** Counts the bytes that come back to the host. */
class Counting final : public ForwardingDevice {
 public:
  Counting() : ForwardingDevice(make_test_device({})) {}
  void download(void* to, const gpu::Buffer& from, size_t offset, size_t bytes) override {
    downloaded += bytes;
    ForwardingDevice::download(to, from, offset, bytes);
  }
  size_t downloaded = 0;
};

TEST("gpu training: stats are the CPU's, and of a layer nothing but births comes back") {
  skip_with_threads();
  const Model models[] = {
      build_model(make_spec({20, 32, 24, 4}, 3.0, Activation::relu, Loss::softmax_cross_entropy)),
      build_model(make_spec({20, 16, 4}, 0.0, Activation::relu, Loss::softmax_cross_entropy)),
      motif_model({21, 30, 26, 4}, 3.0, 4, Activation::tanh)};
  for (const Model& start : models) {
    const auto device = std::make_shared<Counting>();
    gpu::GpuModel model(device, start);
    const auto cpu = on_cpu(start);
    const EvolutionPolicy policy = policy_of(&start == &models[2] ? 4 : 1);
    for (uint32_t epoch = 1; epoch <= 2; ++epoch) {
      model.evolve(policy, {epoch});
      cpu->evolve(policy, {epoch});
    }
    device->downloaded = 0;
    const std::vector<LayerStats> got = model.stats(), want = cpu->stats();
    size_t most = 0;
    for (size_t l = 0; l < want.size(); ++l) {
      CHECK(got[l].inputs == want[l].inputs && got[l].outputs == want[l].outputs);
      CHECK(got[l].dense == want[l].dense && got[l].nnz == want[l].nnz);
      CHECK(got[l].links_by_birth == want[l].links_by_birth);
      if (!want[l].dense)  // with those of sources that a block sticks out by
        most += 4 + sizeof(uint16_t) * (want[l].nnz + size_t{3} * want[l].outputs);
    }
    CHECK_MSG(device->downloaded <= most, device->downloaded << " bytes, not " << most);
  }
}

TEST("gpu training: samples in order, a recording serves other samples and rates") {
  skip_with_threads();
  const Data data = make_data(20, 4, 30, 8), others = make_data(20, 4, 45, 9);
  const Model start = build_model(make_spec({20, 16, 4}, 4.0, Activation::tanh, Loss::softmax_cross_entropy));
  const OnGpu gpu = on_gpu(start);
  const auto cpu = on_cpu(start);
  const uint64_t id = next_samples_id();
  for (uint32_t epoch = 1; epoch <= 4; ++epoch) {
    TrainOptions options = options_for(epoch, 10);
    options.shuffle = epoch % 2 == 0;
    options.learning_rate = 0.1f / static_cast<float>(epoch);
    Samples samples = epoch == 3 ? others.samples() : data.samples();
    if (epoch != 3) samples.id = id;
    const double got = gpu.model->train_epoch(samples, options, kGoOn);
    const double want = cpu->train_epoch(samples, options, kGoOn);
    CHECK_MSG(std::fabs(got - want) <= 1e-5 * want, "epoch " << epoch << ": " << got << " and " << want);
  }
  check_close(gpu.model->download(), cpu->download(), 5e-5, "other samples");
}

TEST("gpu training: samples that keep their id are uploaded once, others each time") {
  skip_with_threads();
  Data data = make_data(20, 4, 30, 8);
  const Model start = build_model(make_spec({20, 16, 4}, 4.0, Activation::tanh, Loss::softmax_cross_entropy));
  const OnGpu gpu = on_gpu(start);
  Samples samples = data.samples();
  const double before = gpu.model->evaluate(samples, kGoOn).loss;
  for (float& x : data.x) x *= 0.5f;
  CHECK(gpu.model->evaluate(samples, kGoOn).loss != before);
  samples.id = next_samples_id();
  gpu.model->evaluate(samples, kGoOn);
  gpu.model->train_epoch(samples, options_for(1, 10), kGoOn);
  const size_t made = gpu.device->allocations_made();
  gpu.model->train_epoch(samples, options_for(2, 10), kGoOn);
  gpu.model->evaluate(samples, kGoOn);
  CHECK_EQ(gpu.device->allocations_made(), made);
}

TEST("gpu training: an id that comes back with other sizes is taken for other samples") {
  skip_with_threads();
  const Data many = make_data(20, 4, 30, 8), few = make_data(20, 4, 15, 9);
  const Model start = build_model(make_spec({20, 16, 4}, 4.0, Activation::tanh, Loss::softmax_cross_entropy));
  const OnGpu gpu = on_gpu(start), fresh = on_gpu(start);
  const uint64_t id = next_samples_id();
  uint32_t epoch = 0;
  for (const Data* data : {&many, &few, &many}) {
    Samples samples = data->samples();
    const TrainOptions options = options_for(++epoch, 5);
    const double want = fresh.model->train_epoch(samples, options, kGoOn);
    samples.id = id;
    CHECK_EQ(gpu.model->train_epoch(samples, options, kGoOn), want);
    CHECK_EQ(gpu.model->evaluate(samples, kGoOn).loss, fresh.model->evaluate(data->samples(), kGoOn).loss);
  }

  EmulatedDevice device;
  gpu::SampleCache cache(device);
  const std::vector<float> x(60), targets(60);
  const std::vector<uint32_t> labels(60);
  Samples first{x.data(), labels.data(), nullptr, 6, 5, 0, id};
  const uint64_t upload = cache.get(first).upload;
  CHECK_EQ(cache.get(first).upload, upload);
  std::vector<Samples> others(6, first);
  others[0].count = 5;
  others[1].features = 6;
  others[2].outputs = 1;
  others[3].labels = nullptr;
  others[4].targets = targets.data();
  others[5].weights = targets.data();
  for (const Samples& other : others) {
    cache.get(first);
    CHECK(cache.find(other) == nullptr);
    const gpu::DeviceSamples& got = cache.get(other);
    CHECK_EQ(got.x->bytes(), size_t{4} * other.count * other.features);
    CHECK(cache.find(first) == nullptr);
  }
}

TEST("gpu training: a long order is the CPU's") {
  skip_with_threads();
  const Data data = make_data(2, 2, 9000, 10);  // 16,384 entries: merges over more than a tile
  const Model start = build_model(make_spec({2, 3, 2}, 0.0, Activation::tanh, Loss::softmax_cross_entropy));
  follow(start, data, 3000, 2, 5e-5, "9000 samples");
}

TEST("gpu inference: predict and evaluate over many batches") {
  skip_with_threads();
  for (const Loss loss : {Loss::softmax_cross_entropy, Loss::sigmoid_binary_cross_entropy, Loss::mse})
    for (const size_t count : {1u, 3u, 1100u}) {
      const Data data = make_data(6, 3, count, 11);
      const Model start = build_model(make_spec({6, 9, 3}, 2.0, Activation::relu, loss));
      const OnGpu gpu = on_gpu(start);
      const auto cpu = on_cpu(start);
      std::vector<float> got(count * 3, NAN), want(count * 3);
      Samples samples = data.samples();
      if (loss == Loss::mse) samples.id = next_samples_id();
      gpu.model->predict(samples, got.data(), kGoOn);
      cpu->predict(samples, want.data(), kGoOn);
      double worst = 0.0;
      for (size_t k = 0; k < got.size(); ++k)
        worst = std::isfinite(got[k]) ? std::max<double>(worst, std::fabs(got[k] - want[k])) : INFINITY;
      CHECK_MSG(worst <= 1e-5, count << " samples are off by " << worst);
      const Evaluation a = gpu.model->evaluate(samples, kGoOn), b = cpu->evaluate(samples, kGoOn);
      CHECK(std::fabs(a.loss - b.loss) <= 1e-5 * b.loss);
      CHECK_EQ(a.accuracy, b.accuracy);
    }
}

// ---- Failure ----------------------------------------------------------------------------------------------

TEST("gpu failure: losses and weights that overflow are told as the CPU tells them") {
  skip_with_threads();
  const Data data = make_data(20, 4, 30, 12);
  Data bad = data;
  std::fill(bad.x.begin(), bad.x.end(), INFINITY);
  Data large = data;
  for (float& x : large.x) x *= 100.0f;
  const Model start = build_model(make_spec({20, 16, 4}, 4.0, Activation::linear, Loss::mse));
  TrainOptions wild = options_for(3, 10);
  wild.learning_rate = 1e30f;
  TrainOptions last = options_for(2, 30);
  last.learning_rate = 3e38f;
  const std::pair<const Data*, TrainOptions> runs[] = {
      {&data, wild}, {&large, last}, {&bad, options_for(1, 10)}};
  for (const auto& run : runs) {
    const OnGpu gpu = on_gpu(start);
    const auto cpu = on_cpu(start);
    const std::string got = message_of(*gpu.model, run.first->samples(), run.second);
    const std::string want = message_of(*cpu, run.first->samples(), run.second);
    CHECK_MSG(got == want, "'" << got << "' but on the CPU '" << want << "'");
    CHECK(got != "no error");
  }
  const OnGpu gpu = on_gpu(start);
  CHECK_THROWS(non_finite, gpu.model->train_epoch(bad.samples(), options_for(1, 10), kGoOn));
  CHECK(same_bits(gpu.model->download(), start));
  CHECK_THROWS(non_finite, gpu.model->evaluate(bad.samples(), kGoOn));
  CHECK(std::isfinite(gpu.model->train_epoch(data.samples(), options_for(1, 10), kGoOn)));
}

/** Passes every launch of an operation on with other parameters. */
template <class Params>
class Misleading final : public ForwardingDevice {
 public:
  Misleading(gpu::Op op, void (*change)(Params& params))
      : ForwardingDevice(make_test_device({})), op_(op), change_(change) {}

  void queue(const gpu::Launch& launch, const gpu::Arguments& arguments) override {
    if (launch.kernel.op != op_) return ForwardingDevice::queue(launch, arguments);
    Params params = *static_cast<const Params*>(arguments.params);
    change_(params);
    gpu::Arguments changed = arguments;
    changed.params = &params;
    ForwardingDevice::queue(launch, changed);
  }

 private:
  gpu::Op op_;
  void (*change_)(Params& params);
};

TEST("gpu failure: a kernel that is given what it does not know stops the training") {
  skip_with_threads();
  constexpr auto kActivation = static_cast<Activation>(99);
  constexpr auto kLoss = static_cast<Loss>(99);
  const Model start = build_model(make_spec({20, 16, 4}, 4.0, Activation::relu, Loss::mse));
  const auto refused = [&](std::shared_ptr<gpu::Device> device, uint32_t batch) {
    const Data data = make_data(20, 4, batch, 12);
    gpu::GpuModel model(std::move(device), start);
    CHECK_THROWS(non_finite, model.train_epoch(data.samples(), options_for(1, batch), kGoOn));
  };
  using gpu::Op;
  const auto forward = [](gpu::ForwardParams& params) { params.activation = kActivation; };
  const auto piecewise = [](gpu::ForwardParams& params) { params.activation = Activation::srelu; };
  const auto backward = [](gpu::BackwardParams& params) { params.activation = kActivation; };
  const auto loss = [](gpu::LossParams& params) { params.loss = kLoss; };
  refused(std::make_shared<Misleading<gpu::ForwardParams>>(Op::forward, forward), 10);
  refused(std::make_shared<Misleading<gpu::ForwardParams>>(Op::forward, piecewise), 10);
  refused(std::make_shared<Misleading<gpu::BackwardParams>>(Op::backward, backward), 10);
  refused(std::make_shared<Misleading<gpu::BackwardParams>>(Op::input_gradient, backward), 132);
  refused(std::make_shared<Misleading<gpu::LossParams>>(Op::loss, loss), 10);

  // Inference sees the same, and what evolution grows.
  const Data data = make_data(20, 4, 10, 12);
  std::vector<float> out(10 * 4);
  const auto inference = [](gpu::EvaluateParams& params) { params.loss = kLoss; };
  gpu::GpuModel evaluated(std::make_shared<Misleading<gpu::EvaluateParams>>(Op::evaluate, inference), start);
  CHECK_THROWS(non_finite, evaluated.evaluate(data.samples(), kGoOn));
  gpu::GpuModel asked(std::make_shared<Misleading<gpu::EvaluateParams>>(Op::output, inference), start);
  CHECK_THROWS(non_finite, asked.predict(data.samples(), out.data(), kGoOn));
  const OnGpu grown = on_gpu(start);
  EvolutionPolicy policy;
  policy.regrow_init = static_cast<RegrowInit>(99);
  grown.model->evolve(policy, {1});
  CHECK_THROWS(non_finite, grown.model->train_epoch(data.samples(), options_for(2, 10), kGoOn));
  CHECK_THROWS(non_finite, grown.model->evolve(policy, {2}));
}

TEST("gpu failure: predictions that overflow are told as the CPU tells them") {
  skip_with_threads();
  for (const Loss loss : {Loss::softmax_cross_entropy, Loss::sigmoid_binary_cross_entropy, Loss::mse})
    for (const auto& [count, row] : {std::pair<uint64_t, uint64_t>{1, 0}, {3, 2}, {600, 70}, {600, 599}})
      for (const bool kept : {false, true}) {
        Overflow overflow(loss, count, row);
        if (kept) overflow.id = next_samples_id();
        const std::string got = overflow.message(*on_gpu(overflow.model).model);
        const std::string want = overflow.message(*on_cpu(overflow.model));
        CHECK_MSG(got == want, "'" << got << "' but on the CPU '" << want << "'");
        CHECK(want != "no error");
      }
}

TEST("gpu failure: a cancelled epoch stops, and the model goes on afterwards") {
  const Data data = make_data(20, 4, 30, 13);
  const Model start = build_model(make_spec({20, 16, 4}, 4.0, Activation::tanh, Loss::softmax_cross_entropy));
  const OnGpu gpu = on_gpu(start);
  const std::atomic<bool> cancelled{true};
  std::vector<float> out(30 * 4);
  CHECK_THROWS(aborted, gpu.model->train_epoch(data.samples(), options_for(1, 10), cancelled));
  CHECK_THROWS(aborted, gpu.model->evaluate(data.samples(), cancelled));
  CHECK_THROWS(aborted, gpu.model->predict(data.samples(), out.data(), cancelled));
  CHECK(same_bits(gpu.model->download(), start));
  skip_with_threads();
  CHECK(std::isfinite(gpu.model->train_epoch(data.samples(), options_for(1, 10), kGoOn)));
}

TEST("gpu failure: an epoch cancelled in its midst ends at a batch and keeps those before") {
  need_emulator();
  skip_with_threads();
  const Data data = make_data(20, 4, 50, 13);
  const Model start = build_model(make_spec({20, 16, 4}, 4.0, Activation::tanh, Loss::softmax_cross_entropy));
  TrainOptions train = options_for(1, 10);
  train.shuffle = false;
  const auto after = [&](uint64_t samples) {
    const OnGpu gpu = on_gpu(start);
    Samples first = data.samples();
    first.count = samples;
    gpu.model->train_epoch(first, train, kGoOn);
    return gpu.model->download();
  };
  std::atomic<bool> cancelled{false};
  uint32_t steps = 0;
  EmulatedDevice::Options options;
  // The host hears of it in the second of five batches, and queues a third that tells the device.
  options.before_kernel = [&](const gpu::Launch& launch, const std::vector<void*>&) {
    if (launch.kernel.op == gpu::Op::end_step && ++steps == 2) cancelled = true;
  };
  gpu::GpuModel model(std::make_shared<EmulatedDevice>(options), start);
  CHECK_THROWS(aborted, model.train_epoch(data.samples(), train, cancelled));
  CHECK(same_bits(model.download(), after(30)));
  CHECK(std::isfinite(model.train_epoch(data.samples(), options_for(2, 10), kGoOn)));
}

TEST("gpu failure: an evaluation and a prediction cancelled in their midst run no further batch") {
  need_emulator();
  skip_with_threads();
  constexpr size_t kCount = 1100;
  const Data data = make_data(6, 3, kCount, 11);
  std::atomic<bool> cancelled{false};
  uint32_t batches = 0;
  EmulatedDevice::Options options;
  options.before_kernel = [&](const gpu::Launch& launch, const std::vector<void*>&) {
    if (launch.kernel.op != gpu::Op::gather) return;
    ++batches;
    cancelled = true;
  };
  gpu::GpuModel model(std::make_shared<EmulatedDevice>(options),
                      build_model(make_spec({6, 9, 3}, 2.0, Activation::relu, Loss::softmax_cross_entropy)));
  CHECK_THROWS(aborted, model.evaluate(data.samples(), cancelled));
  CHECK_EQ(batches, 1u);
  cancelled = false;
  std::vector<float> out(kCount * 3);
  CHECK_THROWS(aborted, model.predict(data.samples(), out.data(), cancelled));
  CHECK_EQ(batches, 2u);
}

TEST("gpu training: one step with few threads, which is what ThreadSanitizer can watch") {
  const Data data = make_data(6, 3, 3, 16);
  TrainOptions options = options_for(1, 3);
  options.shuffle = false;
  const Model start = motif_model({6, 8, 3}, 3.0, 2, Activation::srelu);
  gpu::GpuModel model(std::make_shared<TestDevice>(), start);
  const auto cpu = on_cpu(start);
  const double got = model.train_epoch(data.samples(), options, kGoOn);
  const double want = cpu->train_epoch(data.samples(), options, kGoOn);
  CHECK(std::fabs(got - want) <= 1e-5 * want);
  check_close(model.download(), cpu->download(), 5e-5, "one step");
}

TEST("gpu failure: what does not fit the model is refused") {
  const Data data = make_data(20, 4, 10, 14);
  const OnGpu gpu =
      on_gpu(build_model(make_spec({20, 16, 4}, 4.0, Activation::tanh, Loss::softmax_cross_entropy)));
  Samples samples = data.samples();
  samples.features = 19;
  CHECK_THROWS(shape, gpu.model->evaluate(samples, kGoOn));
  CHECK_THROWS(out_of_range, gpu.model->train_epoch(data.samples(), options_for(1, 0), kGoOn));
  samples = data.samples();
  samples.labels = nullptr;
  CHECK_THROWS(invalid_argument, gpu.model->train_epoch(samples, options_for(1, 5), kGoOn));
}

TEST("gpu failure: too little memory is refused before anything is allocated, with the numbers") {
  need_emulator();
  EmulatedDevice::Options options;
  options.memory = 4000;
  const auto device = std::make_shared<EmulatedDevice>(options);
  const Model start = build_model(make_spec({20, 64, 4}, 4.0, Activation::tanh, Loss::softmax_cross_entropy));
  try {
    const gpu::GpuModel model(device, start);
    CHECK(!"a model larger than the device");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::out_of_memory);
    CHECK_MSG(std::string(error.what()).find("of 4000 bytes 4000 are free") != std::string::npos,
              error.what());
  }
  CHECK_EQ(device->allocations_made(), size_t{0});
}

TEST("gpu failure: whichever allocation fails, the error is typed, nothing leaks, and the model goes on") {
  need_emulator();
  skip_with_threads();
  const Data data = make_data(10, 3, 8, 15);
  const Model start = build_model(make_spec({10, 8, 3}, 3.0, Activation::srelu, Loss::softmax_cross_entropy));
  const auto expected = [&] {
    const OnGpu gpu = on_gpu(start);
    gpu.model->train_epoch(data.samples(), options_for(1, 4), kGoOn);
    return gpu.model->download();
  }();
  for (size_t n = 0;; ++n) {
    const auto device = std::make_shared<EmulatedDevice>();
    device->fail_allocation(n);
    std::unique_ptr<gpu::GpuModel> model;
    try {
      model = std::make_unique<gpu::GpuModel>(device, start);
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::out_of_memory);
      CHECK_EQ(device->live_allocations(), size_t{0});
      continue;
    }
    const auto attempt = [&](auto&& work) {
      try {
        work();
        return true;
      } catch (const Error& error) {
        CHECK(error.code() == ErrorCode::out_of_memory);
      }
      return false;
    };
    const auto train = [&] { model->train_epoch(data.samples(), options_for(1, 4), kGoOn); };
    const auto infer = [&] { model->evaluate(data.samples(), kGoOn); };
    const bool trained = attempt(train);
    if (!trained) {
      CHECK(same_bits(model->download(), start));
      train();
    }
    const bool evaluated = attempt(infer);
    if (!evaluated) infer();
    CHECK_MSG(same_bits(model->download(), expected), "allocation " << n);
    model.reset();
    CHECK_EQ(device->live_allocations(), size_t{0});
    if (trained && evaluated) {
      CHECK(n > 20);
      break;
    }
  }
}

TEST("gpu training: what is created, trained and dropped leaves no memory behind") {
  need_emulator();
  const auto device = std::make_shared<EmulatedDevice>();
  const Model start = build_model(make_spec({10, 8, 3}, 3.0, Activation::srelu, Loss::softmax_cross_entropy));
  const Data data = make_data(10, 3, 8, 15);
  for (int k = 0; k < 3; ++k) {
    gpu::GpuModel model(device, start);
    if (!simt::kThreads) model.train_epoch(data.samples(), options_for(1, 4), kGoOn);
  }
  CHECK_EQ(device->live_allocations(), size_t{0});
}

}  // namespace
}  // namespace set_native
