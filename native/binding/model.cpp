#include "binding/model.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <optional>
#include <utility>
#include <vector>

#include "backends.h"
#include "binding/arguments.h"
#include "binding/samples.h"
#include "core/error.h"
#include "core/topology.h"
#include "cpu/kernels.h"

namespace set_native::binding {

namespace {

using Clock = std::chrono::steady_clock;

/** The tag of states that create_model passes to the constructor, by which any other External is refused. */
constexpr napi_type_tag kStateTag = {0x2d94b1f07c6e4a83ull, 0xb5a80c3f91d7e642ull};

/** Multiply-adds of a prediction that takes about 0.2 ms, as long as to start a thread and wait for it. */
constexpr uint64_t kAtOnce = 1u << 19;

double ms_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

constexpr std::initializer_list<std::pair<const char*, Activation>> kActivations = {
    {"relu", Activation::relu},
    {"tanh", Activation::tanh},
    {"sigmoid", Activation::sigmoid},
    {"linear", Activation::linear},
    {"all-relu", Activation::all_relu},
    {"srelu", Activation::srelu},
    {"leaky-relu", Activation::leaky_relu}};

const char* activation_name(Activation activation) {
  for (const auto& [name, value] : kActivations)
    if (value == activation) return name;
  return "";
}

ModelSpec model_spec(const Napi::Object& spec) {
  ModelSpec out;
  const Napi::Value sizes = spec.Get("sizes");
  if (!sizes.IsArray()) throw Error(ErrorCode::invalid_argument, "[create] sizes must be an array");
  const auto list = sizes.As<Napi::Array>();
  for (uint32_t k = 0; k < list.Length(); ++k)
    out.sizes.push_back(integer(list.Get(k), "[create] sizes[" + std::to_string(k) + "]", 1, 0xffffffffu));
  out.topology = choice<Topology>(spec.Get("topology"), "[create] topology",
                                  {{"erdos-renyi", Topology::erdos_renyi},
                                   {"motif", Topology::motif},
                                   {"motif-printed", Topology::motif_printed},
                                   {"dense", Topology::dense}});
  out.epsilon = number(spec.Get("epsilon"), "[create] epsilon");
  out.motif_size = integer(spec.Get("motifSize"), "[create] motifSize", 2, kMaxMotifSize);
  out.init =
      choice<Init>(spec.Get("init"), "[create] init",
                   {{"he-dense", Init::he_dense}, {"he-fan-in", Init::he_fan_in}, {"normal", Init::normal}});
  out.activation = choice<Activation>(spec.Get("activation"), "[create] activation", kActivations);
  out.alpha = number(spec.Get("alpha"), "[create] alpha");
  out.optimizer = choice<Optimizer>(spec.Get("optimizer"), "[create] optimizer",
                                    {{"sgd", Optimizer::sgd}, {"adamw", Optimizer::adamw}});
  out.loss = choice<Loss>(spec.Get("loss"), "[create] loss",
                          {{"softmax-cross-entropy", Loss::softmax_cross_entropy},
                           {"sigmoid-binary-cross-entropy", Loss::sigmoid_binary_cross_entropy},
                           {"mse", Loss::mse}});
  out.seed = seed_of(spec.Get("seed"), "[create] seed");
  return out;
}

const Backend& backend_of(const Napi::Object& spec) {
  const Napi::Value name = spec.Get("backend");
  return find_backend(name.IsString() ? name.As<Napi::String>().Utf8Value() : "");
}

TrainOptions train_options(const Napi::Object& options) {
  TrainOptions out;
  out.epoch = integer(options.Get("epoch"), "[train] epoch", 1, 0xffffffffu);
  out.batch_size = integer(options.Get("batchSize"), "[train] batchSize", 1, 1u << 16);
  out.learning_rate = finite_float(options.Get("learningRate"), "[train] learningRate");
  copy_array(options, "learningRates", "[train]", out.learning_rates);
  copy_array(options, "decays", "[train]", out.decays);
  out.momentum = finite_float(options.Get("momentum"), "[train] momentum");
  out.beta2 = finite_float(options.Get("beta2"), "[train] beta2");
  out.tiny = finite_float(options.Get("tiny"), "[train] tiny");
  out.l2 = finite_float(options.Get("l2"), "[train] l2");
  out.decay = finite_float(options.Get("decay"), "[train] decay");
  out.dropout = finite_float(options.Get("dropout"), "[train] dropout");
  out.shuffle = boolean(options.Get("shuffle"), "[train] shuffle");
  out.first_step = integer(options.Get("firstStep"), "[train] firstStep", 0, 0xffffffffu);
  out.steps = integer(options.Get("steps"), "[train] steps", 1, 0xffffffffu);
  return out;
}

EvolutionPolicy evolution_policy(const Napi::Object& policy) {
  EvolutionPolicy out;
  out.zeta = number(policy.Get("zeta"), "[evolve] zeta");
  out.prune =
      choice<Prune>(policy.Get("prune"), "[evolve] prune",
                    {{"by-sign", Prune::by_sign}, {"thesis", Prune::thesis}, {"lowest", Prune::lowest}});
  out.grow = choice<Grow>(policy.Get("grow"), "[evolve] grow",
                          {{"random", Grow::random}, {"walk", Grow::walk}, {"gradient", Grow::gradient}});
  out.regrow_init = choice<RegrowInit>(
      policy.Get("regrowInit"), "[evolve] regrowInit",
      {{"he-dense", RegrowInit::he_dense}, {"zero", RegrowInit::zero}, {"he-fan-in", RegrowInit::he_fan_in}});
  out.motif_size = integer(policy.Get("motifSize"), "[evolve] motifSize", 1, kMaxMotifSize);
  out.score = choice<MotifScore>(policy.Get("score"), "[evolve] score",
                                 {{"mean", MotifScore::mean},
                                  {"max", MotifScore::max},
                                  {"min", MotifScore::min},
                                  {"sum", MotifScore::sum}});
  out.parse = choice<MotifParse>(policy.Get("parse"), "[evolve] parse",
                                 {{"aligned", MotifParse::aligned}, {"runs", MotifParse::runs}});
  out.evolve_output = boolean(policy.Get("evolveOutput"), "[evolve] evolveOutput");
  check_policy(out);
  return out;
}

/** Returns an object of numbers. */
Napi::Object numbers(Napi::Env env, std::initializer_list<std::pair<const char*, double>> entries) {
  auto out = Napi::Object::New(env);
  for (const auto& [name, value] : entries) out.Set(name, value);
  return out;
}

Napi::Object layer_to_js(Napi::Env env, const Layer& layer) {
  auto out = Napi::Object::New(env);
  out.Set("inputs", layer.inputs);
  out.Set("outputs", layer.outputs);
  out.Set("dense", layer.dense);
  out.Set("activation", activation_name(layer.activation));
  out.Set("rowOffsets", typed_array(env, layer.links.row_offsets));
  out.Set("colIndices", typed_array(env, layer.links.col_indices));
  const auto set = [&](const char* name, const auto& values) { out.Set(name, typed_array(env, values)); };
  for_each_link_array(set, layer);
  for_each_neuron_array(set, layer);
  return out;
}

/** Returns a layer from what layer_to_js returns. Its contents are for check_model to check. */
Layer layer_from_js(const Napi::Value& value, const std::string& what) {
  const Napi::Object from = object(value, what);
  Layer layer;
  layer.inputs = integer(from.Get("inputs"), what + ".inputs", 1, 0xffffffffu);
  layer.outputs = integer(from.Get("outputs"), what + ".outputs", 1, 0xffffffffu);
  layer.dense = boolean(from.Get("dense"), what + ".dense");
  layer.activation = choice<Activation>(from.Get("activation"), what + ".activation", kActivations);
  if (!layer.dense) {
    layer.links.rows = layer.inputs;
    layer.links.cols = layer.outputs;
    copy_array(from, "rowOffsets", what, layer.links.row_offsets);
    copy_array(from, "colIndices", what, layer.links.col_indices);
  }
  const auto copy = [&](const char* name, auto& values) { copy_array(from, name, what, values); };
  for_each_link_array(copy, layer);
  for_each_neuron_array(copy, layer);
  return layer;
}

/**
 * Returns a model of given layers, whose sizes must be those of `spec`; it also gives loss and seed. Back
 * ends check the rest when they take the model, on another thread.
 */
Model model_from_js(const Napi::Value& value, const ModelSpec& spec) {
  if (!value.IsArray()) throw Error(ErrorCode::invalid_argument, "[create] layers must be an array");
  const auto list = value.As<Napi::Array>();
  if (list.Length() + 1 != spec.sizes.size())
    throw Error(ErrorCode::shape, "[create] expected " + std::to_string(spec.sizes.size() - 1) +
                                      " layers, got " + std::to_string(list.Length()));
  Model model;
  model.optimizer = spec.optimizer;
  model.loss = spec.loss;
  model.seed = spec.seed;
  for (uint32_t l = 0; l < list.Length(); ++l) {
    const std::string what = "[create] layers[" + std::to_string(l) + "]";
    Layer layer = layer_from_js(list.Get(l), what);
    if (layer.inputs != spec.sizes[l] || layer.outputs != spec.sizes[l + 1])
      throw Error(ErrorCode::shape, what + " must be " + std::to_string(spec.sizes[l]) + " x " +
                                        std::to_string(spec.sizes[l + 1]) + ", got " +
                                        std::to_string(layer.inputs) + " x " + std::to_string(layer.outputs));
    start_moments(layer, spec.optimizer);
    model.layers.push_back(std::move(layer));
  }
  return model;
}

Napi::Object stats_to_js(Napi::Env env, const LayerStats& stats) {
  auto out = Napi::Object::New(env);
  out.Set("inputs", stats.inputs);
  out.Set("outputs", stats.outputs);
  out.Set("dense", stats.dense);
  out.Set("nnz", static_cast<double>(stats.nnz));
  auto births = Napi::Array::New(env, stats.links_by_birth.size());
  for (uint32_t e = 0; e < stats.links_by_birth.size(); ++e)
    births.Set(e, static_cast<double>(stats.links_by_birth[e]));
  out.Set("linksByBirth", births);
  return out;
}

/**
 * Trains an epoch, and notes in the state if it diverged: weights may be NaN then, and a ReLU would turn them
 * into 0 without a trace.
 */
double train(ModelState& state, const SamplesData& samples, TrainOptions options) {
  options.progress = &state.steps_done;
  try {
    return state.model->train_epoch(samples.view(), options, state.cancel);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::non_finite) state.diverged = options.epoch;
    throw;
  }
}

template <class T, class ToJs>
Napi::Array array_of(Napi::Env env, const std::vector<T>& items, ToJs to_js) {
  auto out = Napi::Array::New(env, items.size());
  for (uint32_t k = 0; k < items.size(); ++k) out.Set(k, to_js(env, items[k]));
  return out;
}

}  // namespace

