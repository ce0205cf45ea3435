#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "core/error.h"
#include "cuda/backend.h"
#include "cuda/device.h"
#include "cuda/loader.h"
#include "gpu/backend.h"
#include "test/check.h"

/*
 * The loader and the device over a library that stands in for the real one (test/cuda/fake.cpp): what it says
 * is passed on, and what it should not say ends in an Error.
 */
#if defined(__linux__)
namespace set_native {
namespace {

using cuda::Library;
using cuda::Loaded;

/** Sets an environment variable for a while; nullptr: takes it away. */
class Environment {
 public:
  Environment(const char* name, const char* value) : name_(name) {
    if (const char* old = std::getenv(name)) old_ = std::make_unique<std::string>(old);
    set(value);
  }
  ~Environment() { set(old_ ? old_->c_str() : nullptr); }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

 private:
  void set(const char* value) {
    if (value == nullptr)
      unsetenv(name_);
    else
      setenv(name_, value, 1);
  }
  const char* name_;
  std::unique_ptr<std::string> old_;
};

/** The library that stands in, beside this program. */
std::string fake_path() {
  const Environment none("SET_NATIVE_CUDA_LIBRARY", nullptr);
  const std::string real = cuda::library_path();
  return real.substr(0, real.rfind('/') + 1) + "libset_native_cuda_fake.so";
}

Loaded load_as(const char* mood) {
  const Environment behave("SET_FAKE_CUDA", mood);
  return cuda::load(fake_path());
}

const Library& fake() {
  const Loaded loaded = load_as(nullptr);
  if (loaded.table == nullptr) throw Error(ErrorCode::internal, loaded.reason);
  return *loaded.table;
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/** Calls `body` while `mood` holds; it must throw `code` with `part` in its text. */
template <class Body>
void check_throws(const char* mood, ErrorCode code, const std::string& part, Body&& body) {
  const Environment behave("SET_FAKE_CUDA", mood);
  try {
    body();
    CHECK_MSG(false, mood << " did not throw");
  } catch (const Error& error) {
    CHECK_MSG(error.code() == code && contains(error.what(), part), mood << " threw " << error.what());
  }
}

TEST("cuda library: looked for beside the program, or where SET_NATIVE_CUDA_LIBRARY says") {
  {
    const Environment none("SET_NATIVE_CUDA_LIBRARY", nullptr);
    CHECK_EQ(cuda::library_path().front(), '/');
    CHECK(contains(cuda::library_path(), "/libset_native_cuda.so"));
  }
  const Environment elsewhere("SET_NATIVE_CUDA_LIBRARY", "/nowhere/lib.so");
  CHECK(cuda::library_path() == "/nowhere/lib.so");
  CHECK(cuda::untried_library().empty());
  const Loaded loaded = cuda::load(cuda::library_path());
  CHECK(loaded.table == nullptr);
  for (const char* part :
       {"not found at /nowhere/lib.so", "npx set-native build --cuda", "SET_NATIVE_CUDA_LIBRARY"})
    CHECK_MSG(contains(loaded.reason, part), loaded.reason);
}

TEST("cuda library: a file that is no library, or another one, is refused") {
  const Loaded text = cuda::load("/proc/self/status");
  CHECK_MSG(text.table == nullptr && contains(text.reason, "could not be opened"), text.reason);
  const Loaded other = cuda::load("/proc/self/exe");
  CHECK_MSG(other.table == nullptr && !other.reason.empty(), other.reason);
}

TEST("cuda library: one that another process has seen crash is not opened here") {
  const Environment behave("SET_NATIVE_CUDA_LIBRARY", fake_path().c_str());
  if (cuda::untried_library().empty()) test::skip("another test has opened the library of this process");
  const Backend& cuda = cuda_backend();
  CHECK(cuda.untried() == fake_path());
  CHECK(cuda.refuse("its driver crashed"));
  CHECK(cuda.untried().empty());
  CHECK(cuda::library().table == nullptr && cuda::library().reason == "its driver crashed");
  const Availability availability = cuda.probe();
  CHECK(!availability.available);
  CHECK_MSG(availability.reason == "not available, because its driver crashed", availability.reason);
  CHECK(cuda.try_out() == availability.reason);
  CHECK_EQ(gpu::capacity_of(cuda).warps, 0u);
  CHECK_THROWS(backend_unavailable, gpu::open_device(cuda));
}

TEST("cuda library: a wrong table is refused with the reason") {
  fake();
  const struct {
    const char *mood, *part;
  } cases[] = {{"abi", "build both from the same sources"},
               {"bytes", "build both from the same sources"},
               {"hole", "lacks functions"},
               {"null", "gave no table"}};
  for (const auto& c : cases) {
    const Loaded loaded = load_as(c.mood);
    CHECK_MSG(loaded.table == nullptr && contains(loaded.reason, c.part), c.mood << ": " << loaded.reason);
  }
}

TEST("cuda library: the probe's device or reason is passed on, a text without end is cut") {
  const Library& library = fake();
  const Availability here = cuda::availability(library);
  CHECK(here.available && here.reason.empty());
  CHECK_MSG(here.device == "Fake, 0.0 GB, compute capability 9.0, driver for CUDA 13.0", here.device);
  CHECK_EQ(cuda::capacity(library).warps, 4u * 64);
  CHECK_EQ(cuda::capacity(library).memory, uint64_t{1} << 20);
  {
    const Environment behave("SET_FAKE_CUDA", "none");
    const Availability none = cuda::availability(library);
    CHECK(!none.available && none.device.empty());
    CHECK_EQ(cuda::capacity(library).warps, 0u);
    CHECK_MSG(none.reason == "not available, because there is no device", none.reason);
  }
  {
    const Environment behave("SET_FAKE_CUDA", "endless");
    CHECK(cuda::availability(library).reason.size() < 600);
  }
  const Environment behave("SET_FAKE_CUDA", "fail probe");
  CHECK(cuda::availability(library).reason == "not available, because probe went wrong at fake.cu:1");
}

TEST("cuda device: memory is written, copied, cleared and read back, and given back in the end") {
  const auto device = cuda::open_device(fake());
  const size_t before = device->memory().free;
  {
    const auto a = device->allocate(64), b = device->allocate(64), empty = device->allocate(0);
    const auto shared = device->allocate_shared(16);
    CHECK_EQ(device->memory().free, before - 144);
    std::vector<uint8_t> in(64), out(64);
    for (size_t k = 0; k < in.size(); ++k) in[k] = static_cast<uint8_t>(k);
    device->upload(*a, 0, in.data(), in.size());
    device->copy(*b, 32, *a, 0, 32);
    device->clear(*b, 0, 32);
    device->copy(*shared, 0, *a, 8, 16);
    device->upload(*empty, 0, nullptr, 0);
    device->download(out.data(), *b, 0, out.size());
    device->synchronize();
    CHECK(device->idle());
    for (size_t k = 0; k < 32; ++k) CHECK(out[k] == 0 && out[32 + k] == k);
    for (size_t k = 0; k < 16; ++k) CHECK(static_cast<uint8_t*>(shared->data())[k] == 8 + k);
    CHECK_THROWS(internal, device->upload(*a, 1, in.data(), 64));
    CHECK_THROWS(internal, device->download(out.data(), *a, 65, 0));
    CHECK_THROWS(internal, device->copy(*a, 0, *shared, 0, 17));
    CHECK_THROWS(internal, device->clear(*a, SIZE_MAX, 2));
  }
  CHECK_EQ(device->memory().free, before);
}

TEST("cuda device: is tried by passing bytes through it") {
  const auto attempt = [] { gpu::try_device(*cuda::open_device(fake()), "cuda"); };
  attempt();
  check_throws("nothing clear", ErrorCode::internal, "[cuda] the device gave other bytes", attempt);
  check_throws("nothing download", ErrorCode::internal, "[cuda] the device gave other bytes", attempt);
  check_throws("fail synchronize", ErrorCode::internal, "went wrong", attempt);
}

TEST("cuda device: what does not fit is refused and named, and nothing is lost") {
  const auto device = cuda::open_device(fake());
  const size_t before = device->memory().free;
  check_throws(nullptr, ErrorCode::out_of_memory, "1048577 bytes are asked for, 1048576 are free",
               [&] { device->allocate((1u << 20) + 1); });
  check_throws(nullptr, ErrorCode::out_of_memory, "1048577 bytes are asked for",
               [&] { device->allocate_shared((1u << 20) + 1); });
  CHECK_EQ(device->memory().free, before);
  CHECK(device->allocate(1u << 20) != nullptr);
}

struct Parameters {
  uint32_t a, b;
};

gpu::Launch some_launch() {
  return {{static_cast<gpu::Op>(3), true, 4}, 5, 6, 1024};
}

void queue_some(gpu::Device& device, const std::vector<gpu::Binding>& buffers, const Parameters& params) {
  device.queue(some_launch(), {&params, sizeof params, buffers.data(), buffers.size()});
}

TEST("cuda device: a launch brings its shape, parameters and buffers; recorded ones run when replayed") {
  const auto device = cuda::open_device(fake());
  const auto params = device->allocate(32), shape = device->allocate(sizeof(cuda::LaunchShape));
  queue_some(*device, {gpu::Binding(params.get(), 8), shape, {}}, {7, 9});
  Parameters got{};
  cuda::LaunchShape seen{};
  device->download(&got, *params, 8, sizeof got);
  device->download(&seen, *shape, 0, sizeof seen);
  CHECK(got.a == 7 && got.b == 9);
  CHECK(seen.op == 3 && seen.wide == 1 && seen.height == 4 && seen.teams_x == 5 && seen.teams_y == 6);
  CHECK_EQ(seen.shared_bytes, 1024u);
  CHECK_THROWS(internal, queue_some(*device, {params}, {}));

  const auto recording = device->record([&] {
    queue_some(*device, {gpu::Binding(params.get(), 8), shape, {}}, {1, 2});
    device->clear(*params, 12, 4);
  });
  device->download(&got, *params, 8, sizeof got);
  CHECK(got.a == 7 && got.b == 9);
  for (int run = 0; run < 2; ++run) {
    device->clear(*params, 0, 32);
    device->replay(*recording);
    device->download(&got, *params, 8, sizeof got);
    CHECK(got.a == 1 && got.b == 0);
  }
  device->start_timer();
  CHECK_EQ(device->stop_timer(), 1.5);
}

TEST("cuda device: an error while recording is the one told, and the device records again") {
  const auto device = cuda::open_device(fake());
  const auto buffer = device->allocate(8);
  check_throws("fail clear", ErrorCode::internal, "clear went wrong",
               [&] { device->record([&] { device->clear(*buffer, 0, 8); }); });
  const auto recording = device->record([&] { device->clear(*buffer, 0, 8); });
  device->replay(*recording);
  uint64_t value = 1;
  device->download(&value, *buffer, 0, sizeof value);
  CHECK_EQ(value, uint64_t{0});
}

TEST("cuda device: each function's failure is an Error with the library's words") {
  const Library& library = fake();
  const auto device = cuda::open_device(library);
  const auto buffer = device->allocate(sizeof(cuda::LaunchShape));
  const auto recording = device->record([] {});
  char bytes[8] = {};
  const struct {
    const char* name;
    std::function<void()> body;
  } calls[] = {{"open", [&] { cuda::open_device(library); }},
               {"memory", [&] { device->memory(); }},
               {"allocate", [&] { device->allocate(8); }},
               {"allocate_shared", [&] { device->allocate_shared(8); }},
               {"upload", [&] { device->upload(*buffer, 0, bytes, 8); }},
               {"download", [&] { device->download(bytes, *buffer, 0, 8); }},
               {"copy", [&] { device->copy(*buffer, 8, *buffer, 0, 8); }},
               {"clear", [&] { device->clear(*buffer, 0, 8); }},
               {"launch", [&] { queue_some(*device, {buffer}, {}); }},
               {"begin_recording", [&] { device->record([] {}); }},
               {"end_recording", [&] { device->record([] {}); }},
               {"replay", [&] { device->replay(*recording); }},
               {"idle", [&] { device->idle(); }},
               {"synchronize", [&] { device->synchronize(); }},
               {"mark", [&] { device->start_timer(); }},
               {"elapsed", [&] { device->stop_timer(); }}};
  for (const auto& [name, body] : calls) {
    const std::string text = std::string(name) + " went wrong at fake.cu:1";
    check_throws((std::string("fail ") + name).c_str(), ErrorCode::internal, text, body);
    check_throws((std::string("full ") + name).c_str(), ErrorCode::out_of_memory, text, body);
    check_throws((std::string("odd ") + name).c_str(), ErrorCode::internal, text, body);
  }
  for (const char* name : {"open", "allocate", "allocate_shared", "end_recording"})
    for (const auto& [called, body] : calls)
      if (std::strcmp(called, name) == 0)
        check_throws((std::string("nothing ") + name).c_str(), ErrorCode::internal, "gave nothing", body);
}

TEST("cuda device: buffers and recordings of another device are refused") {
  class Foreign final : public gpu::Buffer {
   public:
    using Buffer::Buffer;
  } foreign(8);
  class ForeignRecording final : public gpu::Recording {
  } recording;
  const auto device = cuda::open_device(fake());
  CHECK_THROWS(internal, device->clear(foreign, 0, 8));
  CHECK_THROWS(internal, device->replay(recording));
}

TEST("cuda device: buffers may outlive the device they came from") {
  auto device = cuda::open_device(fake());
  const auto buffer = device->allocate(8);
  const auto recording = device->record([] {});
  device.reset();
  CHECK_EQ(buffer->bytes(), size_t{8});
}

}  // namespace
}  // namespace set_native
#endif
