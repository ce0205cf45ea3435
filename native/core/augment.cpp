#include "core/augment.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <system_error>
#include <thread>

#include "core/error.h"
#include "core/philox.h"

namespace set_native {

namespace {

[[noreturn]] void refuse(ErrorCode code, const std::string& text) {
  throw Error(code, "[augment] " + text);
}

/** Checks the shape of an image, and returns the number of its pixels. */
uint64_t pixels_of(const Augmentation& options) {
  const uint64_t plane = static_cast<uint64_t>(options.rows) * options.columns;
  const auto pixels = static_cast<unsigned __int128>(plane) * options.channels;
  if (pixels == 0 || pixels > UINT32_MAX)
    refuse(ErrorCode::shape, "an image must have 1 to 4294967295 pixels, got " +
                                 std::to_string(options.rows) + " x " + std::to_string(options.columns) +
                                 " x " + std::to_string(options.channels));
  return static_cast<uint64_t>(pixels);
}

void check_scaling(const Augmentation& options, uint64_t pixels) {
  if (!std::isfinite(options.padding)) refuse(ErrorCode::out_of_range, "padding must be a finite number");
  const size_t expected = options.offset.empty() && options.divisor.empty() ? 0 : pixels;
  if (options.offset.size() != expected || options.divisor.size() != expected)
    refuse(ErrorCode::shape, "offset and divisor must have a number for each of " + std::to_string(pixels) +
                                 " pixels, got " + std::to_string(options.offset.size()) + " and " +
                                 std::to_string(options.divisor.size()));
  for (size_t k = 0; k < expected; ++k)
    if (!std::isfinite(options.offset[k]) || !(options.divisor[k] > 0.0) ||
        !std::isfinite(1.0 / options.divisor[k]))
      refuse(ErrorCode::out_of_range, "the scaling of pixel " + std::to_string(k) +
                                          " must be a finite offset and a divisor of at least 1e-308");
}

void check_order(const std::vector<uint32_t>& order, uint64_t pixels) {
  if (order.empty()) return;
  if (order.size() != pixels)
    refuse(ErrorCode::shape,
           "order must have " + std::to_string(pixels) + " pixels, got " + std::to_string(order.size()));
  std::vector<bool> seen(pixels);
  for (const uint32_t pixel : order) {
    if (pixel >= pixels || seen[pixel])
      refuse(ErrorCode::shape, "order must have each pixel once, below " + std::to_string(pixels));
    seen[pixel] = true;
  }
}

bool all_equal(const std::vector<double>& values) {
  return std::all_of(values.begin(), values.end(), [&](double value) { return value == values.front(); });
}

/** The bits of the largest |value|: they are in the order of the numbers, and NaN comes last. */
uint32_t largest_magnitude(const float* values, size_t count) {
  int32_t most = 0;
  for (size_t k = 0; k < count; ++k) {
    int32_t bits;
    std::memcpy(&bits, values + k, sizeof bits);
    most = std::max(most, bits & 0x7fffffff);
  }
  return static_cast<uint32_t>(most);
}

/** Features that are moved as they are. */
struct Plain {
  using Cell = float;
  float raw(float feature, size_t) const { return feature; }
  float scaled(float cell, size_t) const { return cell; }
};

/** Features that are scaled, each in its own way: what moves is the raw image. */
struct Scaled {
  using Cell = double;
  const double *offset, *divisor, *inverse;
  double raw(float feature, size_t k) const { return feature * divisor[k] + offset[k]; }
  float scaled(double cell, size_t k) const { return static_cast<float>((cell - offset[k]) * inverse[k]); }
};

/**
 * Calls task(t) for t < count, the first on this thread, the others on threads of their own, or on this one
 * where the system gives none. Tasks do not throw.
 */
template <class Task>
void run_threads(unsigned count, const Task& task) {
  std::vector<std::thread> threads;
  threads.reserve(count);
  unsigned started = 1;
  for (; started < count; ++started) {
    try {
      threads.emplace_back(task, started);
    } catch (const std::system_error&) {
      break;  // fewer threads, then
    }
  }
  task(0u);
  for (unsigned t = started; t < count; ++t) task(t);
  for (std::thread& thread : threads) thread.join();
}

}  // namespace

Augmenter::Augmenter(const Augmentation& options)
    : seed_(options.seed),
      rows_(options.rows),
      columns_(options.columns),
      channels_(options.channels),
      shift_(options.shift),
      flip_(options.flip),
      padding_(options.padding),
      in_rows_(options.order.empty()) {
  const uint64_t pixels = pixels_of(options);
  const uint32_t side = std::min(options.rows, options.columns);
  if (shift_ >= side)
    refuse(ErrorCode::out_of_range, "shift must be below " + std::to_string(side) +
                                        ", the smaller side of the image, got " + std::to_string(shift_));
  check_scaling(options, pixels);
  check_order(options.order, pixels);
  // Tables of places. A border on each side makes an image at most three times as wide and as high.
  const uint64_t border = shift_, height = options.rows + 2 * border;
  width_ = options.columns + 2 * border;
  cells_ = height * width_ * options.channels;
  if (cells_ > UINT32_MAX)
    refuse(ErrorCode::out_of_range, "an image with its border must have at most 4294967295 pixels");
  place_.resize(pixels);
  mirrored_place_.resize(flip_ ? pixels : 0);
  const auto pixel_of = [&](size_t k) { return options.order.empty() ? k : options.order[k]; };
  for (size_t k = 0; k < pixels; ++k) {
    const uint64_t pixel = pixel_of(k), column = pixel % options.columns;
    const uint64_t row = pixel / options.columns % options.rows;
    const uint64_t channel = pixel / options.columns / options.rows;
    const uint64_t first = (channel * height + row + border) * width_ + border;
    place_[k] = static_cast<uint32_t>(first + column);
    if (flip_) mirrored_place_[k] = static_cast<uint32_t>(first + options.columns - 1 - column);
  }
  // Scaling. Where it is the same everywhere, numbers move as they are.
  if (options.offset.empty()) return;
  if (all_equal(options.offset) && all_equal(options.divisor)) {
    padding_ = (padding_ - options.offset.front()) / options.divisor.front();
    return;
  }
  in_rows_ = false;
  offset_.resize(pixels);
  divisor_.resize(pixels);
  inverse_.resize(pixels);
  for (size_t k = 0; k < pixels; ++k) {
    const double divisor = options.divisor[pixel_of(k)];
    offset_[k] = options.offset[pixel_of(k)];
    divisor_[k] = std::isinf(divisor) ? 0.0 : divisor;
    inverse_[k] = 1.0 / divisor;
  }
}

unsigned Augmenter::threads_for(uint64_t count, unsigned wanted) const {
  constexpr uint64_t kNumbers = 1u << 17;  // of a thread: they take longer than it takes to start it
  const uint64_t worth = std::min(count, 1 + count * features() / kNumbers);
  return static_cast<unsigned>(std::max<uint64_t>(1, std::min<uint64_t>(wanted, worth)));
}

double Augmenter::bytes(unsigned threads) const {
  return static_cast<double>(threads) * static_cast<double>(cells_) * sizeof(double);
}

Move Augmenter::move_of(uint32_t epoch, uint64_t sample) const {
  const PhiloxBlock block = draw(seed_, Stream::augment, 0, epoch, sample);
  const uint64_t shifts = 2 * static_cast<uint64_t>(shift_) + 1;
  const uint64_t place = below(word64(block), shifts * shifts);
  return {static_cast<int32_t>(static_cast<int64_t>(place / shifts) - shift_),
          static_cast<int32_t>(static_cast<int64_t>(place % shifts) - shift_), flip_ && block[2] >> 31 == 1};
}

/** Moves an image whose features are in rows. */
void Augmenter::copy_rows(const Move& move, const float* from, float* to) const {
  const auto padding = static_cast<float>(padding_);
  const int64_t columns = columns_, by = move.columns;
  // Columns of the result, before it is mirrored, that lie in the image.
  const int64_t first = std::max<int64_t>(0, -by), end = columns - std::max<int64_t>(0, by);
  for (uint32_t channel = 0; channel < channels_; ++channel)
    for (int64_t r = 0; r < rows_; ++r, to += columns) {
      const int64_t row = r + move.rows;
      if (row < 0 || row >= rows_) {
        std::fill_n(to, columns, padding);
        continue;
      }
      const float* source = from + (channel * static_cast<int64_t>(rows_) + row) * columns;
      if (!move.mirrored) {
        std::fill(to, to + first, padding);
        std::copy(source + first + by, source + end + by, to + first);
        std::fill(to + end, to + columns, padding);
      } else {
        std::fill(to, to + columns - end, padding);
        std::reverse_copy(source + first + by, source + end + by, to + columns - end);
        std::fill(to + columns - first, to + columns, padding);
      }
    }
}

template <class Numbers>
float Augmenter::augment_as(const Numbers& numbers, const float* x, uint64_t count, uint32_t epoch,
                            unsigned threads, float* out) const {
  using Cell = typename Numbers::Cell;
  const size_t features = place_.size();
  // An image with its border for each thread, which only its pixels are written to from now on.
  std::vector<std::vector<Cell>> images(threads, std::vector<Cell>(cells_, static_cast<Cell>(padding_)));
  std::vector<uint32_t> largest(threads);
  run_threads(threads, [&](unsigned t) {
    Cell* const image = images[t].data();
    const uint32_t* const here = place_.data();
    uint32_t most = 0;
    for (uint64_t s = count * t / threads; s < count * (t + 1) / threads; ++s) {
      const float* from = x + s * features;
      float* to = out + s * features;
      const Move move = move_of(epoch, s);
      if (!move.any()) {
        std::memcpy(to, from, features * sizeof *to);
      } else if (in_rows_) {
        copy_rows(move, from, to);
      } else {
        for (size_t k = 0; k < features; ++k) image[here[k]] = numbers.raw(from[k], k);
        const uint32_t* const there = move.mirrored ? mirrored_place_.data() : here;
        const int64_t by = move.rows * static_cast<int64_t>(width_) + move.columns;
        for (size_t k = 0; k < features; ++k) to[k] = numbers.scaled(image[there[k] + by], k);
      }
      most = std::max(most, largest_magnitude(to, features));
    }
    largest[t] = most;
  });
  const uint32_t most = *std::max_element(largest.begin(), largest.end());
  float result;
  std::memcpy(&result, &most, sizeof result);
  if (!std::isfinite(result))
    refuse(ErrorCode::non_finite, "a pixel that is moved overflows where it is scaled as another one");
  return result;
}

float Augmenter::augment(const float* x, uint64_t count, uint32_t epoch, unsigned threads, float* out) const {
  const unsigned team = threads_for(count, threads);
  if (offset_.empty()) return augment_as(Plain{}, x, count, epoch, team, out);
  return augment_as(Scaled{offset_.data(), divisor_.data(), inverse_.data()}, x, count, epoch, team, out);
}

}  // namespace set_native