Napi::Function ModelObject::define(Napi::Env env) {
  return DefineClass(
      env, "Model",
      {InstanceMethod<&ModelObject::train_epoch>("trainEpoch"),
       InstanceMethod<&ModelObject::steps_done>("stepsDone"),
       InstanceMethod<&ModelObject::evaluate>("evaluate"), InstanceMethod<&ModelObject::check>("check"),
       InstanceMethod<&ModelObject::predict>("predict"),
       InstanceMethod<&ModelObject::predict_each>("predictEach"),
       InstanceMethod<&ModelObject::evolve>("evolve"), InstanceMethod<&ModelObject::stats>("stats"),
       InstanceMethod<&ModelObject::reachability>("reachability"),
       InstanceMethod<&ModelObject::download>("download"), InstanceMethod<&ModelObject::abort>("abort"),
       InstanceMethod<&ModelObject::dispose>("dispose")});
}

/** Takes the state from an External that only create_model can make. */
ModelObject::ModelObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<ModelObject>(info) {
  const Napi::Env env = info.Env();
  if (!info[0].IsExternal() || !info[0].As<Napi::External<void>>().CheckTypeTag(&kStateTag))
    throw make_error(env, "ERR_INVALID_ARGUMENT", "[create] models are made by createModel(spec)");
  state_ = *info[0].As<Napi::External<std::shared_ptr<ModelState>>>().Data();
  // Own properties, because Node-API checks the receiver of a method but not that of an accessor.
  info.This().As<Napi::Object>().DefineProperties(
      {Napi::PropertyDescriptor::Value("backend", Napi::String::New(env, state_->backend), napi_enumerable),
       Napi::PropertyDescriptor::Value("threads", Napi::Number::New(env, state_->model->threads()),
                                       napi_enumerable)});
  Napi::MemoryManagement::AdjustExternalMemory(env, state_->bytes);
}

