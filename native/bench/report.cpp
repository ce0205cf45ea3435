#include "bench/report.h"

#include <cmath>
#include <cstdio>
#include <fstream>

#include "core/available_cpus.h"

namespace set_native::bench {

namespace {

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  return out + '"';
}

/** Returns a number as JSON; null for NaN and infinity. */
std::string number(double value) {
  if (!std::isfinite(value)) return "null";
  char text[32];
  std::snprintf(text, sizeof text, "%.9g", value);
  return text;
}

/** One JSON object, key by key. */
class Object {
 public:
  Object& raw(const char* key, const std::string& json) {
    text_ += (text_.empty() ? "" : ", ") + quoted(key) + ": " + json;
    return *this;
  }
  Object& put(const char* key, const std::string& value) { return raw(key, quoted(value)); }
  Object& put(const char* key, double value) { return raw(key, number(value)); }
  std::string text() const { return "{" + text_ + "}"; }

 private:
  std::string text_;
};

/** Returns a value whose JSON is null for a parameter that does not apply. */
double parameter(double value) {
  return value > 0.0 ? value : NAN;
}

/** Returns the CPU's name where Linux gives it, else "unknown". */
std::string cpu_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);)
    if (line.rfind("model name", 0) == 0) return line.substr(line.find(':') + 2);
  return "unknown";
}

}  // namespace

std::string machine_json(const Machine& machine) {
  const Caches& caches = machine.caches();
  return Object()
      .put("cpu", cpu_name())
      .put("isa", machine.table().name)
      .put("cores", available_cpus())
      .put("compiler", __VERSION__)
      .raw("caches", Object().put("l1", caches.l1).put("l2", caches.l2).put("l3", caches.l3).text())
      .text();
}

std::string gpu_json(const GpuFacts& facts) {
  return Object().put("device", facts.device).put("copyGigabytesPerSecond", facts.copy).text();
}

std::string ceilings_json(const Ceilings& ceilings) {
  return Object()
      .put("threads", ceilings.threads)
      .put("gflops", ceilings.gflops)
      .raw("gigabytesPerSecond", Object()
                                     .put("l1", ceilings.l1)
                                     .put("l2", ceilings.l2)
                                     .put("l3", ceilings.l3)
                                     .put("dram", ceilings.dram)
                                     .text())
      .put("rowNs", ceilings.row_ns)
      .put("barrierNs", parameter(ceilings.barrier_ns))
      .put("pingPongNs", parameter(ceilings.ping_pong_ns))
      .text();
}

std::string result_json(const Case& measured, const Result& result) {
  Object out;
  out.put("name", measured.name())
      .put("op", measured.op)
      .put("shape", measured.shape())
      .put("epsilon", parameter(measured.epsilon))
      .put("batch", parameter(measured.batch))
      .put("motifSize", parameter(measured.motif_size))
      .put("samples", parameter(measured.samples))
      .put("threads", measured.threads);
  if (!result.failure.empty()) return out.put("failure", result.failure).text();
  const Times& times = result.times;
  const double ns = times.median * 1e6;
  const bool limited = result.limit.ms > 0.0;
  return out.put("runs", static_cast<double>(times.runs))
      .put("medianMs", times.median)
      .put("p95Ms", times.p95)
      .put("p99Ms", times.p99)
      .put("minMs", times.minimum)
      .put("deviationMs", times.deviation)
      .put("linkVisits", parameter(result.links))
      .put("nsPerLink", result.links > 0.0 ? ns / result.links : NAN)
      .put("gflops", result.flops > 0.0 ? result.flops / ns : NAN)
      .put("bytesMoved", parameter(result.bytes))
      .put("gigabytesPerSecond", result.bytes > 0.0 ? result.bytes / ns : NAN)
      .raw("limit",
           !limited ? "null" : Object().put("name", result.limit.name).put("ms", result.limit.ms).text())
      .put("shareOfLimit", limited ? result.limit.ms / times.median : NAN)
      .text();
}

std::string sweep_point_json(const SweepPoint& point) {
  Object out;
  out.put("links", static_cast<double>(point.links))
      .put("neurons", point.neurons)
      .put("motifSize", point.motif_size)
      .put("threads", point.threads);
  if (point.failure != nullptr) return out.put("failure", point.failure).text();
  return out.put("nnz", static_cast<double>(point.nnz))
      .put("trainNsPerLink", point.train_ns)
      .put("evolveNsPerLink", point.evolve_ns)
      .put("initialiseNsPerLink", point.initialise_ns)
      .put("modelBytesPerLink", point.model_bytes)
      .put("peakBytesPerLink", point.peak_bytes)
      .text();
}

std::string exponents_json(uint32_t motif_size, double train, double evolve, double initialise) {
  return Object()
      .put("motifSize", motif_size)
      .put("train", train)
      .put("evolve", evolve)
      .put("initialise", initialise)
      .text();
}

}  // namespace set_native::bench
