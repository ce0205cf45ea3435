#include "evolution/regrow.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "core/error.h"
#include "evolution/candidates.h"
#include "evolution/walk.h"

namespace set_native {

namespace {

void check_grown(uint64_t grown, uint64_t removed) {
  if (grown != removed) throw Error(ErrorCode::internal, "[evolve] nnz changed; please report");
}

/** Whether the kept links fill more than half of all cells. */
template <class Index>
bool is_crowded(const Blocks<Index>& blocks, uint64_t removed_links) {
  return 2 * (blocks.nnz() - removed_links) > static_cast<uint64_t>(blocks.inputs) * blocks.outputs;
}

/** Inserts the targets of the kept blocks of groups begin .. end - 1, or of all blocks. */
template <class Index, class Columns>
void insert_blocks(const Blocks<Index>& blocks, const Pruning& pruning, uint32_t begin, uint32_t end,
                   bool all, Columns& columns) {
  if (all)
    columns.insert_all(blocks.targets.data(), blocks.offsets[begin], blocks.offsets[end]);
  else
    columns.insert_kept(blocks.targets.data(), pruning.removed, blocks.offsets[begin], blocks.offsets[end]);
}

/** Grows places by the rule of the policy. */
class Growth {
 public:
  Growth(const Regrowth& given, uint64_t kept, uint64_t removed)
      : given_(given), kept_(kept), removed_(removed) {}

  /**
   * Returns the places that grow, `space.wanted` of them or as many as are free. Of the space, the stream is
   * that of random growth. sources_of(row) are the sources [begin, end) of a place in a row.
   */
  template <class Index, class Taken, class Sources>
  Places grow(Space space, const Walk* walk, Taken taken, Sources sources_of,
              Workspace<Index>& workspace) const {
    const auto run = [&] { return propose(space, given_.key, taken, given_.pool, workspace); };
    switch (given_.policy.grow) {
      case Grow::random:
        break;
      case Grow::walk:
        space.avoids = walk != nullptr && walk->starts > 0;
        space.walk = space.avoids ? walk : nullptr;
        break;
      case Grow::gradient: {
        const uint64_t wanted = space.wanted;
        space.avoids = true;
        space.stream = space.stream == Stream::regrow ? Stream::candidate : Stream::candidate_single;
        space.wanted = candidates_for(wanted, kept_, removed_);
        return best_of(run(), wanted, *given_.scores, given_.pool, sources_of);
      }
    }
    return run();
  }

