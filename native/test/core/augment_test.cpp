#include "core/augment.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "core/philox.h"
#include "test/check.h"

/* Shifted and mirrored images. */
namespace set_native {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/** Numbers of an image, drawn by `index`: whole ones, as pixels are. */
std::vector<double> raw_image(uint64_t pixels, uint64_t index) {
  std::vector<double> raw(pixels);
  for (uint64_t p = 0; p < pixels; ++p) raw[p] = draw(5, Stream::split, 0, 0, index << 32 | p)[0] >> 24;
  return raw;
}

/** Moves a raw image, one pixel after the other. */
std::vector<double> moved(const Augmentation& options, const Move& move, const std::vector<double>& raw) {
  const int64_t rows = options.rows, columns = options.columns;
  std::vector<double> out(raw.size());
  for (int64_t channel = 0; channel < options.channels; ++channel)
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t c = 0; c < columns; ++c) {
        const int64_t row = r + move.rows, column = (move.mirrored ? columns - 1 - c : c) + move.columns;
        const bool inside = row >= 0 && row < rows && column >= 0 && column < columns;
        out[(channel * rows + r) * columns + c] =
            inside ? raw[(channel * rows + row) * columns + column] : options.padding;
      }
  return out;
}

/** Scales a raw image and puts it in order, as a data set is prepared. */
std::vector<double> encoded(const Augmentation& options, const std::vector<double>& raw) {
  std::vector<double> out(raw.size());
  for (size_t k = 0; k < raw.size(); ++k) {
    const size_t pixel = options.order.empty() ? k : options.order[k];
    out[k] =
        options.offset.empty() ? raw[pixel] : (raw[pixel] - options.offset[pixel]) / options.divisor[pixel];
  }
  return out;
}

void append(std::vector<float>& to, const std::vector<double>& values) {
  for (const double value : values) to.push_back(static_cast<float>(value));
}

/** Shapes, with odd sizes, and a largest shift. */
const struct {
  uint32_t rows, columns, channels, shift;
} kShapes[] = {{5, 7, 1, 2}, {8, 8, 3, 3}, {1, 9, 1, 0}, {3, 2, 2, 1}, {28, 28, 1, 4}, {13, 4, 3, 3}};

enum class Scaling { none, same, each };

Augmentation augmentation_of(size_t shape, Scaling scaling, bool ordered) {
  const auto& [rows, columns, channels, shift] = kShapes[shape];
  Augmentation options;
  options.seed = 40 + shape;
  options.rows = rows;
  options.columns = columns;
  options.channels = channels;
  options.shift = shift;
  options.flip = true;
  const uint32_t pixels = rows * columns * channels;
  if (scaling == Scaling::same) {
    options.padding = 3;
    options.offset.assign(pixels, 10.5);
    options.divisor.assign(pixels, 255);
  } else if (scaling == Scaling::each) {
    for (uint32_t p = 0; p < pixels; ++p) {
      options.offset.push_back(p % 5 * 11);
      options.divisor.push_back(p % 7 == 3 ? kInfinity : 40 + 13.0 * (p % 11));
    }
  }
  if (ordered) options.order = random_order(9, Stream::split, 1, pixels);
  return options;
}

