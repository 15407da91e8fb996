// 3×3 convolution on Hopper: weights stay, pixels come (conv3x3.h has formula and formats).
//
// A block keeps the complete weights of its branch in shared memory (96 → 96 channels: 166 KB of 227) and works through
// its tiles; all blocks of a launch are resident at once. A team of kSplit warpgroups owns a tile from load to store:
// it fills the patch, multiplies straight out of shared memory, each warpgroup its share of the output channels, and
// writes. While one phase of 32 channels is multiplied, the team normalises the next; while one team loads or stores,
// the others keep the matrix unit busy. The weights arrive slab by slab on barriers of their own: the first ones at
// once, for they wait for nobody, the rest behind the pixels of the first tiles, which are needed earlier.
//
// The output is stored as it is, before its own GroupNorm; the moments of every tile go beside it, and whoever consumes
// the output normalises in its prologue.
#pragma once

#include "conv3x3_task.cuh"
#include "sm90_ptx.cuh"

namespace apexx::conv3x3 {

// Sm90Shape is one instance of the kernel: kTeams tiles at a time in a block, kSplit warpgroups for each, and room for
// the weights of kBuffers layers.
template <int kIn_, int kOut_, int kStride_, int kTeams_, int kSplit_, int kBuffers_ = 1>
struct Sm90Shape {
  static constexpr int kIn = kIn_, kOut = kOut_, kStride = kStride_, kTeams = kTeams_, kSplit = kSplit_,
                       kBuffers = kBuffers_;
  using P = Patch<kIn, kStride>;
  static constexpr int kTeam = 128 * kSplit, kThreads = kTeam * kTeams, kWarps = kTeam / 32;
  static constexpr int kShare = kOut / kSplit;  // output channels of a warpgroup
  static constexpr int kPhases = kIn / kPhase, kSlabs = 3 * kPhases, kSlabBytes = 3 * kPhase * kOut * 2;
  static constexpr int kFirstSlabs = 2;  // of the weights, loaded before anything else
  static constexpr int kOutPitch =
      kOut + 8;  // halves between output pixels in shared memory: rows start in different banks
  static_assert(kTilePixels * kOutPitch * 2 <= P::kBytes, "the output tile is staged in the patch");
  static_assert(kShare % 16 == 0 && kThreads <= 1024, "two fragments of 8 channels are stored at once");

