#include "core/model.h"

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <limits>
#include <utility>

#include "layout/blocks.h"
#include "test/check.h"
#include "test/fuzz/input.h"
#include "test/fuzz/targets.h"
#include "test/layout/blocks_support.h"

namespace set_native::test {

namespace {

constexpr uint32_t kHostile[] = {0,     1,          2,          7,          255,       65535,
                                 65536, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff};

bool is_finite(const AlignedVector<float>& values) {
  return std::all_of(values.begin(), values.end(), [](float value) { return std::isfinite(value); });
}

/** A sparse layer's links, said in another way than check_csr says it: the list of cells ascends. */
bool is_sound(const Csr& links) {
  const auto& offsets = links.row_offsets;
  if (offsets.size() != uint64_t{links.rows} + 1 || offsets.front() != 0 || offsets.back() != links.nnz())
    return false;
  if (!std::is_sorted(offsets.begin(), offsets.end())) return false;
  std::vector<uint64_t> cells;
  for (uint64_t row = 0; row < links.rows; ++row) {
    for (uint32_t k = offsets[row]; k < offsets[row + 1]; ++k) {
      if (links.col_indices[k] >= links.cols) return false;
      cells.push_back(row * links.cols + links.col_indices[k]);
    }
  }
  return std::adjacent_find(cells.begin(), cells.end(), std::greater_equal<>()) == cells.end();
}

bool are_moments(const AlignedVector<float>& values) {
  return std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v) && v >= 0.0f; });
}

bool is_sound(const Layer& layer, Optimizer optimizer) {
  if (layer.inputs == 0 || layer.outputs == 0) return false;
  const uint64_t links = layer.dense ? uint64_t{layer.inputs} * layer.outputs : layer.links.nnz();
  const uint64_t births = layer.dense ? 0 : links;
  const uint64_t pieces = is_piecewise(layer.activation) ? uint64_t{4} * layer.outputs : 0;
  const bool pattern = layer.dense ? layer.links.nnz() == 0
                                   : layer.links.rows == layer.inputs && layer.links.cols == layer.outputs &&
                                         is_sound(layer.links);
  const uint64_t learned = layer.activation == Activation::srelu ? pieces : 0;
  const uint64_t second = optimizer == Optimizer::adamw ? 1 : 0;
  return pattern && layer.weights.size() == links && layer.velocity.size() == links &&
         layer.second_moment.size() == second * links && layer.birth.size() == births &&
         layer.bias.size() == layer.outputs && layer.bias_velocity.size() == layer.outputs &&
         layer.bias_second_moment.size() == second * layer.outputs && layer.pieces.size() == pieces &&
         layer.pieces_velocity.size() == learned && layer.pieces_second_moment.size() == second * learned &&
         is_finite(layer.weights) && is_finite(layer.velocity) && are_moments(layer.second_moment) &&
         is_finite(layer.bias) && is_finite(layer.bias_velocity) && are_moments(layer.bias_second_moment) &&
         is_finite(layer.pieces) && is_finite(layer.pieces_velocity) &&
         are_moments(layer.pieces_second_moment);
}

bool is_sound(const Model& model) {
  if (model.layers.empty() || model.layers.back().activation != Activation::linear) return false;
  if (model.loss == Loss::softmax_cross_entropy && model.layers.back().outputs < 2) return false;
  for (size_t l = 1; l < model.layers.size(); ++l) {
    if (model.layers[l].inputs != model.layers[l - 1].outputs) return false;
  }
  return std::all_of(model.layers.begin(), model.layers.end(),
                     [&](const Layer& layer) { return is_sound(layer, model.optimizer); });
}

Layer sound_layer(Input& in, uint32_t inputs, Activation activation, Optimizer optimizer) {
  Layer layer;
  layer.inputs = inputs;
  layer.outputs = 1 + in.below(6);
  layer.dense = in.below(4) == 0;
  layer.activation = activation;
  uint64_t links = uint64_t{inputs} * layer.outputs;
  if (!layer.dense) {
    layer.links = {inputs, layer.outputs, {0}, {}};
    for (uint32_t i = 0; i < inputs; ++i) {
      for (uint32_t j = 0; j < layer.outputs; ++j) {
        if (in.bit()) layer.links.col_indices.push_back(j);
      }
      layer.links.row_offsets.push_back(static_cast<uint32_t>(layer.links.nnz()));
    }
    links = layer.links.nnz();
    layer.birth.assign(links, 0);
  }
  layer.weights.assign(links, 0.5f);
  layer.velocity.assign(links, 0.25f);
  layer.bias.assign(layer.outputs, 0.5f);
  layer.bias_velocity.assign(layer.outputs, 0.25f);
  if (is_piecewise(activation)) layer.pieces.assign(size_t{4} * layer.outputs, 1.0f);
  if (activation == Activation::srelu) layer.pieces_velocity.assign(size_t{4} * layer.outputs, 0.0f);
  if (optimizer == Optimizer::adamw) {
    layer.second_moment = layer.velocity;
    layer.bias_second_moment = layer.bias_velocity;
    layer.pieces_second_moment = layer.pieces_velocity;
  }
  return layer;
}

