#include <cmath>
#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "core/backend.h"
#include "core/dropout.h"
#include "gpu/finite.h"
#include "gpu/passes.h"
#include "layout/blocks.h"
#include "layout/network.h"
#include "reference/ops.h"
#include "test/check.h"
#include "test/cpu/kernel_support.h"
#include "test/gpu/gpu_device.h"

/*
 * The kernels of training, launched as the trainer launches them, against the reference: over mean shapes,
 * for every height of blocks and both widths of indices. Device memory is exact and starts as NaNs: what is
 * read without having been written spoils a result.
 */
namespace set_native {

using namespace test;

namespace {

using gpu::Buffer;
using simt::Order;

const simt::Schedule kSchedules[] = {{Order::shuffled, 5}, {Order::reversed, 0}};

void skip_with_threads() {
  if (simt::kThreads) skip("takes too long with an OS thread for each GPU thread");
}

/** Links in whole slots of `height` sources; group 0 has none, group 1 all targets, target 0 no links but
 * that one. */
Csr pattern(uint32_t inputs, uint32_t outputs, uint32_t height, double density, Random& random) {
  const uint32_t groups = (inputs + height - 1) / height;
  Csr links;
  links.rows = inputs;
  links.cols = outputs;
  links.row_offsets.push_back(0);
  for (uint32_t b = 0; b < groups; ++b) {
    std::vector<uint32_t> targets;
    for (uint32_t j = 0; j < outputs; ++j)
      if (b == 1 || (b > 1 && j > 0 && random.in(0.0f, 1.0f) < density)) targets.push_back(j);
    for (uint32_t i = b * height; i < std::min(inputs, (b + 1) * height); ++i) {
      links.col_indices.insert(links.col_indices.end(), targets.begin(), targets.end());
      links.row_offsets.push_back(static_cast<uint32_t>(links.col_indices.size()));
    }
  }
  return links;
}

AlignedVector<float> aligned(const std::vector<float>& values) {
  return AlignedVector<float>(values.begin(), values.end());
}

template <class Index>
gpu::Layer layer_of(gpu::Device& device, const LayerProblem& problem, uint32_t height) {
  Layer core;
  core.inputs = problem.links.rows;
  core.outputs = problem.links.cols;
  core.links = problem.links;
  core.weights = aligned(problem.weights);
  core.velocity = aligned(problem.velocity);
  core.birth.assign(problem.weights.size(), 0);
  PackedLayer layer;
  layer.inputs = core.inputs;
  layer.outputs = core.outputs;
  layer.blocks = pack_as<Index>(core, height);
  layer.bias = aligned(problem.bias);
  layer.bias_velocity.assign(core.outputs, 0.0f);
  layer.activation = problem.activation;
  return gpu::upload_layer(device, layer);
}

/** The neurons below: all that a layer's backward pass needs of them. */
gpu::Layer below_of(gpu::Device& device, const LayerProblem& problem) {
  gpu::Layer below;
  below.inputs = 1;
  below.outputs = problem.links.rows;
  below.activation = problem.activation;
  const auto upload = [&](const std::vector<float>& values) {
    auto buffer = device.allocate(values.size() * sizeof(float));
    device.upload(*buffer, 0, values.data(), values.size() * sizeof(float));
    return buffer;
  };
  below.bias = upload(problem.bias_below);
  below.bias_velocity = upload(problem.velocity_below);
  return below;
}

std::unique_ptr<Buffer> upload(gpu::Device& device, const Guarded& values) {
  auto buffer = device.allocate(values.size() * sizeof(float));
  device.upload(*buffer, 0, values.data(), values.size() * sizeof(float));
  return buffer;
}

Guarded download(gpu::Device& device, const Buffer& buffer) {
  Guarded values(buffer.bytes() / sizeof(float));
  device.download(values.data(), buffer, 0, buffer.bytes());
  return values;
}

/** An array of a layer; one without links has none of them. */
Guarded download(gpu::Device& device, const std::unique_ptr<Buffer>& array) {
  return array != nullptr ? download(device, *array) : Guarded();
}

std::unique_ptr<Buffer> upload_state(gpu::Device& device, size_t batch) {
  gpu::StepState state{};
  state.count = state.full_batch = state.batch = static_cast<uint32_t>(batch);
  state.rule = update_rule();
  auto buffer = device.allocate(sizeof state);
  device.upload(*buffer, 0, &state, sizeof state);
  return buffer;
}

template <class Index>
void check_layer(const Csr& links, uint32_t height, const Batch& batch, Activation activation,
                 const simt::Schedule& schedule, Random& random) {
  const std::string what = "n " + std::to_string(links.rows) + ", m " + std::to_string(links.cols) +
                           ", height " + std::to_string(height) + ", batch " + std::to_string(batch.size) +
                           " of " + std::to_string(batch.room) + ", " + name_of(activation);
  EmulatedDevice::Options options;
  options.schedule = schedule;
  TestDevice device(options);
  const LayerProblem problem(links, batch.size, activation, random);
  const uint32_t n = links.rows, m = links.cols, stride = gpu::row_stride(static_cast<uint32_t>(batch.room));
  const auto state = upload_state(device, batch.size);

  gpu::Network forward;  // the layer as a hidden one
  forward.layers.push_back(layer_of<Index>(device, problem, height));
  forward.layers.emplace_back();
  const uint32_t rows = forward.layers[0].input_rows();
  const auto x = upload(device, by_feature(problem.x, n, batch.size, stride, rows));
  const auto z = device.allocate(size_t{m} * stride * sizeof(float));
  gpu::queue_forward(device, forward, 0, {state.get()}, *x, *z, nullptr, stride);
  check_rows(kForward, download(device, *z), m, batch.size, stride, problem.z, problem.z_scale, false, what,
             "z");

  gpu::Network backward;
  backward.layers.push_back(below_of(device, problem));
  backward.layers.push_back(layer_of<Index>(device, problem, height));
  const auto dz = upload(device, by_feature(problem.dz, m, batch.size, stride, m));
  const auto apart = device.allocate(size_t{rows} * stride * sizeof(float));
  const bool wide = stride > gpu::kPassStride;
  gpu::queue_backward(device, backward, 1, {state.get()}, *x, *dz, wide ? apart.get() : x.get(), stride);
  BackwardState got;
  got.dx = download(device, wide ? *apart : *x);
  got.weights = download(device, backward.layers[1].weights);
  got.velocity = download(device, backward.layers[1].velocity);
  got.bias = download(device, *backward.layers[0].bias);
  got.bias_velocity = download(device, *backward.layers[0].bias_velocity);

  Places place;
  for (uint32_t i = 0; i < n; ++i) {
    // Within a group the blocks are numbered by target: as the links of each of its sources.
    const uint32_t group = i / height;
    uint32_t first = 0;
    for (uint32_t b = 0; b < group; ++b)
      first += links.row_offsets[b * height + 1] - links.row_offsets[b * height];
    for (uint32_t k = 0; k < links.row_offsets[i + 1] - links.row_offsets[i]; ++k)
      place.push_back((size_t{first} + k) * height + i % height);
  }
  check_backward(got, problem, {true, false, true, true}, stride, place, what);
  if (!wide)
    for (size_t k = size_t{n} * stride; k < got.dx.size(); ++k)
      CHECK_MSG(got.dx[k] == 0.0f, what << ": rows beyond");
  double unused = 0.0;  // weights of sources that do not exist stay 0
  for (size_t k = 0; k < got.weights.size(); ++k) unused += got.weights[k] == 0.0f;
  CHECK_MSG(unused >= static_cast<double>(got.weights.size() - links.nnz()), what << ": weights beyond");

  gpu::Network first;  // the same layer as the lowest: no dx, the same updates, x as it was
  first.layers.push_back(layer_of<Index>(device, problem, height));
  const auto x0 = upload(device, by_feature(problem.x, n, batch.size, stride, rows));
  gpu::queue_backward(device, first, 0, {state.get()}, *x0, *dz, nullptr, stride);
  CHECK_MSG(download(device, first.layers[0].weights).same_bits(got.weights), what << ": the lowest layer");
  CHECK_MSG(download(device, *x0).same_bits(by_feature(problem.x, n, batch.size, stride, rows)),
            what << ": x");
}

TEST("gpu kernels: forward and backward of small layers, which is what ThreadSanitizer can watch") {
  Random random(90);
  check_layer<uint16_t>(pattern(5, 9, 1, 0.5, random), 1, {3, 3}, Activation::relu, kSchedules[0], random);
  check_layer<uint32_t>(pattern(7, 9, 2, 0.5, random), 2, {130, 130}, Activation::tanh, kSchedules[1],
                        random);
  check_layer<uint16_t>(pattern(11, 300, 11, 1.0, random), 11, {5, 5}, Activation::relu, kSchedules[0],
                        random);
  check_layer<uint16_t>(pattern(16, 300, 8, 1.0, random), 8, {40, 40}, Activation::sigmoid, kSchedules[0],
                        random);
  check_layer<uint16_t>(pattern(150, 3, 1, 1.0, random), 1, {132, 132}, Activation::relu, kSchedules[0],
                        random);
}

TEST("gpu kernels: forward and backward follow the reference, every height, width of rows and of indices") {
  skip_with_threads();
  Random random(91);
  uint32_t turn = 0;
  for (const uint32_t height : {1u, 2u, 3u, 4u, 8u, 11u, 19u})
    for (const Batch& batch : {Batch{1, 1}, {3, 3}, {5, 5}, {33, 33}, {17, 40}, {129, 129}, {130, 200}}) {
      const simt::Schedule& schedule = kSchedules[turn % 2];
      const Activation activation = kActivations[turn % 4];
      const Csr links = pattern(5 * height - height / 2, 37, height, 0.2, random);
      if (turn++ % 3 == 0)
        check_layer<uint32_t>(links, height, batch, activation, schedule, random);
      else
        check_layer<uint16_t>(links, height, batch, activation, schedule, random);
    }
}

TEST("gpu kernels: rows so long that several warps share them") {
  skip_with_threads();
  Random random(92);
  for (const uint32_t height : {1u, 2u, 8u, 11u})
    for (const Batch& batch : {Batch{2, 2}, {40, 40}, {132, 132}}) {
      check_layer<uint16_t>(pattern(3 * height, 2, height, 1.0, random), height, batch, Activation::relu,
                            kSchedules[0], random);
      check_layer<uint16_t>(pattern(3 * height, 300, height, 1.0, random), height, batch, Activation::tanh,
                            kSchedules[1], random);
      check_layer<uint16_t>(pattern(150 * height - height / 2, 3, height, 1.0, random), height, batch,
                            Activation::linear, kSchedules[0], random);
    }
}

TEST("gpu kernels: the order of an epoch is the CPU's, one for one") {
  skip_with_threads();
  for (const simt::Schedule& schedule : kSchedules)
    for (const uint32_t count : {1u, 2u, 1000u, 2048u, 2049u, 9000u}) {
      EmulatedDevice::Options options;
      options.schedule = schedule;
      TestDevice device(options);
      const size_t size = gpu::order_size(count);
      const auto draws = device.allocate(size * sizeof(uint64_t)),
                 order = device.allocate(size * sizeof(uint32_t));
      gpu::queue_order(device, 0x123456789abcdefu, 3, count, *draws, *order);
      std::vector<uint32_t> got(count);
      device.download(got.data(), *order, 0, count * sizeof(uint32_t));
      CHECK_MSG(got == epoch_order(0x123456789abcdefu, 3, count, true), count << " samples");
    }
}

TEST("gpu kernels: samples become rows, in order, with padding of zeros") {
  skip_with_threads();
  Random random(93);
  for (const uint32_t features : {1u, 31u, 32u, 33u, 70u})
    for (const Batch& batch : {Batch{1, 1}, {3, 5}, {33, 40}, {2, 200}}) {
      TestDevice device;
      const uint32_t count = 210, first = 7, stride = gpu::row_stride(static_cast<uint32_t>(batch.room));
      const std::vector<float> data = random.list(size_t{count} * features, -1.0f, 1.0f);
      std::vector<uint32_t> order(count);
      for (uint32_t k = 0; k < count; ++k) order[k] = (k * 11 + 5) % count;
      const auto on_device = device.allocate(data.size() * sizeof(float)),
                 x = device.allocate(features * stride * 4),
                 numbers = device.allocate(count * sizeof(uint32_t));
      device.upload(*on_device, 0, data.data(), data.size() * sizeof(float));
      device.upload(*numbers, 0, order.data(), count * sizeof(uint32_t));
      for (const bool ordered : {true, false}) {
        gpu::queue_gather(device, {features, stride, first, static_cast<uint32_t>(batch.size)},
                          {{}, on_device, ordered ? numbers.get() : nullptr, x});
        const Guarded got = download(device, *x);
        bool same = true;
        for (uint32_t f = 0; f < features; ++f)
          for (uint32_t s = 0; s < stride; ++s) {
            const uint32_t sample = ordered ? order[std::min(first + s, count - 1)] : first + s;
            const float want = s < batch.size ? data[size_t{sample} * features + f] : 0.0f;
            same = same && got[f * stride + s] == want;
          }
        CHECK_MSG(same, features << " features, " << batch.size << " samples of " << batch.room);
      }
    }
}

TEST("gpu kernels: outputs are dropped as core says, and marked") {
  skip_with_threads();
  Random random(97);
  constexpr uint32_t kFirst = 7, kEpoch = 3;
  for (const simt::Schedule& schedule : kSchedules)
    for (const uint32_t outputs : {1u, 8u, 21u})
      for (const uint32_t batch : {1u, 6u, 40u, 130u})
        for (const float p : {0.5f, 0.1f}) {
          EmulatedDevice::Options options;
          options.schedule = schedule;
          TestDevice device(options);
          const uint32_t stride = gpu::row_stride(batch);
          gpu::Network network;
          network.seed = 0x123456789abcdef;
          for (uint32_t l = 0; l < 3; ++l) network.layers.emplace_back();
          network.layers[1].outputs = outputs;
          gpu::StepState start{};
          start.count = 1000;
          start.full_batch = start.batch = batch;
          start.first = kFirst;
          start.epoch = kEpoch;
          const auto state = device.allocate(sizeof start);
          device.upload(*state, 0, &start, sizeof start);
          Guarded z = Guarded::copy_of(random.list(size_t{outputs} * stride, -1.0f, 1.0f));
          for (size_t k = 0; k < z.size(); k += 3) z[k] = k % 2 == 0 ? 0.0f : -0.0f;
          const auto on_device = upload(device, z);
          const Dropout dropout = dropout_of(p);
          gpu::queue_dropout(device, network, 1, {state.get()}, *on_device, stride, dropout);
          for (uint32_t j = 0; j < outputs; ++j)
            for (uint32_t s = 0; s < stride; ++s) {
              const PhiloxBlock block =
                  draw(network.seed, Stream::dropout, 1, kEpoch, dropout_index(kFirst + s, j));
              float& value = z[j * stride + s];
              value = is_dropped(block, j, dropout.threshold) ? -0.0f
                      : value == 0.0f                         ? 0.0f
                                                              : dropout.gain * value;
            }
          CHECK_MSG(download(device, *on_device).same_bits(z),
                    outputs << " neurons, " << batch << " samples, p " << p);
        }
}

gpu::Launch loss_launch(gpu::Op op) {
  return {{op}, 1, 1, gpu::kTrainThreads * sizeof(double)};
}

TEST("gpu kernels: losses and their gradients follow the reference") {
  skip_with_threads();
  Random random(94);
  for (const Loss loss : {Loss::softmax_cross_entropy, Loss::sigmoid_binary_cross_entropy, Loss::mse})
    for (const uint32_t outputs : {1u, 2u, 10u})
      for (const Batch& batch : {Batch{1, 1}, {5, 8}, {300, 301}}) {
        if (outputs == 1 && loss == Loss::softmax_cross_entropy) continue;
        TestDevice device;
        const uint32_t stride = gpu::row_stride(static_cast<uint32_t>(batch.room));
        const std::vector<float> z = random.list(batch.size * outputs, -8.0f, 8.0f);
        std::vector<uint32_t> labels(batch.size);
        for (uint32_t& label : labels) label = static_cast<uint32_t>(random.below(std::max(outputs, 2u)));
        Doubles want_dz;
        const std::vector<float> weights = random.list(batch.size, 0.0f, 3.0f);
        const double want = reference::loss_and_gradient(loss, widen(z), outputs, batch.size,
                                                         {labels.data(), nullptr, weights.data()}, &want_dz);
        const auto state = upload_state(device, batch.size);
        const auto logits = upload(device, by_feature(z, outputs, batch.size, stride, outputs));
        const auto dz = device.allocate(outputs * stride * sizeof(float)),
                   on_device = device.allocate(batch.size * sizeof(uint32_t)),
                   counts = device.allocate(batch.size * sizeof(float));
        device.upload(*on_device, 0, labels.data(), batch.size * sizeof(uint32_t));
        device.upload(*counts, 0, weights.data(), batch.size * sizeof(float));
        device.dispatch(loss_launch(gpu::Op::loss), gpu::LossParams{outputs, stride, loss},
                        gpu::LossBuffers{state, {}, on_device, {}, counts, logits, dz});
        gpu::StepState after{};
        device.download(&after, *state, 0, sizeof after);
        const std::string what = "loss " + std::to_string(static_cast<int>(loss)) + ", outputs " +
                                 std::to_string(outputs) + ", batch " + std::to_string(batch.size);
        const double got = gpu::value_of(device, after.loss), allowed = device.has_doubles() ? 1e-12 : 2e-6;
        CHECK_MSG(std::fabs(got - want) <= allowed * want, what << ": " << got << " and " << want);
        CHECK(after.stop == gpu::StopReason::running);
        check_rows({1e-7, 1e-6}, download(device, *dz), outputs, batch.size, stride, want_dz,
                   Doubles(want_dz.size(), 1.0 / static_cast<double>(batch.size)), true, what, "dz");
      }
}

TEST("gpu kernels: sums of losses keep the digits that a float would lose") {
  skip_with_threads();
  Random random(95);
  constexpr uint32_t kBatch = 300, kSteps = 50, kStride = 300;
  std::vector<float> z(kBatch);  // each square is a float, their sum is not
  double want = 0.0;
  uint32_t below_half = 0;
  for (float& value : z) {
    value = static_cast<float>(random.below(4096)) / 64.0f;
    want += static_cast<double>(value) * value;
    below_half += value <= 0.5f;
  }
  TestDevice device;
  const auto state = upload_state(device, kBatch);
  const auto logits = device.allocate(kStride * sizeof(float)), dz = device.allocate(kStride * sizeof(float)),
             labels = device.allocate(kBatch * sizeof(uint32_t)), sum = device.allocate(sizeof(gpu::LossSum)),
             correct = device.allocate(sizeof(uint32_t));
  device.upload(*logits, 0, z.data(), kBatch * sizeof(float));
  device.clear(*labels, 0, labels->bytes());
  for (uint32_t step = 0; step < kSteps; ++step)
    device.dispatch(loss_launch(gpu::Op::loss), gpu::LossParams{1, kStride, Loss::mse},
                    gpu::LossBuffers{state, {}, labels, {}, {}, logits, dz});
  device.dispatch(loss_launch(gpu::Op::evaluate), gpu::EvaluateParams{1, kStride, Loss::mse, 0, kBatch, 0},
                  gpu::EvaluateBuffers{labels, {}, {}, logits, sum, correct});
  gpu::StepState after{};
  gpu::LossSum once{};
  uint32_t right = 0;
  device.download(&after, *state, 0, sizeof after);
  device.download(&once, *sum, 0, sizeof once);
  device.download(&right, *correct, 0, sizeof right);
  CHECK_EQ(gpu::value_of(device, after.loss), kSteps * want);
  CHECK_EQ(gpu::value_of(device, once), want);
  CHECK_EQ(right, below_half);
}

TEST("gpu kernels: a loss that is too large for the device's numbers is infinite") {
  skip_with_threads();
  TestDevice device;
  constexpr uint32_t kStride = 4;
  const std::vector<float> z = {1e30f, 1.0f, 0.0f, 0.0f};
  const auto logits = device.allocate(kStride * sizeof(float)),
             labels = device.allocate(2 * sizeof(uint32_t)), sum = device.allocate(sizeof(gpu::LossSum)),
             correct = device.allocate(sizeof(uint32_t));
  device.upload(*logits, 0, z.data(), kStride * sizeof(float));
  device.clear(*labels, 0, labels->bytes());
  device.dispatch(loss_launch(gpu::Op::evaluate), gpu::EvaluateParams{1, kStride, Loss::mse, 0, 2, 0},
                  gpu::EvaluateBuffers{labels, {}, {}, logits, sum, correct});
  gpu::LossSum found{};
  device.download(&found, *sum, 0, sizeof found);
  const double got = gpu::value_of(device, found);
  CHECK_MSG(got > (device.has_doubles() ? 1e59 : 1e300), got);
}

TEST("gpu kernels: losses and gradients of confident answers keep their digits") {
  skip_with_threads();
  // One sample whose right answer has the logit 12, of one output, or of two with a 0 for the other.
  const double want_loss = std::log1p(std::exp(-12.0)), want_dz = -1.0 / (1.0 + std::exp(12.0));
  for (const uint32_t outputs : {1u, 2u}) {
    constexpr uint32_t kStride = 4;
    const Loss loss = outputs == 1 ? Loss::sigmoid_binary_cross_entropy : Loss::softmax_cross_entropy;
    const uint32_t label = outputs == 1 ? 1 : 0;
    TestDevice device;
    const auto state = upload_state(device, 1);
    const auto logits = upload(device, by_feature({12.0f, 0.0f}, outputs, 1, kStride, outputs));
    const auto dz = device.allocate(outputs * kStride * sizeof(float)),
               labels = device.allocate(sizeof label);
    device.upload(*labels, 0, &label, sizeof label);
    device.dispatch(loss_launch(gpu::Op::loss), gpu::LossParams{outputs, kStride, loss},
                    gpu::LossBuffers{state, {}, labels, {}, {}, logits, dz});
    gpu::StepState after{};
    device.download(&after, *state, 0, sizeof after);
    const double got = gpu::value_of(device, after.loss), got_dz = download(device, *dz)[0];
    CHECK_MSG(std::fabs(got / want_loss - 1.0) < 2e-6,
              outputs << " outputs, loss " << got << ", not " << want_loss);
    CHECK_MSG(std::fabs(got_dz / want_dz - 1.0) < 2e-6,
              outputs << " outputs, dz " << got_dz << ", not " << want_dz);
  }
}

TEST("gpu kernels: numbers that are not finite raise a flag, where they count") {
  skip_with_threads();
  Random random(96);
  for (const auto& [rows, stride, columns] :
       {std::tuple<uint32_t, uint32_t, uint32_t>{1, 1, 1}, {300, 1, 1}, {7, 12, 9}, {40, 132, 130}})
    for (const float bad : {INFINITY, -INFINITY, NAN, 3e38f}) {
      TestDevice device;
      gpu::FiniteFlags flags(device, 3);
      const uint32_t row = static_cast<uint32_t>(random.below(rows));
      for (uint32_t column = 0; column < stride; column += std::max(1u, stride / 5)) {
        Guarded values(size_t{rows} * stride, 0.5f);
        values[size_t{row} * stride + column] = bad;
        const auto matrix = upload(device, values);
        flags.clear();
        flags.check(1, *matrix, rows, stride, columns);
        const bool counts = column < columns && !std::isfinite(bad);
        CHECK_MSG(flags.first_raised() == (counts ? 1u : 3u),
                  bad << " in column " << column << " of " << columns);
        CHECK_EQ(flags.finite(*matrix, rows, stride, columns), !counts);
      }
    }
}

TEST("gpu kernels: the end of a step moves the state on, to its last batch, or stops it") {
  skip_with_threads();
  for (const uint32_t cancelled : {0u, 1u}) {
    TestDevice device;
    gpu::StepState state{};
    state.count = 25;
    state.full_batch = state.batch = 10;
    const auto on_device = device.allocate(sizeof state);
    device.upload(*on_device, 0, &state, sizeof state);
    const auto cancel = device.allocate_shared(sizeof cancelled);
    *static_cast<uint32_t*>(cancel->data()) = cancelled;
    const auto dz = device.allocate(12 * sizeof(float)), bias = device.allocate(sizeof(float)),
               momentum = device.allocate(sizeof(float));
    for (Buffer* buffer : {dz.get(), bias.get(), momentum.get()}) device.clear(*buffer, 0, buffer->bytes());
    const uint32_t firsts[] = {10, 20, 20}, batches_left[] = {10, 5, 5};
    for (uint32_t step = 0; step < 3; ++step) {
      gpu::EndStepBuffers buffers;
      buffers.state = on_device;
      buffers.cancel = cancel;
      buffers.dz = dz;
      buffers.bias = bias;
      buffers.bias_velocity = momentum;
      device.dispatch({{gpu::Op::end_step}}, gpu::EndStepParams{1, 12}, buffers);
      device.download(&state, *on_device, 0, sizeof state);
      CHECK_EQ(state.step, cancelled != 0 ? 1u : step + 1);
      CHECK_EQ(state.first, firsts[cancelled != 0 ? 0 : step]);
      CHECK_EQ(state.batch, batches_left[cancelled != 0 ? 0 : step]);
      CHECK(state.stop == (cancelled != 0 ? gpu::StopReason::cancelled : gpu::StopReason::running));
    }
  }
}

}  // namespace
}  // namespace set_native
