// The convolution of the image for the 16-bit formats: 3×3 at stride 2 with padding 1, from float32 planes [3][pixel],
// 27 products an output. Its map is the largest of the network, and with so few products what is done to each value
// decides: so a warp makes sixteen pixels of half a task's channels by itself, without shared memory and barriers.
//
//   out(p, n) = Σ_k image(p, k)·weight(n, k) + bias(n) + add(p, n)     k = 9·colour + 3·row + column
//
// Weights stay in registers. The lane that the matrix unit asks for an operand loads it from the image, where pixels
// that share it are in the cache of the multiprocessor, while the task before is finished. The columns of the matrix
// product are dealt to the channels so that a lane ends with neighbouring ones, and four lanes write whole sectors.
#pragma once

#include "conv_task.cuh"
#include "sm80_ptx.cuh"

namespace apexx::conv {

template <Format kFormat_, int kN_>
struct ImageShape {
  static constexpr Format kFormat = kFormat_;
  using Map = typename Types<kFormat>::Map;
  static_assert(sizeof(Map) == 2, "operands are what maps hold");
  static constexpr int kN = kN_, kWarps = 8;
  static constexpr int kWarpN = kN / 2;        // channels of one warp
  static constexpr int kColumns = kWarpN / 8;  // matrices of eight columns that they are
  static constexpr int kOwn = 2 * kColumns;    // channels of one lane, neighbours, for each of its two pixels
  static constexpr int kValues = 27, kSlots = 8;  // values under a pixel, and how many of them a lane loads
  struct Shared {
    Moments warp[kWarps];
  };
};

// ImageOperands loads what a lane multiplies: of pixels x = lane/4 in rows 2·(warp/2) and the one below of a task, the
// values k = 16·(slot/4) + 8·(slot/2%2) + 2·(lane%4) + slot%2.
template <class Shape>
class ImageOperands {
 public:
  // The constructor takes the sizes of the image, which all tasks of a launch share.
  __device__ __forceinline__ explicit ImageOperands(const Task& task) {
    const int height = task.in_height, width = task.in_width;
#pragma unroll
    for (int i = 0; i < Shape::kSlots; i++) {
      const int k = i / 4 * 16 + i / 2 % 2 * 8 + threadIdx.x % 4 * 2 + i % 2;
      const int colour = k / 9, row = k % 9 / 3, column = k % 3;
      from_[i] = (colour * height + row - 1) * width + column - 1;
      if (k >= Shape::kValues) none_ |= 1 << i;
      above_ |= (row == 0) << i, below_ |= (row == 2) << i, left_ |= (column == 0) << i, right_ |= (column == 2) << i;
    }
  }

  // load starts the loads for a task.
  __device__ __forceinline__ void load(const Task& task) {
    const int height = task.in_height, width = task.in_width;
    const int x = 2 * (task.x + threadIdx.x % 32 / 4), y = 2 * (task.y + threadIdx.x / 64 * 2);
    const uint32_t beside = none_ | (x == 0 ? left_ : 0) | (x + 1 >= width ? right_ : 0) | (x >= width ? ~0u : 0);
    const float* in = static_cast<const float*>(task.in) + y * width + x;
#pragma unroll
    for (int r = 0; r < 2; r++, in += 2 * width) {
      const int row = y + 2 * r;
      const uint32_t missing =
          beside | (row == 0 ? above_ : 0) | (row + 1 >= height ? below_ : 0) | (row >= height ? ~0u : 0);
#pragma unroll
      for (int i = 0; i < Shape::kSlots; i++) value_[r][i] = missing >> i & 1 ? 0 : in[from_[i]];
    }
  }

  // operands rounds what was loaded.
  __device__ __forceinline__ void operands(uint32_t (&a)[2][4]) const {
#pragma unroll
    for (int i = 0; i < Shape::kSlots; i += 2)
#pragma unroll
      for (int r = 0; r < 2; r++)
        a[i / 4][i / 2 % 2 * 2 + r] = norm::pack<typename Shape::Map>(value_[r][i], value_[r][i + 1]);
  }

