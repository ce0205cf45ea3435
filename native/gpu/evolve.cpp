#include "gpu/evolve.h"

#include <algorithm>
#include <memory>
#include <variant>
#include <vector>

#include "core/available_cpus.h"
#include "core/error.h"
#include "core/weights.h"
#include "evolution/evolve.h"
#include "layout/network.h"
#include "layout/thread_pool.h"

namespace set_native::gpu {

namespace {

constexpr uint64_t kAlwaysWorthwhile = 16u << 20;  // bytes of bitmaps for which free memory is not asked

/** Returns whether blocks are pruned and grown as a whole, with the height they have. */
bool height_fits(const Layer& layer, const EvolutionPolicy& policy) {
  return layer.height == policy.motif_size && (policy.motif_size == 1 || policy.parse == MotifParse::aligned);
}

/** Returns whether 32 bits suffice for all that the kernels count, also in threads, a warp for each group. */
bool numbers_fit(const Layer& layer, const Bitmaps& bitmaps) {
  constexpr uint64_t kWarps = (uint64_t{1} << 32) / 32, kWords = (uint64_t{1} << 32) - kScanTile;
  return layer.groups < kWarps && bitmaps.cell_words < kWords && bitmaps.target_words < kWords &&
         static_cast<uint64_t>(bitmaps.words) * bitmaps.row_words < kWarps &&
         static_cast<uint64_t>(layer.blocks) * layer.height < kWords && layer.blocks < uint32_t{1} << 30;
}

unsigned host_threads() {
  constexpr unsigned kEnough = 16;
  return std::min(available_cpus(), kEnough);
}

/** Overwrites the links in a layer's buffers with as many others, in blocks of the same height. */
void replace_links(Device& device, const Layer& layer, const AnyBlocks& links) {
  const auto write = [&](const std::unique_ptr<Buffer>& to, const auto& values) {
    if (to == nullptr) return;  // an array that the layer does not have
    device.upload(*to, 0, values.data(), values.size() * sizeof(values[0]));
  };
  std::visit(
      [&](const auto& blocks) {
        write(layer.offsets, blocks.offsets);
        write(layer.targets, blocks.targets);
        for_each_link_array(
            [&](const char*, const auto& buffer, const auto& values) { write(buffer, values); }, layer,
            blocks);
        write(layer.target_offsets, blocks.by_target.offsets);
        write(layer.target_groups, blocks.by_target.groups);
        write(layer.target_blocks, blocks.by_target.blocks);
      },
      links);
}

}  // namespace

Evolution::Evolution(Device& device) : device_(device) {
  memory_.small = device.allocate(SmallParts::bytes);
}

bool Evolution::begin(const Layer& layer, const EvolutionPolicy& policy, const EvolutionKey& key) {
  check_evolution(policy, key);
  if (layer.dense || layer.blocks == 0) return false;
  device_.clear(*memory_.small, SmallParts::flag, sizeof(uint32_t));
  const uint64_t size = static_cast<uint64_t>(layer.blocks) * layer.height;
  device_.dispatch(evolve_launch(Op::check_finite, (size + kThreadItems - 1) / kThreadItems),
                   CheckParams{static_cast<uint32_t>(size), static_cast<uint32_t>(size >> 32)},
                   CheckBuffers{layer.weights, Binding(memory_.small.get(), SmallParts::flag)});
  uint32_t found = 0;
  device_.download(&found, *memory_.small, SmallParts::flag, sizeof found);
  if (found == 0) return true;
  begin_evolution(download_layer(device_, layer).blocks, policy, key);  // finds the link, and throws
  throw Error(ErrorCode::internal, "[evolve] a weight was not finite only on the device; please report");
}

LayerEvolution Evolution::run(Layer& layer, const EvolutionPolicy& policy, const EvolutionKey& key,
                              const CellScores* scores) {
  if (policy.grow != Grow::random || !is_for_device(layer, policy))
    return run_on_host(layer, policy, key, scores);
  if (policy.regrow_init == RegrowInit::he_fan_in) prepare_bounds(layer.inputs);
  const LayerEvolution done = EvolutionStep(device_, memory_, layer, policy, key).run();
  if (memory_.scratch != nullptr && memory_.scratch->bytes() > kKept) memory_.scratch.reset();
  return done;
}

bool Evolution::is_for_device(const Layer& layer, const EvolutionPolicy& policy) const {
  if (!height_fits(layer, policy)) return false;
  const Bitmaps bitmaps(layer.groups, layer.outputs);
  if (!numbers_fit(layer, bitmaps)) return false;
  if (bitmaps.bytes() <= kAlwaysWorthwhile) return true;
  const size_t held = memory_.scratch != nullptr ? memory_.scratch->bytes() : 0;
  return bitmaps.bytes() <= (device_.memory().free + held) / 4;
}

/** Uploads he_bound of every fan-in that a layer of `inputs` sources can have. */
void Evolution::prepare_bounds(uint32_t inputs) {
  const size_t bytes = (size_t{inputs} + 1) * sizeof(float);
  if (memory_.bounds != nullptr && memory_.bounds->bytes() >= bytes) return;
  std::vector<float> bounds(size_t{inputs} + 1, 0.0f);
  for (uint32_t fan_in = 1; fan_in <= inputs; ++fan_in) bounds[fan_in] = he_bound(fan_in);
  memory_.bounds = device_.allocate(bytes);
  device_.upload(*memory_.bounds, 0, bounds.data(), bytes);
}

LayerEvolution Evolution::run_on_host(Layer& layer, const EvolutionPolicy& policy, const EvolutionKey& key,
                                      const CellScores* scores) {
  PackedLayer copy = download_layer(device_, layer);
  ThreadPool pool(host_threads());
  const LayerEvolution done = evolve_layer(copy.blocks, policy, key, pool, scores);
  const auto size = std::visit([](const auto& blocks) { return blocks.size(); }, copy.blocks);
  if (copy.height() == layer.height && size == layer.blocks) {
    replace_links(device_, layer, copy.blocks);
  } else {
    layer = upload_layer(device_, copy);
  }
  return done;
}

}  // namespace set_native::gpu
