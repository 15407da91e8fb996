// What the convolution kernels share on the device: arithmetic of the formats, the prologue that brings the input under
// a task into shared memory, and the statistics (conv.h has formula and memory formats).
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "conv.h"
#include "moments.h"
#include "norm.cuh"

namespace apexx::conv {

// Operand is the type that the matrix unit multiplies, Map that of maps in memory.
template <Format f>
struct Types {
  using Operand = __half;
  using Map = __half;
};
template <>
struct Types<Format::bf16> {
  using Operand = __nv_bfloat16;
  using Map = __nv_bfloat16;
};
template <>
struct Types<Format::tf32> {
  using Operand = float;
  using Map = float;
};
template <>
struct Types<Format::f32> {
  using Operand = __half;
  using Map = float;
};

// Single precision on fp16 matrix units: x = hi + lo / 2048 with hi = fp16(x) and lo = fp16(2048·(x - hi)) keeps 22
// bits and more, and
//
//   x·w = hi·hi' + (hi·lo' + lo·hi') / 2048 + lo·lo' / 2048²
//
// of which three products are computed, the small ones in sums of their own, and the last, below 2^-22 of the first, is
// left out (Ootomo and Yokota, 2022, "Recovering single precision accuracy from Tensor Cores"). |x| must stay below
// 65504.
constexpr float kSplitScale = 2048;

APEXX_BOTH void split(float x, __half& hi, __half& lo) {
  hi = __float2half_rn(x);
  lo = __float2half_rn((x - __half2float(hi)) * kSplitScale);
}

// to_tf32 rounds to 11 bits, halves to even: the matrix unit itself would cut them off.
__device__ __forceinline__ float to_tf32(float x) {
  const uint32_t bits = __float_as_uint(x);
  return x == x ? __uint_as_float((bits + 0xFFF + (bits >> 13 & 1)) & 0xFFFFE000) : x;
}

// PatchLoader brings the input under a task into a patch with kThreads threads, phase by phase: loads are started
// kAhead phases before they are stored, so that the first channels are multiplied while the next ones are on their way.
// Four threads read neighbouring bytes of a pixel. Pixels outside the map are zero after normalisation, as the padding
// of a convolution is. A patch of two parts has the low halves behind the high ones.
//
// kImage: the input is the float32 image [3][pixel] instead, the convolution one of 3×3 at stride 2, and a pixel of the
// patch has the 27 values under an output pixel as its channels, 9·colour + tap: a convolution with one tap.
template <Format kFormat, int kTaps, int kStride, bool kImage, int kThreads, int kAhead>
class PatchLoader {
 public:
  using P = Patch<kTaps, kStride>;
  using Map = typename Types<kFormat>::Map;
  static constexpr int kCell = cell_channels(kFormat), kPhase = kPhaseChunks * kCell;

  // begin takes a task for thread t.
  __device__ __forceinline__ void begin(const Task& task, int t) {
    chunk_ = t % kPhaseChunks;
    in_ = task.in, in2_ = task.in2, channels_ = task.channels, channels2_ = task.channels2;
    normalised_ = task.scale != nullptr ? channels_ : 0;
    height_ = task.in_height, width_ = task.in_width, out_width_ = task.width;
#pragma unroll
    for (int i = 0; i < kSteps; i++) {
      const int p = t / kPhaseChunks + i * kLanes, y = task.y * kStride - P::kBorder + p / P::kSide,
                x = task.x * kStride - P::kBorder + p % P::kSide;
      const int height = kImage ? task.height : task.in_height, width = kImage ? task.width : task.in_width;
      const bool inside = p < kPixels && y >= 0 && y < height && x >= 0 && x < width;
      pixel_[i] = inside ? y * width + x : -1;
    }
  }

  // load starts the loads of a phase into a slot, both of which are constants after unrolling but for the first.
  __device__ __forceinline__ void load(int phase, int slot) {
    if constexpr (kImage) return load_image(phase, slot);
    int c = phase * kPhase + chunk_ * kCell, channels = channels_;
    const Map* in = static_cast<const Map*>(in_);
    if (c >= channels && in2_ != nullptr) c -= channels, in = static_cast<const Map*>(in2_), channels = channels2_;
#pragma unroll
    for (int i = 0; i < kSteps; i++)
#pragma unroll
      for (int w = 0; w < kWords; w++) {
        cell_[slot][i][w] = make_uint4(0, 0, 0, 0);
        if (pixel_[i] >= 0 && c < channels)
          cell_[slot][i][w] = reinterpret_cast<const uint4*>(in + (pixel_[i] * channels + c))[w];
      }
  }

