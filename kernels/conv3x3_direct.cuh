// 3×3 convolution, the plain way: one thread for each output element, products and sums in fp32 (conv3x3.h has formula
// and formats). The first rung of the workbench, and the only one that needs nothing of the hardware. It leaves no
// moments.
#pragma once

#include "conv3x3_task.cuh"

namespace apexx::conv3x3 {

// Launch: kOut / 4 blocks for each task, 256 threads: four output channels to a row of 64 pixels.
template <class T, int kIn, int kOut, int kStride>
__global__ void conv3x3_direct(const Task<T>* tasks) {
  const Task<T> task = tasks[blockIdx.x / (kOut / 4)];
  if (task.in == nullptr) return;
  const int p = threadIdx.x % kTilePixels, n = blockIdx.x % (kOut / 4) * 4 + threadIdx.x / kTilePixels;
  const int y = task.y + p / kTile, x = task.x + p % kTile;
  if (y >= task.height || x >= task.width) return;
  float sum = 0;
  for (int tap = 0; tap < kTaps; tap++) {
    const int iy = y * kStride + tap / 3 - 1, ix = x * kStride + tap % 3 - 1;
    if (iy < 0 || iy >= task.in_height || ix < 0 || ix >= task.in_width) continue;
    const T* in = task.in + (iy * task.in_width + ix) * kIn;
    for (int c = 0; c < kIn; c++) {
      const __half* weight = task.weights + packed(kOut, n, c, tap);
      float w = __half2float(*weight);
      if (sizeof(T) == 4) w += __half2float(weight[kTaps * kIn * kOut]) / kSplitScale;
      sum += float(in[c]) * w;
    }
  }
  task.out[(y * task.width + x) * kOut + n] = T(sum);
}

}  // namespace apexx::conv3x3