Napi::Value create_model(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    // Options.
    const Napi::Object options = object(info[0], "[create] spec");
    const ModelSpec spec = model_spec(options);
    const Backend& backend = backend_of(options);
    const uint32_t threads = integer(options.Get("threads"), "[create] threads", 0, kMaxThreads);
    const Availability availability = backend.probe();
    if (!availability.available)
      throw Error(ErrorCode::backend_unavailable,
                  std::string("[create] expected a back end that works here, but ") + backend.name() +
                      " is " + availability.reason);
    // Layers, if they are given.
    auto state = std::make_shared<ModelState>();
    state->backend = backend.name();
    auto given = std::make_shared<std::optional<Model>>();
    if (!info[1].IsUndefined()) given->emplace(model_from_js(info[1], spec));
    // Build the model on another thread. SET_NATIVE_ISA is read before, because the JavaScript thread may
    // change environment variables while a job runs.
    const BackendOptions backend_options{threads, cpu::kernels().name};
    return run_job(
        info.Env(),
        [state, spec, given, &backend, backend_options]() -> Convert {
          state->bytes = static_cast<int64_t>(backend.model_bytes(spec));
          Model model = given->has_value() ? std::move(given->value()) : build_model(spec);
          state->features = model.layers.front().inputs;
          state->outputs = model.layers.back().outputs;
          state->loss = model.loss;
          for (const Layer& layer : model.layers) state->links += layer.nnz();
          state->model = backend.create(std::move(model), backend_options);
          return [state](Napi::Env env) -> Napi::Value {
            auto holder = state;
            const auto external = Napi::External<std::shared_ptr<ModelState>>::New(env, &holder);
            external.TypeTag(&kStateTag);
            return model_class(env).New({external});
          };
        },
        [] {}, [] {});
  });
}

