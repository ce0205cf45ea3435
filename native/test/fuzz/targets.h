#pragma once

#include <cstddef>
#include <cstdint>

/*
 * Functions of any bytes, whose CHECKs must hold whatever the bytes are. libFuzzer drives them
 * (libfuzzer.cpp), and random bytes do in the native tests (fuzz_test.cpp).
 */
namespace set_native::test {

/** check_model accepts what is sound and refuses all else: layers as a caller may give them, hostile CSR
 * included. */
void fuzz_model(const uint8_t* data, size_t size);

/** Links packed into blocks and unpacked are the plain CSR again, and seen from the targets they are the same
 * links. */
void fuzz_blocks(const uint8_t* data, size_t size);

/** Evolution on the CPU gives the links and weights of the reference, bit for bit, and keeps what it promises
 * to. */
void fuzz_evolve(const uint8_t* data, size_t size);

}  // namespace set_native::test