  struct Weights {
    uint4 slab[kSlabs][kSlabBytes / 16];
    uint64_t arrived[kSlabs];
  };
  struct Shared {
    alignas(128) Weights weights[kBuffers];
    uint4 patch[kTeams][P::kBytes / 16];
    Affine affine[kTeams][kIn];
    Moments warp[kTeams][kWarps];
  };
};

// load_weights starts the copies of slabs [first, end) of a branch, spread over the warps of the first team, each
// thread of which calls it.
template <class Shape>
__device__ __forceinline__ void load_weights(typename Shape::Weights& to, const __half* weights, int first, int end) {
  if (threadIdx.x % 32 != 0) return;
#pragma unroll 1
  for (int slab = first + threadIdx.x / 32; slab < end; slab += Shape::kWarps) {
    sm90::barrier_expect(&to.arrived[slab], Shape::kSlabBytes);
    sm90::bulk_load(to.slab[slab], weights + size_t(slab) * (Shape::kSlabBytes / 2), Shape::kSlabBytes,
                    &to.arrived[slab]);
  }
}

// multiply_phase starts the products of 32 input channels for the output channels of warpgroup `share` of a team.
// Weights that are on their way are waited for at the given parity.
template <class Shape>
__device__ __forceinline__ void multiply_phase(float (&sum)[Shape::kShare / 2], const uint4* patch,
                                               typename Shape::Weights& from, int phase, int share, uint32_t parity) {
  using P = typename Shape::P;
  const uint64_t a = sm90::descriptor(sm90::shared_address(patch), P::kPlane * 16, Shape::kStride * P::kPitch * 16);
  const uint64_t b =
      sm90::descriptor(sm90::shared_address(from.slab) + share * Shape::kShare * 16, Shape::kOut * 16, 128);
#pragma unroll
  for (int row = 0; row < 3; row++) {
    sm90::barrier_wait(&from.arrived[phase * 3 + row], parity);
    sm90::matrix_fence();
#pragma unroll
    for (int step = 0; step < 6; step++) {  // three taps of 32 channels, 16 at once; distances in cells
      const int tap = step / 2, k = step % 2;
      const int pixels = (phase * kPhaseChunks + 2 * k) * P::kPlane + P::cell(row, tap);
      const int weights = ((phase * kTaps + row * 3 + tap) * kPhaseChunks + 2 * k) * Shape::kOut;
      sm90::MultiplyAdd<Shape::kShare / 2>::run(sum, sm90::moved(a, pixels), sm90::moved(b, weights));
    }
    sm90::matrix_commit();
  }
}

// store_tile rounds the sums, gathers them in shared memory so that whole pixels are written, and stores the tile's
// moments.
template <class Shape>
__device__ __forceinline__ void store_tile(const float (&sum)[Shape::kShare / 2], typename Shape::Shared& s, int team,
                                           int share, const Task<__half>& task) {
  constexpr int kOut = Shape::kOut, kPitch = Shape::kOutPitch;
  const int t = threadIdx.x % Shape::kTeam, lane = t % 32, warp = t / 32 % 4;
  __half* stage = reinterpret_cast<__half*>(s.patch[team]);

  // Rows of the product are pixels: row r is pixel (r/8, r%8) of the tile, of which a thread holds rows 16·warp +
  // lane/4 + {0, 8}.
#pragma unroll
  for (int j = 0; j < Shape::kShare / 8; j += 2) {
    auto pair = [&](int i) { return pack(sum[i], sum[i + 1]); };
    const int row = 16 * warp + lane % 16, column = share * Shape::kShare + 8 * j + lane / 16 * 8;
    sm90::store_matrices(stage + row * kPitch + column, pair(4 * j), pair(4 * j + 2), pair(4 * j + 4), pair(4 * j + 6));
  }
  float total = 0, squares = 0;
  int count = 0;
#pragma unroll
  for (int i = 0; i < 2; i++) {
    const bool inside = task.y + 2 * warp + i < task.height && task.x + lane / 4 < task.width;
    count += __popc(__ballot_sync(~0u, inside)) * (Shape::kShare / 4);
    if (!inside) continue;
    float part[4] = {}, part_squares[4] = {};  // four chains instead of one
#pragma unroll
    for (int j = 0; j < Shape::kShare / 8; j++)
#pragma unroll
      for (int e = 0; e < 2; e++) {
        const float v = sum[4 * j + 2 * i + e];
        part[j % 2 * 2 + e] += v, part_squares[j % 2 * 2 + e] += v * v;
      }
    total += (part[0] + part[1]) + (part[2] + part[3]);
    squares += (part_squares[0] + part_squares[1]) + (part_squares[2] + part_squares[3]);
  }
  const Moments m = warp_moments(total, squares, count);
  if (lane == 0) s.warp[team][t / 32] = m;
  sm90::team_sync<Shape::kTeam>(team);

  constexpr int kCells = kOut / kCell, kPixels = Shape::kTeam / kCells;  // pixels that the team writes at once
  const int cell = t % kCells;
#pragma unroll
  for (int p = t / kCells; p < kTilePixels; p += kPixels) {
    const int y = task.y + p / kTile, x = task.x + p % kTile;
    if (t < kPixels * kCells && y < task.height && x < task.width)
      *reinterpret_cast<uint4*>(task.out + (y * task.width + x) * kOut + cell * kCell) =
          *reinterpret_cast<const uint4*>(stage + p * kPitch + cell * kCell);
  }
  if (t == 0) *task.moments = combine(s.warp[team]);
}

// run_tile makes one tile of the layer whose weights are in a buffer. loading() is called when its loads are under way.
template <class Shape, bool kNormalise, class Loading>
__device__ __forceinline__ void run_tile(typename Shape::Shared& s, const Task<__half>& task, int buffer,
                                         uint32_t parity, Loading loading) {
  const int team = threadIdx.x / Shape::kTeam, t = threadIdx.x % Shape::kTeam, share = t / 128;
  LevelMoments<Shape::kWarps> moments;
  Affine affine;
  if (kNormalise) {
    moments.load(task.in_moments, task.in_tiles, t);
    if (t < Shape::kIn) affine = {task.scale[t], task.shift[t]};
  }
  PatchLoader<__half, Shape::kIn, Shape::kStride, kNormalise, Shape::kTeam> patch;
  patch.load(task, t);
  loading();
  if (kNormalise) {
    static_assert(Shape::kIn <= Shape::kTeam, "a thread for each channel");
    moments.leave(s.warp[team], t);
    sm90::team_sync<Shape::kTeam>(team);
    const Moments m = combine(s.warp[team]);
    affine.scale *= rsqrtf(m.m2 / m.n + kEpsilon), affine.shift -= m.mean * affine.scale;
    if (t < Shape::kIn) s.affine[team][t] = affine;
    sm90::team_sync<Shape::kTeam>(team);
  }
  float sum[Shape::kShare / 2] = {};
#pragma unroll
  for (int phase = 0; phase < Shape::kPhases; phase++) {
    patch.store(phase, s.patch[team], s.affine[team], t);
    sm90::shared_writes_visible();
    sm90::team_sync<Shape::kTeam>(team);
    multiply_phase<Shape>(sum, s.patch[team], s.weights[buffer], phase, share, parity);
  }
  sm90::matrix_wait();
  sm90::team_sync<Shape::kTeam>(team);  // every warp has read the patch before it is written over
  store_tile<Shape>(sum, s, team, share, task);
  sm90::team_sync<Shape::kTeam>(team);
}

// run_first_layer is what both kernels begin with. Tasks and weights are constants, so they do not wait for the kernel
// before this one. A block has at least one task, that of its first team, which loads the weights: the first slabs at
// once, the others behind the loads of its first tile.
template <class Shape, bool kNormalise>
__device__ __forceinline__ void run_first_layer(typename Shape::Shared& s, const Task<__half>* tasks, int most_tiles) {
  const int team = threadIdx.x / Shape::kTeam;
  Task<__half> task = team < most_tiles ? tasks[team] : Task<__half>{};
  if (threadIdx.x == 0) {
    for (int buffer = 0; buffer < Shape::kBuffers; buffer++)
      for (int slab = 0; slab < Shape::kSlabs; slab++) sm90::barrier_init(&s.weights[buffer].arrived[slab], 1);
    sm90::barrier_init_fence();
  }
  __syncthreads();
  if (team == 0) load_weights<Shape>(s.weights[0], task.weights, 0, Shape::kFirstSlabs);
  sm90::let_next_kernel_start();
  sm90::wait_for_previous_kernel();
  for (int i = team; task.in != nullptr; task = i < most_tiles ? tasks[i] : Task<__half>{}) {
    run_tile<Shape, kNormalise>(s, task, 0, 0, [&] {
      if (i == 0) load_weights<Shape>(s.weights[0], task.weights, Shape::kFirstSlabs, Shape::kSlabs);
    });
    i += Shape::kTeams;
  }
}

// conv3x3_sm90 is one layer of every branch. Launch: plan.blocks blocks, Shape::kThreads threads, sizeof(Shape::Shared)
// bytes.
template <class Shape, bool kNormalise>
__global__ void __launch_bounds__(Shape::kThreads, 1) conv3x3_sm90(const Task<__half>* tasks, int most_tiles) {
  extern __shared__ __align__(128) char memory[];
  run_first_layer<Shape, kNormalise>(*reinterpret_cast<typename Shape::Shared*>(memory),
                                     tasks + blockIdx.x * most_tiles, most_tiles);
}

// branch_barrier waits until every block of a branch has come here. A counter only grows: each time round every block
// adds one, so that the round a ticket belongs to follows from the ticket.
__device__ __forceinline__ void branch_barrier(unsigned long long* arrivals, int blocks) {
  __syncthreads();
  if (threadIdx.x == 0) {
    unsigned long long ticket, seen;
    asm volatile("atom.add.acq_rel.gpu.global.u64 %0, [%1], 1;" : "=l"(ticket) : "l"(arrivals) : "memory");
    const unsigned long long all = (ticket / blocks + 1) * blocks;
    do asm volatile("ld.acquire.gpu.global.u64 %0, [%1];" : "=l"(seen) : "l"(arrivals) : "memory");
    while (seen < all);
  }
  __syncthreads();
}

// conv3x3_sm90_chain is several layers of every branch on the same maps in one cooperative launch, each normalising
// what the one before wrote. With kBuffers = 2 the next layer's weights are there before it begins; with 1, for layers
// too large for two, they are on their way while the blocks of a branch wait for each other. The lists of the layers
// follow each other; slot for slot they have the same tile, or nothing where a branch has ended. arrivals has a counter
// for each branch, zero before the first launch ever.
template <class Shape, bool kNormalise>
__global__ void __launch_bounds__(Shape::kThreads, 1)
    conv3x3_sm90_chain(const Task<__half>* tasks, int layers, int most_tiles, unsigned long long* arrivals) {
  static_assert(Shape::kStride == 1 && Shape::kIn == Shape::kOut, "all layers share the plan and the shared memory");
  extern __shared__ __align__(128) char memory[];
  auto& s = *reinterpret_cast<typename Shape::Shared*>(memory);
  const int team = threadIdx.x / Shape::kTeam;
  auto tasks_of = [&](int layer) { return tasks + (size_t(layer) * gridDim.x + blockIdx.x) * most_tiles; };
  auto prefetch = [&](int layer) {
    if (layer < layers && team == 0 && tasks_of(layer)->in != nullptr)
      load_weights<Shape>(s.weights[layer % Shape::kBuffers], tasks_of(layer)->weights, 0, Shape::kSlabs);
  };
  run_first_layer<Shape, kNormalise>(s, tasks_of(0), most_tiles);
  for (int layer = 1; layer < Shape::kBuffers; layer++) prefetch(layer);
  for (int layer = 1; layer < layers; layer++) {
    const Task<__half>* own = tasks_of(layer);
    if (own->in == nullptr) return;
    __syncthreads();  // all teams have multiplied with the weights that are replaced now
    prefetch(layer - 1 + Shape::kBuffers);
    branch_barrier(arrivals + own->branch, own->branch_blocks);
    for (int i = team; i < most_tiles && own[i].in != nullptr; i += Shape::kTeams)
      run_tile<Shape, true>(s, own[i], layer % Shape::kBuffers, layer / Shape::kBuffers % 2, [] {});
  }
}

}  // namespace apexx::conv3x3
