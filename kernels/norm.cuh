// GroupNorm with one group from moments in pieces, and the activations behind it: arithmetic that the prologues of the
// convolutions and the kernels of norm.cu share.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <stdint.h>

#include "moments.h"

namespace apexx::norm {

// kEpsilon of every GroupNorm of the model.
constexpr float kEpsilon = 1e-5f;

// Affine is what GroupNorm does to one channel: x·scale + shift.
struct Affine {
  float scale, shift;
};

// affine returns it for a map with moments m and the channel's own scale and shift.
__device__ __forceinline__ Affine affine(const Moments& m, float scale, float shift) {
  const float s = scale * rsqrtf(m.m2 / m.n + kEpsilon);
  return {s, shift - m.mean * s};
}

// joined is combine as a function that is called: code that is not inlined need not be fetched, and a launch of the
// network begins with a cold instruction cache.
template <int N>
static __device__ __noinline__ Moments joined(const Moments* piece) {
  return combine(*reinterpret_cast<const Moments(*)[N]>(piece));
}

__device__ __forceinline__ float warp_sum(float x) {
#pragma unroll
  for (int step = 16; step > 0; step /= 2) x += __shfl_xor_sync(~0u, x, step);
  return x;
}

// MapMoments combines the pieces of a map with the threads of kWarps warps, in an order that no timing changes.
template <int kWarps>
class MapMoments {
 public:
  // load starts the loads of thread t.
  __device__ __forceinline__ void load(const Moments* pieces, int count, int t) {
#pragma unroll
    for (int i = 0; i < kOwn; i++)
      piece_[i] = t + i * 32 * kWarps < count ? pieces[t + i * 32 * kWarps] : Moments{0, 0, 0};
#pragma unroll 1
    for (int i = t + kOwn * 32 * kWarps; i < count; i += 32 * kWarps) piece_[0] = combine<2>({piece_[0], pieces[i]});
  }
  // leave puts one piece for each warp into scratch; when all threads have come so far, joined(scratch) is the whole.
  __device__ __forceinline__ void leave(Moments (&scratch)[kWarps], int t) const {
    float n = 0, sum = 0, m2 = 0;
#pragma unroll
    for (int i = 0; i < kOwn; i++) n += piece_[i].n, sum += piece_[i].n * piece_[i].mean;
    n = warp_sum(n), sum = warp_sum(sum);
    const float mean = sum / fmaxf(n, 1.0f);
#pragma unroll
    for (int i = 0; i < kOwn; i++) m2 += piece_[i].m2 + piece_[i].n * (piece_[i].mean - mean) * (piece_[i].mean - mean);
    m2 = warp_sum(m2);
    if (t % 32 == 0) scratch[t / 32] = {n, mean, m2};
  }

