#include "layout/target_rows.h"

#include <algorithm>
#include <numeric>

namespace set_native {

namespace {

template <class Index>
TargetRows<Index> make_rows(const Blocks<Index>& blocks) {
  const auto& by_target = blocks.by_target;
  const auto length = [&](uint32_t target) {
    return by_target.offsets[target + 1] - by_target.offsets[target];
  };
  // Sort the targets.
  TargetRows<Index> rows;
  rows.targets.resize(blocks.outputs);
  std::iota(rows.targets.begin(), rows.targets.end(), 0u);
  std::sort(rows.targets.begin(), rows.targets.end(),
            [&](uint32_t a, uint32_t b) { return length(a) != length(b) ? length(a) > length(b) : a < b; });
  for (const uint32_t target : rows.targets) rows.lengths.push_back(length(target));
  // Copy the links, bundle by bundle.
  rows.sources.resize(blocks.size());
  rows.weights.resize(blocks.size());
  size_t next = 0;
  const auto copy = [&](uint32_t target, uint32_t link) {
    const uint32_t place = by_target.offsets[target] + link;
    rows.sources[next] = by_target.groups[place];
    rows.weights[next++] = blocks.weights[by_target.blocks[place]];
  };
  for (uint32_t first = 0; first < blocks.outputs; first += kBundle) {
    const uint32_t count = std::min(kBundle, blocks.outputs - first);
    const uint32_t common = count == kBundle ? rows.lengths[first + count - 1] : 0;
    for (uint32_t link = 0; link < common; ++link)
      for (uint32_t t = first; t < first + count; ++t) copy(rows.targets[t], link);
    for (uint32_t t = first; t < first + count; ++t)
      for (uint32_t link = common; link < rows.lengths[t]; ++link) copy(rows.targets[t], link);
  }
  return rows;
}

}  // namespace

double target_rows_bytes(const AnyBlocks& blocks) {
  return std::visit(
      [](const auto& b) {
        using Index = typename std::decay_t<decltype(b)>::IndexType;
        return double(b.size()) * (sizeof(float) + sizeof(Index)) + double(b.outputs) * 2 * sizeof(uint32_t);
      },
      blocks);
}

AnyTargetRows target_rows(const AnyBlocks& blocks) {
  return std::visit([](const auto& b) { return AnyTargetRows(make_rows(b)); }, blocks);
}

}  // namespace set_native
