#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "core/dropout.h"
#include "reference/model.h"
#include "test/cpu/kernel_support.h"
#include "test/cpu/trainer_support.h"

/*
 * Dropout on the CPU: its kernel against core/dropout.h, whole epochs against the reference, and against
 * themselves with other threads and in parts.
 */
namespace set_native {

using namespace test;

namespace {

// ---- The kernel -------------------------------------------------------------------------------------------

void kernel_parity(const cpu::KernelTable& table) {
  Random random(120);
  constexpr size_t kRows = 43;
  constexpr uint64_t kSeed = 0x123456789abcdef;
  constexpr uint32_t kLayer = 5, kEpoch = 70, kPlace = 1'000'003;
  const size_t unit = table.row_unit;
  for (const size_t stride : {size_t{1}, size_t{2}, unit, 2 * unit, 3 * unit, 7 * unit})
    for (const float p : {0.5f, 0.1f, 0.999f}) {
      const Dropout dropout = dropout_of(p);
      const std::string what =
          std::string(table.name) + ", stride " + std::to_string(stride) + ", p " + std::to_string(p);
      Guarded z = Guarded::copy_of(random.list(kRows * stride, -1.0f, 1.0f));
      for (size_t k = 0; k < z.size(); k += 3) z[k] = k % 2 == 0 ? 0.0f : -0.0f;
      Guarded want = z;
      for (uint32_t row = 0; row < kRows; ++row)
        for (size_t s = 0; s < stride; ++s) {
          const uint64_t index = dropout_index(kPlace + static_cast<uint32_t>(s), row);
          const bool is =
              is_dropped(draw(kSeed, Stream::dropout, kLayer, kEpoch, index), row, dropout.threshold);
          float& value = want[row * stride + s];
          value = is ? -0.0f : value == 0.0f ? 0.0f : dropout.gain * value;
        }
      cpu::DropOutputs op{};
      op.z = z.data();
      op.stride = stride;
      op.place = kPlace;
      op.threshold = dropout.threshold;
      op.gain = dropout.gain;
      op.epoch = kEpoch;
      op.last_word = last_word(Stream::dropout, kLayer);
      op.key[0] = static_cast<uint32_t>(kSeed);
      op.key[1] = static_cast<uint32_t>(kSeed >> 32);
      for (const Range& range : random_ranges(kRows, random)) {
        const Guarded before = z;
        table.drop_outputs(op, range.first, range.second);
        CHECK_MSG(z.same_bits_outside(before, range.first * stride, range.second * stride), what);
      }
      CHECK_MSG(z.same_bits(want), what);
      CHECK_MSG(z.intact(), what << ": wrote beyond its rows");
      z[0] = NAN;
      op.threshold = 0;
      table.drop_outputs(op, 0, 1);
      CHECK_MSG(std::isnan(z[0]), what);
    }
}

TEST_EACH_ISA("dropout: the kernel drops what core says, in any ranges of rows", kernel_parity)

// ---- Epochs -----------------------------------------------------------------------------------------------

/** Small batches take small steps, or rounding grows into another course. */
TrainOptions dropping(uint32_t epoch, uint32_t batch, float p) {
  TrainOptions options = options_for(epoch, batch);
  options.learning_rate = 0.02f * std::min(1.0f, static_cast<float>(batch) / 40.0f);
  options.dropout = p;
  return options;
}

ModelSpec spec_of(double epsilon, Activation activation, uint32_t motif_size) {
  return motif_spec(make_spec({21, 35, 27, 4}, epsilon, activation, Loss::softmax_cross_entropy), motif_size);
}

void follow(const Model& start, const Data& data, uint32_t batch, float p, const cpu::KernelTable& table,
            const std::string& what) {
  Training got(start, 1, table);
  const auto want = on_reference(start);
  for (uint32_t epoch = 1; epoch <= 2; ++epoch) {
    const TrainOptions options = dropping(epoch, batch, p);
    const double got_loss = got.epoch(data.samples(), options);
    const double want_loss = want->train_epoch(data.samples(), options, kGoOn);
    CHECK_MSG(std::fabs(got_loss - want_loss) <= 1e-5 * want_loss,
              what << ", epoch " << epoch << ": loss " << got_loss << ", expected " << want_loss);
  }
  check_close(got.model(), want->download(), 5e-5, what);
}

constexpr Activation kEvery[] = {Activation::relu,      Activation::tanh,     Activation::sigmoid,
                                 Activation::linear,    Activation::all_relu, Activation::srelu,
                                 Activation::leaky_relu};

void epoch_parity(const cpu::KernelTable& table) {
  // 67 samples: the last batch is smaller than the others. Feature 0 is always 0: so are the outputs of
  // neurons with no other input and no bias, which are kept or dropped like others.
  Data data = make_data(21, 4, 67, 31);
  for (size_t s = 0; s < 67; ++s) data.x[s * 21] = 0.0f;
  for (const Activation activation : kEvery)
    for (const uint32_t motif_size : {1u, 2u, 3u, 4u, 8u})
      for (const uint32_t batch : {1u, 2u, 3u, 8u, 40u}) {
        if (motif_size > 2 && activation != Activation::relu && activation != Activation::srelu) continue;
        const std::string what = std::string(table.name) + ", activation " +
                                 std::to_string(static_cast<int>(activation)) + ", motif size " +
                                 std::to_string(motif_size) + ", batch " + std::to_string(batch);
        follow(build_model(spec_of(batch == 8 ? 4.0 : 2.5, activation, motif_size)), data, batch,
               batch == 40 ? 0.5f : 0.2f, table, what);
      }
}

TEST_EACH_ISA("dropout: epochs follow the reference for every activation, batch size and block", epoch_parity)

TEST("dropout: dense layers and AdamW follow the reference") {
  const Data data = make_data(21, 4, 67, 32);
  for (const Activation activation : {Activation::relu, Activation::tanh, Activation::leaky_relu}) {
    ModelSpec spec = spec_of(0.0, activation, 1);
    follow(build_model(spec), data, 20, 0.3f, cpu::kernels(), "dense");
    spec = spec_of(3.0, activation, 1);
    spec.optimizer = Optimizer::adamw;
    const Model start = build_model(spec);
    Training got(start, 1);
    const auto want = on_reference(start);
    for (uint32_t epoch = 1; epoch <= 2; ++epoch) {
      TrainOptions options = adamw_options(epoch, 20);
      options.dropout = 0.3f;
      got.epoch(data.samples(), options);
      want->train_epoch(data.samples(), options, kGoOn);
    }
    check_close(got.model(), want->download(), 1e-4, "AdamW");
  }
}

TEST("dropout: the same bits with 1, 2, 3 and 5 threads, at once and in parts") {
  for (const Activation activation : {Activation::relu, Activation::srelu, Activation::tanh})
    for (const uint32_t motif_size : {1u, 4u})
      for (const uint32_t batch : {1u, 2u, 40u, 100u}) {
        const std::string what = "activation " + std::to_string(static_cast<int>(activation)) +
                                 ", motif size " + std::to_string(motif_size) + ", batch " +
                                 std::to_string(batch);
        // Enough links that steps are shared, at least from batches of 40 on.
        ModelSpec spec = make_spec({151, 500, 501, 10}, 8.0, activation, Loss::softmax_cross_entropy);
        if (motif_size > 1) spec.topology = Topology::motif;
        spec.motif_size = std::max(2u, motif_size);
        const Model start = build_model(spec);
        const Data data = make_data(151, 10, batch == 1 ? 33 : 33 * batch + 1, 33);
        const auto run = [&](unsigned threads, bool in_parts) {
          Training training(start, threads);
          for (uint32_t epoch = 1; epoch <= 2; ++epoch) {
            TrainOptions options = dropping(epoch, batch, 0.4f);
            if (in_parts) {
              options.steps = 5;
              training.epoch(data.samples(), options);
              options.first_step = 5;
              options.steps = UINT64_MAX;
            }
            training.epoch(data.samples(), options);
          }
          return training.model();
        };
        const Model want = run(1, false);
        for (const unsigned threads : {1u, 2u, 3u, 5u})
          CHECK_MSG(same_bits(run(threads, threads != 2), want), what << ": " << threads << " threads");
      }
}

TEST("dropout: 0 gives the bits of none, and each seed and epoch drops others") {
  const Data data = make_data(21, 4, 60, 34);
  const auto trained = [&](uint64_t seed, float p, bool reference) {
    ModelSpec spec = spec_of(3.0, Activation::relu, 1);
    spec.seed = 42;
    Model start = build_model(spec);
    start.seed = seed;
    const auto model = reference ? on_reference(start) : on_cpu(start);
    TrainOptions options = options_for(1, 20);
    options.shuffle = false;
    options.dropout = p;
    model->train_epoch(data.samples(), options, kGoOn);
    return model->download();
  };
  for (const bool reference : {false, true}) {
    const Model none = trained(1, 0.0f, reference);
    CHECK(same_bits(none, trained(2, 0.0f, reference)));
    CHECK(same_bits(none, trained(1, 0x1p-18f, reference)));
    const Model dropped = trained(1, 0.5f, reference);
    CHECK(!same_bits(none, dropped));
    CHECK(!same_bits(dropped, trained(2, 0.5f, reference)));
  }
}

TEST("dropout: only training drops") {
  const Data data = make_data(21, 4, 60, 34);
  const Model start = build_model(spec_of(3.0, Activation::relu, 1));
  const auto model = on_cpu(start);
  TrainOptions options = options_for(1, 20);
  options.learning_rate = options.l2 = options.decay = 0.0f;
  const double before = model->evaluate(data.samples(), kGoOn).loss;
  const double plain = model->train_epoch(data.samples(), options, kGoOn);
  CHECK(std::fabs(plain - before) < 1e-6);
  options.dropout = 0.5f;
  CHECK(std::fabs(model->train_epoch(data.samples(), options, kGoOn) - before) > 1e-3);
  CHECK_EQ(model->evaluate(data.samples(), kGoOn).loss, before);
}

}  // namespace
}  // namespace set_native
