// 3×3 convolution on Hopper: weights stay, pixels come (conv.h has formula and formats). fp16 and bf16, for the numbers
// of channels that a shape is compiled for.
//
// A block keeps the complete weights of its jobs in shared memory (96 → 96 channels: 166 KB of 227) and works through
// its tasks; all blocks of a launch are resident at once. A team of kSplit warpgroups owns a task from load to store:
// it fills the patch, multiplies straight out of shared memory, each warpgroup its share of the output channels, and
// writes. While one phase of 32 channels is multiplied, the team normalises the next; while one team loads or stores,
// the others keep the matrix unit busy. The weights arrive slab by slab on barriers of their own: the first ones at
// once, for they wait for nobody, the rest behind the pixels of the first tasks, which are needed earlier.
#pragma once

#include "conv_task.cuh"
#include "sm90_ptx.cuh"

namespace apexx::conv {

// Sm90Shape is one instance of the kernel: kTeams tasks at a time in a block, kSplit warpgroups for each; its input is
// normalised or not, for code that is never run makes that slower which is.
template <Format kFormat_, int kIn_, int kOut_, int kStride_, int kTeams_, int kSplit_, bool kNormalises_>
struct Sm90Shape {
  static constexpr Format kFormat = kFormat_;
  static constexpr int kIn = kIn_, kOut = kOut_, kStride = kStride_, kTeams = kTeams_, kSplit = kSplit_;
  static constexpr bool kNormalises = kNormalises_;
  using Map = typename Types<kFormat>::Map;
  static_assert(sizeof(Map) == 2, "both operands come from shared memory as they are");
  using P = Patch<9, kStride>;
  static constexpr int kPhase = kPhaseChunks * cell_channels(kFormat), kPhases = kIn / kPhase, kTaps = 9;
  static_assert(kIn % kPhase == 0, "channels come in whole phases");
  static constexpr int kTeam = 128 * kSplit, kThreads = kTeam * kTeams, kWarps = kTeam / 32;
  static constexpr int kShare = kOut / kSplit;  // output channels of a warpgroup
  static constexpr int kSlabs = 3 * kPhases, kSlabBytes = 3 * kPhase * kOut * 2;
  static constexpr int kFirstSlabs = 2;  // of the weights, loaded before anything else
  static constexpr int kPatchCells = P::kPlane * kPhases * kPhaseChunks;
  static constexpr int kOutPitch = kOut + 8;  // elements between output pixels in shared memory: other banks
  static_assert(kTilePixels * kOutPitch * 2 <= kPatchCells * 16, "the output tile is staged in the patch");
  static_assert(kShare % 16 == 0 && kThreads <= 1024, "two fragments of 8 channels are stored at once");
  static_assert(kIn <= kTeam, "a thread for each channel");

