#include <algorithm>
#include <array>
#include <cmath>
#include <variant>

#include "bench/cases.h"
#include "bench/problem.h"
#include "cpu/loss.h"
#include "cpu/passes.h"
#include "reference/ops.h"

/*
 * Cases of single operations on one thread: the kernels on one layer, and the other operations of training.
 * Kernels are compared with plain loops in double over the links of core's Layer, so that blocks and their
 * indices are checked, too.
 */
namespace set_native::bench {

namespace {

Result timed(Context& context, const Work& work, double links, const Times& times) {
  Result result;
  result.times = times;
  result.links = links;
  result.flops = work.flops;
  result.bytes = work.bytes();
  result.limit = limit_of(context.machine, {work}, 1.0, 1);
  return result;
}

template <class Index>
cpu::SparseBackward<Index> backward_op(Blocks<Index>& blocks, Problem& p, AlignedVector<float>& scratch) {
  size_t longest = 0;
  for (uint32_t b = 0; b < blocks.groups(); ++b)
    longest = std::max<size_t>(longest, (blocks.offsets[b + 1] - blocks.offsets[b]) * blocks.height);
  scratch.resize(cpu::scratch_size(longest, blocks.height));
  cpu::SparseBackward<Index> op{};
  op.offsets = blocks.offsets.data();
  op.targets = blocks.targets.data();
  op.blocks = blocks.size();
  op.weights = blocks.weights.data();
  op.height = blocks.height;
  op.inputs = blocks.inputs;
  op.x = p.x.data();
  op.dz = p.dz.data();
  op.dx = p.dx.data();
  op.stride = p.stride;
  op.activation = Activation::relu;
  op.rule = kRule;
  op.scratch = scratch.data();
  return op;
}

Result forward(const Case& c, Context& context) {
  Problem p(c, cpu::row_stride(context.table, c.batch));
  const PackedLayer& layer = p.network.layers[0];
  const auto body = [&] {
    cpu::forward_rows(context.table, p.network, 0, cpu::whole_cut(layer), layer.weights().data(), p.x.data(),
                      p.z.data(), p.stride, 0, p.layer.outputs);
  };
  body();
  if (!near(p.z, p.want_z)) return failed("z differs from plain loops");
  const Times times = measure({}, context.cancel, body);
  const LayerShape shape = shape_of(p.layer);
  return timed(context, forward_work(shape, p.batch, p.stride), shape.links, times);
}

template <class Index>
Result backward_on(Blocks<Index>& blocks, Problem& p, Context& context) {
  // Compare dx, the gradient and the update with plain loops.
  AlignedVector<float> scratch, gradient(blocks.weights.size());
  auto op = backward_op(blocks, p, scratch);
  const auto kernel = cpu::sparse_kernels<Index>(context.table).backward;
  op.gradient = gradient.data();
  kernel(op, 0, blocks.groups());
  if (!near(p.dx, p.want_dx)) return failed("dx differs from plain loops");
  if (!near(by_link(blocks, gradient, p.layer.dense), p.want_gradient))
    return failed("the gradient differs from plain loops");
  const Parameters want = updated(p.layer.weights, p.layer.velocity, p.want_gradient);
  op.gradient = nullptr;
  op.velocity = blocks.velocity.data();
  kernel(op, 0, blocks.groups());
  if (!near(by_link(blocks, blocks.weights, p.layer.dense), want.weights) ||
      !near(by_link(blocks, blocks.velocity, p.layer.dense), want.velocity))
    return failed("the update differs from plain loops");
  const Times times = measure({}, context.cancel, [&] { kernel(op, 0, blocks.groups()); });
  const LayerShape shape = shape_of(p.layer);
  return timed(context, backward_work(shape, p.batch, p.stride, true), shape.links, times);
}

Result backward(const Case& c, Context& context) {
  Problem p(c, cpu::row_stride(context.table, c.batch));
  return std::visit([&](auto& blocks) { return backward_on(blocks, p, context); },
                    p.network.layers[0].blocks);
}

Result momentum_update(const Case& c, Context& context) {
  const size_t count = c.sizes.front();
  AlignedVector<float> weights(count), velocity(count), gradient(count);
  for (size_t k = 0; k < count; ++k) {
    weights[k] = noise(3 * k);
    velocity[k] = noise(3 * k + 1);
    gradient[k] = noise(3 * k + 2);
  }
  const Parameters want = updated(weights, velocity, {gradient.begin(), gradient.end()});
  const auto update = [&] {
    context.table.update({weights.data(), velocity.data(), nullptr}, gradient.data(), count, kRule);
  };
  update();
  if (!near(weights, want.weights) || !near(velocity, want.velocity))
    return failed("the update differs from plain loops");
  const Times times = measure({}, context.cancel, update);
  return timed(context, update_work(static_cast<double>(count)), static_cast<double>(count), times);
}

Result loss(const Case& c, Context& context) {
  const size_t outputs = c.sizes.front(), batch = c.batch, stride = cpu::row_stride(context.table, batch);
  const AlignedVector<float> z = random_rows(outputs, batch, stride, false);
  AlignedVector<float> dz(z.size());
  std::vector<uint32_t> labels(batch);
  std::vector<double> by_sample(batch * outputs), want_by_sample, want(z.size());
  for (size_t b = 0; b < batch; ++b) {
    labels[b] = static_cast<uint32_t>(b % outputs);
    for (size_t j = 0; j < outputs; ++j) by_sample[b * outputs + j] = z[j * stride + b];
  }
  const auto kind = Loss::softmax_cross_entropy;
  const double want_loss =
      reference::loss_and_gradient(kind, by_sample, outputs, batch, {labels.data()}, &want_by_sample);
  for (size_t b = 0; b < batch; ++b)
    for (size_t j = 0; j < outputs; ++j) want[j * stride + b] = want_by_sample[b * outputs + j];
  double sum = 0.0;
  const auto body = [&] {
    sum = cpu::loss_and_gradient(kind, z.data(), outputs, batch, stride, {labels.data()}, dz.data());
  };
  body();
  if (!(std::fabs(sum - want_loss) <= 1e-5 * want_loss) || !near(dz, want))
    return failed("loss or gradient differ from the reference");
  Result result;
  result.times = measure({}, context.cancel, body);
  return result;
}

Result gather(const Case& c, Context& context) {
  constexpr uint32_t kSamples = 5000;
  const uint32_t features = c.sizes.front();
  const Samples samples = context.samples(kSamples, features, 10);
  const std::vector<uint32_t> order = epoch_order(1, 1, kSamples, true);
  const size_t batch = c.batch, stride = cpu::row_stride(context.table, batch);
  AlignedVector<float> x(features * stride, 1.0f);
  uint64_t first = 0;
  const auto body = [&] {
    cpu::gather(samples, order.data(), first, batch, x.data(), stride, 0, features);
    first = first + 2 * batch <= kSamples ? first + batch : 0;
  };
  body();
  for (size_t f = 0; f < features; ++f)
    for (size_t b = 0; b < stride; ++b)
      if (x[f * stride + b] != (b < batch ? samples.x[size_t{order[b]} * features + f] : 0.0f))
        return failed("a sample is not where it belongs");
  return timed(context, gather_work(features, batch), 0.0, measure({}, context.cancel, body));
}

/** Gradients at cells without a link, as growth by gradient asks for: as many as the layer has links. */
Result sddmm(const Case& c, Context& context) {
  const size_t n = c.sizes[0], m = c.sizes[1], stride = cpu::row_stride(context.table, c.batch);
  const AlignedVector<float> x = random_rows(n, c.batch, stride, true);
  const AlignedVector<float> dz = random_rows(m, c.batch, stride, false);
  const auto cells = static_cast<size_t>(c.epsilon * static_cast<double>(n + m));
  std::vector<uint32_t> sources, targets;
  for (size_t k = 0; k < cells; ++k) {
    const uint64_t word = word64(draw(1, Stream::candidate, 0, 1, k));
    sources.push_back(static_cast<uint32_t>(below(word, n)));  // ascending rows come by row, as candidates do
  }
  std::sort(sources.begin(), sources.end());
  for (size_t k = 0; k < cells; ++k)
    targets.push_back(static_cast<uint32_t>(below(word64(draw(1, Stream::candidate, 0, 2, k)), m)));
  std::vector<double> sums(cells, 0.0), want(cells, 0.0);
  for (size_t k = 0; k < cells; ++k)
    for (size_t s = 0; s < stride; ++s)
      want[k] += static_cast<double>(x[sources[k] * stride + s]) * dz[targets[k] * stride + s];
  const cpu::Sddmm op{sources.data(), targets.data(), x.data(), dz.data(), stride, 1.0, sums.data()};
  context.table.sddmm(op, 0, cells);
  if (!near(sums, want)) return failed("the products differ from plain loops");
  const Times times = measure({}, context.cancel, [&] { context.table.sddmm(op, 0, cells); });
  const auto count = static_cast<double>(cells);
  return timed(context, sddmm_work(count, n, m, stride), count, times);
}

}  // namespace

void add_op_cases(const Grid& grid, std::vector<Case>& cases) {
  constexpr std::array<double, 5> kEpsilons = {1, 5, 13, 21, 31};
  constexpr std::array<uint32_t, 6> kBatches = {1, 2, 8, 40, 100, 128};
  constexpr std::array<uint32_t, 4> kMotifSizes = {1, 2, 4, 8};
  const auto along_an_axis = [&](double epsilon, uint32_t batch, uint32_t motif) {
    if (grid.full) return true;
    if (motif > 1) return epsilon == 13 && (batch == 2 || batch == 40);
    return epsilon == 13 || batch == 40;
  };
  for (const auto& [op, run] : {std::pair{"sparse-forward", &forward}, {"sparse-backward", &backward}}) {
    for (const uint32_t motif : kMotifSizes)
      for (const uint32_t batch : kBatches)
        for (const double epsilon : kEpsilons)
          if (along_an_axis(epsilon, batch, motif))
            cases.push_back({op, {3000, 3000}, epsilon, batch, motif, 0, 1, run});
    cases.push_back({op, {100000, 100000}, 5, 40, 1, 0, 1, run});  // 32-bit indices, activations beyond L2
  }
  for (const auto& [op, run] : {std::pair{"dense-forward", &forward}, {"dense-backward", &backward}}) {
    for (const uint32_t batch : kBatches)
      if (grid.full || batch == 1 || batch == 40) cases.push_back({op, {3000, 3000}, 0, batch, 0, 0, 1, run});
    cases.push_back({op, {3000, 10}, 0, 40, 0, 0, 1, run});
  }
  for (const uint32_t batch : {40u, 128u})
    cases.push_back({"sddmm", {3000, 3000}, 13, batch, 0, 0, 1, sddmm});
  for (const uint32_t count : {80'000u, 9'000'000u})
    cases.push_back({"update", {count}, 0, 0, 0, 0, 1, momentum_update});
  for (const uint32_t batch : {2u, 40u}) cases.push_back({"loss", {10}, 0, batch, 0, 0, 1, loss});
  for (const uint32_t batch : {2u, 40u}) cases.push_back({"gather", {784}, 0, batch, 0, 0, 1, gather});
}

}  // namespace set_native::bench
