#include <functional>

#include "layout/blocks.h"
#include "test/cpu/kernel_support.h"

/*
 * The sparse kernels of every instruction set against reference/ops.h, on the same float inputs: blocks of
 * every kind of height, narrow and wide indices, batches of every stride, over shapes chosen to hurt.
 */
namespace set_native {

using namespace test;

namespace {

constexpr uint32_t kHeights[] = {1, 2, 3, 4, 5, 6, 8, 12, 16};

/** Groups of sources and targets; which of them are linked is asked of present(group, target, groups). */
struct Shape {
  const char* name;
  uint32_t sources, targets;
  bool large;  // tested with few batches
  std::function<bool(uint32_t, uint32_t, uint32_t)> present;
};

std::vector<Shape> shapes(Random& random) {
  const auto chance = [&random](size_t one_in) { return random.below(one_in) == 0; };
  return {
      {"one link", 1, 1, false, [](uint32_t, uint32_t, uint32_t) { return true; }},
      {"no link", 17, 9, false, [](uint32_t, uint32_t, uint32_t) { return false; }},
      {"empty rows and targets", 60, 19, false,
       [=](uint32_t b, uint32_t j, uint32_t) { return b % 3 != 1 && j % 4 != 2 && chance(2); }},
      {"every fan-out", 41, 40, false,
       [](uint32_t b, uint32_t j, uint32_t groups) { return j * groups < b * 41; }},
      {"every fan-in", 40, 41, false,
       [](uint32_t b, uint32_t j, uint32_t groups) { return b * 41 < j * groups; }},
      {"full", 17, 16, false, [](uint32_t, uint32_t, uint32_t) { return true; }},
      {"one long row", 7, 1100, true,
       [=](uint32_t b, uint32_t, uint32_t groups) { return b == groups / 2 || chance(200); }},
      {"one long column", 1100, 7, true,
       [=](uint32_t, uint32_t j, uint32_t) { return j == 3 || chance(200); }},
      {"many short rows", 700, 30, true, [=](uint32_t, uint32_t, uint32_t) { return chance(8); }},
  };
}

/** Links of whole blocks, the last group of which may stick out over the sources by `missing`. */
Csr links_of(const Shape& shape, uint32_t height, uint32_t missing) {
  const uint32_t groups = (shape.sources + height - 1) / height;
  Csr links;
  links.rows = groups * height - missing;
  links.cols = shape.targets;
  links.row_offsets.push_back(0);
  for (uint32_t b = 0; b < groups; ++b) {
    std::vector<uint32_t> targets;
    for (uint32_t j = 0; j < shape.targets; ++j)
      if (shape.present(b, j, groups)) targets.push_back(j);
    for (uint32_t i = b * height; i < std::min(links.rows, (b + 1) * height); ++i) {
      links.col_indices.insert(links.col_indices.end(), targets.begin(), targets.end());
      links.row_offsets.push_back(static_cast<uint32_t>(links.nnz()));
    }
  }
  return links;
}

/** A problem's layer in blocks with indices of one width, and its matrices for the kernels. */
template <class Index>
struct Packed {
  const LayerProblem& problem;
  Blocks<Index> blocks;
  Places place;  // of each link among the weights
  size_t stride, rows, longest_row = 0;
  Guarded x, dz, bias;

  Packed(const LayerProblem& p, uint32_t height, size_t row_stride) : problem(p), stride(row_stride) {
    Layer layer;
    layer.inputs = p.links.rows;
    layer.outputs = p.links.cols;
    layer.links = p.links;
    layer.weights.assign(p.weights.begin(), p.weights.end());
    layer.velocity.assign(p.velocity.begin(), p.velocity.end());
    layer.birth.resize(p.weights.size());
    blocks = pack_as<Index>(layer, height);
    for (uint32_t b = 0; b < blocks.groups(); ++b) {
      const size_t first = blocks.offsets[b], last = blocks.offsets[b + 1];
      for (uint32_t r = 0; r < blocks.sources_of(b); ++r)
        for (size_t k = first; k < last; ++k) place.push_back(k * height + r);
      longest_row = std::max(longest_row, (last - first) * height);
    }
    rows = size_t{blocks.groups()} * height;
    // The padding of a hidden layer's outputs is f(bias), not zero: that of dz must be enough.
    x = by_feature(p.x, p.links.rows, p.batch, stride, rows, 0.5f);
    dz = by_feature(p.dz, p.links.cols, p.batch, stride, p.links.cols);
    bias = Guarded::copy_of(p.bias);
  }

