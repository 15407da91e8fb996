// Where plugins run: a device by the CUDA runtime, or the emulation of the kernels on the host (../emulator), with the same functions.
#pragma once

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "operator.h"

#ifdef __CUDACC__
#include <cuda_runtime_api.h>
#else
extern "C" void apexx_launch(const char* name, unsigned x, unsigned y, unsigned z, int threads, const void* args);
#endif

namespace apexx::plugin {

struct Grid {
  int64_t x, y = 1, z = 1;
};

inline int64_t blocks_of(int64_t n, int threads) { return (n + threads - 1) / threads; }

#ifdef __CUDACC__

using Stream = cudaStream_t;

inline void must(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  cudaGetLastError();  // so that nobody else takes it for theirs
  refuse("%s: %s", what, cudaGetErrorString(error));
}

inline void* allocate(size_t bytes) {
  void* p = nullptr;
  if (bytes > 0) must(cudaMalloc(&p, bytes), "memory of the device");
  return p;
}
inline void release(void* p) { cudaFree(p); }
inline void fill(void* p, int byte, size_t bytes, Stream s) {
  if (bytes > 0) must(cudaMemsetAsync(p, byte, bytes, s), "filling memory");
}
inline void copy(void* to, const void* from, size_t bytes, Stream s) {
  if (bytes > 0) must(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, s), "copying");
}
inline void wait_for(Stream s) { must(cudaStreamSynchronize(s), "waiting for the device"); }

// fault_word is a word that kernels write and the host reads without asking the device.
inline int* fault_word() {
  static int* const word = [] {
    int* p = nullptr;
    must(cudaHostAlloc(&p, sizeof *p, cudaHostAllocMapped | cudaHostAllocPortable), "memory that host and device share");
    *p = 0;
    return p;
  }();
  return word;
}

// starts_early tells whether the current device can start a kernel before the one before it in the stream has ended.
inline bool starts_early() {
  int device = 0, major = 0;
  must(cudaGetDevice(&device), "the device");
  must(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device), "the device");
  return major >= 9;
}

// launch may start the kernel early if it waits itself for the one before it.
template <class Args>
void launch(const char* name, void (*kernel)(Args), Grid g, int threads, const Args& args, Stream s, bool waits) {
  cudaLaunchConfig_t config = {};
  config.gridDim = dim3(static_cast<unsigned>(g.x), static_cast<unsigned>(g.y), static_cast<unsigned>(g.z));
  config.blockDim = dim3(threads);
  config.stream = s;
  cudaLaunchAttribute early = {};
  early.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  early.val.programmaticStreamSerializationAllowed = 1;
  config.attrs = &early;
  config.numAttrs = waits && starts_early() ? 1 : 0;
  must(cudaLaunchKernelEx(&config, kernel, args), name);
}

#else

using Stream = void*;

inline void* allocate(size_t bytes) { return malloc(bytes); }
inline void release(void* p) { free(p); }
inline void fill(void* p, int byte, size_t bytes, Stream) { memset(p, byte, bytes); }
inline void copy(void* to, const void* from, size_t bytes, Stream) { memcpy(to, from, bytes); }
inline void wait_for(Stream) {}

inline int* fault_word() {
  static int word = 0;
  return &word;
}

// There is no function of a kernel, only its name.
template <class Args>
void launch(const char* name, const void*, Grid g, int threads, const Args& args, Stream, bool) {
  apexx_launch(name, static_cast<unsigned>(g.x), static_cast<unsigned>(g.y), static_cast<unsigned>(g.z), threads, &args);
}

#endif

// Memory of the device that belongs to somebody.
class Memory {
 public:
  Memory() = default;
  explicit Memory(size_t bytes) : data_(allocate(bytes)) {}
  Memory(Memory&& other) noexcept : data_(other.data_) { other.data_ = nullptr; }
  Memory& operator=(Memory&& other) noexcept {
    std::swap(data_, other.data_);
    return *this;
  }
  ~Memory() {
    if (data_) release(data_);
  }
  void* data() const { return data_; }

 private:
  void* data_ = nullptr;
};

}  // namespace apexx::plugin
