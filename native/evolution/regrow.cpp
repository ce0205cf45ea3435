#include "evolution/regrow.h"

#include <algorithm>

#include "core/error.h"

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

/** Inserts the targets of the kept blocks of groups begin .. end - 1. */
template <class Index, class Columns>
void insert_kept(const Blocks<Index>& blocks, const Pruning& pruning, uint32_t begin, uint32_t end,
                 Columns& columns) {
  columns.insert_kept(blocks.targets.data(), pruning.removed, blocks.offsets[begin], blocks.offsets[end]);
}

}  // namespace

template <class Index>
Places regrow_blocks(const Blocks<Index>& blocks, const Pruning& pruning, const EvolutionKey& key,
                     ThreadPool& pool, Workspace<Index>& workspace) {
  const uint32_t full_groups = blocks.inputs / blocks.height, m = blocks.outputs;
  const bool crowded = is_crowded(
      blocks, pruning.full * blocks.height + pruning.truncated * blocks.sources_of(blocks.groups() - 1));
  const auto grow = [&](uint32_t first, uint32_t groups, Stream stream, uint64_t wanted) {
    const auto taken = [&, first](uint32_t group, auto& columns) {
      insert_kept(blocks, pruning, first + group, first + group + 1, columns);
    };
    return propose({groups, m, 1, stream, wanted, crowded}, key, taken, pool, workspace);
  };
  Places grown = grow(0, full_groups, Stream::regrow, pruning.full);
  if (full_groups < blocks.groups()) {
    const Places last = grow(full_groups, 1, Stream::regrow_single, pruning.truncated);
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
Places regrow_units(const Blocks<Index>& links, const Pruning& pruning, const EvolutionPolicy& policy,
                    const EvolutionKey& key, ThreadPool& pool, Workspace<Index>& workspace) {
  const uint32_t n = links.inputs, m = links.outputs, g = policy.motif_size;
  const uint64_t removed = pruning.full;
  const bool crowded = is_crowded(links, removed);
  const bool aligned = policy.parse == MotifParse::aligned;
  const uint32_t step = aligned ? g : 1;
  const uint32_t rows = aligned ? n / g + (n % g > 0) : n - std::min(n, g - 1);
  // Motifs first.
  const auto motif_taken = [&](uint32_t row, auto& columns) {
    insert_kept(links, pruning, row * step, std::min(row * step + g, n), columns);
  };
  Places grown = cells_of(propose({rows, m, aligned ? 1 : g, Stream::regrow, removed / g, crowded}, key,
                                  motif_taken, pool, workspace),
                          step, g, n, m);
  // Then single links until as many have grown as were removed.
  if (grown.size() < removed) {
    const auto cell_taken = [&](uint32_t row, auto& columns) {
      insert_kept(links, pruning, row, row + 1, columns);
      for (uint32_t p = grown.offsets[row]; p < grown.offsets[row + 1]; ++p) columns.insert(grown.cols[p]);
    };
    const Space cells{n, m, 1, Stream::regrow_single, removed - grown.size(), crowded};
    grown = united(grown, propose(cells, key, cell_taken, pool, workspace), m);
  }
  check_grown(grown.size(), removed);
  return grown;
}

template Places regrow_blocks(const Blocks<uint16_t>&, const Pruning&, const EvolutionKey&, ThreadPool&,
                              Workspace<uint16_t>&);
template Places regrow_blocks(const Blocks<uint32_t>&, const Pruning&, const EvolutionKey&, ThreadPool&,
                              Workspace<uint32_t>&);
template Places regrow_units(const Blocks<uint16_t>&, const Pruning&, const EvolutionPolicy&,
                             const EvolutionKey&, ThreadPool&, Workspace<uint16_t>&);
template Places regrow_units(const Blocks<uint32_t>&, const Pruning&, const EvolutionPolicy&,
                             const EvolutionKey&, ThreadPool&, Workspace<uint32_t>&);

}  // namespace set_native
