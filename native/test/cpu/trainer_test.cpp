#include "cpu/trainer.h"

#include <mutex>
#include <set>
#include <thread>

#include "test/cpu/kernel_support.h"
#include "test/cpu/trainer_support.h"
#include "test/deadline.h"
#include "test/model_support.h"

/*
 * Epochs of the CPU back end's trainer: against the reference with every kind of batch and block, and teams
 * of threads against one thread, bit for bit.
 */
namespace set_native {

using namespace test;

namespace {

/** Kernels that tell who called them and on which weights: how a team shares its work cannot be seen from
 * outside. */
class Spy {
 public:
  explicit Spy(const cpu::KernelTable& table) : table_(table) {
    real_ = &table;
    calls_ = 0;
    threads_.clear();
    weights_.clear();
    table_.narrow.backward = backward;
  }
  const cpu::KernelTable& table() const { return table_; }
  /** Distinct threads, and distinct arrays of weights, that passed backward through a sparse layer. */
  size_t threads() const { return threads_.size(); }
  size_t arrays() const { return weights_.size(); }
  /** Sets `flag` in the `call`-th call from now on. */
  static void set_at(uint64_t call, std::atomic<bool>& flag) {
    flag_at_ = calls_ + call;
    flag_ = &flag;
  }

 private:
  static void backward(const cpu::SparseBackward<uint16_t>& op, size_t begin, size_t end) {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      threads_.insert(std::this_thread::get_id());
      weights_.insert(op.weights);
      if (++calls_ == flag_at_ && flag_ != nullptr) *flag_ = true;
    }
    real_->narrow.backward(op, begin, end);
  }