  struct Shared {
    alignas(128) uint4 weights[kSlabs][kSlabBytes / 16];
    uint4 patch[kTeams][kPatchCells];
    norm::Affine affine[kTeams][kIn];
    Moments warp[kTeams][kWarps];
    uint64_t arrived[kSlabs];
  };
};

// load_weights starts the copies of slabs [first, end), spread over the warps of the first team, each thread of which
// calls it.
template <class Shape>
__device__ __forceinline__ void load_weights(typename Shape::Shared& s, const void* weights, int first, int end) {
  if (threadIdx.x % 32 != 0) return;
#pragma unroll 1
  for (int slab = first + threadIdx.x / 32; slab < end; slab += Shape::kWarps) {
    sm90::barrier_expect(&s.arrived[slab], Shape::kSlabBytes);
    sm90::bulk_load(s.weights[slab], static_cast<const char*>(weights) + size_t(slab) * Shape::kSlabBytes,
                    Shape::kSlabBytes, &s.arrived[slab]);
  }
}

// multiply_phase starts the products of 32 input channels for the output channels of warpgroup `share` of a team.
// Weights that are on their way are waited for.
template <class Shape>
__device__ __forceinline__ void multiply_phase(float (&sum)[Shape::kShare / 2], typename Shape::Shared& s, int team,
                                               int phase, int share) {
  using P = typename Shape::P;
  const uint64_t a =
      sm90::descriptor(sm90::shared_address(s.patch[team]), P::kPlane * 16, Shape::kStride * P::kPitch * 16);
  const uint64_t b =
      sm90::descriptor(sm90::shared_address(s.weights) + share * Shape::kShare * 16, Shape::kOut * 16, 128);
#pragma unroll
  for (int row = 0; row < 3; row++) {
    sm90::barrier_wait(&s.arrived[phase * 3 + row], 0);
    sm90::matrix_fence();
#pragma unroll
    for (int step = 0; step < 6; step++) {  // three taps of 32 channels, 16 at once; distances in cells
      const int tap = step / 2, k = step % 2;
      const int pixels = (phase * kPhaseChunks + 2 * k) * P::kPlane + P::cell(row, tap);
      const int weights = ((phase * Shape::kTaps + row * 3 + tap) * kPhaseChunks + 2 * k) * Shape::kOut;
      sm90::MultiplyAdd<typename Shape::Map, Shape::kShare / 2>::run(sum, sm90::moved(a, pixels),
                                                                     sm90::moved(b, weights));
    }
    sm90::matrix_commit();
  }
}

// store_tile rounds the sums, gathers them in shared memory so that whole pixels are written, and returns the moments
// of what is stored to the team's first thread.
template <class Shape>
__device__ __forceinline__ Moments store_tile(float (&sum)[Shape::kShare / 2], typename Shape::Shared& s, int team,
                                              int share, const Task& task) {
  using Map = typename Shape::Map;
  constexpr int kPitch = Shape::kOutPitch, kPerCell = 8;
  const int t = threadIdx.x % Shape::kTeam, lane = t % 32, warp = t / 32 % 4;
  Map* stage = reinterpret_cast<Map*>(s.patch[team]);

  // Rows of the product are pixels: row r is pixel (r/8, r%8) of the tile, of which a thread holds rows 16·warp +
  // lane/4 + {0, 8}.
#pragma unroll
  for (int j = 0; j < Shape::kShare / 8; j += 2) {
    uint32_t pair[4];
#pragma unroll
    for (int i = 0; i < 4; i++) {
      pair[i] = norm::pack<Map>(sum[4 * j + 2 * i], sum[4 * j + 2 * i + 1]);
      const float2 stored = norm::unpack<Map>(pair[i]);
      sum[4 * j + 2 * i] = stored.x, sum[4 * j + 2 * i + 1] = stored.y;
    }
    const int row = 16 * warp + lane % 16, column = share * Shape::kShare + 8 * j + lane / 16 * 8;
    sm90::store_matrices(stage + row * kPitch + column, pair[0], pair[1], pair[2], pair[3]);
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
  // The squares are summed as they are: over a piece this small what cancels is far below the rounding of the values.
  total = norm::warp_sum(total), squares = norm::warp_sum(squares);
  const float mean = total / float(max(count, 1));
  const float m2 = squares - total * mean;
  if (lane == 0) s.warp[team][t / 32] = {float(count), mean, m2 < 0 ? 0 : m2};  // a NaN stays
  sm90::team_sync<Shape::kTeam>(team);

  constexpr int kCells = Shape::kOut / kPerCell, kPixels = Shape::kTeam / kCells;  // pixels that are written at once
  const int cell = t % kCells;
#pragma unroll
  for (int p = t / kCells; p < kTilePixels; p += kPixels) {
    const int y = task.y + p / kTile, x = task.x + p % kTile;
    if (t < kPixels * kCells && y < task.height && x < task.width)
      *reinterpret_cast<uint4*>(static_cast<Map*>(task.out) + size_t(y * task.width + x) * Shape::kOut +
                                cell * kPerCell) =
          *reinterpret_cast<const uint4*>(stage + p * kPitch + cell * kPerCell);
  }
  return t == 0 ? norm::joined<Shape::kWarps>(s.warp[team]) : Moments{0, 0, 0};
}

// run_task makes one task. loading() is called when its loads are under way.
template <class Shape, class Loading>
__device__ __forceinline__ Moments run_task(typename Shape::Shared& s, const Task& task, Loading loading) {
  const int team = threadIdx.x / Shape::kTeam, t = threadIdx.x % Shape::kTeam, share = t / 128;
  norm::MapMoments<Shape::kWarps> moments;
  float scale = 0, shift = 0;
  if (Shape::kNormalises) {
    moments.load(task.in_moments, task.in_pieces, t);
    if (t < Shape::kIn) scale = task.scale[t], shift = task.shift[t];
  }
  PatchLoader<Shape::kFormat, 9, Shape::kStride, Shape::kTeam, Shape::kPhases, Shape::kIn, Shape::kNormalises> patch;
  patch.begin(task, t);
#pragma unroll
  for (int phase = 0; phase < Shape::kPhases; phase++) patch.load(phase, phase);
  loading();
  if (Shape::kNormalises) {
    moments.leave(s.warp[team], t);
    sm90::team_sync<Shape::kTeam>(team);
    if (t < Shape::kIn) s.affine[team][t] = norm::affine(norm::joined<Shape::kWarps>(s.warp[team]), scale, shift);
    sm90::team_sync<Shape::kTeam>(team);
  }
  float sum[Shape::kShare / 2] = {};
#pragma unroll
  for (int phase = 0; phase < Shape::kPhases; phase++) {
    patch.store(phase, phase, s.patch[team] + phase * kPhaseChunks * Shape::P::kPlane, 0, s.affine[team]);
    sm90::shared_writes_visible();
    sm90::team_sync<Shape::kTeam>(team);
    multiply_phase<Shape>(sum, s, team, phase, share);
  }
  sm90::matrix_wait();
  sm90::team_sync<Shape::kTeam>(team);  // every warp has read the patch before it is written over
  const Moments m = store_tile<Shape>(sum, s, team, share, task);
  sm90::team_sync<Shape::kTeam>(team);
  return m;
}

// conv_sm90 runs a resident schedule of Shape::kTeams teams. Launch: a block for each most_tasks tasks, Shape::kThreads
// threads, sizeof(Shape::Shared) bytes. A block has at least one task, that of its first team, which loads the weights:
// the first slabs at once, the others behind the loads of its first task.
template <class Shape>
__device__ __forceinline__ void conv_sm90(const Arguments& a) {
  const Task* tasks = a.tasks;
  const int most_tasks = a.most_tasks;
  extern __shared__ __align__(128) char memory[];
  auto& s = *reinterpret_cast<typename Shape::Shared*>(memory);
  tasks += size_t(blockIdx.x) * most_tasks;
  const int team = threadIdx.x / Shape::kTeam;
  Task task = team < most_tasks ? tasks[team] : Task{};
  if (threadIdx.x == 0) {
    for (int slab = 0; slab < Shape::kSlabs; slab++) sm90::barrier_init(&s.arrived[slab], 1);
    sm90::barrier_init_fence();
  }
  __syncthreads();
  if (team == 0) load_weights<Shape>(s, task.weights, 0, Shape::kFirstSlabs);
  norm::wait_for_previous_kernel();
  norm::let_next_kernel_start();
  Moments piece = {0, 0, 0};  // first thread of a team: of its tasks so far
  for (int i = team; task.in != nullptr;) {
    const Moments m = run_task<Shape>(s, task, [&] {
      if (i == 0) load_weights<Shape>(s, task.weights, Shape::kFirstSlabs, Shape::kSlabs);
    });
    i += Shape::kTeams;
    const Task next = i < most_tasks ? tasks[i] : Task{};
    if (threadIdx.x % Shape::kTeam == 0 && task.moments != nullptr) {
      piece = combine<2>({piece, m});
      if (next.moments != task.moments) *task.moments = piece, piece = {0, 0, 0};
    }
    task = next;
  }
}

}  // namespace apexx::conv
