// Layers of small perceptrons on one vector, by one block.
#pragma once

#include "ops.cuh"

namespace apexx {

// matvec computes y = W·x + bias for `rows` outputs, W [rows,n], n a multiple of 4, and calls done(row, y). kLanes threads share an output: each
// takes every kLanes-th four terms, and the partial sums are added in order. partial has an element for each thread; x is in shared memory.
template <int kThreads, int kLanes, class Done>
APEXX_DEVICE void matvec(const float* weight, const float* bias, const float* x, int rows, int n, float* partial, Done done) {
  const int t = threadIdx.x, lane = t % kLanes;
  constexpr int kRows = kThreads / kLanes;
  for (int first = 0; first < rows; first += kRows) {
    const int row = first + t / kLanes;
    float sum = 0;
    if (row < rows) {
      const Four* w = reinterpret_cast<const Four*>(weight + static_cast<int64_t>(row) * n);
#pragma unroll 4
      for (int i = lane; i < n / 4; i += kLanes) {
        const Four f = w[i];
        for (int e = 0; e < 4; e++) sum = fmaf(f.v[e], x[4 * i + e], sum);
      }
    }
    partial[t] = sum;
    __syncthreads();
    if (t < kRows && first + t < rows) {
      float y = partial[kLanes * t];
      for (int i = 1; i < kLanes; i++) y += partial[kLanes * t + i];
      done(first + t, bias ? y + bias[first + t] : y);
    }
    __syncthreads();
  }
}

}  // namespace apexx
