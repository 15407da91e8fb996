// Boxes over maps: the mean of a map under a box, and masks cropped to their boxes. Corners are sorted, scaled to the map and
// clamped to it; a box touches the cells from floor of its first to ceiling of its last coordinate, none if that is empty or a NaN.
#pragma once

#include "ops.cuh"

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
  __shared__ double sums[kRoiChannels][kRoiLanes];
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
  sums[row][lane] = sum;
  __syncthreads();
  for (int w = kRoiLanes / 2; w > 0; w /= 2) {
    if (lane < w) sums[row][lane] += sums[row][lane + w];
    __syncthreads();
  }
  if (lane == 0 && channel < a.channels) {
    a.y[box * a.channels + channel] = n > 0 ? static_cast<float>(sums[row][0] / n) : 0.0f;
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
  __shared__ double scratch[kMaskThreads];
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

}  // namespace apexx
