// GroupNorm with one group over float16 or float32 maps, activation, gate and residual: what an engine's convolutions leave and take, as it lies in
// memory. The formulas are those of ../ops_norm.cuh, in single precision. Maps of one launch have nothing in common but type and activation.
//
// A map is a row of cells of eight elements, which lie together: eight channels of a pixel in NHWC, eight pixels of a channel in planes. What both
// kernels do is the same but for the channel of an element.
//
// norm_moments_…: a block for each piece of an image's map, held in registers between the mean and the centred squares. norm_cells_…: a block for a
// stretch of y; it combines the pieces first, always in the same order.
#pragma once

#include "../moments.h"
#include "../ops_norm.cuh"
#include "ops_plugin.cuh"

namespace apexx {

constexpr int kCellThreads = 256;
constexpr int kApplyCells = 2;     // of a thread
constexpr int kMostNormMaps = 32;  // of a launch

// kHeldCells is how many cells of T a thread has in registers.
template <class T>
constexpr int kHeldCells = sizeof(T) == 2 ? 8 : 4;

template <class T>
struct alignas(16) NormCell {
  T v[kCell];
};

struct NormMap {
  const void *x, *residual;        // the first cell of x; the residual as y, or null
  int64_t stride;                  // cells of x between images: x may be some channels of a map
  const float *scale, *shift;      // [channels of x]
  void* y;                         // with a gate of half the channels
  Moments* pieces;                 // [B][count]
  int cells, piece, count;         // cells of an image's x and of a piece of it, pieces of an image
  int channels;                    // of y
  int run;                         // in NHWC the cells of a pixel of y; in planes the cells of a channel
  int own, pitch;                  // in NHWC the cells of a pixel that x has, and that its map has
  int first_piece, first_stretch;  // the blocks with which the map begins in each kernel
};

struct CellNormArgs {
  NormMap maps[kMostNormMaps];
  float epsilon;
  int count, activation, planes;
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
  v = warp_all(threadIdx.x % 32 < kCellThreads / 32 ? scratch[threadIdx.x % 32] : 0.0f, add);
  __syncthreads();
  return v;
}

// place_of_cell returns where a cell of x lies, counted from the first one.
APEXX_DEVICE int place_of_cell(const CellNormArgs& a, const NormMap& m, int cell) {
  return a.planes || m.own == m.pitch ? cell : cell + quotient_of(cell, 1.0f / m.own) * (m.pitch - m.own);
}

template <class T>
APEXX_DEVICE void moments_of_cells(const CellNormArgs& a) {
  __shared__ float scratch[kCellThreads / 32];
  let_next_start();
  int number = a.count - 1;
  while (static_cast<int>(blockIdx.x) < a.maps[number].first_piece) number--;
  const NormMap& m = a.maps[number];
  const int t = threadIdx.x, own = blockIdx.x - m.first_piece, first = own * m.piece, left = m.cells - first, cells = left < m.piece ? left : m.piece;
  const NormCell<T>* x = static_cast<const NormCell<T>*>(m.x) + blockIdx.y * m.stride;
  NormCell<T> held[kHeldCells<T>];
  float sum = 0;
#pragma unroll
  for (int i = 0; i < kHeldCells<T>; i++) {
    if (t + i * kCellThreads < cells) held[i] = x[place_of_cell(a, m, first + t + i * kCellThreads)];
  }
#pragma unroll
  for (int i = 0; i < kHeldCells<T>; i++) {
    if (t + i * kCellThreads >= cells) continue;
    for (int k = 0; k < kCell; k++) sum += static_cast<float>(held[i].v[k]);
  }
  const float n = static_cast<float>(cells) * kCell, mean = block_total(sum, scratch) / n;
  float squares = 0;
#pragma unroll
  for (int i = 0; i < kHeldCells<T>; i++) {
    if (t + i * kCellThreads >= cells) continue;
    for (int k = 0; k < kCell; k++) {
      const float d = static_cast<float>(held[i].v[k]) - mean;
      squares += d * d;
    }
  }
  squares = block_total(squares, scratch);
  if (t == 0) m.pieces[blockIdx.y * m.count + own] = {n, mean, squares};
}

APEXX_BLOCK_KERNEL(norm_moments_f16, CellNormArgs, kCellThreads) { moments_of_cells<Half>(a); }
APEXX_BLOCK_KERNEL(norm_moments_f32, CellNormArgs, kCellThreads) { moments_of_cells<float>(a); }

// map_moments combines the pieces of an image's map (moments.h).
APEXX_DEVICE Moments map_moments(const NormMap& map, float* scratch) {
  const Moments* pieces = map.pieces + blockIdx.y * map.count;
  float n = 0, sum = 0, m2 = 0;
  for (int i = threadIdx.x; i < map.count; i += kCellThreads) n += pieces[i].n, sum += pieces[i].n * pieces[i].mean;
  n = block_total(n, scratch);
  const float mean = block_total(sum, scratch) / n;
  for (int i = threadIdx.x; i < map.count; i += kCellThreads) {
    const float d = pieces[i].mean - mean;
    m2 += pieces[i].m2 + pieces[i].n * d * d;
  }
  return {n, mean, block_total(m2, scratch)};
}

template <class T>
APEXX_DEVICE void apply_to_cells(const CellNormArgs& a) {
  __shared__ float scratch[kCellThreads / 32];
  int number = a.count - 1;
  while (static_cast<int>(blockIdx.x) < a.maps[number].first_stretch) number--;
  const NormMap& map = a.maps[number];
  const bool gated = a.activation == kNormGate;
  const int cells = gated ? map.cells / 2 : map.cells;
  const int gate_at = a.planes ? cells : map.run;  // of x, from the cell of a value on
  const NormCell<T>* x = static_cast<const NormCell<T>*>(map.x) + blockIdx.y * map.stride;
  const NormCell<T>* residual = map.residual ? static_cast<const NormCell<T>*>(map.residual) + static_cast<int64_t>(blockIdx.y) * cells : nullptr;
  NormCell<T>* y = static_cast<NormCell<T>*>(map.y) + static_cast<int64_t>(blockIdx.y) * cells;
  const int first = (blockIdx.x - map.first_stretch) * kApplyCells * kCellThreads + threadIdx.x;
  NormCell<T> value[kApplyCells], gate[kApplyCells], added[kApplyCells];
#pragma unroll
  for (int i = 0; i < kApplyCells; i++) {  // all loads are under way before the moments are there
    const int cell = first + i * kCellThreads;
    if (cell >= cells) continue;
    const NormCell<T>* from = x + cell + (a.planes || map.run == map.pitch ? 0 : cell / map.run * (map.pitch - map.run));
    value[i] = *from;
    if (gated) gate[i] = from[gate_at];
    if (residual) added[i] = residual[cell];
  }
  wait_for_moments();
  const Moments m = map_moments(map, scratch);
  const float inverse = 1 / sqrtf(m.m2 / m.n + a.epsilon);
#pragma unroll
  for (int i = 0; i < kApplyCells; i++) {
    const int cell = first + i * kCellThreads;
    if (cell >= cells) continue;
    const int c = a.planes ? cell / map.run : cell % map.run * kCell, step = a.planes ? 0 : 1;
    NormCell<T> out;
#pragma unroll
    for (int k = 0; k < kCell; k++) {
      const int own = c + k * step, other = own + map.channels;
      float v = (static_cast<float>(value[i].v[k]) - m.mean) * (inverse * map.scale[own]) + map.shift[own];
      if (a.activation == kNormSilu) v = v * logistic(v);
      if (gated) v = v * larger((static_cast<float>(gate[i].v[k]) - m.mean) * (inverse * map.scale[other]) + map.shift[other], 0.0f);
      out.v[k] = static_cast<T>(residual ? v + static_cast<float>(added[i].v[k]) : v);
    }
    y[cell] = out;
  }
}

APEXX_BLOCK_KERNEL(norm_cells_f16, CellNormArgs, kCellThreads) { apply_to_cells<Half>(a); }
APEXX_BLOCK_KERNEL(norm_cells_f32, CellNormArgs, kCellThreads) { apply_to_cells<float>(a); }

}  // namespace apexx
