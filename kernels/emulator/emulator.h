// The part of CUDA C++ that the operator kernels use, on one processor of the host: a kernel runs block after block, and the threads
// of a block take turns at its barriers. It shows what a kernel computes, not how fast, and finds no race between blocks.
#pragma once

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define __restrict__
#define __shared__ static
#define __device__
#define APEXX_DEVICE static inline
#define APEXX_CALLED static inline

struct Dim3 {
  unsigned x, y, z;
};

extern Dim3 threadIdx, blockIdx, blockDim, gridDim;

namespace apexx::emulator {

// Kernel is one registered kernel.
struct Kernel {
  const char* name;
  size_t arguments;  // size of its argument
  int threads;       // the most threads of a block
  bool barriers;
  void (*run)(const void*);  // one thread
};

struct Register {
  explicit Register(const Kernel&);
};

void barrier();
void warp_barrier();
unsigned ballot(bool vote);
bool any_of_block(bool vote);

// exchange returns what the thread `lane` of the same warp passes; all threads of the warp come here.
void exchange(const void* own, void* other, size_t bytes, unsigned lane);

}  // namespace apexx::emulator

#define APEXX_EMULATED(name, Args, threads, barriers)                                                         \
  static void name##_thread(const Args& a);                                                                   \
  static const apexx::emulator::Register name##_registered(apexx::emulator::Kernel{                           \
      #name, sizeof(Args), threads, barriers, [](const void* p) { name##_thread(*static_cast<const Args*>(p)); }}); \
  static void name##_thread(const Args& a)
#define APEXX_KERNEL(name, Args, threads) APEXX_EMULATED(name, Args, threads, false)
#define APEXX_BLOCK_KERNEL(name, Args, threads) APEXX_EMULATED(name, Args, threads, true)

static inline void __syncthreads() { apexx::emulator::barrier(); }
static inline void __syncwarp() { apexx::emulator::warp_barrier(); }
static inline unsigned __ballot_sync(unsigned, bool vote) { return apexx::emulator::ballot(vote); }
static inline bool __syncthreads_or(bool vote) { return apexx::emulator::any_of_block(vote); }
template <class T>
static inline T __shfl_xor_sync(unsigned, T v, int mask) {
  T other;
  apexx::emulator::exchange(&v, &other, sizeof v, (threadIdx.x % 32) ^ mask);
  return other;
}
static inline int __popc(unsigned v) { return __builtin_popcount(v); }

template <class T>
static inline T atomicAdd(T* p, T v) {
  const T old = *p;
  *p = old + v;
  return old;
}

static inline void copy_ahead(float* shared, const float* from) { *shared = *from; }
static inline void wait_for_copies() {}

static inline int next_ticket(int* counter) { return atomicAdd(counter, 1); }

template <class T>
static inline T atomicMax(T* p, T v) {
  const T old = *p;
  if (v > old) *p = v;
  return old;
}

template <class T>
static inline T atomicMin(T* p, T v) {
  const T old = *p;
  if (v < old) *p = v;
  return old;
}

template <class T>
static inline T atomicOr(T* p, T v) {
  const T old = *p;
  *p = old | v;
  return old;
}

static inline unsigned __float_as_uint(float v) {
  unsigned bits;
  memcpy(&bits, &v, sizeof bits);
  return bits;
}

static inline float __uint_as_float(unsigned bits) {
  float v;
  memcpy(&v, &bits, sizeof v);
  return v;
}
