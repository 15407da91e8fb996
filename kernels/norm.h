// GroupNorm with one group, activation, gate and residual over whole maps: what a launch receives. Plain C++; launch.go
// says the same in Go.
//
//   plain   out = silu(norm(in)) + res                    in of C channels
//   gated   out = norm(in)[:C] · relu(norm(in)[C:]) + res in of 2·C channels: ReGLU, normalised over all 2·C
//
// res is nothing, a map, or silu(norm(residual)), rounded to the type of the maps as every map in memory is. The result
// is stored as a map, as float32 planes [channel][pixel] of the same rounded values, or as both.
#pragma once

#include <stdint.h>

#ifndef __CUDACC_RTC__  // which compiles for the device alone
#include <algorithm>
#include <vector>
#endif

#include "both.h"
#include "moments.h"

namespace apexx::norm {

constexpr int kThreads = 256;
constexpr int kCell = 8;                   // channels that a thread makes at once
constexpr int kBlockCells = kThreads;      // of a block, at a time
constexpr int kMostChannels = 512;         // C

// Apply is what one block does. The list lies in device memory, made once. Pointers are device memory, of one image.
struct alignas(16) Apply {
  const void* in;
  const Moments* in_moments;
  const float *scale, *shift;  // per channel of in
  const void* residual;        // null: none
  const Moments* residual_moments;
  const float *residual_scale, *residual_shift;  // null: the residual is added as it is
  void* out;      // null: no map is stored
  float* planes;  // null: no planes
  int32_t in_pieces, residual_pieces;
  int32_t first, cells;  // of the map's cells, C/8 to a pixel, first to last pixel
  int16_t channels;      // C, a multiple of 8
  int16_t gated;
  int32_t pixels;  // of the map
};
static_assert(sizeof(Apply) == 112, "launch.go has this layout");

// Arguments is what the kernels receive that apply.
struct Arguments {
  const Apply* list;
};

// Layout is what a launch between the layouts receives: maps, [image][pixel][channel], and float planes,
// [image][channel][pixel]. Launch: grid (pixels / 32, channels / 32, images) rounded up, kThreads threads.
struct Layout {
  const void* in;
  void* out;
  int32_t pixels, channels;
};

constexpr int kSquare = 32;  // pixels and channels that a block turns

#ifndef __CUDACC_RTC__
// cut makes the blocks of a map that is described with cells = all of its cells.
inline void cut(const Apply& map, std::vector<Apply>& blocks) {
  for (int first = 0; first < map.cells; first += kBlockCells) {
    blocks.push_back(map);
    blocks.back().first = first, blocks.back().cells = std::min(kBlockCells, map.cells - first);
  }
}
#endif

}  // namespace apexx::norm
