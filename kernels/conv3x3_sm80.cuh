// 3×3 convolution with the matrix instructions of compute capability 8.0 (conv3x3.h has formula and formats), in fp16
// with fp32 sums, and in single precision by three fp16 products (conv3x3_task.cuh, split).
//
// A block makes one tile: its patch stays in shared memory, the weights stream past slab by slab through a ring. Four
// warps share the 64 pixels × kOut channels as 2 × 2. In fp16 three blocks fit a multiprocessor of an H100, so all
// tiles of the towers at 512² run in one wave; each reads all weights of its branch from L2.
#pragma once

#include "conv3x3_task.cuh"
#include "sm80_ptx.cuh"

namespace apexx::conv3x3 {

template <class T_, int kIn_, int kOut_, int kStride_>
struct Sm80Shape {
  using T = T_;
  static constexpr int kIn = kIn_, kOut = kOut_, kStride = kStride_;
  using P = Patch<kIn, kStride>;
  static constexpr int kThreads = 128;
  static constexpr int kParts = sizeof(T) / 2;  // hi, and for float lo
  static constexpr int kSlabTaps = kParts == 1 ? 3 : 1, kRing = kParts == 1 ? 3 : 4;
  static constexpr int kRows = kTaps / kSlabTaps, kSlabs = kIn / kPhase * kRows;  // slabs of a phase, of all
  static constexpr int kTapCells = kPhaseChunks * kOut, kSlabCells = kSlabTaps * kTapCells,
                       kPartCells = kSlabs * kSlabCells;
  static constexpr int kWarpOut = kOut / 2;                     // channels of one warp
  static constexpr int kOutPitch = kOut + 16 / int(sizeof(T));  // elements between output pixels in shared memory
  static_assert(kWarpOut % 16 == 0, "a warp loads weights of 16 channels at once");
  static_assert(kTilePixels * kOutPitch * sizeof(T) <= kParts * P::kBytes, "the output tile is staged in the patch");