  /** Of each group the first block whose target is `least` or later. */
  std::vector<uint32_t> cut_at(size_t least) const {
    std::vector<uint32_t> cut;
    for (uint32_t b = 0; b < blocks.groups(); ++b) {
      uint32_t k = blocks.offsets[b];
      while (k < blocks.offsets[b + 1] && blocks.targets[k] < least) ++k;
      cut.push_back(k);
    }
    return cut;
  }

  cpu::SparseForward<Index> forward(float* z) const {
    cpu::SparseForward<Index> op{};
    op.firsts = blocks.offsets.data();
    op.lasts = blocks.offsets.data() + 1;
    op.targets = blocks.targets.data();
    op.groups = blocks.groups();
    op.offsets = blocks.by_target.offsets.data();
    op.sources = blocks.by_target.groups.data();
    op.blocks = blocks.by_target.blocks.data();
    op.weights = blocks.weights.data();
    op.height = blocks.height;
    op.bias = bias.data();
    op.x = x.data();
    op.z = z;
    op.stride = stride;
    op.activation = problem.activation;
    return op;
  }

  BackwardState state() const {
    return {Guarded::copy_of(blocks.weights),         Guarded::copy_of(blocks.velocity),
            Guarded(blocks.weights.size(), 12345.0f), Guarded(rows * stride, 12345.0f),
            Guarded::copy_of(problem.bias_below),     Guarded::copy_of(problem.velocity_below)};
  }