Napi::Value model_bytes(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const Napi::Object given = object(info[0], "[create] spec");
    return Napi::Number::New(info.Env(), backend_of(given).model_bytes(model_spec(given)));
  });
}

Napi::Promise ModelObject::start(Napi::Env env, const char* operation, Purpose purpose,
                                 std::function<Convert(ModelState&)> work, bool at_once) {
  const std::string where = std::string("[") + operation + "] ";
  if (state_->disposed) throw make_error(env, "ERR_DISPOSED", where + "this model was disposed of");
  if (state_->busy)
    throw make_error(env, "ERR_BUSY", where + "this model is at work already; await its other call first");
  if (purpose == Purpose::compute && state_->diverged != 0)
    throw make_error(env, "ERR_NON_FINITE",
                     where + "the training of this model diverged in epoch " +
                         std::to_string(state_->diverged) +
                         "; create a new one, and train it with a lower learning rate or scaled data");
  state_->cancel = false;
  const auto state = state_;
  if (at_once) return run_at_once(env, [state, &work] { return work(*state); });
  const Napi::Promise promise = run_job(
      env, [state, work = std::move(work)] { return work(*state); },
      [state] {
        state->busy = false;
        if (state->disposed) state->model.reset();
      },
      [state] { state->cancel = true; });
  state_->busy = true;
  return promise;
}

