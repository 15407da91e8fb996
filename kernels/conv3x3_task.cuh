// What a block of a 3×3 convolution receives, and the prologue and statistics that the variants share.
#pragma once

#include <cuda_fp16.h>

#include <vector>

#include "conv3x3.h"
#include "moments.h"

namespace apexx::conv3x3 {

// kEpsilon of every GroupNorm of the model.
constexpr float kEpsilon = 1e-5f;

// Operands of one branch, whose maps hold T: __half, or float for strict single precision.
template <class T>
struct Operands {
  const T* in;
  const __half* weights;  // for float two sets, one behind the other: see split
  T* out;
  Moments* moments;  // of the output before it is rounded, one for each tile of the branch
  // Kernels compiled with kNormalise first take the input through a GroupNorm with one group, and SiLU.
  const Moments* in_moments;   // that the input's producer left, one for each of its tiles (Level::in_first_tile)
  const float *scale, *shift;  // per input channel
};

// Task is one tile with all that its computation needs. The tasks of a launch lie in device memory, made once: a block
// knows what to do after one access, where plan and kernel parameters, read field by field, make it wait four times.
template <class T>
struct alignas(16) Task {
  const T* in;  // the level's input map; a null pointer means no task
  const __half* weights;
  T* out;                     // the level's output map
  Moments* moments;           // of this tile
  const Moments* in_moments;  // of the level's input, in_tiles of them
  const float *scale, *shift;
  int in_tiles;
  int16_t in_height, in_width, height, width, y, x;
  int branch, branch_blocks;
};

// make_tasks lists the tiles of all blocks: block i has slots [i·most_tiles, (i+1)·most_tiles), the last of which may
// be empty.
template <class T>
std::vector<Task<T>> make_tasks(const Plan& plan, const Operands<T>* operands, int channels_in, int channels_out) {
  std::vector<Task<T>> tasks(size_t(plan.blocks) * plan.most_tiles);
  for (int b = 0; b < plan.branches; b++) {
    const Branch& branch = plan.branch[b];
    const Operands<T>& o = operands[b];
    for (int block = 0; block < branch.blocks; block++)
      for (int i = first_tile_of(branch, block); i < first_tile_of(branch, block + 1); i++) {
        const Tile tile = tile_at(plan, i);
        const Level& l = plan.level[tile.level];
        Task<T>& task =
            tasks[size_t(branch.first_block + block) * plan.most_tiles + (i - first_tile_of(branch, block))];
        task.in = o.in + size_t(l.in_first) * channels_in, task.weights = o.weights,
        task.out = o.out + size_t(l.first_pixel) * channels_out;
        task.moments = o.moments + i, task.in_moments = o.in_moments + l.in_first_tile, task.in_tiles = l.in_tiles;
        task.scale = o.scale, task.shift = o.shift;
        task.in_height = int16_t(l.in_height), task.in_width = int16_t(l.in_width), task.height = int16_t(l.height),
        task.width = int16_t(l.width);
        task.y = int16_t(tile.y), task.x = int16_t(tile.x), task.branch = b, task.branch_blocks = branch.blocks;
      }
  }
  return tasks;
}

__device__ __forceinline__ float warp_sum(float x) {
#pragma unroll
  for (int step = 16; step > 0; step /= 2) x += __shfl_xor_sync(~0u, x, step);
  return x;
}

// warp_moments returns the moments of a warp's values, count of them in all, given each lane's sum and sum of squares.
// The squares are summed as they are: over a piece this small what cancels is far below the rounding of the fp16 map
// that the values become.
__device__ __forceinline__ Moments warp_moments(float sum, float squares, int count) {
  sum = warp_sum(sum), squares = warp_sum(squares);
  if (count == 0) return {0, 0, 0};
  const float mean = sum / float(count);
  return {float(count), mean, fmaxf(squares - sum * mean, 0.0f)};
}

// LevelMoments combines the moments of all tiles of a level with the threads of kWarps warps, in an order that no
// timing changes.
template <int kWarps>
class LevelMoments {
 public:
  // load starts the loads of thread t.
  __device__ __forceinline__ void load(const Moments* tiles, int count, int t) {
#pragma unroll
    for (int i = 0; i < kPieces; i++)
      piece_[i] = t + i * 32 * kWarps < count ? tiles[t + i * 32 * kWarps] : Moments{0, 0, 0};
    for (int i = t + kPieces * 32 * kWarps; i < count; i += 32 * kWarps) piece_[0] = combine<2>({piece_[0], tiles[i]});
  }
  // leave puts one piece for each warp into scratch; when all threads have come so far, combine(scratch) is the whole.
  __device__ __forceinline__ void leave(Moments (&scratch)[kWarps], int t) const {
    float n = 0, sum = 0, m2 = 0;
#pragma unroll
    for (int i = 0; i < kPieces; i++) n += piece_[i].n, sum += piece_[i].n * piece_[i].mean;
    n = warp_sum(n), sum = warp_sum(sum);
    const float mean = sum / fmaxf(n, 1.0f);
#pragma unroll
    for (int i = 0; i < kPieces; i++)
      m2 += piece_[i].m2 + piece_[i].n * (piece_[i].mean - mean) * (piece_[i].mean - mean);
    m2 = warp_sum(m2);
    if (t % 32 == 0) scratch[t / 32] = {n, mean, m2};
  }

