// What the parts of the shim share: the CUDA driver, TensorRT with our plugins, and how a failure is told.
#pragma once

#include "shim.h"

#include <NvInfer.h>
#include <cuda.h>

#include <cstdarg>
#include <cstdio>
#include <mutex>
#include <string>

#include "../../../kernels/tensorrt/plugins.h"

#if NV_TENSORRT_MAJOR != 10
#error "apexx-tensorrt is written for TensorRT 10: name the folder of its headers in TENSORRT_ROOT"
#endif

namespace shim {

inline int fail(char** error, int code, const char* format, ...) __attribute__((format(printf, 3, 4)));

inline int fail(char** error, int code, const char* format, ...) {
  va_list list;
  va_start(list, format);
  if (vasprintf(error, format, list) < 0) *error = nullptr;
  va_end(list);
  return code;
}

// The CUDA driver. Each function is found by the name that cuda.h gives its present version.
#define CUDA_FUNCTIONS(F)                                                                                                              \
  F(cuInit) F(cuDriverGetVersion) F(cuDeviceGetCount) F(cuDeviceGet) F(cuDeviceGetName) F(cuDeviceGetAttribute) F(cuDeviceTotalMem)    \
  F(cuDevicePrimaryCtxRetain) F(cuCtxSetCurrent) F(cuGetErrorName) F(cuMemAlloc) F(cuMemFree) F(cuMemHostAlloc) F(cuMemFreeHost)       \
  F(cuMemsetD8Async) F(cuMemcpyHtoDAsync) F(cuMemcpyDtoHAsync) F(cuStreamCreate) F(cuStreamDestroy) F(cuStreamSynchronize)             \
  F(cuStreamBeginCapture) F(cuStreamEndCapture) F(cuGraphInstantiateWithFlags) F(cuGraphUpload) F(cuGraphLaunch) F(cuGraphDestroy)     \
  F(cuGraphExecDestroy) F(cuEventCreate) F(cuEventRecord) F(cuEventSynchronize) F(cuEventElapsedTime) F(cuEventDestroy)

#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)
#define DECLARE(f) decltype(&f) call_##f = nullptr;

inline struct Cuda {
  CUDA_FUNCTIONS(DECLARE)
  CUcontext context = nullptr;
} cuda;

inline const char* name_of(CUresult result) {
  const char* name = nullptr;
  return cuda.call_cuGetErrorName(result, &name) == CUDA_SUCCESS && name ? name : "an unknown error of the CUDA driver";
}

inline int code_of(CUresult result) { return result == CUDA_ERROR_OUT_OF_MEMORY ? APEXX_TRT_NO_MEMORY : APEXX_TRT_FAILED; }

// CUDA returns from the function around it where a call fails. call is the name of a function and its arguments.
#define CUDA(call)                                                                                                       \
  if (const CUresult result = cuda.call_##call; result != CUDA_SUCCESS)                                                  \
    return fail(error, code_of(result), "%s (%d) from %s", name_of(result), static_cast<int>(result), #call)

// Logger keeps errors until the call in which they came up asks for them.
inline class Logger : public nvinfer1::ILogger {
 public:
  void log(Severity severity, const char* message) noexcept override {
    if (severity > Severity::kERROR) return;
    const std::lock_guard<std::mutex> lock(mutex_);
    if (text_.size() > 2000) return;
    if (!text_.empty()) text_ += "; ";
    text_ += message;
  }

  // take returns what was logged since the last time, or other.
  std::string take(const char* other) {
    const std::lock_guard<std::mutex> lock(mutex_);
    std::string text;
    text.swap(text_);
    return text.empty() ? other : text;
  }

 private:
  std::mutex mutex_;
  std::string text_;
} logger;

inline int code_of(const std::string& text, int otherwise) {
  for (const char* sign : {"out of memory", "OutOfMemory", "OUT_OF_MEMORY"})
    if (text.find(sign) != std::string::npos) return APEXX_TRT_NO_MEMORY;
  return otherwise;
}

inline int refuse(char** error, int code, const char* what) {
  const std::string text = logger.take(what);
  return fail(error, code_of(text, code), "%s", text.c_str());
}

// TensorRT, and our plugins.
inline struct Library {
  void* (*create_builder)(void*, int32_t) = nullptr;
  void* (*create_runtime)(void*, int32_t) = nullptr;
  void* (*create_parser)(void*, void*, int) = nullptr;
  void* (*registry)() = nullptr;
  int version = 0;  // as getInferLibVersion counts
  decltype(&apexx_plugins_get) plugin = nullptr;
  decltype(&apexx_plugins_take_fault) take_fault = nullptr;
} library;

inline int element_of(nvinfer1::DataType type) {
  switch (type) {
    case nvinfer1::DataType::kFLOAT: return APEXX_TRT_FLOAT32;
    case nvinfer1::DataType::kINT32: return APEXX_TRT_INT32;
    case nvinfer1::DataType::kINT64: return APEXX_TRT_INT64;
    case nvinfer1::DataType::kBOOL: return APEXX_TRT_BOOL;
    default: return -1;
  }
}

constexpr size_t kElementBytes[] = {4, 4, 8, 1};

}  // namespace shim
