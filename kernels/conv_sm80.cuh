// Convolution with the matrix instructions of compute capability 8.0, for any number of channels (conv.h has formula
// and formats): fp16, bf16 and tf32 with fp32 sums, and single precision by three fp16 products (conv_task.cuh, split).
//
// A block makes one task after the other: 64 pixels by kN output channels, shared by eight warps as 4 × 2. The input
// passes through a patch of two phases, the weights stream past slab by slab through a ring. What is stored is rounded
// once, and the moments are those of the rounded values.
#pragma once

#include "conv_task.cuh"
#include "sm80_ptx.cuh"

namespace apexx::conv {

template <Format kFormat_, int kTaps_, int kStride_, int kN_, bool kImage_ = false>
struct Sm80Shape {
  static constexpr Format kFormat = kFormat_;
  static constexpr int kTaps = kTaps_, kStride = kStride_, kN = kN_;
  static constexpr bool kImage = kImage_;
  using Map = typename Types<kFormat>::Map;
  using Operand = typename Types<kFormat>::Operand;
  using P = Patch<kTaps, kStride>;
  static constexpr int kThreads = 256, kWarps = kThreads / 32;
  static constexpr int kParts = parts(kFormat);
  static constexpr int kCell = cell_channels(kFormat), kPhase = kPhaseChunks * kCell;
  // Phases whose loads are under way: what registers allow.
  static constexpr int kAhead = kImage ? (kCell == 4 ? 2 : 1) : kStride == 2 ? 1 : 2;
  // A slab is three taps of a phase or, of two parts, one. The ring must hide the way from L2: tasks of few channels
  // are those of small maps, where nothing else does.
  static constexpr int kSlabTaps = kTaps == 9 && kParts == 1 ? 3 : 1, kRing = ring_taps(kFormat, kTaps, kN) / kSlabTaps;
  static constexpr int kRows = kTaps / kSlabTaps;  // slabs of a phase
  static constexpr int kTapCells = kPhaseChunks * kN, kSlabCells = kSlabTaps * kTapCells;
  static constexpr int kPatchCells = kPhaseChunks * P::kPlane;
  static constexpr int kTasks = kListed;                     // that lie in shared memory, the one at work among them
  static constexpr int kWarpN = kN / 2;                      // channels of one warp
  static constexpr int kPitch = kN + 16 / int(sizeof(Map));  // elements between output pixels in shared memory
  static constexpr int kPlanarPitch = kTilePixels + 4;       // floats between output channels in shared memory
  static_assert(kWarpN % 16 == 0, "a warp loads weights of 16 channels at once");