  struct Shared {
    uint4 patch[kParts][P::kBytes / 16];
    uint4 weights[kRing][kParts][kSlabCells];
    Moments warp[4];
    Affine affine[kIn];
  };
};

// Launch: a block for each task, Shape::kThreads threads, sizeof(Shape::Shared) bytes.
template <class Shape, bool kNormalise>
__global__ void __launch_bounds__(Shape::kThreads) conv3x3_sm80(const Task<typename Shape::T>* tasks) {
  using T = typename Shape::T;
  using P = typename Shape::P;
  constexpr int kOut = Shape::kOut, kWarpOut = Shape::kWarpOut, kParts = Shape::kParts;
  extern __shared__ __align__(128) char memory[];
  auto& s = *reinterpret_cast<typename Shape::Shared*>(memory);
  const Task<T> task = tasks[blockIdx.x];
  if (task.in == nullptr) return;
  const int t = threadIdx.x, lane = t % 32, warp = t / 32, half = warp / 2, column = warp % 2 * kWarpOut;

  auto load_slab = [&](int slab) {
    if (slab < Shape::kSlabs)
      for (int part = 0; part < kParts; part++)
        for (int i = t; i < Shape::kSlabCells; i += Shape::kThreads)
          sm80::copy_async(&s.weights[slab % Shape::kRing][part][i],
                           task.weights + (size_t(part) * Shape::kPartCells + slab * Shape::kSlabCells + i) * kCell);
    sm80::copy_commit();
  };
  for (int slab = 0; slab < Shape::kRing - 1; slab++) load_slab(slab);
  LevelMoments<4> moments;
  if (kNormalise) moments.load(task.in_moments, task.in_tiles, t);
  PatchLoader<T, Shape::kIn, Shape::kStride, kNormalise, Shape::kThreads> patch;
  patch.load(task, t);
  if (kNormalise) {
    moments.leave(s.warp, t);
    __syncthreads();
    const Moments m = combine(s.warp);
    const float inverse = rsqrtf(m.m2 / m.n + kEpsilon);
    for (int c = t; c < Shape::kIn; c += Shape::kThreads)
      s.affine[c] = {task.scale[c] * inverse, task.shift[c] - m.mean * (task.scale[c] * inverse)};
    __syncthreads();
  }
#pragma unroll
  for (int phase = 0; phase < Shape::kIn / kPhase; phase++) patch.store(phase, s.patch[0], s.affine, t);

  float sum[2][kWarpOut / 8][4] = {}, small[2][kWarpOut / 8][4] = {};  // small: of hi·lo and lo·hi
  for (int slab = 0; slab < Shape::kSlabs; slab++) {
    sm80::copy_wait<Shape::kRing - 2>();
    __syncthreads();  // the slab is there, and the room of the one before it is free
    load_slab(slab + Shape::kRing - 1);
    const uint4(&weights)[kParts][Shape::kSlabCells] = s.weights[slab % Shape::kRing];
    // The matrix unit cuts off what it adds; in single precision only the sums of one slab are left to it, and added
    // with rounding.
    float part_sum[2][kWarpOut / 8][4] = {};
    auto& products = *(kParts == 2 ? &part_sum : &sum);
    const int chunk = slab / Shape::kRows * kPhaseChunks, first_tap = slab % Shape::kRows * Shape::kSlabTaps;
#pragma unroll
    for (int step = 0; step < 2 * Shape::kSlabTaps; step++) {  // 32 channels, 16 at once
      const int tap = step / 2, k = step % 2;
      // Lane l gives the address of row l%8 of fragment l/8: rows 0 to 7, 8 to 15, then both for the next eight
      // channels.
      uint32_t a[kParts][2][4];
#pragma unroll
      for (int m = 0; m < 2; m++) {
        const int row = half * 4 + m * 2 + lane / 8 % 2;  // of the tile
        const int cell = (chunk + 2 * k + lane / 16) * P::kPlane +
                         P::cell((first_tap + tap) / 3, (first_tap + tap) % 3) + row * Shape::kStride * P::kPitch +
                         lane % 8;
#pragma unroll
        for (int part = 0; part < kParts; part++) sm80::load_fragments(a[part][m], s.patch[part] + cell);
      }
#pragma unroll
      for (int n = 0; n < kWarpOut / 16; n++) {
        uint32_t b[kParts][4];
        const int cell =
            tap * Shape::kTapCells + (2 * k + lane / 8 % 2) * kOut + column + 16 * n + lane / 16 * 8 + lane % 8;
#pragma unroll
        for (int part = 0; part < kParts; part++) sm80::load_fragments(b[part], weights[part] + cell);
#pragma unroll
        for (int m = 0; m < 2; m++)
#pragma unroll
          for (int j = 0; j < 2; j++) {
            sm80::multiply_add(products[m][2 * n + j], a[0][m], b[0][2 * j], b[0][2 * j + 1]);
            if constexpr (kParts == 2) {
              sm80::multiply_add(small[m][2 * n + j], a[0][m], b[1][2 * j], b[1][2 * j + 1]);
              sm80::multiply_add(small[m][2 * n + j], a[1][m], b[0][2 * j], b[0][2 * j + 1]);
            }
          }
      }
    }
    if constexpr (kParts == 2) {
#pragma unroll
      for (int m = 0; m < 2; m++)
#pragma unroll
        for (int n = 0; n < kWarpOut / 8; n++)
#pragma unroll
          for (int e = 0; e < 4; e++) sum[m][n][e] += part_sum[m][n][e];
    }
  }
  __syncthreads();

  // A thread holds four rows of kWarpOut/4 channels each. The tile is gathered in the patch, then whole pixels are
  // written.
  T* stage = reinterpret_cast<T*>(s.patch);
  float total = 0;
  int count = 0;
#pragma unroll
  for (int r = 0; r < 4; r++) {
    const int y = half * 4 + r, x = lane / 4;
    const bool inside = task.y + y < task.height && task.x + x < task.width;
    count += __popc(__ballot_sync(~0u, inside)) * (kWarpOut / 4);
#pragma unroll
    for (int j = 0; j < kWarpOut / 8; j++)
#pragma unroll
      for (int e = 0; e < 2; e++) {
        float& v = sum[r / 2][j][r % 2 * 2 + e];
        if constexpr (kParts == 2) v += small[r / 2][j][r % 2 * 2 + e] / kSplitScale;
        stage[(y * kTile + x) * Shape::kOutPitch + column + 8 * j + lane % 4 * 2 + e] = T(v);
        if (inside) total += v;
      }
  }
  const float mean = warp_sum(total) / float(max(count, 1));
  float m2 = 0;
#pragma unroll
  for (int r = 0; r < 4; r++)
    if (task.y + half * 4 + r < task.height && task.x + lane / 4 < task.width)
#pragma unroll
      for (int j = 0; j < kWarpOut / 8; j++)
#pragma unroll
        for (int e = 0; e < 2; e++) m2 += (sum[r / 2][j][r % 2 * 2 + e] - mean) * (sum[r / 2][j][r % 2 * 2 + e] - mean);
  m2 = warp_sum(m2);
  if (lane == 0) s.warp[warp] = {float(count), mean, m2};
  __syncthreads();
  constexpr int kCells = kOut * int(sizeof(T)) / 16;  // 16-byte cells of an output pixel
  for (int i = t; i < kTilePixels * kCells; i += Shape::kThreads) {
    const int p = i / kCells, c = i % kCells, y = task.y + p / kTile, x = task.x + p % kTile;
    if (y < task.height && x < task.width)
      reinterpret_cast<uint4*>(task.out + (y * task.width + x) * kOut)[c] =
          reinterpret_cast<const uint4*>(stage + p * Shape::kOutPitch)[c];
  }
  if (t == 0) *task.moments = combine(s.warp);
}

}  // namespace apexx::conv3x3
