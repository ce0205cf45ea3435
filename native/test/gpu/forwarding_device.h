#pragma once

#include <memory>
#include <utility>

#include "gpu/device.h"

namespace set_native::test {

/** Passes everything on to another device: what tests of a part of it derive from. */
class ForwardingDevice : public gpu::Device {
 public:
  explicit ForwardingDevice(std::unique_ptr<gpu::Device> to) : to_(std::move(to)) {}

  gpu::DeviceMemory memory() const override { return to_->memory(); }
  bool has_doubles() const override { return to_->has_doubles(); }
  std::unique_ptr<gpu::Buffer> allocate(size_t bytes) override { return to_->allocate(bytes); }
  std::unique_ptr<gpu::SharedBuffer> allocate_shared(size_t bytes) override {
    return to_->allocate_shared(bytes);
  }
  void upload(gpu::Buffer& to, size_t offset, const void* from, size_t bytes) override {
    to_->upload(to, offset, from, bytes);
  }
  void download(void* to, const gpu::Buffer& from, size_t offset, size_t bytes) override {
    to_->download(to, from, offset, bytes);
  }
  void copy(gpu::Buffer& to, size_t to_offset, const gpu::Buffer& from, size_t from_offset,
            size_t bytes) override {
    to_->copy(to, to_offset, from, from_offset, bytes);
  }
  void clear(gpu::Buffer& buffer, size_t offset, size_t bytes) override { to_->clear(buffer, offset, bytes); }
  void queue(const gpu::Launch& launch, const gpu::Arguments& arguments) override {
    to_->queue(launch, arguments);
  }
  std::unique_ptr<gpu::Recording> record(const std::function<void()>& work) override {
    return to_->record(work);
  }
  void replay(const gpu::Recording& recording) override { to_->replay(recording); }
  bool idle() override { return to_->idle(); }
  void synchronize() override { to_->synchronize(); }

 protected:
  gpu::Device& device() { return *to_; }

 private:
  std::unique_ptr<gpu::Device> to_;
};

}  // namespace set_native::test