  struct Shared {
    union {
      uint4 patch[2][kParts][kPatchCells];
      Map stage[kTilePixels * kPitch];
      float planar[kN * kPlanarPitch];
    };
    uint4 weights[kRing][kParts][kSlabCells];
    Task tasks[kTasks];
    Moments level[kWarps], warp[kWarps];
    norm::Affine affine[kMaxChannels];
    float bias[kN];
    alignas(16) float image[kImage ? 2 : 1][kImage ? kImageSquare : 4];
  };
};

// multiply_slab adds the products of one slab of weights.
template <class Shape>
__device__ __forceinline__ void multiply_slab(float (&sum)[Shape::kWarpN / 8][4], float (&small)[Shape::kWarpN / 8][4],
                                              const uint4 (&patch)[Shape::kParts][Shape::kPatchCells],
                                              const uint4 (&weights)[Shape::kParts][Shape::kSlabCells], int first_tap) {
  using P = typename Shape::P;
  constexpr int kParts = Shape::kParts, kN = Shape::kN;
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, column = warp % 2 * Shape::kWarpN;
  // The matrix unit cuts off what it adds; in single precision only the sums of one slab are left to it, and added with
  // rounding.
  float part_sum[Shape::kWarpN / 8][4] = {};
  auto& products = *(kParts == 2 ? &part_sum : &sum);
  const int row = warp / 2 * 2 + lane / 8 % 2;  // of the tile: lane l gives the address of row l%8 of fragment l/8
  const int base = lane / 16 * P::kPlane + row * Shape::kStride * P::kPitch + lane % 8;
#pragma unroll
  for (int step = 0; step < Shape::kSlabTaps * 2; step++) {  // two chunks of a tap at once
    const int tap = first_tap + step / 2, k = step % 2;
    uint32_t a[kParts][4];
#pragma unroll
    for (int part = 0; part < kParts; part++)
      sm80::load_fragments(a[part], patch[part] + base + 2 * k * P::kPlane + P::cell(tap / 3, tap % 3));
#pragma unroll
    for (int n = 0; n < Shape::kWarpN / 16; n++) {
      uint32_t b[kParts][4];
      const int cell =
          step / 2 * Shape::kTapCells + (2 * k + lane / 8 % 2) * kN + column + 16 * n + lane / 16 * 8 + lane % 8;
#pragma unroll
      for (int part = 0; part < kParts; part++) sm80::load_fragments(b[part], weights[part] + cell);
#pragma unroll
      for (int j = 0; j < 2; j++) {
        using T = typename Shape::Operand;
        sm80::multiply_add<T>(products[2 * n + j], a[0], b[0][2 * j], b[0][2 * j + 1]);
        if constexpr (kParts == 2) {
          sm80::multiply_add<T>(small[2 * n + j], a[0], b[1][2 * j], b[1][2 * j + 1]);
          sm80::multiply_add<T>(small[2 * n + j], a[1], b[0][2 * j], b[0][2 * j + 1]);
        }
      }
    }
  }
  if constexpr (kParts == 2) {
#pragma unroll
    for (int n = 0; n < Shape::kWarpN / 8; n++)
#pragma unroll
      for (int e = 0; e < 4; e++) sum[n][e] += part_sum[n][e];
  }
}

// Place is what of a task its end depends on, in registers: from shared memory, which is written meanwhile, the compiler
// would load it again for every value.
template <class Map>
struct Place {
  int columns, rows;  // of the task that are in the map
  int first, valid, out_channels, pixels, width;
  int planar;
  bool measured;
  void* out;
  const Map* add;  // under the task's first pixel and channel; null: none
  int add_width, add_shift;

