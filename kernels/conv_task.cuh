// What the convolution kernels share on the device: arithmetic of the formats, the prologue that brings the input under
// a task into shared memory, and the statistics (conv.h has formula and memory formats).
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "conv.h"
#include "moments.h"
#include "norm.cuh"
#include "sm80_ptx.cuh"

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
// 65520, from where on fp16 rounds to infinity: store_cell tells.
constexpr float kSplitScale = 2048, kSplitLimit = 65520;

APEXX_BOTH void split(float x, __half& hi, __half& lo) {
  hi = __float2half_rn(x);
  lo = __float2half_rn((x - __half2float(hi)) * kSplitScale);
}

// to_tf32 rounds to 11 bits, halves to even: the matrix unit itself would cut them off.
__device__ __forceinline__ float to_tf32(float x) {
  const uint32_t bits = __float_as_uint(x);
  return x == x ? __uint_as_float((bits + 0xFFF + (bits >> 13 & 1)) & 0xFFFFE000) : x;
}

// store_cell writes the values of one cell as operands; the low halves lie part_cells behind the high ones. It returns
// whether two halves cannot hold one of them. A NaN they can.
template <Format kFormat, int N>
__device__ __forceinline__ bool store_cell(const float (&v)[N], uint4* at, int part_cells) {
  if constexpr (kFormat == Format::f32) {
    __half hi[N], lo[N];
#pragma unroll
    for (int k = 0; k < N; k++) split(v[k], hi[k], lo[k]);
    at[0] = *reinterpret_cast<const uint4*>(hi), at[part_cells] = *reinterpret_cast<const uint4*>(lo);
    float most = 0;
#pragma unroll
    for (int k = 0; k < N; k++) most = fmaxf(most, fabsf(v[k]));
    return most >= kSplitLimit;
  } else if constexpr (kFormat == Format::tf32) {
    *at = make_uint4(__float_as_uint(to_tf32(v[0])), __float_as_uint(to_tf32(v[1])), __float_as_uint(to_tf32(v[2])),
                     __float_as_uint(to_tf32(v[3])));
  } else {
    *at = norm::narrow8<typename Types<kFormat>::Map>(v);
  }
  return false;
}

// PatchLoader brings the input under a task into a patch with kThreads threads, phase by phase: loads are started
// kAhead phases before they are stored, so that the first channels are multiplied while the next ones are on their way.
// Four threads read neighbouring bytes of a pixel. Pixels outside the map are zero after normalisation, as the padding
// of a convolution is. A patch of two parts has the low halves behind the high ones.
//
// kChannels is the number of channels where it is a constant and there is one input, or 0; kNormalises is false where
// no input is normalised.
template <Format kFormat, int kTaps, int kStride, int kThreads, int kAhead, int kChannels = 0, bool kNormalises = true>
class PatchLoader {
 public:
  using P = Patch<kTaps, kStride>;
  using Map = typename Types<kFormat>::Map;
  static constexpr int kCell = cell_channels(kFormat), kPhase = kPhaseChunks * kCell;

  // begin takes a task for thread t.
  __device__ __forceinline__ void begin(const Task& task, int t) {
    chunk_ = t % kPhaseChunks;
    in_ = static_cast<const Map*>(task.in), in2_ = static_cast<const Map*>(task.in2);
    channels_ = kChannels ? kChannels : task.channels, channels2_ = kChannels ? 0 : task.channels2;
    normalised_ = task.scale != nullptr ? channels_ : 0;
#pragma unroll
    for (int i = 0; i < kSteps; i++) {
      const int p = t / kPhaseChunks + i * kLanes, y = task.y * kStride - P::kBorder + p / P::kSide,
                x = task.x * kStride - P::kBorder + p % P::kSide;
      const bool inside = p < kPixels && y >= 0 && y < task.in_height && x >= 0 && x < task.in_width;
      pixel_[i] = inside ? y * task.in_width + x : -1;
    }
  }

  // load starts the loads of a phase into a slot, both of which are constants after unrolling but for the first.
  __device__ __forceinline__ void load(int phase, int slot) {
    int c = phase * kPhase + chunk_ * kCell, channels = channels_;
    const Map* in = in_;
    if (kChannels == 0 && c >= channels && in2_ != nullptr) c -= channels, in = in2_, channels = channels2_;
#pragma unroll
    for (int i = 0; i < kSteps; i++)
#pragma unroll
      for (int w = 0; w < kWords; w++) {
        cell_[slot][i][w] = make_uint4(0, 0, 0, 0);
        if (pixel_[i] >= 0 && (kChannels != 0 || c < channels))
          cell_[slot][i][w] = reinterpret_cast<const uint4*>(in + (pixel_[i] * channels + c))[w];
      }
  }

