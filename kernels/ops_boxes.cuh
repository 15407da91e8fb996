// Boxes over maps: the mean of a map under a box, and masks cropped to their boxes. Corners are sorted, scaled to the map and
// clamped to it; a box touches the cells from floor of its first to ceiling of its last coordinate, none if that is empty or a NaN.
#pragma once

#include "ops_mlp.cuh"
#include "ops_resize.cuh"
#include "ops_tiles.cuh"

namespace apexx {

// Projection maps pixels of an image to cells of a grid.
struct Projection {
  int height, width;
  float scale_y, scale_x;
};

struct Cells {
  int y0, y1, x0, x1;
};

APEXX_DEVICE void touched(float p, float q, float scale, int size, int* lo, int* hi) {
  const float limit = static_cast<float>(size);
  const float first = smaller(larger(smaller(p, q) * scale, 0.0f), limit);
  const float last = smaller(larger(larger(p, q) * scale, 0.0f), limit);
  *lo = *hi = 0;
  if (!(first <= last)) return;
  *lo = static_cast<int>(floorf(first));
  *hi = static_cast<int>(ceilf(last));
}

APEXX_DEVICE Cells cells_of(const Projection& p, const float* box) {
  Cells c;
  touched(box[0], box[2], p.scale_x, p.width, &c.x0, &c.x1);
  touched(box[1], box[3], p.scale_y, p.height, &c.y0, &c.y1);
  if (c.x0 >= c.x1 || c.y0 >= c.y1) return {0, 0, 0, 0};
  return c;
}

// roi_mean: x [B,C,h,w], boxes [B,N,4] → y [B,N,C], 0 for an empty box. A block takes eight channels of a box, 32 threads each.
struct RoiMeanArgs {
  const float *x, *boxes;
  float* y;
  int channels, boxes_per_image;
  Projection projection;
};

constexpr int kRoiThreads = 256, kRoiLanes = 32, kRoiChannels = kRoiThreads / kRoiLanes;

APEXX_BLOCK_KERNEL(roi_mean, RoiMeanArgs, kRoiThreads) {
  const int lane = threadIdx.x % kRoiLanes, row = threadIdx.x / kRoiLanes;
  const int64_t box = blockIdx.x;
  const int channel = blockIdx.y * kRoiChannels + row;
  const Cells c = cells_of(a.projection, a.boxes + box * 4);
  const int columns = c.x1 - c.x0, n = (c.y1 - c.y0) * columns, width = a.projection.width;
  double sum = 0;
  if (channel < a.channels) {
    const int64_t map = box / a.boxes_per_image * a.channels + channel;
    const float* x = a.x + (map * a.projection.height + c.y0) * width + c.x0;
    for (int i = lane; i < n; i += kRoiLanes) sum += x[static_cast<int64_t>(i / columns) * width + i % columns];
  }
  sum = warp_sum(sum);
  if (lane == 0 && channel < a.channels) {
    a.y[box * a.channels + channel] = n > 0 ? static_cast<float>(sum / n) : 0.0f;
  }
}

// box_mask: logits x [B,N,H,W], boxes [B,N,4] → y, the logits inside the box and `fill` outside, and scores [B,N], the mean of σ(logit)
// inside. One block for a mask.
struct BoxMaskArgs {
  const float *x, *boxes;
  float *y, *scores;
  Projection projection;
  float fill;
  int unused;
};

constexpr int kMaskThreads = 512;

APEXX_BLOCK_KERNEL(box_mask, BoxMaskArgs, kMaskThreads) {
  __shared__ double scratch[32];
  const int64_t mask = blockIdx.x;
  const Cells c = cells_of(a.projection, a.boxes + mask * 4);
  const int width = a.projection.width, n = a.projection.height * width;
  const float* x = a.x + mask * n;
  float* y = a.y + mask * n;
  double sum = 0;
  for (int i = threadIdx.x; i < n; i += kMaskThreads) {
    const int row = i / width, column = i % width;
    const bool in = row >= c.y0 && row < c.y1 && column >= c.x0 && column < c.x1;
    const float v = in ? x[i] : a.fill;
    if (in) sum += logistic(v);
    y[i] = v;
  }
  sum = block_sum(sum, scratch);
  const int area = (c.y1 - c.y0) * (c.x1 - c.x0);
  if (threadIdx.x == 0) a.scores[mask] = static_cast<float>(sum / (area > 1 ? area : 1));
}

// box_vector: the mean of x [B,C,h,w] under a box, W2·silu(W0·mean + b0) + b2 of it, and where floor > 0 that divided by its length, or by floor
// if that is more. One block for a box. The mean and the hidden layer are rounded as operands of products, the result to `result`.
struct BoxVectorArgs {
  const float *x, *boxes;                                // [B,C,h,w], [B,N,4]
  const float *weight0, *bias0, *weight2, *bias2;        // [hidden,C], [hidden], [outputs,hidden], [outputs]; biases may be null
  float* y;                                              // [B,N,outputs]
  int channels, hidden, outputs, boxes_per_image;
  Projection projection;
  Rounding product, result;
  float floor;
  int unused;
};

constexpr int kVectorThreads = 512, kVectorLanes = 4;
constexpr int kVectorChannels = 512;  // the most of each layer
constexpr int kTogether = 4;          // channels that a warp takes at a time, and cells that a lane adds before they become a double

// VectorRoom is the shared memory of box_vector.
struct VectorRoom {
  double scratch[32];
  alignas(16) float mean[kVectorChannels], hidden[kVectorChannels];
  float partial[kVectorThreads], result[kVectorChannels];
};

APEXX_BLOCK_KERNEL(box_vector, BoxVectorArgs, kVectorThreads) {
  __shared__ VectorRoom s;
  constexpr int kWarps = kVectorThreads / 32;
  const int t = threadIdx.x, lane = t % 32;
  const int64_t box = blockIdx.x, plane = static_cast<int64_t>(a.projection.height) * a.projection.width;
  const Cells c = cells_of(a.projection, a.boxes + box * 4);
  const int columns = c.x1 - c.x0, n = (c.y1 - c.y0) * columns, width = a.projection.width;
  const float per_column = 1.0f / columns;
  const float* maps = a.x + static_cast<int>(box) / a.boxes_per_image * a.channels * plane + static_cast<int64_t>(c.y0) * width + c.x0;
  for (int first = t / 32; first < a.channels; first += kTogether * kWarps) {
    double sum[kTogether] = {};
    for (int i0 = lane; i0 < n; i0 += 32 * kTogether) {
      float v[kTogether][kTogether] = {};
#pragma unroll
      for (int e = 0; e < kTogether; e++) {
        const int i = i0 + 32 * e, row = quotient_of(i, per_column);
        const float* x = maps + first * plane + row * width + i - row * columns;
#pragma unroll
        for (int k = 0; k < kTogether; k++) {
          if (i < n && first + k * kWarps < a.channels) v[k][e] = x[k * kWarps * plane];
        }
      }
#pragma unroll
      for (int k = 0; k < kTogether; k++) sum[k] += (v[k][0] + v[k][1]) + (v[k][2] + v[k][3]);
    }
#pragma unroll
    for (int k = 0; k < kTogether; k++) {
      const double total = warp_sum(sum[k]);
      const int channel = first + k * kWarps;
      if (lane == 0 && channel < a.channels) s.mean[channel] = rounded(a.product, n > 0 ? static_cast<float>(total / n) : 0.0f);
    }
  }
  __syncthreads();
  matvec<kVectorThreads, kVectorLanes>(a.weight0, a.bias0, s.mean, a.hidden, a.channels, s.partial,
                                       [&](int i, float v) { s.hidden[i] = rounded(a.product, v * logistic(v)); });
  matvec<kVectorThreads, kVectorLanes>(a.weight2, a.bias2, s.hidden, a.outputs, a.hidden, s.partial, [&](int i, float v) { s.result[i] = v; });
  float length = 1;
  if (a.floor > 0) {
    const double v = t < a.outputs ? s.result[t] : 0;
    length = larger(static_cast<float>(sqrt(block_sum(v * v, s.scratch))), a.floor);
  }
  if (t < a.outputs) a.y[box * a.outputs + t] = rounded(a.result, a.floor > 0 ? s.result[t] / length : s.result[t]);
}

// prototype_masks: coefficients [B,N,P], prototypes [B,P,h,w] → their products, resized to [H,W], plus detail [B,1,H,W], inside the box, and `fill`
// outside; and scores [B,N], the mean of σ(logit) inside. One block for a mask; it computes of the products only what lies under the box, as many
// rows at a time as shared memory holds.
struct PrototypeMaskArgs {
  const float *coefficients, *prototypes, *detail, *boxes;  // detail may be null
  float *y, *scores;
  const Sample *rows, *columns;
  int count, boxes_per_image, in_height, in_width;  // count: P
  Projection projection;
  float fill;
  int unused;
};

constexpr int kPrototypeThreads = 1024;
constexpr int kPrototypes = 256;    // the most
constexpr int kLowCells = 4096;     // of products in shared memory
constexpr int kLowColumns = kLowCells / 2;  // the most of a map: an output needs two rows

// fill_all writes one value to n floats, four at a time where they allow it.
APEXX_DEVICE void fill_all(float* y, int n, float value) {
  if (n % 4 != 0) {
    for (int i = threadIdx.x; i < n; i += kPrototypeThreads) y[i] = value;
    return;
  }
  const Four four = {{value, value, value, value}};
  for (int i = threadIdx.x; i < n / 4; i += kPrototypeThreads) reinterpret_cast<Four*>(y)[i] = four;
}

// rows_until returns the first row behind `first` that reads row `limit` or a later one, at most `end`.
APEXX_DEVICE int rows_until(const Sample* rows, int first, int end, int limit) {
  int lo = first + 1, hi = end;
  while (lo < hi) {
    const int mid = (lo + hi) / 2;
    if (rows[mid].hi < limit) {
      lo = mid + 1;
    } else {
      hi = mid;
    }
  }
  return lo;
}

APEXX_BLOCK_KERNEL(prototype_masks, PrototypeMaskArgs, kPrototypeThreads) {
  __shared__ double scratch[32];
  __shared__ float coefficients[kPrototypes], low[kLowCells];
  const int t = threadIdx.x, width = a.projection.width, height = a.projection.height;
  const int64_t mask = blockIdx.x, image = blockIdx.x / a.boxes_per_image, plane = static_cast<int64_t>(a.in_height) * a.in_width;
  const Cells c = cells_of(a.projection, a.boxes + mask * 4);
  const float* detail = a.detail ? a.detail + image * height * width : nullptr;
  float* y = a.y + mask * height * width;
  for (int i = t; i < a.count; i += kPrototypeThreads) coefficients[i] = a.coefficients[mask * a.count + i];
  fill_all(y, height * width, a.fill);  // what lies inside is written over, behind a barrier
  double sum = 0;
  const int columns = c.x1 - c.x0, first = columns > 0 ? a.columns[c.x0].lo : 0;
  const int low_columns = columns > 0 ? a.columns[c.x1 - 1].hi - first + 1 : 1;
  const float per_low = 1.0f / low_columns, per_column = 1.0f / columns;
  for (int y0 = c.y0, y1; y0 < c.y1; y0 = y1) {
    const int top = a.rows[y0].lo;
    y1 = rows_until(a.rows, y0, c.y1, top + kLowCells / low_columns);
    const int cells = (a.rows[y1 - 1].hi - top + 1) * low_columns;
    __syncthreads();
    for (int i = t; i < cells; i += kPrototypeThreads) {
      const int row = quotient_of(i, per_low);
      const float* x = a.prototypes + image * a.count * plane + (top + row) * a.in_width + first + i - row * low_columns;
      float v = 0;
#pragma unroll 8
      for (int k = 0; k < a.count; k++) v = fmaf(coefficients[k], x[k * plane], v);
      low[i] = v;
    }
    __syncthreads();
    for (int i = t; i < (y1 - y0) * columns; i += kPrototypeThreads) {
      const int in = quotient_of(i, per_column), row = y0 + in, column = c.x0 + i - in * columns;
      Sample r = a.rows[row], s = a.columns[column];
      r.lo -= top;
      r.hi -= top;
      s.lo -= first;
      s.hi -= first;
      float v = interpolated(low, low_columns, r, s);
      if (detail) v += detail[row * width + column];
      sum += logistic(v);
      y[row * width + column] = v;
    }
  }
  __syncthreads();
  sum = block_sum(sum, scratch);
  const int area = (c.y1 - c.y0) * columns;
  if (t == 0) a.scores[mask] = static_cast<float>(sum / (area > 1 ? area : 1));
}

// mask_detail: x [B,1,h,w] → strength·tanh(x resized to [H,W]) on the tiles of ids [B,k], 0 elsewhere. One thread for an output.
struct MaskDetailArgs {
  const float *x, *strength;
  const int64_t* ids;
  float* y;
  const Sample *rows, *columns;
  int64_t n;
  int in_height, in_width, out_height, k;
  Tiling tiling;  // of the output
  Fault fault;
};

APEXX_KERNEL(mask_detail, MaskDetailArgs, 128) {
  const int64_t i = thread_of();
  if (i >= a.n) return;
  const int width = a.tiling.width, row = i / width % a.out_height, column = i % width;
  const int64_t image = i / width / a.out_height, own = static_cast<int64_t>(row / a.tiling.tile) * a.tiling.grid_width + column / a.tiling.tile;
  bool active = false;
  for (int j = 0; j < a.k; j++) {
    const int64_t id = a.ids[image * a.k + j];
    if (id < 0 || id >= a.tiling.tiles) report(a.fault);
    active = active || id == own;
  }
  const float* x = a.x + image * a.in_height * a.in_width;
  a.y[i] = *a.strength * (active ? tanhf(interpolated(x, a.in_width, a.rows[row], a.columns[column])) : 0.0f);
}

}  // namespace apexx