 private:
  static constexpr int kPieces = 4;  // loaded side by side; a level of more tiles takes further rounds
  Moments piece_[kPieces];
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
// stays finite; what that changes is below 1e-6. Errors are a few fp32 ulp; the result is rounded to fp16 at once.
__device__ __forceinline__ void silu4(float (&x)[4]) {
  constexpr float kLog2e = 1.44269504f;
  float d[4];
#pragma unroll
  for (int i = 0; i < 4; i++) d[i] = 1.0f + exp2_fast(fminf(x[i] * -kLog2e, 28.0f));
  const float low = d[0] * d[1], high = d[2] * d[3], r = reciprocal_fast(low * high);
  const float r_low = r * high, r_high = r * low;  // 1/low and 1/high
  x[0] *= r_low * d[1], x[1] *= r_low * d[0], x[2] *= r_high * d[3], x[3] *= r_high * d[2];
}

__device__ __forceinline__ float2 unpack(uint32_t pair) {
  return __half22float2(*reinterpret_cast<const __half2*>(&pair));
}

__device__ __forceinline__ uint32_t pack(float low, float high) {
  const __half2 pair = __floats2half2_rn(low, high);
  return *reinterpret_cast<const uint32_t*>(&pair);
}

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

// Affine is what GroupNorm does to one channel: x·scale + shift.
struct Affine {
  float scale, shift;
};

// PatchLoader brings the input under a tile into a patch with kThreads threads: all loads first, then phase by phase
// normalised, activated and stored, so that the first channels are multiplied while the next ones are made ready. Four
// threads read neighbouring bytes of a pixel, and every thread keeps its eight channels of a phase. Pixels outside the
// map are zero after normalisation, as the padding of a convolution is. A patch of float has two parts, hi and lo, one
// behind the other.
template <class T, int kChannels, int kStride, bool kNormalise, int kThreads>
class PatchLoader {
 public:
  using P = Patch<kChannels, kStride>;
  static constexpr int kPhases = kChannels / kPhase;

  // load starts the loads of thread t.
  __device__ __forceinline__ void load(const Task<T>& task, int t) {
    inside_ = 0;
#pragma unroll
    for (int i = 0; i < kSteps; i++) {
      const int p = t / kPhaseChunks + i * kLanes, y = task.y * kStride - 1 + p / P::kSide,
                x = task.x * kStride - 1 + p % P::kSide;
      const bool inside = p < kPixels && y >= 0 && y < task.in_height && x >= 0 && x < task.in_width;
      const T* pixel = task.in + (y * task.in_width + x) * kChannels + t % kPhaseChunks * kCell;
#pragma unroll
      for (int phase = 0; phase < kPhases; phase++)
#pragma unroll
        for (int w = 0; w < kWords; w++) {
          cell_[phase][i][w] = make_uint4(0, 0, 0, 0);
          if (inside) cell_[phase][i][w] = reinterpret_cast<const uint4*>(pixel + phase * kPhase)[w];
        }
      inside_ |= unsigned(inside) << i;
    }
  }

  // store writes one phase into the patch. affine has an entry for each channel of the map.
  __device__ __forceinline__ void store(int phase, uint4* patch, const Affine* affine, int t) const {
    const int chunk = phase * kPhaseChunks + t % kPhaseChunks;
    Affine a[kCell];
    if (kNormalise) {
#pragma unroll
      for (int c = 0; c < kCell; c++) a[c] = affine[chunk * kCell + c];
    }
#pragma unroll
    for (int i = 0; i < kSteps; i++) {
      const int p = t / kPhaseChunks + i * kLanes;
      if (p >= kPixels) continue;
      uint4* at = patch + chunk * P::kPlane + P::cell(p / P::kSide, p % P::kSide);
      const bool activates = kNormalise && inside_ >> i & 1;
      if constexpr (kWords == 1) {
        uint4 cell = cell_[phase][i][0];
        if (activates) activate(cell.x, cell.y, a), activate(cell.z, cell.w, a + 4);
        *at = cell;
      } else {
        __half hi[kCell], lo[kCell];
#pragma unroll
        for (int w = 0; w < 2; w++) {
          const uint4 cell = cell_[phase][i][w];
          float v[4] = {__uint_as_float(cell.x), __uint_as_float(cell.y), __uint_as_float(cell.z),
                        __uint_as_float(cell.w)};
#pragma unroll
          for (int c = 0; c < 4; c++) {
            if (activates) v[c] = v[c] * a[4 * w + c].scale + a[4 * w + c].shift, v[c] = v[c] / (1.0f + expf(-v[c]));
            split(v[c], hi[4 * w + c], lo[4 * w + c]);
          }
        }
        at[0] = *reinterpret_cast<const uint4*>(hi), at[P::kBytes / 16] = *reinterpret_cast<const uint4*>(lo);
      }
    }
  }

 private:
  static constexpr int kPixels = P::kSide * P::kSide, kLanes = kThreads / kPhaseChunks,
                       kSteps = (kPixels + kLanes - 1) / kLanes;
  static constexpr int kWords = sizeof(T) / 2;  // 16-byte words of eight channels

  // activate normalises and activates four channels.
  static __device__ __forceinline__ void activate(uint32_t& low, uint32_t& high, const Affine* a) {
    const float2 x = unpack(low), y = unpack(high);
    float v[4] = {x.x * a[0].scale + a[0].shift, x.y * a[1].scale + a[1].shift, y.x * a[2].scale + a[2].shift,
                  y.y * a[3].scale + a[3].shift};
    silu4(v);
    low = pack(v[0], v[1]), high = pack(v[2], v[3]);
  }

  uint4 cell_[kPhases][kSteps][kWords];
  unsigned inside_;  // bit i: pixel i of this thread lies inside the map
};

}  // namespace apexx::conv3x3