  // store writes a phase from a slot into a patch. affine has an entry for each channel of the map if the input is
  // normalised. It returns whether a value is out of the operands' range.
  __device__ __forceinline__ bool store(int phase, int slot, uint4* patch, int part_cells,
                                        const norm::Affine* affine) const {
    bool beyond = false;
    const int c = phase * kPhase + chunk_ * kCell;
    const bool normalises = kNormalises && (kChannels != 0 || c < normalised_);
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
      beyond |= store_cell<kFormat>(v, at, part_cells);
    }
    return beyond;
  }

 private:
  static constexpr int kPixels = P::kSide * P::kSide, kLanes = kThreads / kPhaseChunks,
                       kSteps = (kPixels + kLanes - 1) / kLanes;
  static constexpr int kWords = kCell * int(sizeof(Map)) / 16;  // 16-byte words of a cell in memory

  uint4 cell_[kAhead][kSteps][kWords];
  int pixel_[kSteps];  // within the map, -1 outside
  int chunk_;
  const Map *in_, *in2_;
  int channels_, channels2_, normalised_;  // of in, of in2; the first ones of in that are normalised: all or none
};

// ImageLoader does the same for the float32 image [3][pixel] and a 3×3 convolution at stride 2: a pixel of the patch
// has the 27 values under an output pixel as its channels, 9·colour + tap, so that what follows is a convolution with
// one tap. The square of the image under a task is copied to shared memory while the task before is computed. Where in
// it a thread's values are does not depend on the task, and is computed once.
template <Format kFormat, int kThreads>
class ImageLoader {
 public:
  using P = Patch<1, 1>;
  static constexpr int kCell = cell_channels(kFormat), kPhase = kPhaseChunks * kCell, kValues = 27;
  static constexpr int kSide = 2 * kTile + 1, kSteps = (kImageSquare + kThreads - 1) / kThreads;
  static constexpr int kPhases = (kValues + kPhase - 1) / kPhase;
  static_assert(kThreads == kTilePixels * kPhaseChunks, "a thread for each cell of a phase");
  static_assert(kImageSquare == 3 * kSide * kSide, "three colours");

  __device__ __forceinline__ explicit ImageLoader(const Task& task) {
    const int t = threadIdx.x, chunk = t % kPhaseChunks, p = t / kPhaseChunks;
    const int base = p / kTile * 2 * kSide + p % kTile * 2;
#pragma unroll
    for (int i = 0; i < kPhases * kCell; i++) {
      const int value = i / kCell * kPhase + chunk * kCell + i % kCell;
      at_[i] = base + value / 9 * kSide * kSide + value % 9 / 3 * kSide + value % 3;
    }
    last_ = kValues - chunk * kCell;
#pragma unroll
    for (int i = 0; i < kSteps; i++) {
      const int value = t + i * kThreads, colour = value / (kSide * kSide);
      row_[i] = int16_t(value / kSide % kSide - 1), column_[i] = int16_t(value % kSide - 1);
      from_[i] = (colour * task.in_height + row_[i]) * task.in_width + column_[i];
    }
  }

  // start begins the copy of the image under a task.
  __device__ __forceinline__ void start(const Task& task, float* square) const {
    const int y = 2 * task.y, x = 2 * task.x;
    const float* in = static_cast<const float*>(task.in);
#pragma unroll
    for (int i = 0; i < kSteps; i++) {
      const int to = threadIdx.x + i * kThreads;
      if (to >= kImageSquare) break;
      const bool inside =
          unsigned(y + row_[i]) < unsigned(task.in_height) && unsigned(x + column_[i]) < unsigned(task.in_width);
      sm80::copy_async_or_zero(square + to, inside ? in + (from_[i] + y * task.in_width + x) : in, inside);
    }
    sm80::copy_commit();
  }

  // store gathers a phase, which is a constant after unrolling, from the square into a patch.
  __device__ __forceinline__ bool store(int phase, const float* square, uint4* patch, int part_cells) const {
    const int chunk = threadIdx.x % kPhaseChunks, p = threadIdx.x / kPhaseChunks;
    float v[kCell];
#pragma unroll
    for (int k = 0; k < kCell; k++) v[k] = phase * kPhase + k < last_ ? square[at_[phase * kCell + k]] : 0;
    return store_cell<kFormat>(v, patch + chunk * P::kPlane + P::cell(p / kTile, p % kTile), part_cells);
  }

 private:
  int at_[kPhases * kCell];  // of values in the square
  int last_;                 // values from here on do not exist, for this thread's chunk of the first phase
  int from_[kSteps];         // of values in the image, from the one that lies under the task's first pixel
  int16_t row_[kSteps], column_[kSteps];
};

}  // namespace apexx::conv
