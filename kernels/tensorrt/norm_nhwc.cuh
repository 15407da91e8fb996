// GroupNorm with one group over a float16 map in NHWC, activation, gate and residual: what an engine's convolutions leave and take, without a copy
// into planes and back. The formulas are those of ../ops_norm.cuh, in single precision.
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

struct NhwcNormArgs {
  const HalfCell *x, *residual;  // [B][pixels][channels/8]; the residual as y, or null
  const float *scale, *shift;    // [channels]
  HalfCell* y;                   // with a gate of channels/2
  Moments* pieces;               // [B][count]
  float epsilon;
  int cells, piece, count;  // cells of an image's x and of a piece of it, pieces of an image
  int groups, activation;   // groups: channels/8
};

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
  const int t = threadIdx.x, first = blockIdx.x * a.piece, left = a.cells - first, cells = left < a.piece ? left : a.piece;
  const HalfCell* x = a.x + static_cast<int64_t>(blockIdx.y) * a.cells + first;
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
  if (t == 0) a.pieces[blockIdx.y * a.count + blockIdx.x] = {n, mean, squares};
}

// map_moments combines the pieces of an image's map (moments.h).
APEXX_DEVICE Moments map_moments(const NhwcNormArgs& a, float* scratch) {
  const Moments* pieces = a.pieces + blockIdx.y * a.count;
  float n = 0, sum = 0, m2 = 0;
  for (int i = threadIdx.x; i < a.count; i += kNhwcThreads) n += pieces[i].n, sum += pieces[i].n * pieces[i].mean;
  n = block_total(n, scratch);
  const float mean = block_total(sum, scratch) / n;
  for (int i = threadIdx.x; i < a.count; i += kNhwcThreads) {
    const float d = pieces[i].mean - mean;
    m2 += pieces[i].m2 + pieces[i].n * d * d;
  }
  return {n, mean, block_total(m2, scratch)};
}

APEXX_BLOCK_KERNEL(norm_nhwc_apply, NhwcNormArgs, kNhwcThreads) {
  __shared__ float scratch[kNhwcThreads / 32];
  const bool gated = a.activation == kNormGate;
  const int groups = gated ? a.groups / 2 : a.groups, cells = gated ? a.cells / 2 : a.cells;
  const int64_t in = static_cast<int64_t>(blockIdx.y) * a.cells, out = static_cast<int64_t>(blockIdx.y) * cells;
  const int first = blockIdx.x * kApplyCells * kNhwcThreads + threadIdx.x;
  HalfCell value[kApplyCells], gate[kApplyCells], residual[kApplyCells];
#pragma unroll
  for (int i = 0; i < kApplyCells; i++) {  // all loads are under way while the moments are combined
    const int cell = first + i * kNhwcThreads;
    if (cell >= cells) continue;
    const HalfCell* x = a.x + in + (gated ? cell / groups * a.groups + cell % groups : cell);
    value[i] = *x;
    if (gated) gate[i] = x[groups];
    if (a.residual) residual[i] = a.residual[out + cell];
  }
  const Moments m = map_moments(a, scratch);
  const float inverse = 1 / sqrtf(m.m2 / m.n + a.epsilon);
#pragma unroll
  for (int i = 0; i < kApplyCells; i++) {
    const int cell = first + i * kNhwcThreads, c = cell % groups * kCell;
    if (cell >= cells) continue;
    HalfCell y;
#pragma unroll
    for (int k = 0; k < kCell; k++) {
      float v = (static_cast<float>(value[i].v[k]) - m.mean) * (inverse * a.scale[c + k]) + a.shift[c + k];
      if (a.activation == kNormSilu) v = v * logistic(v);
      if (gated) {
        const int g = c + k + groups * kCell;
        v = v * larger((static_cast<float>(gate[i].v[k]) - m.mean) * (inverse * a.scale[g]) + a.shift[g], 0.0f);
      }
      y.v[k] = static_cast<Half>(a.residual ? v + static_cast<float>(residual[i].v[k]) : v);
    }
    a.y[out + cell] = y;
  }
}

}  // namespace apexx