 private:
  static constexpr int kOwn = kWarps < 8 ? 4 : 2;  // loaded side by side; a map of more pieces takes further rounds
  Moments piece_[kOwn];
};

// The special function unit's 2^x and 1/x, without the care for denormal numbers that four instructions more would
// take.
__device__ __forceinline__ float exp2_fast(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

__device__ __forceinline__ float reciprocal_fast(float x) {
  float y;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

// silu4 applies x / (1 + e^-x) to four values with five operations of the special function unit instead of eight: one
// exponential each and one reciprocal of the product of the four denominators. Exponents stop at 2^28, so the product
// stays finite; what that changes is below 1e-6. Errors are a few fp32 ulp; the result is rounded to 16 bits at once.
__device__ __forceinline__ void silu4(float* x) {
  constexpr float kLog2e = 1.44269504f;
  float d[4];
#pragma unroll
  for (int i = 0; i < 4; i++) d[i] = 1.0f + exp2_fast(fminf(x[i] * -kLog2e, 28.0f));
  const float low = d[0] * d[1], high = d[2] * d[3], r = reciprocal_fast(low * high);
  const float r_low = r * high, r_high = r * low;  // 1/low and 1/high
  x[0] *= r_low * d[1], x[1] *= r_low * d[0], x[2] *= r_high * d[3], x[3] *= r_high * d[2];
}

// silu applies x / (1 + e^-x) to a multiple of four values; kFast: where the result is rounded to 16 bits.
template <bool kFast, int N>
__device__ __forceinline__ void silu(float (&x)[N]) {
  static_assert(N % 4 == 0, "four at once");
  if constexpr (kFast) {
#pragma unroll
    for (int i = 0; i < N; i += 4) silu4(x + i);
  } else {
#pragma unroll
    for (int i = 0; i < N; i++) x[i] = x[i] / (1.0f + expf(-x[i]));
  }
}

// kIsHalf tells the two 16-bit types apart.
template <class T>
constexpr bool kIsHalf = false;
template <>
constexpr bool kIsHalf<__half> = true;

template <class T>
__device__ __forceinline__ float2 unpack(uint32_t pair) {
  if constexpr (kIsHalf<T>) {
    return __half22float2(*reinterpret_cast<const __half2*>(&pair));
  } else {
    return make_float2(__uint_as_float(pair << 16), __uint_as_float(pair & 0xFFFF0000));
  }
}

template <class T>
__device__ __forceinline__ uint32_t pack(float low, float high) {
  if constexpr (kIsHalf<T>) {
    const __half2 pair = __floats2half2_rn(low, high);
    return *reinterpret_cast<const uint32_t*>(&pair);
  } else {
    const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
    return *reinterpret_cast<const uint32_t*>(&pair);
  }
}

// widen turns the 16-byte words of N elements of type T into floats.
template <class T, int N, int kWords>
__device__ __forceinline__ void widen(const uint4 (&word)[kWords], float (&v)[N]) {
  static_assert(kWords * 16 == N * int(sizeof(T)), "whole words");
#pragma unroll
  for (int w = 0; w < kWords; w++) {
    const uint32_t part[4] = {word[w].x, word[w].y, word[w].z, word[w].w};
#pragma unroll
    for (int i = 0; i < 4; i++) {
      if constexpr (sizeof(T) == 4) {
        v[4 * w + i] = __uint_as_float(part[i]);
      } else {
        const float2 pair = unpack<T>(part[i]);
        v[8 * w + 2 * i] = pair.x, v[8 * w + 2 * i + 1] = pair.y;
      }
    }
  }
}

// narrow8 rounds eight floats to a 16-bit type.
template <class T>
__device__ __forceinline__ uint4 narrow8(const float (&v)[8]) {
  return make_uint4(pack<T>(v[0], v[1]), pack<T>(v[2], v[3]), pack<T>(v[4], v[5]), pack<T>(v[6], v[7]));
}

// narrow rounds N floats to words of type T.
template <class T, int N, int kWords>
__device__ __forceinline__ void narrow(const float (&v)[N], uint4 (&word)[kWords]) {
  static_assert(kWords * 16 == N * int(sizeof(T)), "whole words");
#pragma unroll
  for (int w = 0; w < kWords; w++) {
    if constexpr (sizeof(T) == 4) {
      word[w] = make_uint4(__float_as_uint(v[4 * w]), __float_as_uint(v[4 * w + 1]), __float_as_uint(v[4 * w + 2]),
                           __float_as_uint(v[4 * w + 3]));
    } else {
      word[w] = make_uint4(pack<T>(v[8 * w], v[8 * w + 1]), pack<T>(v[8 * w + 2], v[8 * w + 3]),
                           pack<T>(v[8 * w + 4], v[8 * w + 5]), pack<T>(v[8 * w + 6], v[8 * w + 7]));
    }
  }
}

// rounded returns x as it lies in memory in type T.
template <class T>
__device__ __forceinline__ float rounded(float x) {
  return float(T(x));
}

// --- programmatic dependent launch: nothing before compute capability 9.0

// wait_for_previous_kernel comes before the first access to what a kernel before this one wrote.
__device__ __forceinline__ void wait_for_previous_kernel() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

__device__ __forceinline__ void let_next_kernel_start() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

}  // namespace apexx::norm
