// What TensorRT says when it ends the process. Where CUDA fails in createInferBuilder, an exception leaves a function that lets none out, and
// std::terminate is called: no caller can catch it. So the call has a thread of its own, which sleeps forever where it was to end everything, and
// what the exception says is the call's error.
#pragma once

#include <dlfcn.h>
#include <unistd.h>

#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <type_traits>
#include <typeinfo>

namespace ended {

struct Call {
  std::mutex mutex;
  std::condition_variable told;
  void* result = nullptr;
  bool returned = false;
  std::optional<std::string> why;
};

// The call that this thread makes. It outlives the thread that asked for it, in case it returns after all.
inline thread_local std::shared_ptr<Call> current;
inline std::terminate_handler otherwise = nullptr;

// Runtime is the C++ library of TensorRT. This program has one of its own inside, whose handler TensorRT does not know, and whose unwinder does not
// understand the other's: an exception of TensorRT is looked at, and never caught.
struct Runtime {
  std::terminate_handler (*set_terminate)(std::terminate_handler);
  std::exception_ptr (*current_exception)();
  std::type_info* (*current_type)();
  const std::type_info* exception;  // the type std::exception
};
inline Runtime runtime{};

// text tells what the exception says that ends the process.
inline std::string text() {
  const std::type_info* const type = runtime.current_type();
  if (!type) return "TensorRT ended without a word";
  alignas(std::exception_ptr) unsigned char held[sizeof(std::exception_ptr)];  // never released
  new (held) std::exception_ptr(runtime.current_exception());
  void* thrown;
  memcpy(&thrown, held, sizeof thrown);
  if (!runtime.exception->__do_catch(type, &thrown, 1)) return std::string("TensorRT ended by a ") + type->name();
  return static_cast<const std::exception*>(thrown)->what();
}

[[noreturn]] inline void on_terminate() {
  if (const std::shared_ptr<Call> call = current) {
    const std::string why = text();
    {
      const std::lock_guard<std::mutex> lock(call->mutex);
      call->why = why;
    }
    call->told.notify_all();
    for (;;) pause();
  }
  otherwise();
  abort();
}

// watch sets the handler of the C++ library that a library of TensorRT uses.
inline void watch(void* library) {
  const auto find = [library](const char* name, auto& function) {
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(library, name));
    return function != nullptr;
  };
  const bool found = find("_ZSt13set_terminatePFvvE", runtime.set_terminate) && find("_ZSt17current_exceptionv", runtime.current_exception) &&
                     find("__cxa_current_exception_type", runtime.current_type) && find("_ZTISt9exception", runtime.exception);
  if (!found) return;  // it has its own inside: the process will end
  otherwise = runtime.set_terminate(on_terminate);
}

// result_of returns what f returns; or null, and in *why what was said, if it was to end the process.
template <class F>
void* result_of(F f, std::optional<std::string>* why) {
  const auto call = std::make_shared<Call>();
  std::thread([call, f] {
    current = call;
    void* const result = f();
    {
      const std::lock_guard<std::mutex> lock(call->mutex);
      call->result = result;
      call->returned = true;
    }
    call->told.notify_all();
  }).detach();
  std::unique_lock<std::mutex> lock(call->mutex);
  call->told.wait(lock, [&] { return call->returned || call->why; });
  *why = call->why;
  return call->result;
}

}  // namespace ended