  /** The part of each array that groups [begin, end) own. */
  bool same_bits_outside(const BackwardState& a, const BackwardState& b, size_t begin, size_t end) const {
    const size_t height = blocks.height, n = blocks.inputs;
    const size_t first = blocks.offsets[begin] * height, last = blocks.offsets[end] * height;
    const size_t source = std::min(n, begin * height), source_end = std::min(n, end * height);
    return a.weights.same_bits_outside(b.weights, first, last) &&
           a.velocity.same_bits_outside(b.velocity, first, last) &&
           a.gradient.same_bits_outside(b.gradient, first, last) &&
           a.dx.same_bits_outside(b.dx, begin * height * stride, end * height * stride) &&
           a.bias.same_bits_outside(b.bias, source, source_end) &&
           a.bias_velocity.same_bits_outside(b.bias_velocity, source, source_end);
  }
};

/** Calls test(problem, height, stride, random, what) for every shape, height and batch, with activations at
 * random. */
template <class Test>
void for_each_problem(const cpu::KernelTable& table, uint64_t stream, Test test) {
  Random random(stream);
  for (const Shape& shape : shapes(random))
    for (const uint32_t height : kHeights)
      for (const Batch& batch : batches()) {
        if (shape.large && batch.size > 3 && batch.size != 8 && batch.size != 17 && batch.size != 40)
          continue;
        const auto missing = static_cast<uint32_t>(random.below(height));
        const Activation activation = kActivations[random.below(4)];
        const LayerProblem problem(links_of(shape, height, missing), batch.size, activation, random);
        const size_t stride = cpu::row_stride(table, batch.room);
        test(problem, height, stride, random,
             std::string(table.name) + ", " + shape.name + ", height " + std::to_string(height) + " less " +
                 std::to_string(missing) + ", batch " + std::to_string(batch.size) + " in rows of " +
                 std::to_string(stride) + ", " + name_of(activation));
      }
}

// ---- Forward ----------------------------------------------------------------------------------------------

/** Targets in ranges, whether they are gathered or scattered to. */
template <class Index>
void check_ranges(const cpu::KernelTable& table, const Packed<Index>& packed, const Guarded& whole,
                  Random& random, const std::string& what) {
  const size_t m = packed.blocks.outputs, stride = packed.stride;
  const Guarded blank(m * stride, 12345.0f);
  const auto run = [&](Guarded& z, size_t begin, size_t end) {
    const std::vector<uint32_t> firsts = packed.cut_at(begin), lasts = packed.cut_at(end);
    auto op = packed.forward(z.data());
    op.firsts = firsts.data();
    op.lasts = lasts.data();
    cpu::sparse_kernels<Index>(table).forward(op, begin, end);
    CHECK_MSG(z.intact(), what << ": wrote outside z");
  };
  Guarded pieces = blank;
  for (const auto& [begin, end] : random_ranges(m, random)) run(pieces, begin, end);
  CHECK_MSG(pieces.same_bits(whole), what << ": the bits depend on how rows are dealt");
  const size_t begin = m / 3, end = m - m / 4;
  Guarded part = blank;
  run(part, begin, end);
  CHECK_MSG(part.same_bits_outside(blank, begin * stride, end * stride),
            what << ": wrote rows outside [begin, end)");
}

/** Rows of one or two samples: groups scattered into parts, which are then added up. */
template <class Index>
void check_parts(const cpu::KernelTable& table, const Packed<Index>& packed, Random& random,
                 const std::string& what) {
  const LayerProblem& problem = packed.problem;
  const size_t m = packed.blocks.outputs, stride = packed.stride, size = m * stride;
  const std::vector<Range> chunks = random_ranges(packed.blocks.groups(), random);
  const auto scatter = cpu::sparse_kernels<Index>(table).scatter;
  Guarded parts(chunks.size() * size), again = parts;
  for (size_t c = 0; c < chunks.size(); ++c) {
    const auto [begin, end] = chunks[c];
    scatter(packed.forward(parts.data() + c * size), begin, end);
    const size_t middle = begin + random.below(end - begin + 1);
    scatter(packed.forward(again.data() + c * size), begin, middle);
    scatter(packed.forward(again.data() + c * size), middle, end);
  }
  CHECK_MSG(parts.intact(), what << ": wrote outside the parts");
  CHECK_MSG(parts.same_bits(again), what << ": the bits depend on how a part's groups are dealt");

  const Activation f = problem.activation;
  const Guarded blank(size, 12345.0f);
  Guarded whole = blank, pieces = blank, part = blank;
  const auto finish = [&](Guarded& z, size_t begin, size_t end) {
    table.finish_forward({parts.data(), chunks.size(), packed.bias.data(), z.data(), m, stride, f}, begin,
                         end);
    CHECK_MSG(z.intact(), what << ": wrote outside z");
  };
  finish(whole, 0, m);
  check_rows(kForward, whole, m, problem.batch, stride, problem.z, problem.z_scale, false, what,
             "z of parts");
  for (const auto& [begin, end] : random_ranges(m, random)) finish(pieces, begin, end);
  CHECK_MSG(pieces.same_bits(whole), what << ": the bits depend on how targets are dealt");
  const size_t begin = m / 3, end = m - m / 4;
  finish(part, begin, end);
  CHECK_MSG(part.same_bits_outside(blank, begin * stride, end * stride),
            what << ": wrote rows outside [begin, end)");
}

/** Returns z of the whole layer. */
template <class Index>
Guarded check_forward(const cpu::KernelTable& table, const LayerProblem& problem, uint32_t height,
                      size_t stride, Random& random, const std::string& what) {
  const Packed<Index> packed(problem, height, stride);
  const size_t m = packed.blocks.outputs;
  Guarded whole(m * stride, 12345.0f);
  cpu::sparse_kernels<Index>(table).forward(packed.forward(whole.data()), 0, m);
  CHECK_MSG(whole.intact(), what << ": wrote outside z");
  check_rows(kForward, whole, m, problem.batch, stride, problem.z, problem.z_scale, false, what, "z");
  check_ranges(table, packed, whole, random, what);
  if (stride <= cpu::kLongestScattered) check_parts(table, packed, random, what);
  return whole;
}

void forward_parity(const cpu::KernelTable& table) {
  for_each_problem(table, 1,
                   [&](const LayerProblem& problem, uint32_t height, size_t stride, Random& random,
                       const std::string& what) {
                     const Guarded narrow =
                         check_forward<uint16_t>(table, problem, height, stride, random, what + ", narrow");
                     const Guarded wide =
                         check_forward<uint32_t>(table, problem, height, stride, random, what + ", wide");
                     CHECK_MSG(narrow.same_bits(wide), what << ": the bits depend on the width of indices");
                   });
}

TEST_EACH_ISA("parity: sparse forward", forward_parity)

// ---- Backward ---------------------------------------------------------------------------------------------

/** Links and dx of sources beyond the layer are zero, and stay so. */
template <class Index>
void check_beyond(const Packed<Index>& packed, const BackwardState& state, const BackwardMode& mode,
                  const std::string& what) {
  const size_t height = packed.blocks.height, links = packed.blocks.weights.size();
  std::vector<bool> exists(links, false);
  for (const size_t place : packed.place) exists[place] = true;
  for (size_t k = 0; k < links; ++k)
    CHECK_MSG(exists[k] || (state.weights[k] == 0.0f && state.velocity[k] == 0.0f &&
                            (!mode.gradient || state.gradient[k] == 0.0f)),
              what << ": block " << k / height << " changed beyond the layer's sources");
  for (size_t at = packed.blocks.inputs * packed.stride; mode.dx && at < packed.rows * packed.stride; ++at)
    CHECK_MSG(state.dx[at] == 0.0f, what << ": dx beyond the layer's sources");
}

/** Returns what is left of the whole layer's arrays. */
template <class Index>
BackwardState check_backward_mode(const cpu::KernelTable& table, const Packed<Index>& packed,
                                  const BackwardMode& mode, Random& random, const std::string& what) {
  const size_t groups = packed.blocks.groups(), height = packed.blocks.height;
  Guarded scratch(cpu::scratch_size(packed.longest_row, height));
  const auto run = [&](BackwardState& state, size_t begin, size_t end) {
    cpu::SparseBackward<Index> op{};
    op.offsets = packed.blocks.offsets.data();
    op.targets = packed.blocks.targets.data();
    op.blocks = packed.blocks.size();
    op.weights = state.weights.data();
    op.velocity = mode.update ? state.velocity.data() : nullptr;
    op.gradient = mode.gradient ? state.gradient.data() : nullptr;
    op.height = height;
    op.inputs = packed.blocks.inputs;
    op.x = packed.x.data();
    op.dz = packed.dz.data();
    op.dx = mode.dx ? state.dx.data() : nullptr;
    if (mode.bias) op.bias = {state.bias.data(), state.bias_velocity.data(), nullptr};
    op.stride = packed.stride;
    op.activation = packed.problem.activation;
    op.rule = update_rule();
    op.scratch = scratch.data();
    std::fill_n(scratch.data(), scratch.size(), NAN);  // what it holds must not matter
    cpu::sparse_kernels<Index>(table).backward(op, begin, end);
    CHECK_MSG(state.intact() && scratch.intact(), what << ": wrote outside its arrays");
  };

  const BackwardState before = packed.state();
  BackwardState whole = before;
  run(whole, 0, groups);
  check_backward(whole, packed.problem, mode, packed.stride, packed.place, what);
  check_beyond(packed, whole, mode, what);
  CHECK_MSG(whole.only(mode, before), what << ": wrote what was not asked for");

  BackwardState pieces = before;
  for (const auto& [begin, end] : random_ranges(groups, random)) run(pieces, begin, end);
  CHECK_MSG(pieces.same_bits(whole), what << ": the bits depend on how groups are dealt");

  const size_t begin = groups / 3, end = groups - groups / 4;
  BackwardState part = before;
  run(part, begin, end);
  CHECK_MSG(packed.same_bits_outside(part, before, begin, end),
            what << ": wrote outside groups [begin, end)");
  return whole;
}

void backward_parity(const cpu::KernelTable& table) {
  for_each_problem(
      table, 2,
      [&](const LayerProblem& problem, uint32_t height, size_t stride, Random& random,
          const std::string& what) {
        const Packed<uint16_t> narrow(problem, height, stride);
        const Packed<uint32_t> wide(problem, height, stride);
        // All that can be asked for, the first layer's pass, and another.
        for (const size_t number : {size_t{0}, size_t{2}, 3 + random.below(std::size(kBackwardModes) - 3)}) {
          const BackwardMode& mode = kBackwardModes[number];
          const std::string which = what + "," + mode.name();
          const BackwardState a = check_backward_mode(table, narrow, mode, random, which + ", narrow");
          const BackwardState b = check_backward_mode(table, wide, mode, random, which + ", wide");
          CHECK_MSG(a.same_bits(b), which << ": the bits depend on the width of indices");
        }
      });
}

TEST_EACH_ISA("parity: sparse backward", backward_parity)

}  // namespace
}  // namespace set_native
