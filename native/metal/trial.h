#pragma once

#include <memory>
#include <string>

#include "gpu/device.h"

/*
 * What is done on a Mac before its GPU is used: a compiler and a GPU of Apple's have the last word on kernels
 * that were written and tested elsewhere.
 */
namespace set_native::metal {

/**
 * Trains, evaluates, asks and evolves small networks of every kind, on a device and on the processor. Empty
 * where both agree: numbers but for rounding, links and grown weights bit by bit; else the first difference.
 * What the device throws goes through.
 */
std::string difference_from_cpu(const std::shared_ptr<gpu::Device>& device);

}  // namespace set_native::metal
