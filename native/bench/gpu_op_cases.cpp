#include <cmath>
#include <memory>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "bench/cases.h"
#include "bench/gpu_target.h"
#include "bench/problem.h"
#include "cpu/loss.h"
#include "cpu/passes.h"
#include "evolution/evolve.h"
#include "gpu/evolve.h"
#include "gpu/passes.h"

/*
 * Single operations on a GPU, queued one at a time between two marks of its own clock. So the time includes
 * the launch (except with Metal, whose clock begins with the kernel). Each operation is first compared with
 * plain loops or with the CPU's.
 */
namespace set_native::bench {

namespace {

constexpr uint32_t kFeatures = 784;
constexpr uint32_t kSamples = 5000;

/** A device with the state of a step, and functions that move data and time operations. */
struct Bench {
  Bench(const Case& c, Context& in)
      : context(in),
        target(static_cast<GpuTarget&>(*in.target)),
        device(target.open()),
        stride(gpu::row_stride(c.batch)) {
    gpu::StepState values{};
    values.count = kSamples;
    values.full_batch = values.batch = c.batch;
    values.rule = kRule;
    state = device->allocate(sizeof values);
    device->upload(*state, 0, &values, sizeof values);
  }

  std::unique_ptr<gpu::Buffer> put(const void* values, size_t bytes) {
    auto buffer = device->allocate(bytes);
    device->upload(*buffer, 0, values, bytes);
    return buffer;
  }
  template <class Values>
  std::unique_ptr<gpu::Buffer> put(const Values& values) {
    return put(values.data(), values.size() * sizeof(values[0]));
  }
  template <class Values>
  void get(Values& values, const gpu::Buffer& buffer) {
    device->download(values.data(), buffer, 0, values.size() * sizeof(values[0]));
  }

  template <class Prepare, class Body>
  Result time(const Work& work, double links, Prepare&& prepare, Body&& body) {
    Result result;
    result.times = measure({}, context.cancel, target.stopwatch(), prepare, body);
    result.links = links;
    result.flops = work.flops;
    result.bytes = work.bytes();
    result.limit = target.limit({work}, 1.0, 1);
    return result;
  }
  template <class Body>
  Result time(const Work& work, double links, Body&& body) {
    return time(work, links, [] {}, body);
  }

