#include "bench/cases.h"

#include <algorithm>
#include <cstdio>
#include <sstream>

#include "core/philox.h"

namespace set_native::bench {

Samples Context::samples(uint32_t count, uint32_t features, uint32_t classes) {
  if (features != features_ || classes != classes_ || count > labels_.size()) {
    features_ = features;
    classes_ = classes;
    x_.resize(size_t{count} * features);
    labels_.resize(count);
    for (size_t k = 0; k < x_.size(); ++k) x_[k] = symmetric_unit(draw(1, Stream::split, 0, 0, k)[0]);
    for (uint32_t s = 0; s < count; ++s) labels_[s] = s % classes;
  }
  return {x_.data(), labels_.data(), nullptr, count, features, classes};
}

std::string Case::shape() const {
  std::string text;
  for (const uint32_t size : sizes) text += (text.empty() ? "" : "-") + std::to_string(size);
  return text;
}

std::string Case::name() const {
  std::string text = op + " " + shape();
  if (epsilon > 0.0) {
    char number[32];
    std::snprintf(number, sizeof number, " epsilon=%g", epsilon);
    text += number;
  }
  if (batch > 0) text += " batch=" + std::to_string(batch);
  if (motif_size > 0) text += " motif=" + std::to_string(motif_size);
  if (samples > 0) text += " samples=" + std::to_string(samples);
  return text + " threads=" + std::to_string(threads);
}

ModelSpec spec_of(const std::vector<uint32_t>& sizes, double epsilon, uint32_t motif_size) {
  ModelSpec spec;
  spec.sizes = sizes;
  if (epsilon > 0.0) {
    spec.epsilon = epsilon;
    spec.topology = motif_size > 1 ? Topology::motif : Topology::erdos_renyi;
    if (motif_size > 1) spec.motif_size = motif_size;
  } else {
    spec.topology = Topology::dense;
  }
  spec.seed = 1;
  return spec;
}

namespace {

std::vector<std::string> words_of(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> words;
  for (std::string word; stream >> word;) words.push_back(word);
  return words;
}

bool matches(const std::string& name, const std::vector<std::string>& wanted) {
  const std::vector<std::string> words = words_of(name);
  return std::all_of(wanted.begin(), wanted.end(), [&](const std::string& word) {
    if (word.find('=') == std::string::npos) return name.find(word) != std::string::npos;
    return std::find(words.begin(), words.end(), word) != words.end();
  });
}

}  // namespace

std::vector<Case> list_cases(const Grid& grid, const std::string& filter) {
  std::vector<Case> all, chosen;
  grid.gpu != nullptr ? add_gpu_op_cases(all) : add_op_cases(grid, all);
  add_network_cases(grid, all);
  if (grid.gpu != nullptr) add_gpu_cases(all);
  const std::vector<std::string> wanted = words_of(filter);
  for (Case& each : all)
    if (matches(each.name(), wanted)) chosen.push_back(std::move(each));
  return chosen;
}

}  // namespace set_native::bench
