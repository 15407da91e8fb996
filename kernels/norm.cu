// Whole maps normalised, activated, gated and added (norm.h has the formulas), and maps between NHWC and the planes of
// the graph's own layout.
#include "norm.cuh"
#include "norm.h"

namespace apexx::norm {

constexpr int kHalf = kThreads / 2;

// load_cell starts the loads of eight channels.
template <class T>
__device__ __forceinline__ void load_cell(uint4 (&word)[sizeof(T) / 2], const T* from) {
#pragma unroll
  for (int w = 0; w < int(sizeof(T) / 2); w++) word[w] = reinterpret_cast<const uint4*>(from)[w];
}

// Launch: a block for each entry of the list, kThreads threads.
template <class T>
__device__ __forceinline__ void apply(const Apply* list) {
  __shared__ Affine own[2 * kMostChannels], other[kMostChannels];
  __shared__ Moments scratch[2][kThreads / 32];
  const Apply a = list[blockIdx.x];
  const int t = threadIdx.x, C = a.channels, per_pixel = C / kCell, width = a.gated ? 2 * C : C;
  // Half of the threads prepare the map's channels, half the residual's.
  const bool normalises_residual = a.residual_scale != nullptr;
  const bool mine = t < kHalf || !normalises_residual;
  const int lanes = normalises_residual ? kHalf : kThreads, first = t % lanes;
  const float *scale = mine ? a.scale : a.residual_scale, *shift = mine ? a.shift : a.residual_shift;
  const int channels = mine ? width : C;
  Affine early = {0, 0};  // of the first channel, loaded before anything has to be waited for
  if (first < channels) early = {scale[first], shift[first]};
  wait_for_previous_kernel();
  let_next_kernel_start();

  MapMoments<kThreads / 32> moments, residual_moments;
  moments.load(a.in_moments, a.in_pieces, t);
  if (normalises_residual) residual_moments.load(a.residual_moments, a.residual_pieces, t);
  constexpr int kWords = sizeof(T) / 2;
  uint4 value[kWords], gate[kWords], residual[kWords];
  auto load = [&](int i) {
    if (i >= a.cells) return;
    const int cell = a.first + i, p = cell / per_pixel, c = cell % per_pixel * kCell;
    const T* in = static_cast<const T*>(a.in) + size_t(p) * width + c;
    load_cell<T>(value, in);
    if (a.gated) load_cell<T>(gate, in + C);
    if (a.residual != nullptr) load_cell<T>(residual, static_cast<const T*>(a.residual) + size_t(p) * C + c);
  };
  load(t);
  moments.leave(scratch[0], t);
  if (normalises_residual) residual_moments.leave(scratch[1], t);
  __syncthreads();
  const Moments m = joined<kThreads / 32>(scratch[mine ? 0 : 1]);
  Affine* to = mine ? own : other;
  if (first < channels) to[first] = affine(m, early.scale, early.shift);
#pragma unroll 1
  for (int c = first + lanes; c < channels; c += lanes) to[c] = affine(m, scale[c], shift[c]);
  __syncthreads();

#pragma unroll 1
  for (int i = t; i < a.cells; i += kThreads) {
    const int cell = a.first + i, c = cell % per_pixel * kCell;
    float v[kCell], g[kCell], r[kCell];
    widen<T>(value, v);
    if (a.gated) widen<T>(gate, g);
    if (a.residual != nullptr) widen<T>(residual, r);
    load(i + kThreads);
#pragma unroll
    for (int k = 0; k < kCell; k++) v[k] = v[k] * own[c + k].scale + own[c + k].shift;
    if (a.gated) {
#pragma unroll
      for (int k = 0; k < kCell; k++) {
        const float gated = g[k] * own[C + c + k].scale + own[C + c + k].shift;
        v[k] *= gated < 0 ? 0 : gated;  // a NaN stays
      }
    } else {
      silu<sizeof(T) == 2>(v);
    }
    if (a.residual != nullptr) {
      if (normalises_residual) {
#pragma unroll
        for (int k = 0; k < kCell; k++) r[k] = r[k] * other[c + k].scale + other[c + k].shift;
        silu<sizeof(T) == 2>(r);
#pragma unroll
        for (int k = 0; k < kCell; k++) r[k] = rounded<T>(r[k]);
      }
#pragma unroll
      for (int k = 0; k < kCell; k++) v[k] += r[k];
    }
    if (a.out != nullptr) {
      uint4 out[kWords];
      narrow<T>(v, out);
#pragma unroll
      for (int w = 0; w < kWords; w++)
        reinterpret_cast<uint4*>(static_cast<T*>(a.out) + size_t(cell) * kCell)[w] = out[w];
    }
    if (a.planes != nullptr) {
      float* to = a.planes + size_t(c) * a.pixels + cell / per_pixel;
#pragma unroll
      for (int k = 0; k < kCell; k++) to[size_t(k) * a.pixels] = rounded<T>(v[k]);
    }
  }
}

// planes makes float planes of maps.
template <class T>
__device__ __forceinline__ void planes(const Layout& l) {
  __shared__ float square[kSquare][kSquare + 1];
  const int p0 = blockIdx.x * kSquare, c0 = blockIdx.y * kSquare, x = threadIdx.x % kSquare, y = threadIdx.x / kSquare;
  const size_t image = size_t(blockIdx.z) * l.pixels * l.channels;
  wait_for_previous_kernel();
  for (int i = y; i < kSquare; i += kThreads / kSquare)
    if (p0 + i < l.pixels && c0 + x < l.channels)
      square[i][x] = float(static_cast<const T*>(l.in)[image + size_t(p0 + i) * l.channels + c0 + x]);
  __syncthreads();
  for (int i = y; i < kSquare; i += kThreads / kSquare)
    if (c0 + i < l.channels && p0 + x < l.pixels)
      static_cast<float*>(l.out)[image + size_t(c0 + i) * l.pixels + p0 + x] = square[x][i];
}

// maps makes maps of float planes, rounded.
template <class T>
__device__ __forceinline__ void maps(const Layout& l) {
  __shared__ float square[kSquare][kSquare + 1];
  const int p0 = blockIdx.x * kSquare, c0 = blockIdx.y * kSquare, x = threadIdx.x % kSquare, y = threadIdx.x / kSquare;
  const size_t image = size_t(blockIdx.z) * l.pixels * l.channels;
  wait_for_previous_kernel();
  for (int i = y; i < kSquare; i += kThreads / kSquare)
    if (c0 + i < l.channels && p0 + x < l.pixels)
      square[i][x] = static_cast<const float*>(l.in)[image + size_t(c0 + i) * l.pixels + p0 + x];
  __syncthreads();
  for (int i = y; i < kSquare; i += kThreads / kSquare)
    if (p0 + i < l.pixels && c0 + x < l.channels)
      static_cast<T*>(l.out)[image + size_t(p0 + i) * l.channels + c0 + x] = T(square[x][i]);
}

// `blocks` fit a multiprocessor at once.
#define APEXX_ENTRIES(type, T, blocks)                                                                             \
  extern "C" __global__ void __launch_bounds__(kThreads, blocks) norm_apply_##type(const Arguments args) {         \
    apply<T>(args.list);                                                                                           \
  }                                                                                                                \
  extern "C" __global__ void __launch_bounds__(kThreads) norm_planes_##type(Layout l) { planes<T>(l); }            \
  extern "C" __global__ void __launch_bounds__(kThreads) norm_maps_##type(Layout l) { maps<T>(l); }
APEXX_ENTRIES(f16, __half, 4)
APEXX_ENTRIES(bf16, __nv_bfloat16, 4)
APEXX_ENTRIES(f32, float, 3)
#undef APEXX_ENTRIES

}  // namespace apexx::norm
