#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gpu/device.h"
#include "gpu/ops.h"

/*
 * What is done on a Mac before its GPU is used: a compiler and a GPU of Apple's have the last word on kernels
 * that were written and tested elsewhere.
 */
namespace set_native::metal {

/** Every kernel that the host asks for, with its threads per threadgroup. */
std::vector<std::pair<gpu::KernelId, uint32_t>> all_kernels();

/**
 * Trains, evaluates, asks and evolves small networks of every kind, on a device and on the processor. Empty
 * where both agree: numbers but for rounding, links and grown weights bit by bit; else the first difference.
 * What the device throws goes through.
 */
std::string difference_from_cpu(const std::shared_ptr<gpu::Device>& device);

}  // namespace set_native::metal