 private:
  const Regrowth& given_;
  uint64_t kept_, removed_;
};

/** Walk along what is kept, if growth walks. */
template <class Index>
std::optional<Walk> walk_for(const Blocks<Index>& blocks, const Pruning& pruning, const Regrowth& given,
                             uint32_t start_groups) {
  if (given.policy.grow != Grow::walk) return std::nullopt;
  return walk_of(blocks, pruning.removed, start_groups);
}

}  // namespace

template <class Index>
Places regrow_blocks(const Blocks<Index>& blocks, const Pruning& pruning, const Regrowth& given,
                     Workspace<Index>& workspace) {
  const uint32_t full_groups = blocks.inputs / blocks.height, m = blocks.outputs;
  const uint64_t removed =
      pruning.full * blocks.height + pruning.truncated * blocks.sources_of(blocks.groups() - 1);
  const bool crowded = is_crowded(blocks, removed);
  const Growth growth(given, blocks.nnz() - removed, removed);
  const std::optional<Walk> walk = walk_for(blocks, pruning, given, full_groups);
  const auto grow = [&](uint32_t first, uint32_t groups, Stream stream, uint64_t wanted, const Walk* along) {
    const auto taken = [&, first](uint32_t group, auto& columns, bool all) {
      insert_blocks(blocks, pruning, first + group, first + group + 1, all, columns);
    };
    const auto sources = [&, first](uint32_t group) {
      const uint32_t begin = (first + group) * blocks.height;
      return std::pair{begin, begin + blocks.sources_of(first + group)};
    };
    return growth.grow({groups, m, 1, stream, wanted, crowded}, along, taken, sources, workspace);
  };
  Places grown = grow(0, full_groups, Stream::regrow, pruning.full, walk ? &*walk : nullptr);
  if (full_groups < blocks.groups()) {
    const Places last = grow(full_groups, 1, Stream::regrow_single, pruning.truncated, nullptr);
    const uint32_t size = grown.size();
    grown.cols.resize(std::max<size_t>(grown.cols.size(), size + last.size()));
    std::copy_n(last.cols.begin(), last.size(), grown.cols.begin() + size);
    grown.offsets.push_back(size + last.size());
  }
  check_grown(grown.size(), pruning.full + pruning.truncated);
  return grown;
}

namespace {

/**
 * Returns the cells of places in order of (row, col). A place of row r covers `height` rows from r * step on.
 */
Places cells_of(const Places& places, uint32_t step, uint32_t height, uint32_t rows, uint32_t cols) {
  Places cells;
  cells.offsets.assign(static_cast<size_t>(rows) + 1, 0);
  const auto places_over = [&](uint32_t row, const auto& use) {
    const auto count = static_cast<uint32_t>(places.offsets.size() - 1);
    const uint32_t last = std::min(row / step, count - 1);
    // First row of a place that reaches this row.
    const uint32_t lowest = row < height ? 0 : row - height + 1;
    for (uint32_t place = (lowest + step - 1) / step; count > 0 && place <= last; ++place) {
      for (uint32_t p = places.offsets[place]; p < places.offsets[place + 1]; ++p) use(places.cols[p]);
    }
  };
  OrderedSet row_cells(cols);
  for (uint32_t row = 0; row < rows; ++row) {
    places_over(row, [&](uint32_t col) { row_cells.insert(col); });
    row_cells.drain([&](uint32_t col) { cells.cols.push_back(col); });
    cells.offsets[row + 1] = static_cast<uint32_t>(cells.cols.size());
  }
  return cells;
}

/** Returns the union of two disjoint sets of cells. */
Places united(const Places& a, const Places& b, uint32_t cols) {
  Places all;
  all.offsets.assign(a.offsets.size(), 0);
  OrderedSet row_cells(cols);
  for (size_t row = 0; row + 1 < a.offsets.size(); ++row) {
    for (const Places* places : {&a, &b}) {
      for (uint32_t p = places->offsets[row]; p < places->offsets[row + 1]; ++p)
        row_cells.insert(places->cols[p]);
    }
    row_cells.drain([&](uint32_t col) { all.cols.push_back(col); });
    all.offsets[row + 1] = static_cast<uint32_t>(all.cols.size());
  }
  return all;
}

}  // namespace

template <class Index>
Places regrow_units(const Blocks<Index>& links, const Pruning& pruning, const Regrowth& given,
                    Workspace<Index>& workspace) {
  const uint32_t n = links.inputs, m = links.outputs, g = given.policy.motif_size;
  const uint64_t removed = pruning.full;
  const bool crowded = is_crowded(links, removed);
  const bool aligned = given.policy.parse == MotifParse::aligned;
  const uint32_t step = aligned ? g : 1;
  const uint32_t rows = aligned ? n / g + (n % g > 0) : n - std::min(n, g - 1);
  const Growth growth(given, links.nnz() - removed, removed);
  std::optional<Walk> walk = walk_for(links, pruning, given, n);
  // Motifs first.
  const auto motif_sources = [&](uint32_t row) { return std::pair{row * step, std::min(row * step + g, n)}; };
  const auto motif_taken = [&](uint32_t row, auto& columns, bool all) {
    const auto [begin, end] = motif_sources(row);
    insert_blocks(links, pruning, begin, end, all, columns);
  };
  if (walk) {
    walk->step = step;
    walk->last_place = rows > 0 ? rows - 1 : 0;
  }
  const Space motifs{rows, m, aligned ? 1 : g, Stream::regrow, removed / g, crowded};
  const Walk* const along = walk ? &*walk : nullptr;
  Places grown = cells_of(growth.grow(motifs, along, motif_taken, motif_sources, workspace), step, g, n, m);
  // Then single links until as many have grown as were removed.
  if (grown.size() < removed) {
    const auto cell_taken = [&](uint32_t row, auto& columns, bool all) {
      insert_blocks(links, pruning, row, row + 1, all, columns);
      for (uint32_t p = grown.offsets[row]; p < grown.offsets[row + 1]; ++p) columns.insert(grown.cols[p]);
    };
    if (walk) {
      walk->step = 1;
      walk->last_place = UINT32_MAX;
    }
    const Space cells{n, m, 1, Stream::regrow_single, removed - grown.size(), crowded};
    const auto cell_source = [](uint32_t row) { return std::pair{row, row + 1}; };
    grown = united(grown, growth.grow(cells, along, cell_taken, cell_source, workspace), m);
  }
  check_grown(grown.size(), removed);
  return grown;
}

template Places regrow_blocks(const Blocks<uint16_t>&, const Pruning&, const Regrowth&, Workspace<uint16_t>&);
template Places regrow_blocks(const Blocks<uint32_t>&, const Pruning&, const Regrowth&, Workspace<uint32_t>&);
template Places regrow_units(const Blocks<uint16_t>&, const Pruning&, const Regrowth&, Workspace<uint16_t>&);
template Places regrow_units(const Blocks<uint32_t>&, const Pruning&, const Regrowth&, Workspace<uint32_t>&);

}  // namespace set_native
