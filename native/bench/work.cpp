#include "bench/work.h"

#include <algorithm>
#include <array>

#include "layout/blocks.h"

namespace set_native::bench {

namespace {

constexpr double kFloat = sizeof(float);

double matrix_bytes(size_t rows, size_t stride) {
  return kFloat * static_cast<double>(rows) * static_cast<double>(stride);
}

}  // namespace

LayerShape shape_of(const Layer& layer) {
  const size_t height = layer.dense ? 1 : whole_height(layer.links);
  return {layer.inputs, layer.outputs, static_cast<double>(layer.nnz()), height, layer.dense};
}

Work forward_work(const LayerShape& shape, size_t batch, size_t stride) {
  Work work;
  const double in = matrix_bytes(shape.inputs, stride), out = matrix_bytes(shape.outputs, stride);
  const bool by_target = !shape.dense && shape.height == 1;
  work.flops = 2.0 * shape.links * static_cast<double>(batch);
  work.streamed = kFloat * shape.links + (by_target ? out : in);
  if (shape.dense) {
    work.streamed += out;
  } else {
    work.rows = shape.blocks();
    work.row_bytes = stride * sizeof(float);
    work.matrix_rows = by_target ? shape.inputs : shape.outputs;
    work.streamed += shape.blocks() * shape.index_bytes();
  }
  work.footprint = in + out + kFloat * shape.links;
  return work;
}

Work backward_work(const LayerShape& shape, size_t batch, size_t stride, bool with_dx) {
  Work work;
  const double in = matrix_bytes(shape.inputs, stride), out = matrix_bytes(shape.outputs, stride);
  work.flops = shape.links * ((with_dx ? 4.0 : 2.0) * static_cast<double>(batch) + 6.0);
  work.streamed = in + 2.0 * kFloat * shape.links;
  if (shape.dense) {
    work.streamed += out;
  } else {
    work.rows = shape.blocks();
    work.row_bytes = stride * sizeof(float);
    work.matrix_rows = shape.outputs;
    work.streamed += shape.blocks() * shape.index_bytes();
  }
  work.footprint = in + out + 2.0 * kFloat * shape.links;
  return work;
}

Work update_work(double parameters) {
  Work work;
  work.flops = 6.0 * parameters;
  work.streamed = work.footprint = 3.0 * kFloat * parameters;
  return work;
}

Work gather_work(size_t features, size_t batch) {
  Work work;
  work.streamed = work.footprint = 2.0 * matrix_bytes(features, batch);
  return work;
}

Work loss_work(size_t outputs, size_t stride) {
  Work work;
  work.streamed = work.footprint = 2.0 * matrix_bytes(outputs, stride);
  return work;
}

Work sddmm_work(double cells, size_t sources, size_t targets, size_t stride) {
  Work work;
  work.flops = 2.0 * cells * static_cast<double>(stride);
  work.rows = 2.0 * cells;
  work.row_bytes = stride * sizeof(float);
  work.matrix_rows = (sources + targets) / 2;
  work.streamed = 16.0 * cells;
  work.footprint = matrix_bytes(sources + targets, stride) + work.streamed;
  return work;
}

Work order_work(size_t samples) {
  Work work;
  work.streamed = work.footprint = static_cast<double>(samples * (sizeof(uint64_t) + sizeof(uint32_t)));
  return work;
}

Work rebuild_work(const LayerShape& shape) {
  Work work;
  work.streamed = work.footprint =
      shape.blocks() * (10.0 * static_cast<double>(shape.height) + 4.0 + 2.0 * shape.index_bytes());
  return work;
}

std::vector<Work> network_work(const std::vector<LayerShape>& layers, size_t batch, size_t stride,
                               bool training) {
  std::vector<Work> work = {gather_work(layers.front().inputs, batch)};
  for (const LayerShape& layer : layers) {
    work.push_back(forward_work(layer, batch, stride));
    work.back().barriers = 1.0;
  }
  for (size_t l = layers.size(); training && l-- > 0;) {
    work.push_back(backward_work(layers[l], batch, stride, l > 0));
    work.back().barriers = l + 1 == layers.size() ? 0.0 : 1.0;
  }
  // In a sequence of steps a layer is visited again after all the others, so its data come from a cache that
  // holds all of them.
  double footprint = 0.0;
  for (const Work& part : work) footprint += part.footprint;
  for (Work& part : work) part.footprint = footprint;
  return work;
}

Limit limit_of(Machine& machine, const std::vector<Work>& work, double times, unsigned threads) {
  enum Resource { fma, l1, rows, stream, barrier, kResources };
  static constexpr const char* kNames[] = {"fma", "l1", "rows", "stream", "barrier"};
  // Add up the terms that bind each piece of work.
  const Ceilings& ceilings = machine.ceilings(threads);
  std::array<double, kResources> bound_by{};  // ns
  for (const Work& part : work) {
    std::array<double, kResources> ns{};
    ns[fma] = part.flops / ceilings.gflops;
    ns[l1] = (part.rows * static_cast<double>(part.row_bytes) + part.streamed) / ceilings.l1;
    const bool beyond_l1 = static_cast<double>(part.matrix_rows * part.row_bytes) > machine.caches().l1;
    if (part.rows > 0.0 && beyond_l1)
      ns[rows] = part.rows * machine.row_ns(threads, part.matrix_rows, part.row_bytes) / threads;
    ns[stream] = part.streamed / machine.stream_bandwidth(threads, part.footprint);
    const double fills = ns[rows] + ns[stream];
    if (fills >= ns[fma] && fills >= ns[l1]) {
      bound_by[rows] += ns[rows];
      bound_by[stream] += ns[stream];
    } else {
      bound_by[ns[fma] >= ns[l1] ? fma : l1] += std::max(ns[fma], ns[l1]);
    }
    bound_by[barrier] += part.barriers * ceilings.barrier_ns;
  }
  // Name the limit after the largest sum.
  Limit limit;
  for (const double ns : bound_by) limit.ms += ns * times * 1e-6;
  limit.name = kNames[std::max_element(bound_by.begin(), bound_by.end()) - bound_by.begin()];
  return limit;
}

}  // namespace set_native::bench
