// GroupNorm with one group over float16 maps in NHWC, activation, gate and residual: what an engine's convolutions leave and take, without a copy
// into planes and back. The formulas are those of ../ops_norm.cuh, in single precision. Maps of one launch have nothing in common but the activation.
//
// norm_nhwc_moments: a block for each piece of an image's map, held in registers between the mean and the centred squares. norm_nhwc_apply: a block
// for a stretch of y; it combines the pieces first, always in the same order.
#pragma once

#include "../moments.h"
#include "../ops_norm.cuh"
#include "ops_plugin.cuh"

namespace apexx {

constexpr int kNhwcThreads = 256;
constexpr int kHeldCells = 8;      // of a thread
constexpr int kPieceCells = kHeldCells * kNhwcThreads;
constexpr int kApplyCells = 2;     // of a thread

constexpr int kMostNormMaps = 32;  // of a launch

struct NhwcNormMap {
  const HalfCell *x, *residual;  // [B][pixels][channels/8]; the residual as y, or null
  const float *scale, *shift;    // [channels]
  HalfCell* y;                   // with a gate of channels/2
  Moments* pieces;               // [B][count]
  int cells, piece, count;       // cells of an image's x and of a piece of it, pieces of an image
  int groups;                    // channels/8
  int first_piece, first_stretch;  // the blocks with which the map begins in each kernel
};

struct NhwcNormArgs {
  NhwcNormMap maps[kMostNormMaps];
  float epsilon;
  int count, activation, unused;
};

// The second kernel may start before the first one has ended (device.h, launch): by then all that was before the first one is in memory, and after
// wait_for_moments what the first one has written.
APEXX_DEVICE void let_next_start() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;");
#endif
}

APEXX_DEVICE void wait_for_moments() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

// block_total adds a value of each thread of a block, in the order of a binary tree. scratch has an element for each warp.
APEXX_DEVICE float block_total(float v, float* scratch) {
  auto add = [](float p, float q) { return p + q; };
  v = warp_all(v, add);
  if (threadIdx.x % 32 == 0) scratch[threadIdx.x / 32] = v;
  __syncthreads();
  v = warp_all(threadIdx.x % 32 < kNhwcThreads / 32 ? scratch[threadIdx.x % 32] : 0.0f, add);
  __syncthreads();
  return v;
}

APEXX_BLOCK_KERNEL(norm_nhwc_moments, NhwcNormArgs, kNhwcThreads) {
  __shared__ float scratch[kNhwcThreads / 32];
  let_next_start();
  int number = a.count - 1;
  while (static_cast<int>(blockIdx.x) < a.maps[number].first_piece) number--;
  const NhwcNormMap& m = a.maps[number];
  const int t = threadIdx.x, own = blockIdx.x - m.first_piece, first = own * m.piece, left = m.cells - first, cells = left < m.piece ? left : m.piece;
  const HalfCell* x = m.x + static_cast<int64_t>(blockIdx.y) * m.cells + first;
  HalfCell held[kHeldCells];
  float sum = 0;
#pragma unroll
  for (int i = 0; i < kHeldCells; i++) {
    if (t + i * kNhwcThreads < cells) held[i] = x[t + i * kNhwcThreads];
  }
#pragma unroll
  for (int i = 0; i < kHeldCells; i++) {
    if (t + i * kNhwcThreads >= cells) continue;
    for (int k = 0; k < kCell; k++) sum += static_cast<float>(held[i].v[k]);
  }
  const float n = static_cast<float>(cells) * kCell, mean = block_total(sum, scratch) / n;
  float squares = 0;
#pragma unroll
  for (int i = 0; i < kHeldCells; i++) {
    if (t + i * kNhwcThreads >= cells) continue;
    for (int k = 0; k < kCell; k++) {
      const float d = static_cast<float>(held[i].v[k]) - mean;
      squares += d * d;
    }
  }
  squares = block_total(squares, scratch);
  if (t == 0) m.pieces[blockIdx.y * m.count + own] = {n, mean, squares};
}

// map_moments combines the pieces of an image's map (moments.h).
APEXX_DEVICE Moments map_moments(const NhwcNormMap& map, float* scratch) {
  const Moments* pieces = map.pieces + blockIdx.y * map.count;
  float n = 0, sum = 0, m2 = 0;
  for (int i = threadIdx.x; i < map.count; i += kNhwcThreads) n += pieces[i].n, sum += pieces[i].n * pieces[i].mean;
  n = block_total(n, scratch);
  const float mean = block_total(sum, scratch) / n;
  for (int i = threadIdx.x; i < map.count; i += kNhwcThreads) {
    const float d = pieces[i].mean - mean;
    m2 += pieces[i].m2 + pieces[i].n * d * d;
  }
  return {n, mean, block_total(m2, scratch)};
}

APEXX_BLOCK_KERNEL(norm_nhwc_apply, NhwcNormArgs, kNhwcThreads) {
  __shared__ float scratch[kNhwcThreads / 32];
  int number = a.count - 1;
  while (static_cast<int>(blockIdx.x) < a.maps[number].first_stretch) number--;
  const NhwcNormMap& map = a.maps[number];
  const bool gated = a.activation == kNormGate;
  const int groups = gated ? map.groups / 2 : map.groups, cells = gated ? map.cells / 2 : map.cells;
  const int64_t in = static_cast<int64_t>(blockIdx.y) * map.cells, out = static_cast<int64_t>(blockIdx.y) * cells;
  const int first = (blockIdx.x - map.first_stretch) * kApplyCells * kNhwcThreads + threadIdx.x;
  HalfCell value[kApplyCells], gate[kApplyCells], residual[kApplyCells];
#pragma unroll
  for (int i = 0; i < kApplyCells; i++) {  // all loads are under way before the moments are there
    const int cell = first + i * kNhwcThreads;
    if (cell >= cells) continue;
    const HalfCell* x = map.x + in + (gated ? cell / groups * map.groups + cell % groups : cell);
    value[i] = *x;
    if (gated) gate[i] = x[groups];
    if (map.residual) residual[i] = map.residual[out + cell];
  }
  wait_for_moments();
  const Moments m = map_moments(map, scratch);
  const float inverse = 1 / sqrtf(m.m2 / m.n + a.epsilon);
#pragma unroll
  for (int i = 0; i < kApplyCells; i++) {
    const int cell = first + i * kNhwcThreads, c = cell % groups * kCell;
    if (cell >= cells) continue;
    HalfCell y;
#pragma unroll
    for (int k = 0; k < kCell; k++) {
      float v = (static_cast<float>(value[i].v[k]) - m.mean) * (inverse * map.scale[c + k]) + map.shift[c + k];
      if (a.activation == kNormSilu) v = v * logistic(v);
      if (gated) {
        const int g = c + k + groups * kCell;
        v = v * larger((static_cast<float>(gate[i].v[k]) - m.mean) * (inverse * map.scale[g]) + map.shift[g], 0.0f);
      }
      y.v[k] = static_cast<Half>(map.residual ? v + static_cast<float>(residual[i].v[k]) : v);
    }
    map.y[out + cell] = y;
  }
}

}  // namespace apexx
