// Normalisations. GroupNorm: x [B,C,...] per sample and group of C/groups channels, y = (x - mean)/sqrt(variance + epsilon)·scale + shift.
// Statistics are taken in double precision, mean first and then the centred squares, and combined by Chan's formula in a fixed
// order. What follows a normalisation in the model comes in the same pass: SiLU, or the gate a·max(b,0) + residual of the two halves of
// the channels, of which y has C/2.
//
// moments: one block for each piece of a group. norm_apply: one block for each stretch of a channel of y; it combines the pieces
// first. norm_group: one block does both for a group that is small. layer_norm: one block for each row.
#pragma once

#include "ops.cuh"

namespace apexx {

// Piece holds the moments of a part of a group: number of elements, mean, Σ(x - mean)².
struct Piece {
  double n, mean, m2;
};

APEXX_DEVICE Piece combined(const Piece& a, const Piece& b) {
  const double n = a.n + b.n;
  if (n == 0) return a;
  const double d = b.mean - a.mean;
  return {n, a.mean + d * (b.n / n), a.m2 + b.m2 + d * d * (a.n * b.n / n)};
}

constexpr int kNormThreads = 256;  // also the most pieces of a group

// moments_of returns to all threads of a block the moments of n elements.
APEXX_DEVICE Piece moments_of(const float* x, int64_t n, double* scratch) {
  double sum = 0;
  for (int64_t i = threadIdx.x; i < n; i += blockDim.x) sum += x[i];
  const double mean = block_sum(sum, scratch) / n;
  double squares = 0;
  for (int64_t i = threadIdx.x; i < n; i += blockDim.x) {
    const double d = x[i] - mean;
    squares += d * d;
  }
  return {static_cast<double>(n), mean, block_sum(squares, scratch)};
}

struct MomentsArgs {
  const float* x;
  Piece* pieces;  // [groups of all samples][count]
  int64_t size;   // elements of a group
  int64_t step;   // elements of a piece, but for the last
  int count, unused;
};

APEXX_BLOCK_KERNEL(moments, MomentsArgs, kNormThreads) {
  __shared__ double scratch[32];
  const int64_t group = blockIdx.x / a.count, lo = blockIdx.x % a.count * a.step;
  const Piece p = moments_of(a.x + group * a.size + lo, a.size - lo < a.step ? a.size - lo : a.step, scratch);
  if (threadIdx.x == 0) a.pieces[blockIdx.x] = p;
}

enum NormActivation { kNoActivation, kNormSilu, kNormGate };

struct NormArgs {
  const float *x, *scale, *shift, *residual;  // residual may be null
  float* y;
  const Piece* pieces;
  double epsilon;
  int64_t spatial;  // elements of a channel
  int64_t stretch;  // elements of a block of norm_apply
  int channels, groups, count, activation;
};

// Affine is the normalisation of one channel.
struct Affine {
  float mean, factor, shift;
};

APEXX_DEVICE float applied(const Affine& f, float x) { return (x - f.mean) * f.factor + f.shift; }

APEXX_DEVICE Affine affine_of(const NormArgs& a, const Piece& p, int channel) {
  const double inverse = 1 / sqrt(p.m2 / p.n + a.epsilon);
  return {static_cast<float>(p.mean), static_cast<float>(inverse * a.scale[channel]), a.shift[channel]};
}

APEXX_DEVICE int out_channels(const NormArgs& a) { return a.activation == kNormGate ? a.channels / 2 : a.channels; }

// gate_of returns the channel of x that gates a channel of y, or the channel itself where there is no gate.
APEXX_DEVICE int gate_of(const NormArgs& a, int channel) {
  return a.activation == kNormGate ? channel + a.channels / 2 : channel;
}

// normalise computes element i of a channel of y in a sample.
APEXX_DEVICE void normalise(const NormArgs& a, int64_t sample, int channel, int64_t i, const Affine& value, const Affine& gate) {
  const int64_t in = (sample * a.channels + channel) * a.spatial + i;
  const int64_t out = (sample * out_channels(a) + channel) * a.spatial + i;
  float v = applied(value, a.x[in]);
  if (a.activation == kNormSilu) v = v * logistic(v);
  if (a.activation == kNormGate) v = v * larger(applied(gate, a.x[in + a.channels / 2 * a.spatial]), 0.0f);
  a.y[out] = a.residual ? v + a.residual[out] : v;
}

// group_moments combines the pieces of a group, in the order of a binary tree.
APEXX_DEVICE Piece group_moments(const NormArgs& a, int64_t group, Piece* scratch) {
  const int t = threadIdx.x;
  scratch[t] = t < a.count ? a.pieces[group * a.count + t] : Piece{0, 0, 0};
  __syncthreads();
  for (int w = kNormThreads / 2; w > 0; w /= 2) {
    if (t < w) scratch[t] = combined(scratch[t], scratch[t + w]);
    __syncthreads();
  }
  const Piece p = scratch[0];
  __syncthreads();
  return p;
}

APEXX_BLOCK_KERNEL(norm_apply, NormArgs, kNormThreads) {
  __shared__ Piece scratch[kNormThreads];
  const int width = a.channels / a.groups;
  const int stretches = static_cast<int>((a.spatial + a.stretch - 1) / a.stretch);
  const int channel = blockIdx.x / stretches % out_channels(a), gate = gate_of(a, channel);
  const int64_t sample = blockIdx.x / stretches / out_channels(a);
  const Piece p = group_moments(a, sample * a.groups + channel / width, scratch);
  const Piece q = gate / width == channel / width ? p : group_moments(a, sample * a.groups + gate / width, scratch);
  const Affine value = affine_of(a, p, channel), other = affine_of(a, q, gate);
  const int64_t lo = blockIdx.x % stretches * a.stretch, hi = lo + a.stretch < a.spatial ? lo + a.stretch : a.spatial;
  for (int64_t i = lo + threadIdx.x; i < hi; i += blockDim.x) normalise(a, sample, channel, i, value, other);
}

// A gate has one group here.
APEXX_BLOCK_KERNEL(norm_group, NormArgs, kNormThreads) {
  __shared__ double scratch[32];
  const int width = a.channels / a.groups, spatial = static_cast<int>(a.spatial);
  const int64_t sample = blockIdx.x / a.groups;
  const int first = blockIdx.x % a.groups * width;
  const Piece p = moments_of(a.x + (sample * a.channels + first) * a.spatial, width * a.spatial, scratch);
  const int n = (a.activation == kNormGate ? width / 2 : width) * spatial;
  for (int i = threadIdx.x; i < n; i += blockDim.x) {
    const int channel = first + i / spatial;
    normalise(a, sample, channel, i % spatial, affine_of(a, p, channel), affine_of(a, p, gate_of(a, channel)));
  }
}

struct LayerNormArgs {
  const float *x, *scale, *shift;
  float* y;
  double epsilon;
  int width, unused;
};

APEXX_BLOCK_KERNEL(layer_norm, LayerNormArgs, 128) {
  __shared__ double scratch[32];
  const float* x = a.x + static_cast<int64_t>(blockIdx.x) * a.width;
  float* y = a.y + static_cast<int64_t>(blockIdx.x) * a.width;
  const Piece p = moments_of(x, a.width, scratch);
  const double inverse = 1 / sqrt(p.m2 / p.n + a.epsilon);
  for (int i = threadIdx.x; i < a.width; i += blockDim.x) {
    y[i] = static_cast<float>((x[i] - p.mean) * inverse * a.scale[i]) + a.shift[i];
  }
}

}  // namespace apexx