TEST("augment: equals moving the raw image, then scaling and ordering it") {
  constexpr uint64_t kCount = 60;
  for (size_t shape = 0; shape < std::size(kShapes); ++shape)
    for (const Scaling scaling : {Scaling::none, Scaling::same, Scaling::each})
      for (const bool ordered : {false, true}) {
        const Augmentation options = augmentation_of(shape, scaling, ordered);
        const Augmenter augmenter(options);
        const size_t pixels = augmenter.features();
        std::vector<float> x, got(kCount * pixels);
        std::vector<double> wanted;
        double most = 0.0;
        for (uint64_t s = 0; s < kCount; ++s) {
          std::vector<double> raw = raw_image(pixels, s);
          // A pixel without a divisor is constant in the samples that a scaling was fitted to.
          for (size_t p = 0; p < options.divisor.size(); ++p)
            if (std::isinf(options.divisor[p])) raw[p] = options.offset[p];
          append(x, encoded(options, raw));
          const auto row = encoded(options, moved(options, augmenter.move_of(3, s), raw));
          wanted.insert(wanted.end(), row.begin(), row.end());
        }
        const float largest = augmenter.augment(x.data(), kCount, 3, 2, got.data());
        for (size_t k = 0; k < got.size(); ++k) {
          // Scaled twice, from numbers of float32, where each pixel has its own scaling.
          const double slack = scaling == Scaling::each ? 4e-6 : 1e-7;
          CHECK_MSG(std::fabs(got[k] - wanted[k]) <= slack * (1.0 + std::fabs(wanted[k])),
                    "shape " << shape << ", scaling " << static_cast<int>(scaling) << ", order " << ordered
                             << ", number " << k << ": " << got[k] << ", expected " << wanted[k]);
          if (scaling == Scaling::none) CHECK_EQ(got[k], static_cast<float>(wanted[k]));
          most = std::max<double>(most, std::fabs(got[k]));
        }
        CHECK_EQ(largest, static_cast<float>(most));
      }
}

TEST("augment: neither shift nor flip leaves all bits, whatever the scaling") {
  for (const Scaling scaling : {Scaling::none, Scaling::same, Scaling::each}) {
    Augmentation options = augmentation_of(1, scaling, true);
    options.shift = 0;
    options.flip = false;
    const Augmenter augmenter(options);
    std::vector<float> x(50 * augmenter.features()), out(x.size());
    for (size_t k = 0; k < x.size(); ++k) x[k] = symmetric_unit(draw(1, Stream::split, 0, 0, k)[0]);
    augmenter.augment(x.data(), 50, 1, 1, out.data());
    CHECK(std::memcmp(x.data(), out.data(), x.size() * sizeof(float)) == 0);
  }
}

TEST("augment: the same bits for 1, 2 and 5 threads, others in another epoch or by another seed") {
  // Enough numbers for five threads.
  constexpr uint64_t kCount = 1000;
  for (const Scaling scaling : {Scaling::same, Scaling::each}) {
    Augmentation options = augmentation_of(4, scaling, true);
    const Augmenter augmenter(options);
    CHECK_EQ(augmenter.threads_for(kCount, 5), 5u);
    std::vector<float> x(kCount * augmenter.features());
    for (size_t k = 0; k < x.size(); ++k) x[k] = symmetric_unit(draw(2, Stream::split, 0, 0, k)[0]);
    const auto result = [&](const Augmenter& by, uint32_t epoch, unsigned threads) {
      std::vector<float> out(x.size());
      by.augment(x.data(), kCount, epoch, threads, out.data());
      return out;
    };
    const std::vector<float> once = result(augmenter, 1, 1);
    CHECK(once != x);
    for (const unsigned threads : {1u, 2u, 5u}) CHECK(result(augmenter, 1, threads) == once);
    CHECK(result(augmenter, 2, 1) != once);
    options.seed += uint64_t{1} << 32;
    CHECK(result(Augmenter(options), 1, 1) != once);
  }
}

