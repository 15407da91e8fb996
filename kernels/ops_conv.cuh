// 2-D convolution with zero padding and dilation 1, in plain float32 multiply-adds: x [B,C,H,W], weight [M,C/groups,KH,KW], bias [M]
// or none → y [B,M,OH,OW]. The sum over channel, row and column of the kernel is taken in this order, the bias added at the end.
//
// conv_*: implicit GEMM. Of a group, rows are its output channels, columns the pixels of all images, and the sum runs over
// channels and taps. A block computes BM×BN outputs, 16 terms at a time through shared memory.
// conv_direct: one thread for an output, for groups with few output channels, depthwise above all.
#pragma once

#include "ops.cuh"

namespace apexx {

struct ConvArgs {
  const float *x, *weight, *bias;  // bias may be null
  float* y;
  int batch, in_channels, in_height, in_width;
  int out_channels, out_height, out_width;
  int kernel_height, kernel_width, stride_y, stride_x, pad_top, pad_left, groups;
};

constexpr int kConvDepth = 16;    // terms of a sum that are in shared memory at a time
constexpr int kConvThreads = 256;

// kKernel is the side of a square kernel, 0 for any kernel.
template <int kKernel, int BM, int BN, int TM, int TN>
APEXX_DEVICE void conv_block(const ConvArgs& a, float (*weights)[BM + 1], float (*inputs)[BN]) {
  static_assert(BM / TM * (BN / TN) == kConvThreads && kConvThreads % BN == 0, "a thread computes TM×TN outputs");
  const int kh = kKernel ? kKernel : a.kernel_height, kw = kKernel ? kKernel : a.kernel_width;
  const int rows = a.out_channels / a.groups, depth = a.in_channels / a.groups, terms = depth * kh * kw;
  const int64_t plane = static_cast<int64_t>(a.in_height) * a.in_width;
  const int pixels = a.out_height * a.out_width;
  const int64_t columns = static_cast<int64_t>(a.batch) * pixels;
  const int group = blockIdx.z, row0 = blockIdx.y * BM;
  const int64_t column0 = static_cast<int64_t>(blockIdx.x) * BN;
  const int t = threadIdx.x;

  // The column whose inputs this thread loads.
  const int64_t column = column0 + t % BN;
  const bool inside = column < columns;
  const int64_t image = inside ? column / pixels : 0;
  const int pixel = inside ? static_cast<int>(column - image * pixels) : 0;
  const int y0 = pixel / a.out_width * a.stride_y - a.pad_top, x0 = pixel % a.out_width * a.stride_x - a.pad_left;
  const float* x = a.x + (image * a.in_channels + static_cast<int64_t>(group) * depth) * plane;
  const float* weight = a.weight + static_cast<int64_t>(group) * rows * terms;

  const int tx = t % (BN / TN), ty = t / (BN / TN);
  float sum[TM][TN] = {};
  for (int k0 = 0; k0 < terms; k0 += kConvDepth) {
    for (int i = t; i < BM * kConvDepth; i += kConvThreads) {
      const int k = i % kConvDepth, m = i / kConvDepth;
      weights[k][m] = row0 + m < rows && k0 + k < terms ? weight[static_cast<int64_t>(row0 + m) * terms + k0 + k] : 0;
    }
    for (int k = t / BN; k < kConvDepth; k += kConvThreads / BN) {
      const int channel = (k0 + k) / (kh * kw), tap = (k0 + k) % (kh * kw);
      const int iy = y0 + tap / kw, ix = x0 + tap % kw;
      const bool read = inside && channel < depth && iy >= 0 && iy < a.in_height && ix >= 0 && ix < a.in_width;
      inputs[k][t % BN] = read ? x[channel * plane + static_cast<int64_t>(iy) * a.in_width + ix] : 0;
    }
    __syncthreads();
#pragma unroll
    for (int k = 0; k < kConvDepth; k++) {
      float w[TM], v[TN];
#pragma unroll
      for (int i = 0; i < TM; i++) w[i] = weights[k][ty * TM + i];
#pragma unroll
      for (int j = 0; j < TN; j++) v[j] = inputs[k][tx + j * (BN / TN)];
#pragma unroll
      for (int i = 0; i < TM; i++) {
#pragma unroll
        for (int j = 0; j < TN; j++) sum[i][j] = fmaf(w[i], v[j], sum[i][j]);
      }
    }
    __syncthreads();
  }

  for (int j = 0; j < TN; j++) {
    const int64_t out = column0 + tx + j * (BN / TN);
    if (out >= columns) continue;
    const int64_t b = out / pixels, p = out - b * pixels;
    for (int i = 0; i < TM; i++) {
      const int row = row0 + ty * TM + i;
      if (row >= rows) break;
      const int channel = group * rows + row;
      a.y[(b * a.out_channels + channel) * pixels + p] = a.bias ? sum[i][j] + a.bias[channel] : sum[i][j];
    }
  }
}

#define APEXX_CONV(name, kernel, BM, BN, TM, TN)               \
  APEXX_BLOCK_KERNEL(name, ConvArgs, kConvThreads) {           \
    __shared__ float weights[kConvDepth][BM + 1];              \
    __shared__ float inputs[kConvDepth][BN];                   \
    conv_block<kernel, BM, BN, TM, TN>(a, weights, inputs);    \
  }

APEXX_CONV(conv_1x1_64, 1, 64, 64, 4, 4)
APEXX_CONV(conv_1x1_32, 1, 32, 32, 2, 2)
APEXX_CONV(conv_3x3_64, 3, 64, 64, 4, 4)
APEXX_CONV(conv_3x3_32, 3, 32, 32, 2, 2)
APEXX_CONV(conv_any_32, 0, 32, 32, 2, 2)

APEXX_KERNEL(conv_direct, ConvArgs, 256) {
  const int64_t i = thread_of();
  const int pixels = a.out_height * a.out_width;
  if (i >= static_cast<int64_t>(a.batch) * a.out_channels * pixels) return;
  const int64_t map = i / pixels;
  const int pixel = static_cast<int>(i - map * pixels), channel = map % a.out_channels;
  const int depth = a.in_channels / a.groups, first = channel / (a.out_channels / a.groups) * depth;
  const int y0 = pixel / a.out_width * a.stride_y - a.pad_top, x0 = pixel % a.out_width * a.stride_x - a.pad_left;
  const float* w = a.weight + static_cast<int64_t>(channel) * depth * a.kernel_height * a.kernel_width;
  float sum = 0;
  for (int c = 0; c < depth; c++) {
    const float* x = a.x + (map / a.out_channels * a.in_channels + first + c) * static_cast<int64_t>(a.in_height) * a.in_width;
    for (int ky = 0; ky < a.kernel_height; ky++) {
      for (int kx = 0; kx < a.kernel_width; kx++, w++) {
        const int iy = y0 + ky, ix = x0 + kx;
        if (iy >= 0 && iy < a.in_height && ix >= 0 && ix < a.in_width) {
          sum = fmaf(*w, x[static_cast<int64_t>(iy) * a.in_width + ix], sum);
        }
      }
    }
  }
  a.y[i] = a.bias ? sum + a.bias[channel] : sum;
}

}  // namespace apexx
