// Layers of small perceptrons on one vector, by one block.
#pragma once

#include "ops.cuh"

namespace apexx {

// terms_of adds every kLanes-th four terms of the product of two vectors of n elements, from the lane-th on.
template <int kLanes>
APEXX_CALLED float terms_of(const float* w, const float* x, int n, int lane) {
  const Four *fw = reinterpret_cast<const Four*>(w), *fx = reinterpret_cast<const Four*>(x);
  float sum = 0;
#pragma unroll 4
  for (int i = lane; i < n / 4; i += kLanes) {
    const Four f = fw[i], g = fx[i];
    for (int e = 0; e < 4; e++) sum = fmaf(f.v[e], g.v[e], sum);
  }
  return sum;
}

// matvec computes y = W·x + bias for `rows` outputs, W [rows,n], n a multiple of 4, and calls done(row, y). kLanes threads share an output: each
// takes every kLanes-th four terms, and the partial sums are added in order. partial has an element for each thread; x is in shared memory, at a
// multiple of 16 bytes.
template <int kThreads, int kLanes, class Done>
APEXX_DEVICE void matvec(const float* weight, const float* bias, const float* x, int rows, int n, float* partial, Done done) {
  const int t = threadIdx.x;
  constexpr int kRows = kThreads / kLanes;
#pragma unroll 1
  for (int first = 0; first < rows; first += kRows) {
    const int row = first + t / kLanes;
    partial[t] = row < rows ? terms_of<kLanes>(weight + row * n, x, n, t % kLanes) : 0;
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
