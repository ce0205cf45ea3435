#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>

namespace set_native::test {

/** Decisions taken from bytes, one after the other; zeros when the bytes have come to an end. */
class Input {
 public:
  Input(const uint8_t* data, size_t size) : at_(data), end_(data + size) {}

  uint8_t byte() { return at_ < end_ ? *at_++ : 0; }

  /** A number of 32 or 64 bits. */
  template <class Number>
  Number number() {
    Number value = 0;
    for (size_t i = 0; i < sizeof(Number); ++i) value = static_cast<Number>(value << 8 | byte());
    return value;
  }

  /** From 0 to limit - 1, of limits up to 256. */
  uint32_t below(uint32_t limit) { return byte() % limit; }

  /** One bit; eight of them take a byte. */
  bool bit() {
    if (bits_ == 1) bits_ = 0x100u | byte();
    const bool one = bits_ & 1;
    bits_ >>= 1;
    return one;
  }

  template <class Values>
  auto pick(const Values& values) {
    return *(std::begin(values) + below(static_cast<uint32_t>(std::size(values))));
  }

  /** Any float at all: NaN, infinities, denormals. */
  float any_float() {
    const auto bits = number<uint32_t>();
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
  }

 private:
  const uint8_t* at_;
  const uint8_t* end_;
  uint32_t bits_ = 1;
};

}  // namespace set_native::test