Napi::Value ModelObject::train_epoch(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto samples = SamplesObject::from(info[0], "train");
    const TrainOptions options = train_options(object(info[1], "[train] options"));
    if (!state_->busy) state_->steps_done = options.first_step;
    return start(info.Env(), "train", Purpose::compute, [samples, options](ModelState& state) -> Convert {
      const auto begin = Clock::now();
      const double loss = train(state, *samples, options);
      const double ms = ms_since(begin);
      return [loss, ms](Napi::Env env) -> Napi::Value {
        return numbers(env, {{"loss", loss}, {"durationMs", ms}});
      };
    });
  });
}

Napi::Value ModelObject::steps_done(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(state_->steps_done.load()));
}

Napi::Value ModelObject::evaluate(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto samples = SamplesObject::from(info[0], "evaluate");
    return start(info.Env(), "evaluate", Purpose::compute, [samples](ModelState& state) -> Convert {
      const auto begin = Clock::now();
      const Evaluation result = state.model->evaluate(samples->view(), state.cancel);
      const double ms = ms_since(begin);
      return [result, ms](Napi::Env env) -> Napi::Value {
        return numbers(env, {{"loss", result.loss}, {"accuracy", result.accuracy}, {"durationMs", ms}});
      };
    });
  });
}

/** check(samples, operation) rejects unless the model can be trained and evaluated on the samples. */
Napi::Value ModelObject::check(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto samples = SamplesObject::from(info[0], "check");
    const std::string operation = text(info[1], "[check] operation");
    return start(info.Env(), "check", Purpose::look, [samples, operation](ModelState& state) -> Convert {
      check_targets(samples->view(), state.features, state.outputs, state.loss, operation);
      return [](Napi::Env env) -> Napi::Value { return env.Undefined(); };
    });
  });
}

/**
 * Samples to predict, whose labels and targets may be those of another model: then they go without, and
 * without the id by which a device keeps them.
 */
Samples rows_of(const SamplesData& data, uint32_t outputs) {
  Samples rows = data.view();
  const uint32_t classes = std::max(outputs, 2u);
  const bool fit = (rows.targets == nullptr || rows.outputs == outputs) &&
                   (rows.labels == nullptr || std::all_of(rows.labels, rows.labels + rows.count,
                                                          [&](uint32_t l) { return l < classes; }));
  if (fit) return rows;
  rows.labels = nullptr;
  rows.targets = rows.weights = nullptr;
  rows.id = 0;
  return rows;
}

Napi::Value ModelObject::predict(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto samples = SamplesObject::from(info[0], "predict");
    const auto predict = [samples](ModelState& state) -> Convert {
      const double cells = static_cast<double>(samples->count) * state.outputs;
      require_memory(2 * sizeof(float) * cells,
                     "[predict] " + std::to_string(samples->count) + " rows of outputs");
      auto out = std::make_shared<std::vector<float>>(samples->count * state.outputs);
      state.model->predict(rows_of(*samples, state.outputs), out->data(), state.cancel);
      return [out](Napi::Env env) -> Napi::Value { return typed_array(env, *out); };
    };
    const bool at_once = state_->backend == "cpu" && samples->count * state_->links <= kAtOnce;
    return start(info.Env(), "predict", Purpose::compute, predict, at_once);
  });
}

/** Returns the exception as a JavaScript error. */
Napi::Value error_value(Napi::Env env, const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (...) {
    return current_error(env).Value();
  }
}

