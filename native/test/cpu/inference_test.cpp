#include "cpu/inference.h"

#include <thread>

#include "test/cpu/kernel_support.h"
#include "test/model_support.h"

/*
 * Evaluation and prediction: against the reference, and any number of threads against one, bit for bit.
 */
namespace set_native {

using namespace test;

namespace {

TEST("evaluation and prediction: agree with the reference for every loss and form of target") {
  for (const Loss loss : {Loss::softmax_cross_entropy, Loss::sigmoid_binary_cross_entropy, Loss::mse})
    for (const uint32_t outputs : {1u, 2u, 7u})
      for (const bool with_targets : {false, true}) {
        if (outputs == 1 && loss == Loss::softmax_cross_entropy) continue;  // refused
        const std::string what = "loss " + std::to_string(static_cast<int>(loss)) + ", outputs " +
                                 std::to_string(outputs) + (with_targets ? ", targets" : ", labels");
        Data data = make_data(20, outputs, 300, 8);
        if (with_targets) {
          for (const uint32_t label : data.labels)
            for (uint32_t o = 0; o < outputs; ++o)
              data.targets.push_back(outputs == 1 ? static_cast<float>(label)
                                     : label == o ? 0.75f
                                                  : 0.25f / static_cast<float>(outputs - 1));
          for (size_t s = 0; s < 300; ++s) data.weights.push_back(static_cast<float>(s % 5));
          data.labels.clear();
        }
        const Model model = build_model(make_spec({20, 32, outputs}, 4.0, Activation::relu, loss));
        const auto cpu = on_cpu(model, 2), reference = on_reference(model);
        const Evaluation got = cpu->evaluate(data.samples(), kGoOn),
                         want = reference->evaluate(data.samples(), kGoOn);
        CHECK_MSG(std::fabs(got.loss - want.loss) <= 1e-6 * want.loss,
                  what << ": loss " << got.loss << ", expected " << want.loss);
        CHECK_MSG(got.accuracy == want.accuracy,
                  what << ": accuracy " << got.accuracy << ", expected " << want.accuracy);
        CHECK((want.accuracy > 0.0) == !with_targets);

        std::vector<float> got_outputs(300 * outputs), want_outputs(300 * outputs);
        cpu->predict(data.samples(), got_outputs.data(), kGoOn);
        reference->predict(data.samples(), want_outputs.data(), kGoOn);
        for (size_t k = 0; k < got_outputs.size(); ++k)
          CHECK_MSG(
              std::fabs(got_outputs[k] - want_outputs[k]) <= 2e-6f * (1.0f + std::fabs(want_outputs[k])),
              what << ": output " << k << " is " << got_outputs[k] << ", expected " << want_outputs[k]);
      }
}

TEST("evaluation: outputs that saturate are told apart by their logits") {
  const Data data = make_data(20, 10, 200, 29);
  Model model = build_model(make_spec({20, 10}, 0.0, Activation::relu, Loss::sigmoid_binary_cross_entropy));
  for (float& w : model.layers[0].weights) w *= 1000.0f;
  const double accuracy = on_cpu(model)->evaluate(data.samples(), kGoOn).accuracy;
  CHECK_EQ(accuracy, on_reference(model)->evaluate(data.samples(), kGoOn).accuracy);
}

/** A network of every storage: single links, blocks that stick out over their layer, dense. */
std::vector<Model> models() {
  std::vector<Model> all;
  for (const uint32_t motif_size : {1u, 2u, 3u, 4u, 8u}) {
    ModelSpec spec = make_spec({61, 101, 90, 10}, 6.0, Activation::relu, Loss::softmax_cross_entropy);
    spec.topology = motif_size == 1 ? Topology::erdos_renyi : Topology::motif;
    spec.motif_size = motif_size;
    all.push_back(build_model(spec));
    for (Layer& layer : all.back().layers) std::fill(layer.bias.begin(), layer.bias.end(), 0.05f);
  }
  all.push_back(build_model(make_spec({61, 101, 10}, 0.0, Activation::relu, Loss::softmax_cross_entropy)));
  for (const Activation activation : {Activation::all_relu, Activation::srelu, Activation::leaky_relu})
    all.push_back(build_model(make_spec({61, 101, 90, 10}, 6.0, activation, Loss::softmax_cross_entropy)));
  return all;
}

struct Answers {
  std::vector<float> outputs;
  Evaluation evaluation;
};

/** What a network answers on so many threads. */
Answers answers(const Model& model, const Samples& samples, unsigned threads, const cpu::KernelTable& table) {
  const PackedNetwork network = pack_network(model);
  ThreadPool pool(threads);
  cpu::Inference inference(network, table, pool);
  Answers all;
  all.outputs.assign(samples.count * network.outputs(), NAN);
  inference.predict(samples, all.outputs.data(), kGoOn);
  all.evaluation = inference.evaluate(samples, kGoOn);
  return all;
}

void check_answers(const Model& model, const Data& data, const std::vector<uint64_t>& counts,
                   const cpu::KernelTable& table, const std::string& where) {
  const auto reference = on_reference(model);
  for (const uint64_t count : counts) {
    const std::string what = where + ", " + std::to_string(count) + " samples";
    const Samples samples = data.first(count);
    const Answers one = answers(model, samples, 1, table);
    std::vector<float> want(one.outputs.size());
    reference->predict(samples, want.data(), kGoOn);
    for (size_t k = 0; k < want.size(); ++k)
      CHECK_MSG(std::fabs(one.outputs[k] - want[k]) <= 2e-6f,
                what << ": output " << k << " is " << one.outputs[k] << ", expected " << want[k]);
    const Evaluation evaluation = reference->evaluate(samples, kGoOn);
    CHECK_MSG(std::fabs(one.evaluation.loss - evaluation.loss) <= 1e-6 * evaluation.loss,
              what << ": loss " << one.evaluation.loss << ", expected " << evaluation.loss);
    CHECK_EQ(one.evaluation.accuracy, evaluation.accuracy);
    for (const unsigned threads : {2u, 3u, 9u}) {
      const Answers more = answers(model, samples, threads, table);
      CHECK_MSG(more.outputs == one.outputs && more.evaluation.loss == one.evaluation.loss &&
                    more.evaluation.accuracy == one.evaluation.accuracy,
                what << ": " << threads << " threads give other bits");
    }
  }
}

void inference_parity(const cpu::KernelTable& table) {
  const Data data = make_data(61, 10, 1000, 9);
  for (const Model& model : models())
    check_answers(model, data, {1, 2, 3, 5, 8, 63, 64, 65, 1000}, table,
                  std::string(table.name) + ", model " + std::to_string(&model - &models()[0]));
}

TEST_EACH_ISA("inference: agrees with the reference, with the same bits on any number of threads",
              inference_parity)

/** Single samples get the bits of scattering before and after links are sorted by target. */
void sorted_links(const cpu::KernelTable& table) {
  const Data data = make_data(61, 10, 40, 51);
  std::vector<Model> all = models();
  // Sources and targets beyond 16 bits; a target without links; fewer targets than a bundle; bundles of equal
  // and unequal lengths.
  all.push_back(build_model(make_spec({61, 70000, 10}, 0.5, Activation::relu, Loss::softmax_cross_entropy)));
  all.push_back(build_model(make_spec({61, 9, 10}, 1.0, Activation::tanh, Loss::softmax_cross_entropy)));
  all.push_back(build_model(make_spec({61, 333, 10}, 0.6, Activation::leaky_relu, Loss::mse)));
  for (const Model& model : all) {
    const std::string what = std::string(table.name) + ", model " + std::to_string(&model - &all[0]);
    const PackedNetwork network = pack_network(model);
    ThreadPool pool(2);
    cpu::Inference inference(network, table, pool);
    const auto one_by_one = [&] {
      std::vector<float> outputs(40 * network.outputs(), NAN);
      for (uint64_t s = 0; s < 40; ++s) {
        Samples one = data.samples();
        one.x += s * 61;
        one.count = 1;
        inference.predict(one, outputs.data() + s * network.outputs(), kGoOn);
      }
      return outputs;
    };
    // Each sample by a model that has answered nothing yet.
    std::vector<float> want(40 * network.outputs(), NAN);
    for (uint64_t s = 0; s < 40; ++s) {
      Samples one = data.samples();
      one.x += s * 61;
      one.count = 1;
      cpu::Inference(network, table, pool).predict(one, want.data() + s * network.outputs(), kGoOn);
    }
    CHECK_MSG(one_by_one() == want, what << ": the first answers have other bits");
    CHECK_MSG(one_by_one() == want, what << ": later answers have other bits");
    // Requests that are computed together, of one and of several rows.
    std::vector<float> together(40 * network.outputs(), NAN);
    std::vector<Request> requests;
    for (uint64_t s = 0; s < 40; ++s) {
      Request request{data.samples(), together.data() + s * network.outputs()};
      request.samples.x += s * 61;
      request.samples.count = 1;
      requests.push_back(request);
    }
    for (const std::exception_ptr& failure : inference.predict_each(requests, kGoOn))
      CHECK(failure == nullptr);
    CHECK_MSG(together == want, what << ": requests together have other bits");
  }
}

TEST_EACH_ISA("inference: single samples keep their bits when links are sorted by target for them",
              sorted_links)

TEST("inference: links sorted by target follow training and evolution") {
  const Data data = make_data(61, 10, 100, 52);
  for (const Model& model : models()) {
    const auto served = on_cpu(model, 2), fresh = on_cpu(model, 2);
    Samples one = data.samples();
    one.count = 1;
    const auto ask = [&](BackendModel& of) {
      std::vector<float> outputs(10);
      of.predict(one, outputs.data(), kGoOn);
      return outputs;
    };
    TrainOptions options;
    options.batch_size = 20;
    EvolutionPolicy policy;
    policy.zeta = 0.3f;
    for (uint32_t epoch = 1; epoch <= 3; ++epoch) {
      std::vector<float> before;
      for (int time = 0; time < 40; ++time) before = ask(*served);
      options.epoch = epoch;
      for (BackendModel* each : {served.get(), fresh.get()}) {
        each->train_epoch(data.samples(), options, kGoOn);
        if (epoch == 2) each->evolve(policy, {2});
      }
      std::vector<float> after;
      for (int time = 0; time < 40; ++time) after = ask(*served);
      CHECK(after == ask(*fresh));
      CHECK(after != before);
    }
  }
}

TEST("inference: batches of wide networks are cut smaller, with the same answers") {
  for (const uint32_t motif_size : {1u, 8u}) {
    ModelSpec spec = make_spec({9, 20001, 4}, 1.0, Activation::tanh, Loss::softmax_cross_entropy);
    if (motif_size > 1) spec.topology = Topology::motif;
    spec.motif_size = motif_size;
    check_answers(build_model(spec), make_data(9, 4, 70, 41), {1, 70}, cpu::kernels(),
                  "motif size " + std::to_string(motif_size));
  }
}

TEST("inference: one call leaves nothing for the next, not even numbers that are not finite") {
  const Data data = make_data(61, 10, 200, 42);
  Data spoilt = data;
  std::fill(spoilt.x.begin(), spoilt.x.end(), NAN);
  for (const Model& model : models()) {
    const PackedNetwork network = pack_network(model);
    ThreadPool pool(2);
    cpu::Inference inference(network, cpu::kernels(), pool);
    for (const uint64_t count : {200, 1, 65, 2, 5, 64}) {
      std::vector<float> outputs(count * network.outputs());
      std::vector<float> none(200 * network.outputs());
      CHECK_THROWS(non_finite, (inference.predict(spoilt.samples(), none.data(), kGoOn), 0));
      inference.predict(data.first(count), outputs.data(), kGoOn);
      CHECK(outputs == answers(model, data.first(count), 1, cpu::kernels()).outputs);
    }
  }
}

TEST("inference: what is not finite is told by its place") {
  const Data good = make_data(61, 10, 130, 43);
  Data bad = good;
  bad.x[129 * 61 + 7] = NAN;
  for (const Model& model : models()) {
    const size_t layers = model.layers.size();
    const auto message = [&](const Data& data, auto change) -> std::string {
      PackedNetwork network = pack_network(model);
      change(network);
      ThreadPool pool(3);
      try {
        cpu::Inference(network, cpu::kernels(), pool).evaluate(data.samples(), kGoOn);
      } catch (const Error& error) {
        CHECK(error.code() == ErrorCode::non_finite);
        return error.what();
      }
      return "nothing";
    };
    const auto check = [](const std::string& text, const std::string& part) {
      CHECK_MSG(text.find(part) != std::string::npos, "'" << text << "' lacks '" << part << "'");
    };
    CHECK(message(good, [](PackedNetwork&) {}) == "nothing");
    check(message(bad, [](PackedNetwork&) {}), "the samples overflowed");
    for (size_t l = 0; l < layers; ++l) {
      const std::string layer =
          " of layer " + std::to_string(l + 1) + " of " + std::to_string(layers) + " overflowed";
      check(message(good, [l](PackedNetwork& n) { n.layers[l].bias[1] = NAN; }), "the weights" + layer);
      check(message(good, [l](PackedNetwork& n) { enlarge_weights(n.layers[l]); }), "the outputs" + layer);
    }
  }
}

TEST(
    "inference: predictions that overflow are refused by row and place, also where softmax or sigmoid hides "
    "it") {
  for (const Loss loss : {Loss::softmax_cross_entropy, Loss::sigmoid_binary_cross_entropy, Loss::mse})
    for (const uint64_t count : {1, 2, 70, 300})
      for (const uint64_t row : {uint64_t{0}, count / 2, count - 1}) {
        const Overflow overflow(loss, count, row);
        for (const unsigned threads : {1u, 3u}) {
          const std::string got = overflow.message(*on_cpu(overflow.model, threads));
          const std::string want =
              "for row " + std::to_string(row) + ", the outputs of layer 2 of 2 overflowed";
          CHECK_MSG(got.find(want) != std::string::npos, "'" << got << "' lacks '" << want << "'");
        }
      }
}

TEST("inference: the reference refuses predictions that overflow a double, or the float of an output") {
  Model deep = build_model(make_spec(std::vector<uint32_t>(11, 4), 0.0, Activation::linear, Loss::mse));
  for (Layer& layer : deep.layers) std::fill(layer.weights.begin(), layer.weights.end(), 1e38f);
  for (const Loss loss : {Loss::softmax_cross_entropy, Loss::sigmoid_binary_cross_entropy, Loss::mse}) {
    Overflow overflow(loss, 200, 150);
    deep.loss = loss;
    overflow.model = deep;
    overflow.data = make_data(4, 4, 200, 45);
    std::fill(overflow.data.x.begin(), overflow.data.x.begin() + 150 * 4, 0.0f);
    const std::string got = overflow.message(*on_reference(deep));
    CHECK_MSG(got.find("for row 150,") != std::string::npos, "'" << got << "'");
  }
  const Overflow single(Loss::mse, 3, 1);
  CHECK(single.message(*on_reference(single.model)).find("for row 1,") != std::string::npos);
}

/** The outputs of requests of `counts` rows, each cut from the samples behind the one before. */
std::vector<std::vector<float>> outputs_of(BackendModel& model, const Data& data,
                                           const std::vector<uint64_t>& counts, bool together) {
  std::vector<std::vector<float>> outputs;
  std::vector<Request> requests;
  uint64_t first = 0;
  for (const uint64_t count : counts) {
    Samples samples = data.samples();
    samples.x += first * samples.features;
    samples.labels = nullptr;
    samples.count = count;
    outputs.emplace_back(count * 10, -1.0f);
    requests.push_back({samples, outputs.back().data()});
    first += count;
  }
  if (together) {
    for (const std::exception_ptr& failure : model.predict_each(requests, kGoOn)) CHECK(failure == nullptr);
  } else {
    for (const Request& request : requests) model.predict(request.samples, request.out, kGoOn);
  }
  return outputs;
}

TEST("inference: requests that are predicted together get the bits that each gets alone") {
  const Data data = make_data(61, 10, 700, 46);
  const std::vector<uint64_t> counts = {1, 200, 3, 1, 2, 64, 65, 17, 1, 130, 31};
  for (const Model& model : models()) {
    const auto alone = outputs_of(*on_cpu(model, 1), data, counts, false);
    for (const unsigned threads : {1u, 2u, 5u})
      CHECK(outputs_of(*on_cpu(model, threads), data, counts, true) == alone);
  }
  const Model first = models().front();
  CHECK(outputs_of(*on_reference(first), data, counts, true) ==
        outputs_of(*on_reference(first), data, counts, false));
}

TEST("inference: of requests that are predicted together those fail that would fail alone") {
  const Data data = make_data(61, 10, 200, 47);
  Data overflowing = make_data(61, 10, 100, 48);
  overflowing.x[61 * 70 + 5] = 3e38f;
  Data narrow = make_data(60, 10, 5, 49);
  Model model = models().front();
  for (float& w : model.layers[0].weights) w *= 1e3f;
  for (const unsigned threads : {1u, 3u}) {
    const auto cpu = on_cpu(model, threads);
    std::vector<std::vector<float>> outputs(5, std::vector<float>(200 * 10));
    std::vector<Request> requests;
    const auto request = [&](const Data& of, uint64_t count) {
      Samples samples = of.samples();
      samples.labels = nullptr;
      samples.count = count;
      requests.push_back({samples, outputs[requests.size()].data()});
    };
    request(data, 3);
    request(overflowing, 100);
    request(narrow, 5);
    request(overflowing, 70);
    request(data, 200);
    const auto failures = cpu->predict_each(requests, kGoOn);
    for (const size_t r : {0, 3, 4}) {
      CHECK(failures[r] == nullptr);
      std::vector<float> alone(outputs[r].size());
      cpu->predict(requests[r].samples, alone.data(), kGoOn);
      CHECK(outputs[r] == alone);
    }
    const auto message = [&](size_t r) -> std::string {
      try {
        std::rethrow_exception(failures[r]);
      } catch (const Error& error) {
        return error.what();
      }
    };
    CHECK(message(1).find("for row 70,") != std::string::npos);
    CHECK(message(2).find("[predict]") == 0);
    std::atomic<bool> cancel{true};
    for (const std::exception_ptr& failure : cpu->predict_each(requests, cancel)) CHECK(failure != nullptr);
  }
}

TEST("inference: cancelled at any time, and used again") {
  const Data data = make_data(61, 10, 1000, 44);
  const PackedNetwork network = pack_network(models().front());
  for (const unsigned threads : {1u, 3u}) {
    ThreadPool pool(threads);
    cpu::Inference inference(network, cpu::kernels(), pool);
    std::vector<float> outputs(1000 * 10);
    for (int round = 0; round < 10; ++round) {
      std::atomic<bool> cancel{round == 0};
      std::thread canceller([&] {
        std::this_thread::sleep_for(std::chrono::microseconds(100 * round));
        cancel = true;
      });
      const auto until_cancelled = [&] {
        for (;;) {
          inference.predict(data.samples(), outputs.data(), cancel);
          inference.evaluate(data.samples(), cancel);
        }
      };
      CHECK_THROWS(aborted, (until_cancelled(), 0));
      canceller.join();
    }
    inference.predict(data.samples(), outputs.data(), kGoOn);
    CHECK(outputs == answers(models().front(), data.samples(), 1, cpu::kernels()).outputs);
  }
}

}  // namespace
}  // namespace set_native
