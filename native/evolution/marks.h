#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

namespace set_native {

/** One bit per item. Threads may mark items at the same time if no two of them write the same word of 64. */
class Marks {
 public:
  Marks() = default;
  explicit Marks(size_t size) : words_((size + 63) / 64, 0) {}

  bool operator[](size_t item) const { return bit(item) != 0; }
  /** 1 if the item is marked, else 0: for arithmetic in place of a branch that could not be predicted. */
  uint32_t bit(size_t item) const { return static_cast<uint32_t>(words_[item / 64] >> (item % 64) & 1); }
  void mark(size_t item, bool marked = true) {
    words_[item / 64] |= static_cast<uint64_t>(marked) << (item % 64);
  }
  /** Packs 64 flags, each 0 or 1, into a word. */
  static uint64_t pack(const uint8_t* flags) {
    uint64_t word = 0;
    for (size_t byte = 0; byte < 8; ++byte) {
      uint64_t eight;  // one flag per byte, in its lowest bit; the first flag in the lowest byte
      std::memcpy(&eight, flags + 8 * byte, 8);
      word |= (eight * 0x0102040810204080u >> 56) << (8 * byte);
    }
    return word;
  }
  /** Bits of the items 64 word .. 64 word + 63. */
  uint64_t& word(size_t word) { return words_[word]; }

 private:
  std::vector<uint64_t> words_;
};

}  // namespace set_native
