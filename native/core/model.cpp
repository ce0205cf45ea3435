#include "core/model.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/error.h"
#include "core/philox.h"
#include "core/topology.h"
#include "core/weights.h"

namespace set_native {

namespace {

// Slope below 0 of the leaky ReLU with which srelu starts.
constexpr float kLearnedFrom = 0.2f;

[[noreturn]] void refuse(ErrorCode code, const std::string& operation, const std::string& what) {
  throw Error(code, "[" + operation + "] " + what);
}

bool is_dense(const ModelSpec& spec, double p) {
  return spec.topology == Topology::dense || p >= 1.0;
}

double expected_links(const ModelSpec& spec, double p, double inputs, double outputs) {
  if (spec.topology != Topology::motif_printed) return p * inputs * outputs;
  return std::min(outputs * p / (1.0 - p), inputs * outputs);
}

/** Throws for softmax with a single output, which is always 1: such a network could not learn. */
void check_outputs(Loss loss, uint32_t outputs, const std::string& operation) {
  if (loss != Loss::softmax_cross_entropy || outputs > 1) return;
  refuse(ErrorCode::shape, operation,
         "softmax cross-entropy needs at least 2 outputs, got 1; use sigmoid binary cross-entropy");
}

void check_spec(const ModelSpec& spec) {
  const std::string operation = "model";
  if (spec.sizes.size() < 2) {
    refuse(ErrorCode::out_of_range, operation,
           "sizes must name inputs and outputs at least, got " + std::to_string(spec.sizes.size()) +
               " number(s)");
  }
  if (spec.sizes.size() - 1 >= kMaxLayers) {
    refuse(ErrorCode::out_of_range, operation,
           "expected fewer than " + std::to_string(kMaxLayers) + " layers, got " +
               std::to_string(spec.sizes.size() - 1));
  }
  for (size_t i = 0; i < spec.sizes.size(); ++i) {
    if (spec.sizes[i] == 0) {
      refuse(ErrorCode::out_of_range, operation,
             "sizes[" + std::to_string(i) + "] must be at least 1, got 0");
    }
  }
  if (spec.topology != Topology::dense && !(spec.epsilon > 0.0 && std::isfinite(spec.epsilon))) {
    refuse(ErrorCode::out_of_range, operation,
           "epsilon must be a finite number above 0, got " + std::to_string(spec.epsilon));
  }
  if (spec.topology == Topology::motif && (spec.motif_size < 2 || spec.motif_size > kMaxMotifSize)) {
    refuse(ErrorCode::out_of_range, operation,
           "motif_size must lie in 2 .. " + std::to_string(kMaxMotifSize) + ", got " +
               std::to_string(spec.motif_size));
  }
  if (!(spec.alpha >= 0.0 && spec.alpha <= 1.0)) {
    refuse(ErrorCode::out_of_range, operation, "alpha must lie in 0 .. 1, got " + std::to_string(spec.alpha));
  }
  check_outputs(spec.loss, spec.sizes.back(), operation);
}

}  // namespace

std::vector<ExpectedLayer> expected_layers(const ModelSpec& spec) {
  check_spec(spec);
  std::vector<ExpectedLayer> layers;
  for (size_t l = 0; l + 1 < spec.sizes.size(); ++l) {
    ExpectedLayer layer;
    layer.inputs = spec.sizes[l];
    layer.outputs = spec.sizes[l + 1];
    layer.piecewise = is_piecewise(spec.activation);
    const double n = layer.inputs, m = layer.outputs;
    const double p = cell_probability(spec.epsilon, layer.inputs, layer.outputs);
    layer.dense = is_dense(spec, p);
    layer.links = layer.dense ? n * m : expected_links(spec, p, n, m);
    layer.motif_size = !layer.dense && spec.topology == Topology::motif ? spec.motif_size : 1;
    if (!layer.dense && layer.links > static_cast<double>(std::numeric_limits<uint32_t>::max())) {
      refuse(ErrorCode::out_of_range, "model",
             "a sparse layer must have fewer than 2^32 links, layer " + std::to_string(l) +
                 " would have about " + std::to_string(static_cast<uint64_t>(layer.links)) +
                 "; lower epsilon");
    }
    layers.push_back(layer);
  }
  return layers;
}

void require_memory_for(const ModelSpec& spec, double bytes) {
  std::string shape = std::to_string(spec.sizes[0]);
  for (size_t l = 1; l < spec.sizes.size(); ++l) shape += "-" + std::to_string(spec.sizes[l]);
  require_memory(bytes, "[model] a network " + shape.substr(0, 60) + (shape.size() > 60 ? "..." : ""));
}

namespace {

/** Expected bytes of the model that build_model returns. */
double host_bytes(const ModelSpec& spec) {
  double bytes = 0.0;
  for (const ExpectedLayer& layer : expected_layers(spec)) {
    const size_t index = layer.dense ? 0 : sizeof(uint32_t);
    bytes += layer.links * static_cast<double>(bytes_per_link(layer.dense, spec.optimizer) + index) +
             layer.inputs * static_cast<double>(index) +
             layer.outputs * static_cast<double>(bytes_per_neuron(layer.piecewise, spec.optimizer));
  }
  return bytes;
}

}  // namespace

namespace {

Csr draw_links(const ModelSpec& spec, uint32_t inputs, uint32_t outputs, double p, TopologyKey key) {
  switch (spec.topology) {
    case Topology::motif:
      return motif(inputs, outputs, p, spec.motif_size, key);
    case Topology::motif_printed:
      return motif_printed(inputs, outputs, p, key);
    case Topology::erdos_renyi:
    case Topology::dense:
      break;
  }
  return erdos_renyi(inputs, outputs, p, key);
}

void check_length(const std::string& operation, const std::string& what, uint64_t got, uint64_t expected) {
  if (got == expected) return;
  refuse(ErrorCode::shape, operation,
         what + " must have " + std::to_string(expected) + " entries, got " + std::to_string(got));
}

void check_finite(const std::string&, const std::string&, const AlignedVector<uint16_t>&) {}  // births

void check_finite(const std::string& operation, const std::string& what, const AlignedVector<float>& values) {
  for (size_t i = 0; i < values.size(); ++i) {
    if (std::isfinite(values[i])) continue;
    refuse(ErrorCode::non_finite, operation,
           what + "[" + std::to_string(i) + "] must be finite, got " + std::to_string(values[i]));
  }
}

/** Throws unless every array per link and per neuron has the length that the layer requires and is finite. */
void check_arrays(const Layer& layer, Optimizer optimizer, const std::string& name,
                  const std::string& operation) {
  const bool moments = optimizer == Optimizer::adamw;
  const uint64_t links = layer.dense ? uint64_t{layer.inputs} * layer.outputs : layer.links.nnz();
  const uint64_t pieces = is_piecewise(layer.activation) ? uint64_t{4} * layer.outputs : 0;
  const auto check = [&](const char* array, const auto& values, uint64_t length) {
    check_length(operation, name + ": " + array, values.size(), length);
    check_finite(operation, name + ": " + array, values);
  };
  for_each_link_array(
      [&](const char* array, const auto& values) {
        const void* const which = &values;
        const bool absent = which == &layer.birth           ? layer.dense
                            : which == &layer.second_moment ? !moments
                                                            : false;
        check(array, values, absent ? 0 : links);
      },
      layer);
  for_each_neuron_array(
      [&](const char* array, const auto& values) {
        const uint64_t learned = learns_pieces(layer.activation) ? pieces : 0;
        uint64_t length = layer.outputs;
        if (&values == &layer.bias_second_moment) length = moments ? layer.outputs : 0;
        if (&values == &layer.pieces) length = pieces;
        if (&values == &layer.pieces_velocity) length = learned;
        if (&values == &layer.pieces_second_moment) length = moments ? learned : 0;
        check(array, values, length);
      },
      layer);
  for (const auto* second : {&layer.second_moment, &layer.bias_second_moment, &layer.pieces_second_moment})
    for (const float value : *second)
      if (value < 0.0f)
        refuse(ErrorCode::out_of_range, operation,
               name + ": second moments must be at least 0, got " + std::to_string(value));
}

}  // namespace

double cell_probability(double epsilon, uint32_t inputs, uint32_t outputs) {
  const double n = inputs, m = outputs;
  return std::min(1.0, epsilon * (n + m) / (n * m));
}

namespace {

/** Sets the pieces of hidden layer l, counted from 0. t_l, a_l, t_r, a_r are the same for all neurons. */
void init_pieces(Layer& layer, float alpha, uint32_t l) {
  if (!is_piecewise(layer.activation)) return;
  const bool learned = learns_pieces(layer.activation);
  const bool turned = layer.activation == Activation::all_relu && l % 2 == 0;
  const float below = learned ? kLearnedFrom : turned ? -alpha : alpha;
  for (const float piece : {0.0f, below, learned ? 1.0f : 0.0f, 1.0f})
    layer.pieces.insert(layer.pieces.end(), layer.outputs, piece);
}

}  // namespace

void start_moments(Layer& layer, Optimizer optimizer) {
  const auto start = [](AlignedVector<float>& moments, size_t count) {
    if (moments.empty()) moments.assign(count, 0.0f);
  };
  const size_t learned = learns_pieces(layer.activation) ? layer.pieces.size() : 0;
  start(layer.velocity, layer.weights.size());
  start(layer.bias_velocity, layer.bias.size());
  start(layer.pieces_velocity, learned);
  if (optimizer != Optimizer::adamw) return;
  start(layer.second_moment, layer.weights.size());
  start(layer.bias_second_moment, layer.bias.size());
  start(layer.pieces_second_moment, learned);
}

Model build_model(const ModelSpec& spec) {
  require_memory_for(spec, host_bytes(spec));  // checks the spec, too
  Model model;
  model.optimizer = spec.optimizer;
  model.loss = spec.loss;
  model.seed = spec.seed;
  model.layers.resize(spec.sizes.size() - 1);
  for (uint32_t l = 0; l < model.layers.size(); ++l) {
    Layer& layer = model.layers[l];
    layer.inputs = spec.sizes[l];
    layer.outputs = spec.sizes[l + 1];
    layer.activation = l + 1 < model.layers.size() ? spec.activation : Activation::linear;
    const double p = cell_probability(spec.epsilon, layer.inputs, layer.outputs);
    layer.dense = is_dense(spec, p);
    if (!layer.dense) {
      layer.links = draw_links(spec, layer.inputs, layer.outputs, p, {spec.seed, l});
      layer.birth.assign(layer.links.nnz(), 0);
    }
    init_weights(layer, spec.init, spec.seed, l);
    layer.bias.assign(layer.outputs, 0.0f);
    init_pieces(layer, static_cast<float>(spec.alpha), l);
    start_moments(layer, spec.optimizer);
  }
  return model;
}

void check_model(const Model& model, const std::string& operation) {
  // The network as a whole.
  if (model.layers.empty() || model.layers.size() >= kMaxLayers) {
    refuse(ErrorCode::shape, operation,
           "expected 1 to " + std::to_string(kMaxLayers - 1) + " layers, got " +
               std::to_string(model.layers.size()));
  }
  check_outputs(model.loss, model.layers.back().outputs, operation);
  for (size_t l = 0; l < model.layers.size(); ++l) {
    const Layer& layer = model.layers[l];
    const std::string name = "layer " + std::to_string(l);
    // Sizes, and whether they fit the layer below.
    if (layer.inputs == 0 || layer.outputs == 0) {
      refuse(ErrorCode::shape, operation, name + " must have at least one input and one output");
    }
    if (l > 0 && layer.inputs != model.layers[l - 1].outputs) {
      refuse(ErrorCode::shape, operation,
             name + " must have as many inputs as the layer before has outputs, " +
                 std::to_string(model.layers[l - 1].outputs) + ", got " + std::to_string(layer.inputs));
    }
    // The pattern of links.
    if (layer.dense) {
      check_length(operation, name + " (dense): links", layer.links.nnz(), 0);
    } else {
      if (layer.links.rows != layer.inputs || layer.links.cols != layer.outputs) {
        refuse(ErrorCode::shape, operation,
               name + ": links must be " + std::to_string(layer.inputs) + " x " +
                   std::to_string(layer.outputs) + ", got " + std::to_string(layer.links.rows) + " x " +
                   std::to_string(layer.links.cols));
      }
      check_csr(layer.links, operation);
    }
    check_arrays(layer, model.optimizer, name, operation);
  }
  if (model.layers.back().activation != Activation::linear) {
    refuse(ErrorCode::invalid_argument, operation,
           "the last layer's activation must be linear: the loss brings the output activation");
  }
}

LayerStats layer_stats(const Layer& layer) {
  LayerStats stats{layer.inputs, layer.outputs, layer.dense, layer.nnz(), {0}};
  if (layer.dense) {
    stats.links_by_birth[0] = stats.nnz;
    return stats;
  }
  for (const uint16_t birth : layer.birth) {
    if (birth >= stats.links_by_birth.size()) stats.links_by_birth.resize(birth + size_t{1});
    ++stats.links_by_birth[birth];
  }
  return stats;
}

}  // namespace set_native
