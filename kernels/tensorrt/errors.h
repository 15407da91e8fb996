// How errors leave the library: no exception does. And the layers by number, by which kernels name them.
#pragma once

#include <mutex>
#include <string>
#include <vector>

#include "operator.h"

namespace apexx::plugin {

// last_error is what went wrong last in this thread.
inline std::string& last_error() {
  thread_local std::string text;
  return text;
}

// guarded returns what f returns, or `failed` and leaves an error where it throws.
template <class Result, class F>
Result guarded(Result failed, F f) noexcept {
  try {
    return f();
  } catch (const std::exception& e) {
    try {
      last_error() = e.what();
    } catch (const std::bad_alloc&) {
    }
  }
  return failed;
}

// Layers numbers names of layers from 1 on. Equal names have one number.
class Layers {
 public:
  static Layers& all() {
    static auto& layers = *new Layers;
    return layers;
  }
  int number_of(const std::string& name) {
    const std::lock_guard lock(mutex_);
    for (size_t i = 0; i < names_.size(); i++) {
      if (*names_[i] == name) return static_cast<int>(i) + 1;
    }
    names_.push_back(std::make_unique<std::string>(name));
    return static_cast<int>(names_.size());
  }
  // name_of returns a name that stays, null for a number that none has.
  const char* name_of(int number) {
    const std::lock_guard lock(mutex_);
    return number >= 1 && number <= static_cast<int>(names_.size()) ? names_[number - 1]->c_str() : nullptr;
  }

 private:
  std::mutex mutex_;
  std::vector<std::unique_ptr<std::string>> names_;
};

inline int number_of(const std::string& layer) { return Layers::all().number_of(layer); }

}  // namespace apexx::plugin