  __device__ __forceinline__ explicit Place(const Task& t)
      : columns(min(kTile, t.width - t.x)),
        rows(min(kTile, t.height - t.y)),
        first(t.first),
        valid(t.valid),
        out_channels(t.out_channels),
        pixels(t.height * t.width),
        width(t.width),
        planar(t.planar),
        measured(t.moments != nullptr),
        add(static_cast<const Map*>(t.add)),
        add_width(t.width >> t.add_shift),
        add_shift(t.add_shift) {
    const int corner = t.y * width + t.x;
    if (planar == kMap)
      out = static_cast<Map*>(t.out) + (size_t(corner) * out_channels + first);
    else
      out = static_cast<float*>(t.out) + (size_t(first) * pixels + corner);
    // Tasks begin at even pixels, so that the shift of a sum is the sum of the shifts.
    if (add != nullptr) add += size_t((t.y >> add_shift) * add_width + (t.x >> add_shift)) * out_channels + first;
  }
};

// finish adds bias and map to the sums, rounds them, gathers them in shared memory so that whole cells are written, and
// returns the moments of what the thread's warp makes. A thread holds two pixels of kWarpN/4 channels.
template <class Shape>
__device__ __forceinline__ Moments finish(float (&sum)[Shape::kWarpN / 8][4],
                                          const float (&small)[Shape::kWarpN / 8][4], typename Shape::Shared& s,
                                          const Place<typename Shape::Map>& at) {
  using Map = typename Shape::Map;
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, column = warp % 2 * Shape::kWarpN;
  const int x = lane / 4, y = warp / 2 * 2, first = column + lane % 4 * 2;
  constexpr int kPairs = Shape::kWarpN / 8;
#pragma unroll
  for (int j = 0; j < kPairs; j++)
#pragma unroll
    for (int e = 0; e < 4; e++) {
      if constexpr (Shape::kParts == 2) sum[j][e] += small[j][e] / kSplitScale;
      sum[j][e] += s.bias[first + 8 * j + e % 2];
    }
  if (at.add != nullptr && x < at.columns)
#pragma unroll
    for (int r = 0; r < 2; r++) {
      if (y + r >= at.rows) continue;
      const Map* add = at.add + size_t((y + r >> at.add_shift) * at.add_width + (x >> at.add_shift)) * at.out_channels;
#pragma unroll
      for (int j = 0; j < kPairs; j++)
        if (const int n = first + 8 * j; n < at.valid)  // maps have even numbers of channels
          sum[j][2 * r] += float(add[n]), sum[j][2 * r + 1] += float(add[n + 1]);
    }
  if (at.planar != kMap) {
#pragma unroll
    for (int j = 0; j < kPairs; j++)
#pragma unroll
      for (int e = 0; e < 4; e++) {
        const float v = at.planar == kRoundedPlanes ? norm::rounded<Map>(sum[j][e]) : sum[j][e];
        s.planar[(first + 8 * j + e % 2) * Shape::kPlanarPitch + (y + e / 2) * kTile + x] = v;
      }
    return {0, 0, 0};
  }
  const int rows = max(0, min(2, at.rows - y));
  float total = 0;
#pragma unroll
  for (int r = 0; r < 2; r++) {
    Map* stage = s.stage + ((y + r) * kTile + x) * Shape::kPitch + first;
    const bool inside = r < rows && x < at.columns;
#pragma unroll
    for (int j = 0; j < kPairs; j++) {
      float &low = sum[j][2 * r], &high = sum[j][2 * r + 1];
      if constexpr (sizeof(Map) == 2) {
        const uint32_t pair = norm::pack<Map>(low, high);
        const float2 stored = norm::unpack<Map>(pair);
        *reinterpret_cast<uint32_t*>(stage + 8 * j) = pair, low = stored.x, high = stored.y;
      } else {
        *reinterpret_cast<float2*>(stage + 8 * j) = make_float2(low, high);
      }
      if (inside && first + 8 * j < at.valid) total += low + high;
    }
  }
  if (!at.measured) return {0, 0, 0};
  const int count = rows * at.columns * min(Shape::kWarpN, max(0, at.valid - column));
  const float mean = norm::warp_sum(total) / float(max(count, 1));
  float m2 = 0;
#pragma unroll
  for (int r = 0; r < 2; r++) {
    const bool inside = r < rows && x < at.columns;
#pragma unroll
    for (int j = 0; j < kPairs; j++) {
      const float low = sum[j][2 * r] - mean, high = sum[j][2 * r + 1] - mean;
      if (inside && first + 8 * j < at.valid) m2 += low * low, m2 += high * high;
    }
  }
  return {float(count), mean, norm::warp_sum(m2)};
}

// write copies the gathered tile to memory.
template <class Shape>
__device__ __forceinline__ void write(const typename Shape::Shared& s, const Place<typename Shape::Map>& at) {
  using Map = typename Shape::Map;
  if (at.planar != kMap) {
#pragma unroll 1
    for (int i = threadIdx.x; i < at.valid * kTilePixels; i += Shape::kThreads) {
      const int n = i / kTilePixels, y = i % kTilePixels / kTile, x = i % kTile;
      if (y < at.rows && x < at.columns)
        static_cast<float*>(at.out)[size_t(n) * at.pixels + y * at.width + x] =
            s.planar[n * Shape::kPlanarPitch + i % kTilePixels];
    }
    return;
  }
  constexpr int kPerCell = 16 / int(sizeof(Map)), kCells = Shape::kN / kPerCell;
#pragma unroll
  for (int i = threadIdx.x; i < kTilePixels * kCells; i += Shape::kThreads) {
    const int p = i / kCells, c = i % kCells * kPerCell, y = p / kTile, x = p % kTile;
    if (y < at.rows && x < at.columns && c < at.valid)
      *reinterpret_cast<uint4*>(static_cast<Map*>(at.out) + (y * at.width + x) * at.out_channels + c) =
          *reinterpret_cast<const uint4*>(s.stage + p * Shape::kPitch + c);
  }
}

// load_slab starts the copy of one slab of a task's weights.
template <class Shape>
__device__ __forceinline__ void load_slab(typename Shape::Shared& s, const void* weights, int slab, int slabs) {
  constexpr int kSteps = (Shape::kSlabCells + Shape::kThreads - 1) / Shape::kThreads;
  if (slab < slabs)
#pragma unroll
    for (int part = 0; part < Shape::kParts; part++)
#pragma unroll
      for (int i = 0; i < kSteps; i++)
        if (const int at = threadIdx.x + i * Shape::kThreads; at < Shape::kSlabCells)
          sm80::copy_async(&s.weights[slab % Shape::kRing][part][at],
                           static_cast<const uint4*>(weights) + (part * slabs + slab) * Shape::kSlabCells + at);
  sm80::copy_commit();
}

// conv_sm80 runs a schedule of one team. Launch: a block for each most_tasks tasks, Shape::kThreads threads,
// sizeof(Shape::Shared) bytes. While a task is finished and written, the loads of the next one are under way.
template <class Shape>
__device__ __forceinline__ void conv_sm80(const Arguments& a) {
  const Task* tasks = a.tasks;
  const int most_tasks = a.most_tasks;
  extern __shared__ __align__(128) char memory[];
  auto& s = *reinterpret_cast<typename Shape::Shared*>(memory);
  constexpr int kTasks = Shape::kTasks, kTaskCells = sizeof(Task) / 16, kOwn = kMaxChannels / Shape::kThreads;
  const int t = threadIdx.x;
  const uint4* list = reinterpret_cast<const uint4*>(tasks + size_t(blockIdx.x) * most_tasks);
  if (t < min(most_tasks, kTasks) * kTaskCells) reinterpret_cast<uint4*>(s.tasks)[t] = list[t];
  __syncthreads();

  PatchLoader<Shape::kFormat, Shape::kTaps, Shape::kStride, Shape::kThreads, Shape::kAhead> patch;
  ImageLoader<Shape::kFormat, Shape::kThreads> image(s.tasks[0]);
  int phases = 0;
  auto count = [&](const Task& task) {
    const int channels = Shape::kImage ? 27 : task.channels + task.channels2;
    phases = (channels + Shape::kPhase - 1) / Shape::kPhase;
  };
  auto start_weights = [&](const Task& task) {
#pragma unroll 1
    for (int slab = 0; slab < Shape::kRing - 1; slab++) load_slab<Shape>(s, task.weights, slab, phases * Shape::kRows);
  };
  auto start_pixels = [&](const Task& task, int i) {
    if constexpr (Shape::kImage) return image.start(task, s.image[i % 2]);
    patch.begin(task, t);
#pragma unroll
    for (int phase = 0; phase < Shape::kAhead; phase++)
      if (phase < phases) patch.load(phase, phase);
  };
  // start begins the loads of task i. Tasks and weights are constants; all else may be another kernel's. The image is
  // waited for before the weights.
  auto start = [&](int i) {
    const Task& task = s.tasks[i % kTasks];
    count(task);
    if (!Shape::kImage) start_weights(task);
    if (i == 0) norm::wait_for_previous_kernel(), norm::let_next_kernel_start();
    start_pixels(task, i);
    if (Shape::kImage) start_weights(task);
  };

  const Moments* known = nullptr;  // of which map s.affine is, and by which scale
  const float* known_scale = nullptr;
  Moments piece = {0, 0, 0};  // of this warp's part of the block's tasks so far
  bool beyond = false;        // an operand was out of range
  start(0);
#pragma unroll 1
  for (int i = 0;; i++) {
    const Task& task = s.tasks[i % kTasks];
    const bool new_map =
        !Shape::kImage && task.scale != nullptr && (task.in_moments != known || task.scale != known_scale);
    const float bias = task.bias != nullptr && t < task.valid ? task.bias[t] : 0;
    uint4 listed;
    const bool lists = i > 0 && t < kTaskCells && i - 1 + kTasks < most_tasks;
    if (lists) listed = list[(i - 1 + kTasks) * kTaskCells + t];
    if (new_map) {
      norm::MapMoments<Shape::kWarps> moments;
      moments.load(task.in_moments, task.in_pieces, t);
      norm::Affine own[kOwn];
#pragma unroll
      for (int c = 0; c < kOwn; c++)
        if (const int channel = t + c * Shape::kThreads; channel < task.channels)
          own[c] = {task.scale[channel], task.shift[channel]};
      moments.leave(s.level, t);
      __syncthreads();
      const Moments m = norm::joined<Shape::kWarps>(s.level);
#pragma unroll
      for (int c = 0; c < kOwn; c++)
        if (const int channel = t + c * Shape::kThreads; channel < task.channels)
          s.affine[channel] = norm::affine(m, own[c].scale, own[c].shift);
      known = task.in_moments, known_scale = task.scale;
    }
    if (Shape::kImage) sm80::copy_wait<Shape::kRing - 1>();
    __syncthreads();  // s.affine or the image is there, and the task before this one has been written
    if (t < Shape::kN) s.bias[t] = bias;
    if (lists) reinterpret_cast<uint4*>(&s.tasks[(i - 1) % kTasks])[t] = listed;

    float sum[Shape::kWarpN / 8][4] = {}, small[Shape::kWarpN / 8][4] = {};  // small: of hi·lo and lo·hi
    for (int phase0 = 0; phase0 < phases; phase0 += Shape::kAhead) {
#pragma unroll
      for (int ahead = 0; ahead < Shape::kAhead; ahead++) {
        const int phase = phase0 + ahead;
        if (phase >= phases) break;
        auto& cells = s.patch[phase % 2];
        if constexpr (Shape::kImage) {
          beyond |= image.store(ahead, s.image[i % 2], cells[0], Shape::kPatchCells);
        } else {
          beyond |= patch.store(phase, ahead, cells[0], Shape::kPatchCells, s.affine);
          if (phase + Shape::kAhead < phases) patch.load(phase + Shape::kAhead, ahead);
        }
#pragma unroll 1
        for (int row = 0; row < Shape::kRows; row++) {
          const int slab = phase * Shape::kRows + row;
          sm80::copy_wait<Shape::kRing - 2>();
          __syncthreads();  // slab and patch are there, and the room of the slab before is free
          load_slab<Shape>(s, task.weights, slab + Shape::kRing - 1, phases * Shape::kRows);
          multiply_slab<Shape>(sum, small, cells, s.weights[slab % Shape::kRing], row * Shape::kSlabTaps);
        }
      }
    }
    __syncthreads();  // every warp has read patch and weights before they are written over
    const Task& next = s.tasks[(i + 1) % kTasks];
    const bool more = i + 1 < most_tasks && next.in != nullptr;
    if (more) start(i + 1);
    const Place<typename Shape::Map> place(task);
    piece = combine<2>({piece, finish<Shape>(sum, small, s, place)});
    const bool leaves = task.moments != nullptr && !(more && next.moments == task.moments);
    if (leaves) {
      if (t % 32 == 0) s.warp[t / 32] = piece;
      piece = {0, 0, 0};
    }
    __syncthreads();
    write<Shape>(s, place);
    if (leaves && t == 0) *task.moments = norm::joined<Shape::kWarps>(s.warp);
    if (!more) break;
  }
  if (Shape::kParts == 2 && beyond && a.fault != nullptr) *a.fault = a.step;
}

}  // namespace apexx::conv
