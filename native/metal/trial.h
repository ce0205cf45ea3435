#pragma once

#include <memory>
#include <string>

#include "gpu/device.h"

/*
 * The trial of a Mac's GPU before it is used: the kernels were written and tested elsewhere, and only Apple's
 * compiler and GPU show whether they work there.
 */
namespace set_native::metal {

/**
 * Trains, evaluates, predicts with and evolves small networks of every kind, on a device and on the CPU.
 * Returns "" if both agree, numbers but for rounding, links and grown weights bit by bit; else the first
 * difference. Throws what the device throws.
 */
std::string difference_from_cpu(const std::shared_ptr<gpu::Device>& device);

}  // namespace set_native::metal