Napi::Value ModelObject::predict_each(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    if (!info[0].IsArray())
      throw Error(ErrorCode::invalid_argument, "[predict] expected an array of Samples objects");
    const auto list = info[0].As<Napi::Array>();
    std::vector<std::shared_ptr<const SamplesData>> all;
    uint64_t rows = 0;
    for (uint32_t r = 0; r < list.Length(); ++r) {
      all.push_back(SamplesObject::from(list.Get(r), "predict"));
      rows += all.back()->count;
    }
    const auto predict = [all, rows](ModelState& state) -> Convert {
      const size_t outputs = state.outputs;
      require_memory(2.0 * sizeof(float) * static_cast<double>(rows) * static_cast<double>(outputs),
                     "[predict] " + std::to_string(rows) + " rows of outputs");
      auto out = std::make_shared<std::vector<std::vector<float>>>();
      std::vector<Request> requests;
      for (const auto& samples : all) {
        out->emplace_back(samples->count * outputs);
        requests.push_back({samples->view(), out->back().data()});
      }
      const auto failures = state.model->predict_each(requests, state.cancel);
      return [out, failures](Napi::Env env) -> Napi::Value {
        auto results = Napi::Array::New(env, out->size());
        for (uint32_t r = 0; r < out->size(); ++r)
          results.Set(r,
                      failures[r] == nullptr ? typed_array(env, (*out)[r]) : error_value(env, failures[r]));
        return results;
      };
    };
    const bool at_once = state_->backend == "cpu" && rows * state_->links <= kAtOnce;
    return start(info.Env(), "predict", Purpose::compute, predict, at_once);
  });
}

Napi::Value ModelObject::evolve(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const EvolutionPolicy policy = evolution_policy(object(info[0], "[evolve] policy"));
    EvolutionTime time;
    time.epoch = integer(info[1], "[evolve] epoch", 1, 0xffffffffu);
    if (!info[2].IsUndefined()) time.step = integer(info[2], "[evolve] step", 1, (uint32_t{1} << 31) - 1);
    std::shared_ptr<const SamplesData> probe;
    if (!info[3].IsUndefined()) probe = SamplesObject::from(info[3], "evolve");
    return start(info.Env(), "evolve", Purpose::compute, [policy, time, probe](ModelState& state) -> Convert {
      const auto begin = Clock::now();
      const Samples samples = probe ? probe->view() : Samples{};
      const std::vector<LayerEvolution> layers =
          state.model->evolve(policy, time, probe ? &samples : nullptr);
      const double ms = ms_since(begin);
      return [layers, ms](Napi::Env env) -> Napi::Value {
        auto out = Napi::Object::New(env);
        out.Set("layers", array_of(env, layers, [](Napi::Env e, const LayerEvolution& layer) {
                  return numbers(e, {{"pruned", static_cast<double>(layer.pruned)},
                                     {"grown", static_cast<double>(layer.grown)}});
                }));
        out.Set("durationMs", ms);
        return out;
      };
    });
  });
}

Napi::Value ModelObject::stats(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    return start(info.Env(), "stats", Purpose::look, [](ModelState& state) -> Convert {
      const std::vector<LayerStats> layers = state.model->stats();
      return [layers](Napi::Env env) -> Napi::Value { return array_of(env, layers, stats_to_js); };
    });
  });
}

Napi::Value ModelObject::reachability(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    return start(info.Env(), "reachability", Purpose::look, [](ModelState& state) -> Convert {
      const Reachability reach = set_native::reachability(state.model->download());
      return [reach](Napi::Env env) -> Napi::Value {
        auto out = Napi::Object::New(env);
        out.Set("inputs", reach.inputs);
        out.Set("outputs", reach.outputs);
        return out;
      };
    });
  });
}

Napi::Value ModelObject::download(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    return start(info.Env(), "download", Purpose::look, [](ModelState& state) -> Convert {
      auto model = std::make_shared<Model>(state.model->download());
      return [model](Napi::Env env) -> Napi::Value { return array_of(env, model->layers, layer_to_js); };
    });
  });
}

void ModelObject::abort(const Napi::CallbackInfo&) {
  state_->cancel = true;
}

void ModelObject::dispose_state(Napi::Env env) {
  if (state_ == nullptr || state_->disposed) return;
  state_->disposed = true;
  state_->cancel = true;
  Napi::MemoryManagement::AdjustExternalMemory(env, -state_->bytes);
  if (!state_->busy) state_->model.reset();
}

void ModelObject::dispose(const Napi::CallbackInfo& info) {
  dispose_state(info.Env());
}

/** Stops a running job, too: nobody can await the result of a model that was collected. */
void ModelObject::Finalize(Napi::Env env) {
  dispose_state(env);
}

}  // namespace set_native::binding