TEST("augment: shifts are uniform, half of the images mirrored, and draws independent") {
  constexpr uint32_t kCount = 49'000;
  Augmentation options;
  options.seed = 3;
  options.rows = options.columns = 9;
  options.shift = 3;
  options.flip = true;
  const Augmenter augmenter(options);
  uint32_t places[7][7] = {}, mirrored = 0, again = 0;
  for (uint32_t s = 0; s < kCount; ++s) {
    const Move move = augmenter.move_of(1, s), next = augmenter.move_of(2, s);
    CHECK(std::abs(move.rows) <= 3 && std::abs(move.columns) <= 3);
    ++places[move.rows + 3][move.columns + 3];
    mirrored += move.mirrored;
    again += move.rows == next.rows && move.columns == next.columns && move.mirrored == next.mirrored;
  }
  const auto check = [&](uint32_t got, double share) {
    const double deviation = std::sqrt(kCount * share * (1.0 - share));
    CHECK_MSG(std::fabs(got - kCount * share) < 4.5 * deviation,
              got << " of " << kCount << ", share " << share);
  };
  for (const auto& row : places) {
    uint32_t of_row = 0;
    for (const uint32_t count : row) {
      check(count, 1.0 / 49);
      of_row += count;
    }
    check(of_row, 1.0 / 7);
  }
  check(mirrored, 0.5);
  check(again, 1.0 / 98);
  // Shifts are the same whether images are mirrored or not.
  options.flip = false;
  const Augmenter upright(options);
  for (uint32_t s = 0; s < 1000; ++s) {
    const Move move = augmenter.move_of(1, s), other = upright.move_of(1, s);
    CHECK(move.rows == other.rows && move.columns == other.columns && !other.mirrored);
  }
}

TEST("augment: draws that nobody may renumber") {
  Augmentation options;
  options.seed = 7;
  options.rows = options.columns = 28;
  options.shift = 4;
  options.flip = true;
  const Augmenter augmenter(options);
  for (uint64_t s = 0; s < 20; ++s) {
    const PhiloxBlock block = philox4x32_10({static_cast<uint32_t>(s), 0, 2, 11u << 24}, {7, 0});
    const uint64_t place = below(word64(block), 81);
    const Move move = augmenter.move_of(2, s);
    CHECK_EQ(move.rows, static_cast<int32_t>(place / 9) - 4);
    CHECK_EQ(move.columns, static_cast<int32_t>(place % 9) - 4);
    CHECK_EQ(move.mirrored, block[2] >> 31 == 1);
  }
}

TEST("augment: what cannot be is refused") {
  const auto changed = [](auto change) {
    Augmentation options = augmentation_of(0, Scaling::each, true);
    change(options);
    return Augmenter(options);
  };
  CHECK_THROWS(out_of_range, changed([](auto& o) { o.shift = 5; }));
  CHECK_THROWS(out_of_range, changed([](auto& o) { o.shift = UINT32_MAX; }));
  CHECK_THROWS(shape, changed([](auto& o) { o.rows = 0; }));
  CHECK_THROWS(shape, changed([](auto& o) { o.rows = o.columns = o.channels = UINT32_MAX; }));
  CHECK_THROWS(shape, changed([](auto& o) { o.rows = 6; }));
  CHECK_THROWS(shape, changed([](auto& o) { o.offset.pop_back(); }));
  CHECK_THROWS(shape, changed([](auto& o) { o.divisor.clear(); }));
  CHECK_THROWS(shape, changed([](auto& o) { o.order.pop_back(); }));
  CHECK_THROWS(shape, changed([](auto& o) { o.order[3] = o.order[4]; }));
  CHECK_THROWS(shape, changed([](auto& o) { o.order[3] = 35; }));
  CHECK_THROWS(out_of_range, changed([](auto& o) { o.offset[2] = kInfinity; }));
  CHECK_THROWS(out_of_range, changed([](auto& o) { o.divisor[2] = 0; }));
  CHECK_THROWS(out_of_range, changed([](auto& o) { o.divisor[2] = NAN; }));
  CHECK_THROWS(out_of_range, changed([](auto& o) { o.padding = NAN; }));
}

TEST("augment: a pixel that overflows in the scaling of another is refused") {
  Augmentation options = augmentation_of(0, Scaling::each, false);
  options.divisor[0] = 1e-300;
  const Augmenter augmenter(options);
  std::vector<float> x(20 * augmenter.features(), 0.5f), out(x.size());
  CHECK_THROWS(non_finite, augmenter.augment(x.data(), 20, 1, 1, out.data()));
}

}  // namespace
}  // namespace set_native