template <class Vector>
void damage_size(Input& in, Vector& vector) {
  vector.resize(in.bit() || vector.empty() ? vector.size() + 1 + in.below(3) : vector.size() - 1);
}

void damage_number(Input& in, std::vector<uint32_t>& numbers) {
  if (numbers.empty()) return;
  uint32_t& number = numbers[in.byte() % numbers.size()];
  number = in.bit() ? in.pick(kHostile) : number + in.below(5) - 2;
}

void damage_value(Input& in, AlignedVector<float>& values) {
  if (!values.empty()) values[in.byte() % values.size()] = in.any_float();
}

/** One change, after which the model may still be sound. */
void damage(Input& in, Model& model) {
  Layer& layer = model.layers[in.byte() % model.layers.size()];
  AlignedVector<float>* values[] = {&layer.weights, &layer.velocity,        &layer.second_moment,
                                    &layer.bias,    &layer.bias_velocity,   &layer.bias_second_moment,
                                    &layer.pieces,  &layer.pieces_velocity, &layer.pieces_second_moment};
  switch (in.below(13)) {
    case 0:
      return damage_number(in, layer.links.row_offsets);
    case 1:
      return damage_number(in, layer.links.col_indices);
    case 2:
      if (layer.links.nnz() < 2) return;
      std::swap(layer.links.col_indices[in.byte() % layer.links.nnz()],
                layer.links.col_indices[in.byte() % layer.links.nnz()]);
      return;
    case 3:
      return damage_size(in, layer.links.row_offsets);
    case 4:
      return damage_size(in, layer.links.col_indices);
    case 5:
      return damage_size(in, *in.pick(values));
    case 6:
      return damage_size(in, layer.birth);
    case 7:
      return damage_value(in, *in.pick(values));
    case 8:
      (in.bit() ? layer.inputs : layer.outputs) = in.pick(kHostile);
      return;
    case 9:
      (in.bit() ? layer.links.rows : layer.links.cols) = in.pick(kHostile);
      return;
    case 10:
      layer.dense = !layer.dense;
      return;
    case 11:
      model.optimizer = model.optimizer == Optimizer::sgd ? Optimizer::adamw : Optimizer::sgd;
      return;
    default:
      layer.activation = static_cast<Activation>(in.below(7));
  }
}

bool is_accepted(const Model& model) {
  try {
    check_model(model, "fuzz");
    return true;
  } catch (const Error& error) {
    const auto codes = {ErrorCode::shape, ErrorCode::invalid_csr, ErrorCode::non_finite,
                        ErrorCode::invalid_argument, ErrorCode::out_of_range};
    CHECK_MSG(std::find(codes.begin(), codes.end(), error.code()) != codes.end(), error.what());
    return false;
  }
}

}  // namespace

void fuzz_model(const uint8_t* data, size_t size) {
  Input in(data, size);
  Model model;
  model.loss = static_cast<Loss>(in.below(3));
  model.optimizer = static_cast<Optimizer>(in.below(2));
  const uint32_t layers = 1 + in.below(3);
  uint32_t inputs = 1 + in.below(9);
  for (uint32_t l = 0; l < layers; ++l) {
    const auto activation = l + 1 < layers ? static_cast<Activation>(in.below(7)) : Activation::linear;
    model.layers.push_back(sound_layer(in, inputs, activation, model.optimizer));
    inputs = model.layers.back().outputs;
  }
  for (uint32_t changes = in.below(5); changes > 0; --changes) damage(in, model);

  const bool accepted = is_accepted(model);
  CHECK_EQ(accepted, is_sound(model));
  if (!accepted) return;
  for (const Layer& layer : model.layers) {
    if (layer.dense) continue;
    Layer given = layer;
    AnyBlocks blocks = pack(given, whole_height(layer.links));
    std::visit([&](auto& held) { unpack(held, given); }, blocks);
    CHECK(same_links(given, layer));
  }
}

}  // namespace set_native::test