  Context& context;
  GpuTarget& target;
  std::unique_ptr<gpu::TimedDevice> device;
  uint32_t stride;
  std::unique_ptr<gpu::Buffer> state;
};

/**
 * Returns a network with the problem's layer between two others, or first, without a gradient by its inputs.
 */
gpu::Network place(Bench& bench, Problem& p, bool first) {
  gpu::Network network;
  if (!first) {
    PackedNetwork below = pack_network(build_model(spec_of({1, p.layer.inputs, 2}, 0, 1)));
    network.layers.push_back(gpu::upload_layer(*bench.device, below.layers[0]));
  }
  for (PackedLayer& layer : p.network.layers)
    network.layers.push_back(gpu::upload_layer(*bench.device, layer));
  return network;
}

Result forward(const Case& c, Context& context) {
  Bench bench(c, context);
  Problem p(c, bench.stride);
  const gpu::Network network = place(bench, p, true);
  const auto x = bench.put(p.x), z = bench.put(p.z);
  const auto body = [&] {
    gpu::queue_forward(*bench.device, network, 0, {bench.state.get()}, *x, *z, nullptr, bench.stride);
  };
  body();
  bench.get(p.z, *z);
  if (!near(p.z, p.want_z)) return failed("z differs from plain loops");
  const LayerShape shape = shape_of(p.layer);
  return bench.time(forward_work(shape, p.batch, p.stride), shape.links, body);
}

Result backward(const Case& c, Context& context) {
  Bench bench(c, context);
  Problem p(c, bench.stride);
  const bool first = c.sizes.front() == kFeatures;
  gpu::Network network = place(bench, p, first);
  const size_t l = first ? 0 : 1;
  const auto kept = bench.put(p.x), x = bench.put(p.x), dz = bench.put(p.dz);
  const auto body = [&] {
    gpu::queue_backward(*bench.device, network, l, {bench.state.get()}, *x, *dz, nullptr, bench.stride);
  };
  body();
  bench.get(p.dx, *x);
  if (!first && !near(p.dx, p.want_dx)) return failed("dx differs from plain loops");
  const Parameters want = updated(p.layer.weights, p.layer.velocity, p.want_gradient);
  const bool same = std::visit(
      [&](const auto& blocks) {
        return near(by_link(blocks, blocks.weights, false), want.weights) &&
               near(by_link(blocks, blocks.velocity, false), want.velocity);
      },
      gpu::download_layer(*bench.device, network.layers[l]).blocks);
  if (!same) return failed("the update differs from plain loops");
  const LayerShape shape = shape_of(p.layer);
  return bench.time(
      backward_work(shape, p.batch, p.stride, !first), shape.links,
      [&] { bench.device->copy(*x, 0, *kept, 0, kept->bytes()); }, body);
}

/** Returns a network of `size` features and outputs without links, for operations that use no layer. */
gpu::Network without_layers(uint32_t size) {
  gpu::Network network;
  network.layers.emplace_back();
  network.layers[0].inputs = network.layers[0].outputs = size;
  return network;
}

Result gather(const Case& c, Context& context) {
  Bench bench(c, context);
  const Samples samples = context.samples(kSamples, kFeatures, 10);
  const std::vector<uint32_t> order = epoch_order(1, 1, kSamples, true);
  AlignedVector<float> got(size_t{kFeatures} * bench.stride, 1.0f), want = got;
  const auto data = bench.put(samples.x, size_t{kSamples} * kFeatures * sizeof(float)),
             places = bench.put(order), x = bench.put(got);
  const auto body = [&] {
    gpu::queue_gather(*bench.device, {kFeatures, bench.stride, 0, 0}, {bench.state, data, places, x});
  };
  body();
  bench.get(got, *x);
  cpu::gather(samples, order.data(), 0, c.batch, want.data(), bench.stride, 0, kFeatures);
  if (got != want) return failed("a sample is not where it belongs");
  return bench.time(gather_work(kFeatures, c.batch), 0.0, body);
}

Result loss(const Case& c, Context& context) {
  Bench bench(c, context);
  const uint32_t outputs = c.sizes.front();
  const gpu::Network network = without_layers(outputs);
  const AlignedVector<float> logits = random_rows(outputs, c.batch, bench.stride, false);
  AlignedVector<float> got(logits.size()), want(logits.size());
  std::vector<uint32_t> labels(c.batch);
  for (uint32_t b = 0; b < c.batch; ++b) labels[b] = b % outputs;
  const auto z = bench.put(logits), dz = bench.put(got), classes = bench.put(labels);
  gpu::LossBuffers buffers;
  buffers.state = bench.state;
  buffers.labels = classes;
  buffers.z = z;
  buffers.dz = dz;
  const auto body = [&] { gpu::queue_loss(*bench.device, network, bench.stride, buffers); };
  body();
  bench.get(got, *dz);
  gpu::StepState after{};
  bench.device->download(&after, *bench.state, 0, sizeof after);
  const double got_sum = gpu::value_of(*bench.device, after.loss);
  const double sum = cpu::loss_and_gradient(network.loss, logits.data(), outputs, c.batch, bench.stride,
                                            {labels.data()}, want.data());
  if (!(std::fabs(got_sum - sum) <= 1e-5 * sum) || !near(got, {want.begin(), want.end()}))
    return failed("loss or gradient differ from the CPU's");
  return bench.time(loss_work(outputs, bench.stride), 0.0, body);
}

Result order(const Case& c, Context& context) {
  Bench bench(c, context);
  const uint32_t count = c.sizes.front();
  const auto draws = bench.device->allocate(gpu::order_size(count) * sizeof(uint64_t)),
             numbers = bench.device->allocate(gpu::order_size(count) * sizeof(uint32_t));
  uint32_t epoch = 0;
  const auto body = [&] { gpu::queue_order(*bench.device, 1, ++epoch, count, *draws, *numbers); };
  body();
  std::vector<uint32_t> got(count);
  bench.get(got, *numbers);
  if (got != epoch_order(1, epoch, count, true)) return failed("the order differs from the CPU's");
  return bench.time(order_work(count), 0.0, body);
}

/**
 * Times prune, regrow and rebuild of one layer, with the downloads between them and with the check for finite
 * weights before them.
 */
Result evolve(const Case& c, Context& context) {
  Bench bench(c, context);
  Problem p(c, bench.stride);
  gpu::Network network = place(bench, p, true);
  const EvolutionPolicy policy = policy_of(c.motif_size);
  EvolutionKey key{};
  key.seed = 1;
  gpu::Evolution evolution(*bench.device);
  const auto body = [&] {
    ++key.epoch;
    if (evolution.begin(network.layers[0], policy, key)) evolution.run(network.layers[0], policy, key);
  };
  body();
  ThreadPool pool(1);
  AnyBlocks& want = p.network.layers[0].blocks;
  evolve_layer(want, policy, key, pool);
  const PackedLayer got = gpu::download_layer(*bench.device, network.layers[0]);
  const bool same = std::visit(
      [](const auto& a, const auto& b) {
        if constexpr (std::is_same_v<decltype(a), decltype(b)>)
          return a.offsets == b.offsets && a.targets == b.targets && a.weights == b.weights &&
                 a.birth == b.birth && a.by_target.blocks == b.by_target.blocks;
        return false;
      },
      std::as_const(want), got.blocks);
  if (!same) return failed("the links differ from the CPU's");
  const LayerShape shape = shape_of(p.layer);
  return bench.time(rebuild_work(shape), shape.links, body);
}

}  // namespace

void add_gpu_op_cases(std::vector<Case>& cases) {
  constexpr uint32_t kBatch = 40;
  for (const auto& [op, run] : {std::pair{"sparse-forward", &forward}, {"sparse-backward", &backward}})
    for (const uint32_t inputs : {3000u, kFeatures})
      for (const uint32_t motif : {1u, 2u, 4u})
        if (motif == 1 || inputs != kFeatures)
          cases.push_back({op, {inputs, 3000}, 13, kBatch, motif, 0, 1, run});
  cases.push_back({"gather", {kFeatures}, 0, kBatch, 0, 0, 1, gather});
  cases.push_back({"loss", {10}, 0, kBatch, 0, 0, 1, loss});
  cases.push_back({"order", {kSamples}, 0, 0, 0, 0, 1, order});
  for (const uint32_t motif : {1u, 2u})
    cases.push_back({"evolve-layer", {3000, 3000}, 13, 0, motif, 0, 1, evolve});
}

}  // namespace set_native::bench
