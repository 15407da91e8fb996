// What the operator kernels share. They are general: any shape, batch and number of channels, values row-major without gaps
// (NCHW), float32, and no assumption about neighbours. Faster kernels for the shapes of the model replace them step by step.
//
// Rules that all of them keep:
//   - One argument, a struct by value, whose twin in Go is built by backends/cuda (a test holds both to one size).
//   - The same bits in every run: sums in a fixed order, no atomics on floating-point numbers, and atomics on integers only where the
//     order of arrival cannot show.
//   - Compiled with -fmad=false: a*b+c has two roundings unless the source says fmaf, so that two kernels that evaluate one
//     expression agree, and the emulation on the host agrees with both.
//   - No kernel follows an index that is out of range: it reports a fault instead.
#pragma once

#include <math.h>
#include <stdint.h>

#ifdef __CUDACC__
#include <cuda_fp16.h>

// APEXX_KERNEL defines a kernel whose threads do not wait for each other, APEXX_BLOCK_KERNEL one that has barriers. `a` is the argument.
#define APEXX_KERNEL(name, Args, threads) \
  extern "C" __global__ void __launch_bounds__(threads) name(const __grid_constant__ Args a)
#define APEXX_BLOCK_KERNEL APEXX_KERNEL
#define APEXX_DEVICE static __device__ __forceinline__
// APEXX_CALLED defines a function that is called, not put in place: a launch that runs for a few microseconds waits for its code more than for its
// data, so what is long or needed in many places stands once.
#define APEXX_CALLED static __device__ __noinline__

// next_ticket counts up and returns what was there before. What the caller has seen written before is seen by who gets a later ticket.
APEXX_DEVICE int next_ticket(int* counter) {
  int ticket;
  asm volatile("atom.add.acq_rel.gpu.global.s32 %0, [%1], 1;" : "=r"(ticket) : "l"(__cvta_generic_to_global(counter)) : "memory");
  return ticket;
}
#else
#include "emulator/emulator.h"
#endif

namespace apexx {

// Fault is where kernels tell that an operand was out of range: the first of several wins by chance, all of them are errors.
struct Fault {
  int* word;  // 0, or the number of a step
  int step;
  int padding;  // 1: the tile -1 is no error but stands for none, 0 for its values
};

APEXX_DEVICE void report(const Fault& f) { *f.word = f.step; }

// thread_of returns the number of the thread in a one-dimensional grid.
APEXX_DEVICE int64_t thread_of() { return static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; }

// warp_all combines a value of each lane by a function that commutes, in the order of a binary tree. Every lane gets the result.
template <class T, class Combine>
APEXX_DEVICE T warp_all(T v, Combine combine) {
#pragma unroll
  for (int w = 16; w > 0; w /= 2) v = combine(v, __shfl_xor_sync(~0u, v, w));
  return v;
}

APEXX_DEVICE double warp_sum(double v) {
  return warp_all(v, [](double p, double q) { return p + q; });
}

// block_sum adds v over the threads of a block, whole warps, in the order of a binary tree. Every thread gets the sum. scratch has 32 elements
// and is free again afterwards.
APEXX_DEVICE double block_sum(double v, double* scratch) {
  const int lane = threadIdx.x % 32, warps = blockDim.x / 32;
  v = warp_sum(v);
  if (lane == 0) scratch[threadIdx.x / 32] = v;
  __syncthreads();
  v = warp_sum(lane < warps ? scratch[lane] : 0);
  __syncthreads();
  return v;
}

// sum_of_block is block_sum as a function that is called.
APEXX_CALLED double sum_of_block(double v, double* scratch) { return block_sum(v, scratch); }

// quotient_of is i/n for i < 2^21 by the reciprocal of n: (i + 0.5)/n is farther from the next integer than the roundings move it.
APEXX_DEVICE int quotient_of(int i, float reciprocal) { return static_cast<int>((i + 0.5f) * reciprocal); }

// ends_last tells all threads of a block whether it is the last of n blocks that come here with a counter. What the others have written before
// can be read then.
APEXX_DEVICE bool ends_last(int* counter, int n, int* scratch) {
  __syncthreads();
  if (threadIdx.x == 0) *scratch = next_ticket(counter);
  __syncthreads();
  return *scratch == n - 1;
}

// logistic is 1/(1 + e^-v), arranged so that the exponential never overflows.
APEXX_DEVICE float logistic(float v) {
  const float e = expf(-fabsf(v));
  return (v < 0 ? e : 1.0f) / (1.0f + e);
}

APEXX_DEVICE double logistic(double v) {
  const double e = exp(-fabs(v));
  return (v < 0 ? e : 1.0) / (1.0 + e);
}

// Rounding is to a narrower format and back, to nearest and halves to even. Below least_normal a sum with magnet is a multiple of the least
// subnormal number of the format; from limit on, the power of two beyond the largest finite number, the result is infinite.
struct Rounding {
  float least_normal, magnet, limit;
  int drop;  // low bits of a float that a normal number of the format does not have; 0: no rounding
};

APEXX_CALLED float rounded_to(Rounding to, float x) {
  float v = fabsf(x);
  if (v < to.least_normal) {
    v = (v + to.magnet) - to.magnet;
  } else if (v < to.limit) {
    unsigned bits = __float_as_uint(v);
    bits += (1u << (to.drop - 1)) - 1 + (bits >> to.drop & 1);  // a carry moves on to the exponent, as it should
    v = __uint_as_float(bits & ~((1u << to.drop) - 1));
    if (v >= to.limit) v = INFINITY;
  } else if (v == v) {
    v = INFINITY;
  }
  return copysignf(v, x);
}

// rounded does the same, with an instruction where there is one.
APEXX_DEVICE float rounded(const Rounding& to, float x) {
  if (to.drop == 0) return x;
#ifdef __CUDACC__
  if (to.limit == 65536.0f) return __half2float(__float2half_rn(x));
#endif
  return rounded_to(to, x);
}

// round_all rounds values that are at hand together: what is asked of the format is asked once.
template <int kN>
APEXX_DEVICE void round_all(const Rounding& to, float (&v)[kN]) {
  if (to.drop == 0) return;
#ifdef __CUDACC__
  if (to.limit == 65536.0f) {
#pragma unroll
    for (int i = 0; i < kN; i++) v[i] = __half2float(__float2half_rn(v[i]));
    return;
  }
#endif
#pragma unroll
  for (int i = 0; i < kN; i++) v[i] = rounded_to(to, v[i]);
}

// Four floats that are loaded together.
struct alignas(16) Four {
  float v[4];
};

// larger and smaller return a NaN if either operand is one, unlike fmaxf and fminf.
template <class T>
APEXX_DEVICE T larger(T a, T b) {
  return a != a ? a : (b != b ? b : (a > b ? a : b));
}

template <class T>
APEXX_DEVICE T smaller(T a, T b) {
  return a != a ? a : (b != b ? b : (a < b ? a : b));
}

}  // namespace apexx