  cpu::KernelTable table_;
  inline static const cpu::KernelTable* real_ = nullptr;
  inline static std::mutex mutex_;
  inline static std::set<std::thread::id> threads_;
  inline static std::set<const float*> weights_;
  inline static uint64_t calls_ = 0, flag_at_ = 0;
  inline static std::atomic<bool>* flag_ = nullptr;
};

/** Of the first layer that is not dense. */
uint32_t block_height(const PackedNetwork& network) {
  for (const PackedLayer& layer : network.layers)
    if (!layer.dense) return std::visit([](const auto& blocks) { return blocks.height; }, layer.blocks);
  return 0;
}

/** Small batches take small steps, or rounding grows into another course. */
TrainOptions gentle(uint32_t epoch, uint32_t batch_size) {
  TrainOptions options = options_for(epoch, batch_size);
  options.learning_rate *= std::min(1.0f, static_cast<float>(batch_size) / 40.0f);
  return options;
}

// ---- Against the reference --------------------------------------------------------------------------------

void epoch_parity(const cpu::KernelTable& table) {
  // 67 samples: the last batch is smaller than the others, whatever their size. Sources are no multiple of
  // any block.
  const Data data = make_data(21, 4, 67, 31);
  for (const uint32_t motif_size : {1u, 2u, 3u, 4u, 8u})
    for (const double epsilon : {2.5, 4.0}) {  // sparse, and with a dense output layer
      const Model start = build_model(motif_spec(
          make_spec({21, 35, 27, 4}, epsilon, Activation::tanh, Loss::softmax_cross_entropy), motif_size));
      CHECK_EQ(start.layers.back().dense, epsilon > 3.0);
      for (const uint32_t batch : {1u, 2u, 3u, 5u, 8u, 40u}) {
        const std::string what = std::string(table.name) + ", motif size " + std::to_string(motif_size) +
                                 ", epsilon " + std::to_string(epsilon) + ", batch " + std::to_string(batch);
        Training got(start, 1, table);
        CHECK_EQ(block_height(got.network), motif_size);
        const auto want = on_reference(start);
        for (uint32_t epoch = 1; epoch <= 2; ++epoch) {
          const TrainOptions options = gentle(epoch, batch);
          const double got_loss = got.epoch(data.samples(), options);
          const double want_loss = want->train_epoch(data.samples(), options, kGoOn);
          CHECK_MSG(std::fabs(got_loss - want_loss) <= 1e-5 * want_loss,
                    what << ", epoch " << epoch << ": loss " << got_loss << ", expected " << want_loss);
        }
        check_close(got.model(), want->download(), 5e-5, what);
      }
    }
}

TEST_EACH_ISA("trainer: epochs follow the reference for every batch size and block", epoch_parity)

// ---- Teams ------------------------------------------------------------------------------------------------

/** Enough links that even steps of one sample are shared. */
constexpr uint64_t kLinksToShare = 1u << 16;

/** As `count` samples with soft targets instead of labels. */
Data with_targets(Data data) {
  for (const uint32_t label : data.labels)
    for (uint32_t o = 0; o < data.outputs; ++o)
      data.targets.push_back(o == label ? 1.0f - 0.01f * static_cast<float>(data.outputs - 1) : 0.01f);
  data.labels.clear();
  return data;
}

/** Steps in which every mode of a team of up to `threads` is tried, and the best used for a while. */
constexpr uint32_t kStepsForAllModes = 5 * cpu::Pace::kTrialSteps + cpu::Pace::kSteps + 5;

/** Trains on one thread and on teams; all must have the same losses and the same bits. */
void check_teams(const Model& start, const Data& data, uint32_t batch, const std::vector<unsigned>& teams,
                 const cpu::KernelTable& table, const std::string& what) {
  const auto run = [&](Training& training) {
    std::vector<double> losses;
    losses.push_back(training.epoch(data.samples(), gentle(1, batch)));
    losses.push_back(training.epoch(data.first(3 * batch), gentle(2, batch)));
    return losses;
  };
  Training alone(start, 1, table);
  const std::vector<double> want_losses = run(alone);
  const Model want = alone.model();
  CHECK(!same_bits(want, start));
  for (const unsigned threads : teams) {
    Spy spy(table);
    Training team(start, threads, spy.table());
    const std::vector<double> losses = run(team);
    CHECK_MSG(losses == want_losses && same_bits(team.model(), want), what << ": " << threads << " threads");
    // Scattered layers are cut into a few chunks: more threads than that have no part in them.
    CHECK_MSG(spy.threads() == threads || (batch <= 2 && spy.threads() >= 4),
              what << ": " << threads << " threads, of which only " << spy.threads() << " had work");
    // Copies of weights are had by teams of more than one, where weights are not scattered.
    CHECK_MSG(batch <= 2 || spy.arrays() >= threads + 1, what << ": no team had copies of its own");
  }
}

TEST("trainer: teams of 2, 3, 5 and 9 threads have the bits of one, in every way of sharing") {
  for (const uint32_t motif_size : {1u, 2u, 3u, 4u, 8u})
    for (const uint32_t batch : {1u, 2u, 3u, 5u, 8u, 40u}) {
      const Model start = build_model(motif_spec(
          make_spec({151, 500, 501, 10}, 42.0, Activation::relu, Loss::softmax_cross_entropy), motif_size));
      uint64_t links = 0;
      for (const Layer& layer : start.layers) links += layer.nnz();
      CHECK(links > kLinksToShare);
      Data data = make_data(151, 10, batch * kStepsForAllModes + (batch + 1) / 2, 32);
      if (motif_size == 2) data = with_targets(data);
      check_teams(start, data, batch, {2, 3, 5, 9}, cpu::kernels(),
                  "motif size " + std::to_string(motif_size) + ", batch " + std::to_string(batch));
    }
}

TEST(
    "trainer: teams have the bits of one thread with activations of pieces, over sparse layers and dense "
    "ones") {
  for (const Activation activation : {Activation::all_relu, Activation::srelu, Activation::leaky_relu})
    for (const uint32_t batch : {2u, 8u, 40u}) {
      const std::string what =
          "activation " + std::to_string(static_cast<int>(activation)) + ", batch " + std::to_string(batch);
      const Data data = make_data(151, 10, batch * kStepsForAllModes, 37);
      ModelSpec spec =
          motif_spec(make_spec({151, 500, 501, 10}, 42.0, activation, Loss::softmax_cross_entropy), 3);
      check_teams(build_model(spec), data, batch, {2, 3}, cpu::kernels(), what);

      spec.topology = Topology::dense;
      const Model dense = build_model(spec);
      Training alone(dense, 1), team(dense, 3);
      CHECK(alone.epoch(data.samples(), gentle(1, batch)) == team.epoch(data.samples(), gentle(1, batch)));
      CHECK_MSG(same_bits(alone.model(), team.model()), what << ", dense");
    }
}

void team_parity(const cpu::KernelTable& table) {
  // A sparse output layer; 16-wide rows of 8 and 8-wide rows of 4 have vectors of their own.
  const Model start =
      build_model(make_spec({203, 4000, 10}, 8.5, Activation::sigmoid, Loss::sigmoid_binary_cross_entropy));
  CHECK(!start.layers.back().dense);
  for (const uint32_t batch : {2u, 4u, 8u}) {
    const Data data = make_data(203, 10, batch * kStepsForAllModes, 33);
    check_teams(start, data, batch, {3}, table, std::string(table.name) + ", batch " + std::to_string(batch));
  }
}

TEST_EACH_ISA("trainer: a team has the bits of one thread with every instruction set", team_parity)

TEST("trainer: arrays too large for copies are shared, with the same bits") {
  {
    const Model start =
        build_model(make_spec({10, 3001, 10}, 2.0, Activation::relu, Loss::softmax_cross_entropy));
    CHECK(3001 * 512 > cpu::Replicas::kLargest);
    check_teams(start, make_data(10, 10, 512 * 13 + 100, 34), 512, {2, 3}, cpu::kernels(), "activations");
  }
  const Model start =
      build_model(make_spec({1100, 1000, 4}, 0.0, Activation::relu, Loss::softmax_cross_entropy));
  CHECK(start.layers[0].nnz() > cpu::Replicas::kLargest);
  const Data data = make_data(1100, 4, 4 * 13, 35);
  Training alone(start, 1), team(start, 3);
  CHECK(alone.epoch(data.samples(), options_for(1, 4)) == team.epoch(data.samples(), options_for(1, 4)));
  CHECK(same_bits(alone.model(), team.model()));
}

TEST("trainer: batch sizes may change from epoch to epoch, and nothing of the last one is left") {
  for (const uint32_t motif_size : {1u, 3u, 8u}) {
    const Model start = build_model(motif_spec(
        make_spec({151, 500, 501, 10}, 42.0, Activation::tanh, Loss::softmax_cross_entropy), motif_size));
    const Data data = make_data(151, 10, 121, 36);
    Training alone(start, 1), team(start, 3);
    uint32_t epoch = 0;
    for (const uint32_t batch : {40u, 2u, 1u, 8u, 3u, 64u, 2u}) {
      Training fresh(alone.model(), 1);
      const TrainOptions options = gentle(++epoch, batch);
      const double loss = alone.epoch(data.samples(), options);
      CHECK_EQ(fresh.epoch(data.samples(), options), loss);
      CHECK_EQ(team.epoch(data.samples(), options), loss);
      CHECK_MSG(same_bits(fresh.model(), alone.model()) && same_bits(team.model(), alone.model()),
                "motif size " << motif_size << ", batch " << batch);
    }
  }
}

// ---- Ends before the end ----------------------------------------------------------------------------------

/** A network whose steps of 8 are shared, with five layers of blocks of three. */
Model shared_model() {
  return build_model(
      motif_spec(make_spec({61, 160, 150, 140, 130, 10}, 9.0, Activation::relu, Loss::mse), 3));
}

TEST("trainer: a batch that diverges changes nothing, and the place is named") {
  const Deadline deadline("trainer: a batch that diverges");
  const Model start = shared_model();
  Data data = make_data(61, 10, 8 * 40 + 5, 37);
  TrainOptions options = options_for(1, 8);
  options.shuffle = false;
  for (const float bad : {NAN, INFINITY})
    for (const uint64_t batch : {1u, 7u, 41u}) {
      Data broken = data;
      const uint64_t last = std::min<uint64_t>(batch * 8, 8 * 40 + 5) - 1;
      broken.x[last * 61 + 17] = bad;
      Training want(start, 1);
      if (batch > 1) want.epoch(data.first((batch - 1) * 8), options);
      for (const unsigned threads : {1u, 2u, 3u, 5u}) {
        Training got(start, threads);
        const EpochResult result = got.trainer.run_epoch(broken.samples(), options, kGoOn);
        CHECK_EQ(result.divergence.batch, batch);
        CHECK_EQ(result.divergence.samples, size_t{batch == 41 ? 5u : 8u});
        CHECK(got.trainer.place_of_divergence(result.divergence.samples) == "the samples");
        CHECK_MSG(same_bits(got.model(), want.model()), "batch " << batch << ", " << threads << " threads");
        // What is left trains on.
        Training fresh(got.model(), 1);
        CHECK_EQ(got.epoch(data.samples(), options), fresh.epoch(data.samples(), options));
        CHECK(same_bits(got.model(), fresh.model()));
      }
    }
}

TEST("trainer: weights that are not finite and outputs that overflow are told by their layer") {
  const Deadline deadline("trainer: weights that are not finite");
  const Data data = make_data(61, 10, 8 * 4, 38);
  const auto check = [&](auto change, unsigned threads, const std::string& want) {
    Training training(shared_model(), threads);
    change(training.network);
    const Model before = training.model();
    const EpochResult result = training.trainer.run_epoch(data.samples(), options_for(1, 8), kGoOn);
    CHECK_EQ(result.divergence.batch, uint64_t{1});
    CHECK(same_bits(training.model(), before));
    const std::string place = training.trainer.place_of_divergence(result.divergence.samples);
    CHECK_MSG(place == want, "'" << place << "' instead of '" << want << "'");
  };
  for (const unsigned threads : {1u, 3u})
    for (size_t l = 0; l < 5; ++l) {
      const std::string layer = " of layer " + std::to_string(l + 1) + " of 5";
      check([l](PackedNetwork& n) { n.layers[l].weights()[0] = NAN; }, threads, "the weights" + layer);
      check([l](PackedNetwork& n) { n.layers[l].bias[0] = INFINITY; }, threads, "the weights" + layer);
      const auto enlarge = [l](PackedNetwork& n) { enlarge_weights(n.layers[l]); };
      check(enlarge, threads, "the outputs" + layer);
    }
}

TEST("trainer: a cancelled epoch holds whole batches, and no thread is left waiting") {
  const Deadline deadline("trainer: a cancelled epoch");
  const Model start = shared_model();
  const Data data = make_data(61, 10, 8 * 300, 39);
  TrainOptions options = options_for(1, 8);
  options.shuffle = false;
  {
    const std::atomic<bool> already{true};
    Training training(start, 3);
    CHECK(training.trainer.run_epoch(data.samples(), options, already).cancelled);
    CHECK(same_bits(training.model(), start));
  }
  // On one thread every sparse layer passes backward once a step.
  size_t sparse = 0;
  for (const Layer& layer : start.layers) sparse += !layer.dense;
  for (const uint64_t step : {1, 2, 7, 30}) {
    Spy spy(cpu::kernels());
    std::atomic<bool> cancel{false};
    Spy::set_at(step * sparse, cancel);
    Training got(start, 1, spy.table()), want(start, 1);
    CHECK(got.trainer.run_epoch(data.samples(), options, cancel).cancelled);
    want.epoch(data.first(8 * step), options);
    CHECK_MSG(same_bits(got.model(), want.model()), "cancelled in step " << step);
  }
  // Teams: whenever it comes, all threads end with the same step, and the model goes on.
  Random random(40);
  for (int round = 0; round < 60; ++round) {
    Spy spy(cpu::kernels());
    std::atomic<bool> cancel{false};
    Spy::set_at(1 + random.below(290 * sparse), cancel);  // at the latest in step 290 of 300
    Training got(start, 2 + round % 4, spy.table());
    CHECK(got.trainer.run_epoch(data.samples(), options, cancel).cancelled);
    Training fresh(got.model(), 1);
    CHECK_EQ(got.epoch(data.first(100), options), fresh.epoch(data.first(100), options));
    CHECK(same_bits(got.model(), fresh.model()));
  }
}

}  // namespace
}  // namespace set_native
