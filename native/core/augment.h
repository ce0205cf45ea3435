#pragma once

#include <cstdint>
#include <vector>

/*
 * Augmentation of images in training: in every epoch each image is shifted by a few pixels, at random, and
 * perhaps mirrored. How, is a function of the seed, the epoch and the number of the sample: the same bits on
 * every back end, for any number of threads, however often an epoch is interrupted.
 */
namespace set_native {

/** How images are augmented, and how they lie in memory. */
struct Augmentation {
  uint64_t seed = 0;
  // Shape of an image. Pixel (channel, row, column) is number (channel * rows + row) * columns + column.
  uint32_t rows = 0, columns = 0, channels = 1;
  uint32_t shift = 0;  // largest shift along rows and along columns, below both
  bool flip = false;   // whether each image is mirrored, left to right, with probability 1/2
  double padding = 0;  // raw value of what lies outside an image
  // Scaling by pixel number: feature = (raw - offset) / divisor; a divisor of infinity makes 0 of all. Both
  // empty: features are raw.
  std::vector<double> offset, divisor;
  std::vector<uint32_t> order;  // pixel number of each feature; empty: the same
};

/** What happens to an image: pixel (r, c) becomes what was at (r + rows, c + columns), then it is mirrored.
 */
struct Move {
  int32_t rows = 0, columns = 0;
  bool mirrored = false;

  bool any() const { return rows != 0 || columns != 0 || mirrored; }
};

/** Augments samples. It owns its tables, 32 bytes per feature at most, and keeps no samples. */
class Augmenter {
 public:
  /**
   * Throws out_of_range for a shift that is not below rows and columns, or for numbers that are not finite or
   * divisors below 1e-308; shape for sizes of an image that are 0 or too large for 32 bits, and for a scaling
   * or order that is not of so many pixels, each once.
   */
  explicit Augmenter(const Augmentation& options);

  uint64_t features() const { return place_.size(); }

  /** Number of threads, of those wanted, that so many samples are worth. */
  unsigned threads_for(uint64_t count, unsigned wanted) const;

  /** Bytes that `augment` takes on so many threads, beside the samples. */
  double bytes(unsigned threads) const;

  /** What happens to a sample in an epoch. */
  Move move_of(uint32_t epoch, uint64_t sample) const;

  /**
   * Writes augmented copies of x, count x features, to `out`, which has room for as many numbers and does not
   * overlap it. Samples that do not move keep their bits; others are what the raw image, moved and then
   * scaled and ordered, would give, rounded to float32. (A pixel with a divisor of infinity counts as its
   * offset.) Threads take whole samples, and this thread is one of them. The caller owns both arrays.
   *
   * Returns the largest |x| of the copies. Throws non_finite, when all is written, where one overflows.
   */
  float augment(const float* x, uint64_t count, uint32_t epoch, unsigned threads, float* out) const;

 private:
  void copy_rows(const Move& move, const float* from, float* to) const;
  template <class Numbers>
  float augment_as(const Numbers& numbers, const float* x, uint64_t count, uint32_t epoch, unsigned threads,
                   float* out) const;

  uint64_t seed_;
  uint32_t rows_, columns_, channels_, shift_;
  bool flip_;
  uint64_t width_, cells_;  // of a row, and of all, of an image with a border of `shift` pixels
  double padding_;          // raw where features are scaled, else as they are
  bool in_rows_;            // features are pixels in their own order, scaled alike: rows move as they are
  // Of each feature: the cell where it stands, and where it stands when mirrored.
  std::vector<uint32_t> place_, mirrored_place_;
  // Of each feature; empty where all pixels are scaled alike. A divisor of infinity is 0 here, its inverse
  // too.
  std::vector<double> offset_, divisor_, inverse_;
};

}  // namespace set_native
