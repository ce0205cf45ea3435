#include "core/topology.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "core/error.h"
#include "core/geometric.h"
#include "core/philox.h"

namespace set_native {

namespace {

/**
 * Appends to `hits`, in ascending order, the numbers of 0 .. count - 1 that a coin of probability p picks.
 * After each hit it skips the next floor(log u / log(1 - p)) numbers. Draw t of a row is half t % 2 of block
 * t / 2.
 */
void draw_row(uint32_t row, uint32_t count, double p, TopologyKey key, std::vector<uint32_t>& hits) {
  constexpr size_t kMost = 64;
  uint64_t blocks[kMost], first[kMost], second[kMost];
  double skips[2 * kMost];
  const double log_miss = std::log1p(-p);
  double position = -1.0;
  for (uint64_t block = static_cast<uint64_t>(row) << 32;;) {
    // Draw about as many numbers as the rest of the row needs.
    const auto size = static_cast<size_t>(std::min(0.5 * p * (count - position) + 4.0, double{kMost}));
    std::iota(blocks, blocks + size, block);
    block += size;
    draw_many(key.seed, Stream::topology, key.layer, 0, blocks, 0, size, first, second);
    geometric_skips(first, second, size, log_miss, skips);
    for (size_t t = 0; t < 2 * size; ++t) {
      // Positions are doubles: for tiny p a skip exceeds every integer type.
      position += 1.0 + skips[t];
      if (!(position < count)) return;
      hits.push_back(static_cast<uint32_t>(position));
    }
  }
}

/** Closes a row: links appended from now on belong to the next one. */
void end_row(Csr& csr) {
  if (csr.nnz() > std::numeric_limits<uint32_t>::max()) {
    throw Error(ErrorCode::out_of_range,
                "[topology] a sparse layer must have fewer than 2^32 links; lower epsilon");
  }
  csr.row_offsets.push_back(static_cast<uint32_t>(csr.nnz()));
}

Csr empty_csr(uint32_t inputs, uint32_t outputs, double expected_links) {
  Csr csr;
  csr.rows = inputs;
  csr.cols = outputs;
  csr.row_offsets.reserve(static_cast<size_t>(inputs) + 1);
  csr.row_offsets.push_back(0);
  csr.col_indices.reserve(static_cast<size_t>(expected_links + 4.0 * std::sqrt(expected_links)));
  return csr;
}

}  // namespace

Csr erdos_renyi(uint32_t inputs, uint32_t outputs, double p, TopologyKey key) {
  Csr csr = empty_csr(inputs, outputs, p * inputs * outputs);
  for (uint32_t row = 0; row < inputs; ++row) {
    draw_row(row, outputs, p, key, csr.col_indices);
    end_row(csr);
  }
  return csr;
}

Csr motif(uint32_t inputs, uint32_t outputs, double p, uint32_t motif_size, TopologyKey key) {
  Csr csr = empty_csr(inputs, outputs, p * inputs * outputs);
  std::vector<uint32_t> targets;
  for (uint64_t first = 0; first < inputs; first += motif_size) {
    targets.clear();
    draw_row(static_cast<uint32_t>(first / motif_size), outputs, p, key, targets);
    const uint64_t end = std::min<uint64_t>(first + motif_size, inputs);
    for (uint64_t row = first; row < end; ++row) {
      csr.col_indices.insert(csr.col_indices.end(), targets.begin(), targets.end());
      end_row(csr);
    }
  }
  return csr;
}

Csr motif_printed(uint32_t inputs, uint32_t outputs, double p, TopologyKey key) {
  const double log_p = std::log(p);
  // A target whose links reach the current row, with the number of rows they reach. Rows visit only these.
  struct Reaching {
    uint32_t target;
    uint32_t rows;
  };
  std::vector<Reaching> reaching;
  for (uint32_t j = 0; j < outputs; ++j) {
    const double length =
        std::floor(std::log(unit_open(word64(draw(key.seed, Stream::topology, key.layer, 0, j)))) / log_p);
    if (length >= 1.0) reaching.push_back({j, static_cast<uint32_t>(std::min<double>(length, inputs))});
  }
  Csr csr = empty_csr(inputs, outputs, static_cast<double>(reaching.size()));
  for (uint32_t row = 0; row < inputs; ++row) {
    for (const Reaching& r : reaching) csr.col_indices.push_back(r.target);
    end_row(csr);
    const auto ends_here = [row](const Reaching& r) { return r.rows <= row + 1; };
    reaching.erase(std::remove_if(reaching.begin(), reaching.end(), ends_here), reaching.end());
  }
  return csr;
}

namespace {

/** Marks the targets that are linked to a marked source. */
std::vector<char> forward(const Layer& layer, const std::vector<char>& from) {
  if (layer.dense) {
    const bool any = std::find(from.begin(), from.end(), 1) != from.end();
    return std::vector<char>(layer.outputs, any);
  }
  std::vector<char> to(layer.outputs, 0);
  for (uint32_t i = 0; i < layer.inputs; ++i) {
    if (!from[i]) continue;
    for (uint32_t k = layer.links.row_offsets[i]; k < layer.links.row_offsets[i + 1]; ++k) {
      to[layer.links.col_indices[k]] = 1;
    }
  }
  return to;
}

/** Marks the sources that are linked to a marked target. */
std::vector<char> backward(const Layer& layer, const std::vector<char>& to) {
  if (layer.dense) {
    const bool any = std::find(to.begin(), to.end(), 1) != to.end();
    return std::vector<char>(layer.inputs, any);
  }
  std::vector<char> from(layer.inputs, 0);
  for (uint32_t i = 0; i < layer.inputs; ++i) {
    for (uint32_t k = layer.links.row_offsets[i]; k < layer.links.row_offsets[i + 1]; ++k) {
      from[i] |= to[layer.links.col_indices[k]];
    }
  }
  return from;
}

}  // namespace

Reachability reachability(const Model& model) {
  std::vector<char> reached(model.layers.front().inputs, 1);
  for (const Layer& layer : model.layers) reached = forward(layer, reached);
  std::vector<char> useful(model.layers.back().outputs, 1);
  for (auto layer = model.layers.rbegin(); layer != model.layers.rend(); ++layer)
    useful = backward(*layer, useful);
  const auto count = [](const std::vector<char>& marks) {
    return static_cast<uint32_t>(std::count(marks.begin(), marks.end(), 1));
  };
  return {count(useful), count(reached)};
}

}  // namespace set_native