  // store writes a phase from a slot into a patch. affine has an entry for each channel of the map if the input is
  // normalised.
  __device__ __forceinline__ void store(int phase, int slot, uint4* patch, int part_cells,
                                        const norm::Affine* affine) const {
    const int c = phase * kPhase + chunk_ * kCell;
    const bool normalises = !kImage && c < normalised_;
    norm::Affine a[kCell];
    if (normalises) {
#pragma unroll
      for (int i = 0; i < kCell; i++) a[i] = affine[c + i];
    }
#pragma unroll
    for (int i = 0; i < kSteps; i++) {
      const int p = (threadIdx.x % kThreads) / kPhaseChunks + i * kLanes;
      if (p >= kPixels) continue;
      uint4* at = patch + chunk_ * P::kPlane + P::cell(p / P::kSide, p % P::kSide);
      if constexpr (sizeof(Map) == 2) {
        if (!normalises) {
          *at = cell_[slot][i][0];
          continue;
        }
      }
      float v[kCell];
      norm::widen<Map>(cell_[slot][i], v);
      if (normalises && pixel_[i] >= 0) {
#pragma unroll
        for (int k = 0; k < kCell; k++) v[k] = v[k] * a[k].scale + a[k].shift;
        norm::silu<sizeof(Map) == 2>(v);
      }
      if constexpr (kFormat == Format::f32) {
        __half hi[kCell], lo[kCell];
#pragma unroll
        for (int k = 0; k < kCell; k++) split(v[k], hi[k], lo[k]);
        at[0] = *reinterpret_cast<const uint4*>(hi), at[part_cells] = *reinterpret_cast<const uint4*>(lo);
      } else if constexpr (kFormat == Format::tf32) {
        *at = make_uint4(__float_as_uint(to_tf32(v[0])), __float_as_uint(to_tf32(v[1])), __float_as_uint(to_tf32(v[2])),
                         __float_as_uint(to_tf32(v[3])));
      } else {
        *at = norm::narrow8<Map>(v);
      }
    }
  }

 private:
  static constexpr int kPixels = P::kSide * P::kSide, kLanes = kThreads / kPhaseChunks,
                       kSteps = (kPixels + kLanes - 1) / kLanes;
  static constexpr int kWords = kCell * int(sizeof(Map)) / 16;  // 16-byte words of a cell in memory

  __device__ __forceinline__ void load_image(int phase, int slot) {
    constexpr int kValues = 27;
    const float* in = static_cast<const float*>(in_);
#pragma unroll
    for (int i = 0; i < kSteps; i++) {
      float v[kCell];
      const int y = pixel_[i] / out_width_ * 2 - 1, x = pixel_[i] % out_width_ * 2 - 1;
#pragma unroll
      for (int k = 0; k < kCell; k++) {
        const int value = phase * kPhase + chunk_ * kCell + k, colour = value / 9, row = value % 9 / 3, column = value % 3;
        v[k] = 0;
        if (pixel_[i] >= 0 && value < kValues && y + row >= 0 && y + row < height_ && x + column >= 0 &&
            x + column < width_)
          v[k] = in[(size_t(colour) * height_ + y + row) * width_ + x + column];
      }
      if constexpr (sizeof(Map) == 2) {
        cell_[slot][i][0] = norm::narrow8<Map>(v);
      } else {
#pragma unroll
        for (int w = 0; w < kWords; w++)
          cell_[slot][i][w] = make_uint4(__float_as_uint(v[4 * w]), __float_as_uint(v[4 * w + 1]),
                                         __float_as_uint(v[4 * w + 2]), __float_as_uint(v[4 * w + 3]));
      }
    }
  }

  uint4 cell_[kAhead][kSteps][kWords];
  int pixel_[kSteps];  // within the map, -1 outside
  int chunk_;
  const void *in_, *in2_;
  int channels_, channels2_, normalised_;  // of in, of in2; the first ones of in that are normalised: all or none
  int height_, width_, out_width_;         // of the image
};

}  // namespace apexx::conv
