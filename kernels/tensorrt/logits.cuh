// 1×1 convolutions of maps to float32: the last ones of the heads, whose results decisions and coordinates hang on. Products of float16 numbers are exact
// in float32, and no result is rounded, so that an engine's own would have to read float32. Convolutions of one launch have nothing in common.
//
// A block takes kLogitPixels pixels of an image and kLogitOutputs outputs, and kLogitChannels channels of both at a time in shared memory. A warp
// computes kLogitOutputs/8 outputs of all pixels, a lane two pixels.
#pragma once

#include "ops_plugin.cuh"

namespace apexx {

constexpr int kLogitThreads = 256, kLogitWarps = kLogitThreads / 32;
constexpr int kLogitPixels = 64, kLogitOutputs = 40, kLogitChannels = 64;
constexpr int kMostLogits = 32;  // convolutions of a launch
constexpr int kLogitRow = kLogitChannels / 4 + 1;  // fours of a pixel in shared memory: the odd one spreads pixels over the banks

struct LogitMap {
  const void* x;              // [B][channels][pixels] float32, or [B][pixels][channels] float16
  const float *weight, *bias;  // [outputs,channels], [outputs]
  float* y;                   // [B][outputs][pixels]
  int channels, outputs, pixels;
  int stretches;    // of kLogitPixels pixels
  int first_block;  // those of a map count pixels fastest
};

struct LogitArgs {
  LogitMap maps[kMostLogits];
  int count, cells;  // cells: the maps are float16
};

struct LogitRoom {
  Four x[kLogitPixels][kLogitRow];
  Four weight[kLogitOutputs][kLogitChannels / 4];
};

// load_pixels brings channels from c0 on of the pixels from p0 on to shared memory, zeros where there are none.
APEXX_DEVICE void load_pixels(const LogitArgs& a, const LogitMap& m, int64_t image, int p0, int c0, LogitRoom& r) {
  if (a.cells) {
    const auto* x = static_cast<const HalfCell*>(m.x) + image * m.pixels * (m.channels / kCell);
    for (int i = threadIdx.x; i < kLogitPixels * (kLogitChannels / kCell); i += kLogitThreads) {
      const int pixel = i / (kLogitChannels / kCell), group = i % (kLogitChannels / kCell);
      HalfCell h = {};
      if (p0 + pixel < m.pixels && c0 + group * kCell < m.channels) h = x[static_cast<int64_t>(p0 + pixel) * (m.channels / kCell) + c0 / kCell + group];
      for (int k = 0; k < kCell; k++) r.x[pixel][2 * group + k / 4].v[k % 4] = static_cast<float>(h.v[k]);
    }
    return;
  }
  const float* x = static_cast<const float*>(m.x) + image * m.channels * m.pixels;
  for (int i = threadIdx.x; i < kLogitPixels * kLogitChannels; i += kLogitThreads) {
    const int pixel = i % kLogitPixels, c = i / kLogitPixels;
    const bool exists = p0 + pixel < m.pixels && c0 + c < m.channels;
    r.x[pixel][c / 4].v[c % 4] = exists ? x[static_cast<int64_t>(c0 + c) * m.pixels + p0 + pixel] : 0.0f;
  }
}

APEXX_DEVICE void load_logit_weights(const LogitMap& m, int o0, int c0, LogitRoom& r) {
  for (int i = threadIdx.x; i < kLogitOutputs * kLogitChannels; i += kLogitThreads) {
    const int o = i / kLogitChannels, c = i % kLogitChannels;
    const bool exists = o0 + o < m.outputs && c0 + c < m.channels;
    r.weight[o][c / 4].v[c % 4] = exists ? m.weight[static_cast<int64_t>(o0 + o) * m.channels + c0 + c] : 0.0f;
  }
}

// blockIdx.x: stretch of pixels and outputs of a map; blockIdx.y: image.
APEXX_BLOCK_KERNEL(logits, LogitArgs, kLogitThreads) {
  __shared__ LogitRoom r;
  constexpr int kOwn = kLogitOutputs / kLogitWarps;
  int number = a.count - 1;
  while (static_cast<int>(blockIdx.x) < a.maps[number].first_block) number--;
  const LogitMap& m = a.maps[number];
  const int block = blockIdx.x - m.first_block, p0 = block % m.stretches * kLogitPixels, o0 = block / m.stretches * kLogitOutputs;
  const int lane = threadIdx.x % 32, first = threadIdx.x / 32 * kOwn;
  const int64_t image = blockIdx.y;
  float sum[kOwn][2] = {};
#pragma unroll 1
  for (int c0 = 0; c0 < m.channels; c0 += kLogitChannels) {
    load_pixels(a, m, image, p0, c0, r);
    load_logit_weights(m, o0, c0, r);
    __syncthreads();
#pragma unroll 4
    for (int k = 0; k < kLogitChannels / 4; k++) {
      const Four x[2] = {r.x[lane][k], r.x[lane + 32][k]};
#pragma unroll
      for (int o = 0; o < kOwn; o++) {
        const Four w = r.weight[first + o][k];
#pragma unroll
        for (int e = 0; e < 4; e++) {
          sum[o][0] = fmaf(w.v[e], x[0].v[e], sum[o][0]);
          sum[o][1] = fmaf(w.v[e], x[1].v[e], sum[o][1]);
        }
      }
    }
    __syncthreads();
  }
#pragma unroll
  for (int o = 0; o < kOwn; o++) {
    const int output = o0 + first + o;
    if (output >= m.outputs) continue;
    float* y = m.y + (image * m.outputs + output) * m.pixels;
#pragma unroll
    for (int i = 0; i < 2; i++) {
      const int pixel = p0 + lane + 32 * i;
      if (pixel < m.pixels) y[pixel] = sum[o][i] + m.bias[output];
    }
  }
}

}  // namespace apexx
