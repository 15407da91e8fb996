// 3×3 convolution with the matrix instructions of compute capability 8.0 (conv3x3.h has formula and formats).
//
// A block makes one tile: its patch stays in shared memory, the weights stream past slab by slab through a ring. Four
// warps share the 64 pixels × kOut channels as 2 × 2. Three blocks fit a multiprocessor of an H100, so all tiles of the towers at 512²
// run in one wave; each reads all weights of its branch from L2.
#pragma once

#include "conv3x3_task.cuh"
#include "sm80_ptx.cuh"

namespace apexx::conv3x3 {

template <int kIn_, int kOut_, int kStride_>
struct Sm80Shape {
  static constexpr int kIn = kIn_, kOut = kOut_, kStride = kStride_;
  using P = Patch<kIn, kStride>;
  static constexpr int kThreads = 128, kRing = 3;
  static constexpr int kSlabs = kIn / kPhase * 3;                   // three taps by 32 channels each
  static constexpr int kTapCells = kPhaseChunks * kOut, kSlabCells = 3 * kTapCells;
  static constexpr int kWarpOut = kOut / 2;                         // channels of one warp
  static_assert(kWarpOut % 16 == 0, "a warp loads weights of 16 channels at once");

  struct Shared {
    uint4 patch[P::kBytes / 16];
    uint4 weights[kRing][kSlabCells];
    Moments warp[4];
    Affine affine[kIn];
  };
};

// Launch: a block for each task, Shape::kThreads threads, sizeof(Shape::Shared) bytes.
template <class Shape, bool kNormalise>
__global__ void __launch_bounds__(Shape::kThreads) conv3x3_sm80(const Task* tasks) {
  using P = typename Shape::P;
  constexpr int kOut = Shape::kOut, kWarpOut = Shape::kWarpOut;
  extern __shared__ __align__(128) char memory[];
  auto& s = *reinterpret_cast<typename Shape::Shared*>(memory);
  const Task task = tasks[blockIdx.x];
  if (task.in == nullptr) return;
  const int t = threadIdx.x, lane = t % 32, warp = t / 32, half = warp / 2, column = warp % 2 * kWarpOut;

  auto load_slab = [&](int slab) {
    if (slab < Shape::kSlabs)
      for (int i = t; i < Shape::kSlabCells; i += Shape::kThreads)
        sm80::copy_async(&s.weights[slab % Shape::kRing][i], task.weights + (size_t(slab) * Shape::kSlabCells + i) * kCell);
    sm80::copy_commit();
  };
  for (int slab = 0; slab < Shape::kRing - 1; slab++) load_slab(slab);
  LevelMoments<4> moments;
  if (kNormalise) moments.load(task.in_moments, task.in_tiles, t);
  PatchLoader<Shape::kIn, Shape::kStride, kNormalise, Shape::kThreads> patch;
  patch.load(task, t);
  if (kNormalise) {
    moments.leave(s.warp, t);
    __syncthreads();
    const Moments m = combine(s.warp);
    const float inverse = rsqrtf(m.m2 / m.n + kEpsilon);
    for (int c = t; c < Shape::kIn; c += Shape::kThreads) s.affine[c] = {task.scale[c] * inverse, task.shift[c] - m.mean * (task.scale[c] * inverse)};
    __syncthreads();
  }
#pragma unroll
  for (int phase = 0; phase < Shape::kIn / kPhase; phase++) patch.store(phase, s.patch, s.affine, t);

  float sum[2][kWarpOut / 8][4] = {};
  for (int slab = 0; slab < Shape::kSlabs; slab++) {
    sm80::copy_wait<Shape::kRing - 2>();
    __syncthreads();  // the slab is there, and the room of the one before it is free
    load_slab(slab + Shape::kRing - 1);
    const uint4* weights = s.weights[slab % Shape::kRing];
    const uint4* pixels = s.patch + slab / 3 * kPhaseChunks * P::kPlane + slab % 3 * P::kPitch;
#pragma unroll
    for (int step = 0; step < 6; step++) {  // three taps of 32 channels, 16 at once
      const int tap = step / 2, k = step % 2;
      // Lane l gives the address of row l%8 of fragment l/8: rows 0 to 7, 8 to 15, then both for the next eight channels.
      uint32_t a[2][4];
#pragma unroll
      for (int m = 0; m < 2; m++) {
        const int row = half * 4 + m * 2 + lane / 8 % 2;  // of the tile
        sm80::load_fragments(a[m], pixels + (2 * k + lane / 16) * P::kPlane + P::cell(0, tap) + row * Shape::kStride * P::kPitch + lane % 8);
      }
#pragma unroll
      for (int n = 0; n < kWarpOut / 16; n++) {
        uint32_t b[4];
        sm80::load_fragments(b, weights + tap * Shape::kTapCells + (2 * k + lane / 8 % 2) * kOut + column + 16 * n + lane / 16 * 8 + lane % 8);
#pragma unroll
        for (int m = 0; m < 2; m++) {
          sm80::multiply_add(sum[m][2 * n], a[m], b[0], b[1]);
          sm80::multiply_add(sum[m][2 * n + 1], a[m], b[2], b[3]);
        }
      }
    }
  }
  __syncthreads();

  // A thread holds four rows of kWarpOut/4 channels each. The tile is gathered in the patch, then whole pixels are written.
  constexpr int kPitch = kOut + 8;
  __half* stage = reinterpret_cast<__half*>(s.patch);
  float total = 0, squares = 0;
  int count = 0;
#pragma unroll
  for (int r = 0; r < 4; r++) {
    const int y = half * 4 + r, x = lane / 4;
    const bool inside = task.y + y < task.height && task.x + x < task.width;
    count += __popc(__ballot_sync(~0u, inside)) * (kWarpOut / 4);
#pragma unroll
    for (int j = 0; j < kWarpOut / 8; j++) {
      const float low = sum[r / 2][j][r % 2 * 2], high = sum[r / 2][j][r % 2 * 2 + 1];
      *reinterpret_cast<__half2*>(stage + (y * kTile + x) * kPitch + column + 8 * j + lane % 4 * 2) = __floats2half2_rn(low, high);
      if (inside) total += low + high, squares += low * low + high * high;
    }
  }
  const Moments m = warp_moments(total, squares, count);
  if (lane == 0) s.warp[warp] = m;
  __syncthreads();
  for (int i = t; i < kTilePixels * kOut / kCell; i += Shape::kThreads) {
    const int p = i / (kOut / kCell), c = i % (kOut / kCell), y = task.y + p / kTile, x = task.x + p % kTile;
    if (y < task.height && x < task.width)
      *reinterpret_cast<uint4*>(task.out + (y * task.width + x) * kOut + c * kCell) = *reinterpret_cast<const uint4*>(stage + p * kPitch + c * kCell);
  }
  if (t == 0) *task.moments = combine(s.warp);
}

}  // namespace apexx::conv3x3