 private:
  int from_[Shape::kSlots];  // of a value in the image, from the one under the pixel
  // Bits of slots: those without a value, and those outside the image at each of its sides.
  uint32_t none_ = 0, above_ = 0, below_ = 0, left_ = 0, right_ = 0;
  float value_[2][Shape::kSlots];
};

// load_image_weights loads a lane's weights: column lane/4 of matrix j is the channel that the lane lane/8 will hold as
// its 2·j + lane/4%2.
template <class Shape>
__device__ __forceinline__ void load_image_weights(uint32_t (&b)[2][Shape::kColumns][2], const void* weights) {
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int first = warp % 2 * Shape::kWarpN + lane / 8 * Shape::kOwn + lane / 4 % 2;
#pragma unroll
  for (int k = 0; k < kPhaseChunks; k++)
#pragma unroll
    for (int j = 0; j < Shape::kColumns; j++)
      b[k / 2][j][k % 2] = static_cast<const uint32_t*>(weights)[(k * Shape::kN + first + 2 * j) * 4 + lane % 4];
}

// own_moments returns the moments of N values of each row that is inside.
template <int N>
__device__ __forceinline__ Moments own_moments(const float (&v)[2][N], const bool (&inside)[2]) {
  float total = 0, m2 = 0;
#pragma unroll
  for (int r = 0; r < 2; r++)
#pragma unroll
    for (int i = 0; i < N; i++) total += inside[r] ? v[r][i] : 0;
  const float mean = total * (inside[0] && inside[1] ? 0.5f / N : 1.0f / N);
#pragma unroll
  for (int r = 0; r < 2; r++)
#pragma unroll
    for (int i = 0; i < N; i++) {
      const float d = inside[r] ? v[r][i] - mean : 0;
      m2 += d * d;
    }
  return {float(N * (inside[0] + inside[1])), mean, m2};
}

// append adds a piece to what was gathered before (Chan, Golub and LeVeque, 1979), with one reciprocal.
__device__ __forceinline__ void append(Moments& all, const Moments& piece) {
  const float n = all.n + piece.n, share = piece.n * norm::reciprocal_fast(fmaxf(n, 1.0f)), d = piece.mean - all.mean;
  all.mean += d * share, all.m2 += piece.m2 + d * d * (all.n * share), all.n = n;
}

// finish_image adds bias and map to the sums of a warp, rounds and stores them, and appends their moments.
template <class Shape>
__device__ __forceinline__ void finish_image(const float (&sum)[Shape::kColumns][4], const Task& task, Moments& piece) {
  using Map = typename Shape::Map;
  constexpr int kOwn = Shape::kOwn;
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, n = warp % 2 * Shape::kWarpN + lane % 4 * kOwn;
  const int x = task.x + lane / 4, y = task.y + warp / 2 * 2, width = task.width, channels = task.out_channels;
  const bool exists = x < width && n < task.valid;  // channels are multiples of eight: all of a lane's or none
  const bool inside[2] = {exists && y < task.height, exists && y + 1 < task.height};
  const int first = task.first + n;
  float v[2][kOwn];
#pragma unroll
  for (int r = 0; r < 2; r++)
#pragma unroll
    for (int i = 0; i < kOwn; i++) v[r][i] = sum[i / 2][2 * r + i % 2];
  if (task.bias != nullptr && exists)
#pragma unroll
    for (int i = 0; i < kOwn; i++) {
      const float bias = task.bias[n + i];
      v[0][i] += bias, v[1][i] += bias;
    }
  if (task.add != nullptr)
#pragma unroll
    for (int r = 0; r < 2; r++) {
      const int at = (y + r >> task.add_shift) * (width >> task.add_shift) + (x >> task.add_shift);
      if (inside[r])
#pragma unroll
        for (int i = 0; i < kOwn; i++) v[r][i] += float(static_cast<const Map*>(task.add)[at * channels + first + i]);
    }
  if (task.planar != kMap) {
    const int pixels = task.height * width;
#pragma unroll
    for (int r = 0; r < 2; r++)
      if (inside[r])
#pragma unroll
        for (int i = 0; i < kOwn; i++)
          static_cast<float*>(task.out)[size_t(first + i) * pixels + (y + r) * width + x] =
              task.planar == kRoundedPlanes ? norm::rounded<Map>(v[r][i]) : v[r][i];
    return;
  }
  Map* out = static_cast<Map*>(task.out) + (size_t(y * width + x) * channels + first);
#pragma unroll
  for (int r = 0; r < 2; r++, out += width * channels) {
    uint32_t pair[kOwn / 2];
#pragma unroll
    for (int i = 0; i < kOwn / 2; i++) {
      pair[i] = norm::pack<Map>(v[r][2 * i], v[r][2 * i + 1]);
      const float2 stored = norm::unpack<Map>(pair[i]);
      v[r][2 * i] = stored.x, v[r][2 * i + 1] = stored.y;
    }
    if (!inside[r]) continue;
    if constexpr (kOwn == 8)
      *reinterpret_cast<uint4*>(out) = make_uint4(pair[0], pair[1], pair[2], pair[3]);
    else
      *reinterpret_cast<uint2*>(out) = make_uint2(pair[0], pair[1]);
  }
  if (task.moments != nullptr) append(piece, own_moments<kOwn>(v, inside));
}

// warp_moments combines the pieces of a warp's lanes.
__device__ __forceinline__ Moments warp_moments(const Moments& own) {
  const float n = norm::warp_sum(own.n), mean = norm::warp_sum(own.n * own.mean) / fmaxf(n, 1.0f), d = own.mean - mean;
  return {n, mean, norm::warp_sum(own.m2 + own.n * d * d)};
}

// conv_image runs a schedule of one team. Launch: a block for each most_tasks tasks, 32·kWarps threads,
// sizeof(Shape::Shared) bytes. Its warps share nothing but the moments of a map, when the block has made its part.
template <class Shape>
__device__ __forceinline__ void conv_image(const Arguments& a) {
  extern __shared__ __align__(128) char memory[];
  auto& s = *reinterpret_cast<typename Shape::Shared*>(memory);
  const Task* task = a.tasks + size_t(blockIdx.x) * a.most_tasks;
  const Task* const end = task + a.most_tasks;
  const void* weights = task->weights;
  uint32_t b[2][Shape::kColumns][2];
  load_image_weights<Shape>(b, weights);
  ImageOperands<Shape> image(*task);
  // The first word of a task is read two tasks ahead, so that the others are in the cache when they are needed.
  const void* next_in = task + 1 < end ? task[1].in : nullptr;
  norm::wait_for_previous_kernel(), norm::let_next_kernel_start();
  image.load(*task);
  Moments piece = {0, 0, 0};  // of what this lane made of the map
#pragma unroll 1
  for (bool more = true; more; task++) {
    const void* const after_in = task + 2 < end ? task[2].in : nullptr;
    uint32_t operands[2][4];
    image.operands(operands);
    if (task->weights != weights) weights = task->weights, load_image_weights<Shape>(b, weights);
    float sum[Shape::kColumns][4] = {};
#pragma unroll
    for (int k = 0; k < 2; k++)
#pragma unroll
      for (int j = 0; j < Shape::kColumns; j++)
        sm80::multiply_add<typename Shape::Map>(sum[j], operands[k], b[k][j][0], b[k][j][1]);
    more = next_in != nullptr, next_in = after_in;
    if (more) image.load(task[1]);
    finish_image<Shape>(sum, *task, piece);
    if (task->moments == nullptr || more && task[1].moments == task->moments) continue;
    const Moments whole = warp_moments(piece);
    if (threadIdx.x % 32 == 0) s.warp[threadIdx.x / 32] = whole;
    __syncthreads();
    if (threadIdx.x == 0) *task->moments = norm::joined<Shape::kWarps>(s.warp);
    __syncthreads();  // it is read before it is written over
    piece = {0, 0, 0};
  }
}

}  // namespace apexx::conv
