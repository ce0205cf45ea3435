#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

namespace set_native::test {

/** Ends the process with a message when it lives longer than a minute: threads that wait for each other never
 * fail. */
class Deadline {
 public:
  explicit Deadline(std::string what)
      : watch_([this, name = std::move(what)] {
          std::unique_lock<std::mutex> lock(mutex_);
          if (done_.wait_for(lock, std::chrono::minutes(1), [this] { return over_; })) return;
          std::printf("FAIL %s: threads wait for each other\n", name.c_str());
          std::_Exit(1);
        }) {}
  ~Deadline() {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      over_ = true;
    }
    done_.notify_one();
    watch_.join();
  }
  Deadline(const Deadline&) = delete;
  Deadline& operator=(const Deadline&) = delete;

 private:
  std::mutex mutex_;
  std::condition_variable done_;
  bool over_ = false;
  std::thread watch_;  // last: it uses the others
};

}  // namespace set_native::test
