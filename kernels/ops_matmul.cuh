// Products of matrices: a [batch,m,k] · b [batch,k,n] + c → y [batch,m,n], in plain float32 multiply-adds, k in order, c added at the
// end. b may be given transposed, [batch,n,k]; c broadcasts by its strides, or is absent. A block computes 32×32 elements.
#pragma once

#include "ops.cuh"

namespace apexx {

struct MatMulArgs {
  const float *x0, *x1, *addend;  // addend may be null
  float* y;
  int m, k, n, transposed;
  int addend_row, addend_column;  // strides of the addend
};

constexpr int kMatMulTile = 32, kMatMulThreads = 256;

APEXX_BLOCK_KERNEL(matmul, MatMulArgs, kMatMulThreads) {
  __shared__ float left[kMatMulTile][kMatMulTile + 1], right[kMatMulTile][kMatMulTile + 1];  // [row][term], [term][column]
  const int t = threadIdx.x, tx = t % kMatMulTile, ty = t / kMatMulTile;
  const int row0 = blockIdx.y * kMatMulTile;
  const int column0 = blockIdx.x * kMatMulTile;
  const float* x0 = a.x0 + static_cast<int64_t>(blockIdx.z) * a.m * a.k;
  const float* x1 = a.x1 + static_cast<int64_t>(blockIdx.z) * a.k * a.n;
  constexpr int kRows = kMatMulTile * kMatMulTile / kMatMulThreads, kStep = kMatMulThreads / kMatMulTile;
  float sum[kRows] = {};
  for (int k0 = 0; k0 < a.k; k0 += kMatMulTile) {
    for (int i = ty; i < kMatMulTile; i += kStep) {
      left[i][tx] = row0 + i < a.m && k0 + tx < a.k ? x0[static_cast<int64_t>(row0 + i) * a.k + k0 + tx] : 0;
      if (a.transposed) {
        right[tx][i] = column0 + i < a.n && k0 + tx < a.k ? x1[static_cast<int64_t>(column0 + i) * a.k + k0 + tx] : 0;
      } else {
        right[i][tx] = k0 + i < a.k && column0 + tx < a.n ? x1[static_cast<int64_t>(k0 + i) * a.n + column0 + tx] : 0;
      }
    }
    __syncthreads();
#pragma unroll
    for (int k = 0; k < kMatMulTile; k++) {
      const float v = right[k][tx];
#pragma unroll
      for (int i = 0; i < kRows; i++) sum[i] = fmaf(left[ty + i * kStep][k], v, sum[i]);
    }
    __syncthreads();
  }
  const int column = column0 + tx;
  for (int i = 0; i < kRows; i++) {
    const int row = row0 + ty + i * kStep;
    if (row >= a.m || column >= a.n) break;
    const int64_t at = (static_cast<int64_t>(blockIdx.z) * a.m + row) * a.n + column;
    const int64_t c = static_cast<int64_t>(row) * a.addend_row + static_cast<int64_t>(column) * a.addend_column;
    a.y[at] = a.addend ? sum[i] + a.addend[c] : sum[i];
  }
}

}  // namespace apexx
