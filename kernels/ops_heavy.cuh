// The heavy path of one level: chosen tiles of a map are read, modulated by what a recurrence along them makes of their means, refined, and
// written back. Of tile j of a sample, p its pixels [C,t,t] and x_j the means of its channels:
//
//   s = the recurrence of ops_tiles.cuh along x, forwards alone or gate·forwards + rest·backwards, clipped
//   (γ', β) = W2·silu(W0·layernorm(s_j) + b0) + b2         m = (1 + tanh γ')·p + β
//   a, g = halves of groupnorm(P·depthwise3x3(m) + b)      r = a·max(g, 0) + m
//   y = base + alpha·(r - base) in the tile
//
// Three launches, since a mean has to be complete before it is used:
//
// 1. heavy_tokens: the means of the tiles. A warp for a channel.
// 2. heavy_refine: a block for kHeavyPixels pixels of a tile computes what is normalised and leaves the moments of its part. Recurrence and
//    modulation are the tile's alone and cheap, so each of its blocks does them once more instead of waiting for another launch.
// 3. heavy_write: a block for a cell of the grid and some channels. A cell without a tile stays as it is; of several tiles the last one counts.
//
// What the graph rounds on the way is rounded: `product` are operands of products, `stored` what else lies in memory.
#pragma once

#include "ops_mlp.cuh"
#include "ops_norm.cuh"
#include "ops_tiles.cuh"

namespace apexx {

// Scan is the parameters of the recurrence, a number for each channel.
struct Scan {
  const float *decay, *input_gain, *output_gain, *bias;
};

struct HeavyArgs {
  const float *base, *alpha;  // [B,C,H,W], [B,1,H,W] or null
  const int64_t* ids;         // [B,k]
  float* y;                   // may be base
  float *tokens, *film, *refined;  // [B,k,C], [B,k,2C]: 1 + γ, β; [B,k,2C,t,t]
  Piece* pieces;                   // [B,k,strips]
  Scan forward, backward;
  const float *gate, *rest;  // [C]; null: forwards alone
  const float *row_scale, *row_shift, *weight0, *bias0, *weight2, *bias2;  // [C], [C], [hidden,C], [hidden], [2C,hidden], [2C]
  const float *depthwise, *depthwise_bias, *pointwise, *pointwise_bias;    // [C,3,3], [C] or null, [2C,C], [2C] or null
  const float *group_scale, *group_shift;                                  // [2C]
  double row_epsilon, group_epsilon;
  int64_t plane;
  int channels, k, hidden, strips;
  Tiling tiling;
  float limit, low, high;  // of the recurrence's input; of its result
  int unused;
  Rounding product, stored;
  Fault fault;
};

constexpr int kHeavyThreads = 256;
constexpr int kHeavyPixels = 32;     // of a strip
constexpr int kHeavyChannels = 128;  // the most, C
constexpr int kHeavyHidden = 256;    // the most

APEXX_BLOCK_KERNEL(heavy_tokens, HeavyArgs, kHeavyThreads) {
  const int t = threadIdx.x, lane = t % 32, side = a.tiling.tile, area = side * side;
  const int channel = blockIdx.y * (kHeavyThreads / 32) + t / 32;
  const int64_t tile = blockIdx.x, id = a.ids[tile];
  const bool exists = id >= 0 && id < a.tiling.tiles;
  if (!exists && t == 0) report(a.fault);
  double sum = 0;
  if (exists && channel < a.channels) {
    const float* x = a.base + (tile / a.k * a.channels + channel) * a.plane + origin(a.tiling, id);
#pragma unroll 8
    for (int i = lane; i < area; i += 32) sum += x[i / side * a.tiling.width + i % side];
  }
  sum = warp_sum(sum);
  if (lane == 0 && channel < a.channels) a.tokens[tile * a.channels + channel] = static_cast<float>(sum / area);
}

// scanned returns the recurrence's output at token `at` of a channel, after `steps` steps.
APEXX_DEVICE float scanned(const Scan& p, const float* x, int64_t stride, int steps, int channel, float limit) {
  const float d = smaller(larger(p.decay[channel], 1e-6f), static_cast<float>(1 - 1e-6));
  const float rest = 1 - d, gain = p.input_gain[channel], bias = p.bias[channel], out = p.output_gain[channel];
  float s = 0;
#pragma unroll 4
  for (int i = 0; i < steps; i++) {
    float v = x[i * stride];
    v = v == v ? fminf(fmaxf(v, -limit), limit) : 0.0f;
    s = d * s + rest * (gain * v + bias);
  }
  return out * s;
}

// FilmRoom is the shared memory of film_of.
struct FilmRoom {
  double scratch[32];
  float mixed[kHeavyThreads], row[kHeavyChannels], hidden[kHeavyHidden];
};

// film_of computes 1 + γ and β of tile j of a sample.
APEXX_DEVICE void film_of(const HeavyArgs& a, int64_t sample, int j, FilmRoom& r, float* film) {
  const int t = threadIdx.x, C = a.channels;
  const float* tokens = a.tokens + sample * a.k * C;
  if (t < C) {
    r.mixed[t] = scanned(a.forward, tokens + t, C, j + 1, t, a.limit);
  } else if (t < 2 * C && a.rest) {
    r.mixed[t] = scanned(a.backward, tokens + static_cast<int64_t>(a.k - 1) * C + t - C, -C, a.k - j, t - C, a.limit);
  }
  __syncthreads();
  float v = 0;
  if (t < C) {
    v = a.rest ? a.gate[t] * r.mixed[t] + a.rest[t] * r.mixed[C + t] : r.mixed[t];
    v = v < a.low ? a.low : (v > a.high ? a.high : v);
  }
  const double mean = block_sum(v, r.scratch) / C, d = t < C ? v - mean : 0;
  const double inverse = 1 / sqrt(block_sum(d * d, r.scratch) / C + a.row_epsilon);
  if (t < C) r.row[t] = rounded(a.product, static_cast<float>(d * inverse * a.row_scale[t]) + a.row_shift[t]);
  __syncthreads();
  matvec<kHeavyThreads, 4>(a.weight0, a.bias0, r.row, a.hidden, C, r.mixed, [&](int i, float y) { r.hidden[i] = rounded(a.product, y * logistic(y)); });
  matvec<kHeavyThreads, 4>(a.weight2, a.bias2, r.hidden, 2 * C, a.hidden, r.mixed, [&](int i, float y) { film[i] = i < C ? tanhf(y) + 1 : y; });
}

APEXX_DEVICE float modulated(const HeavyArgs& a, float scale, float shift, float v) { return rounded(a.stored, scale * v + shift); }

// depthwise is the 3×3 convolution of a channel of a tile, once modulated, with zeros beyond its border. x is the tile's first pixel. The loads
// come first and all together.
APEXX_DEVICE float depthwise(const HeavyArgs& a, const float* x, float scale, float shift, int channel, int row, int column) {
  const int side = a.tiling.tile;
  float v[9], w[9];
  bool inside[9];
#pragma unroll
  for (int i = 0; i < 9; i++) {
    const int y = row + i / 3 - 1, z = column + i % 3 - 1;
    inside[i] = y >= 0 && y < side && z >= 0 && z < side;
    v[i] = inside[i] ? x[y * a.tiling.width + z] : 0;
    w[i] = a.depthwise[channel * 9 + i];
  }
#pragma unroll
  for (int i = 0; i < 9; i++) v[i] = scale * v[i] + shift;
  if (a.stored.drop != 0) {
#pragma unroll
    for (int i = 0; i < 9; i++) v[i] = rounded(a.stored, v[i]);
  }
  float sum = 0;
#pragma unroll
  for (int i = 0; i < 9; i++) sum = inside[i] ? fmaf(w[i], v[i], sum) : sum;
  return a.depthwise_bias ? sum + a.depthwise_bias[channel] : sum;
}

constexpr int kHeavyDepth = 16, kHeavyOutputs = 128;  // terms and outputs of a product that are in shared memory at a time

constexpr int kHeavyLoads = kHeavyOutputs * kHeavyDepth / 4 / kHeavyThreads;  // of a thread, four weights each

// weight_output and weight_term say which weights a thread loads: neighbours take neighbouring outputs, for the sake of the banks.
APEXX_DEVICE int weight_output(int i) { return (threadIdx.x + i * kHeavyThreads) % kHeavyOutputs; }
APEXX_DEVICE int weight_term(int i) { return (threadIdx.x + i * kHeavyThreads) / kHeavyOutputs * 4; }

// load_weights loads the weights of kHeavyOutputs outputs and kHeavyDepth terms, 0 where there are none.
APEXX_DEVICE void load_weights(const HeavyArgs& a, int out, int k0, Four (&w)[kHeavyLoads]) {
  const int C = a.channels;
#pragma unroll
  for (int i = 0; i < kHeavyLoads; i++) {
    const int o = out + weight_output(i), k = k0 + weight_term(i);
    w[i] = {};
    if (o < 2 * C && k < C) w[i] = *reinterpret_cast<const Four*>(a.pointwise + static_cast<int64_t>(o) * C + k);
  }
}

APEXX_BLOCK_KERNEL(heavy_refine, HeavyArgs, kHeavyThreads) {
  __shared__ FilmRoom room;
  __shared__ float film[2 * kHeavyChannels];
  __shared__ Four pixels[kHeavyChannels][kHeavyPixels / 4];
  __shared__ Four weights[kHeavyDepth][kHeavyOutputs / 4 + 1];
  const int t = threadIdx.x, C = a.channels, side = a.tiling.tile, area = side * side, first = blockIdx.x * kHeavyPixels;
  const int64_t sample = blockIdx.z, at = sample * a.k + blockIdx.y, id = a.ids[at];
  if (id < 0 || id >= a.tiling.tiles) return;
  film_of(a, sample, blockIdx.y, room, film);
  if (first == 0) {
    for (int i = t; i < 2 * C; i += kHeavyThreads) a.film[at * 2 * C + i] = film[i];
  }

  const int pixel = t % kHeavyPixels, cell = first + pixel;
#pragma unroll 1
  for (int c = t / kHeavyPixels; c < C; c += kHeavyThreads / kHeavyPixels) {
    const float v = cell < area ? depthwise(a, a.base + (sample * C + c) * a.plane + origin(a.tiling, id), film[c], film[C + c], c, cell / side, cell % side) : 0;
    pixels[c][pixel / 4].v[pixel % 4] = rounded(a.product, v);
  }
  for (int c = C + t / kHeavyPixels; c < kHeavyChannels && c % kHeavyDepth != 0; c += kHeavyThreads / kHeavyPixels) {
    pixels[c][pixel / 4].v[pixel % 4] = 0;  // terms are taken kHeavyDepth at a time
  }

  const int column = t % (kHeavyPixels / 4), row = t / (kHeavyPixels / 4);  // this thread computes 4 pixels of 4 outputs
  Piece piece = {0, 0, 0};
  Four next[kHeavyLoads];
  load_weights(a, 0, 0, next);
  for (int out = 0; out < 2 * C; out += kHeavyOutputs) {
    float sum[4][4] = {};
    for (int k0 = 0; k0 < C; k0 += kHeavyDepth) {
      __syncthreads();
#pragma unroll
      for (int i = 0; i < kHeavyLoads; i++) {
        const int o = weight_output(i), k = weight_term(i);
        for (int e = 0; e < 4; e++) weights[k + e][o / 4].v[o % 4] = next[i].v[e];
      }
      __syncthreads();
      if (k0 + kHeavyDepth < C) {
        load_weights(a, out, k0 + kHeavyDepth, next);
      } else {
        load_weights(a, out + kHeavyOutputs, 0, next);
      }
#pragma unroll 4
      for (int k = 0; k < kHeavyDepth; k++) {
        const Four w = weights[k][row], v = pixels[k0 + k][column];
#pragma unroll
        for (int i = 0; i < 4; i++) {
#pragma unroll
          for (int j = 0; j < 4; j++) sum[i][j] = fmaf(w.v[i], v.v[j], sum[i][j]);
        }
      }
    }
    double total = 0;
    int n = 0;
#pragma unroll
    for (int i = 0; i < 4; i++) {
      const int o = out + 4 * row + i;
#pragma unroll
      for (int j = 0; j < 4; j++) {
        const int p = first + 4 * column + j;
        if (o >= 2 * C || p >= area) continue;
        sum[i][j] = rounded(a.stored, a.pointwise_bias ? sum[i][j] + a.pointwise_bias[o] : sum[i][j]);
        a.refined[(at * 2 * C + o) * area + p] = sum[i][j];
        total += sum[i][j];
        n++;
      }
    }
    const int outputs = 2 * C - out < kHeavyOutputs ? 2 * C - out : kHeavyOutputs;
    const int count = (area - first < kHeavyPixels ? area - first : kHeavyPixels) * outputs;
    const double mean = block_sum(total, room.scratch) / count;
    double squares = 0;
#pragma unroll
    for (int i = 0; i < 16; i++) {
      const double d = sum[i / 4][i % 4] - mean;
      if (out + 4 * row + i / 4 < 2 * C && first + 4 * column + i % 4 < area) squares += d * d;
    }
    piece = combined(piece, {static_cast<double>(count), mean, block_sum(squares, room.scratch)});
  }
  if (t == 0) a.pieces[at * a.strips + blockIdx.x] = piece;
}

constexpr int kWriteThreads = 256, kWriteChannels = 4;

// joined returns the moments of all of n pieces, to all lanes of a warp.
APEXX_DEVICE Piece joined(const Piece* pieces, int n) {
  const int lane = threadIdx.x % 32;
  double count = 0, sum = 0, m2 = 0;
  for (int i = lane; i < n; i += 32) {
    count += pieces[i].n;
    sum += pieces[i].n * pieces[i].mean;
  }
  count = warp_sum(count);
  const double mean = warp_sum(sum) / count;
  for (int i = lane; i < n; i += 32) {
    const double d = pieces[i].mean - mean;
    m2 += pieces[i].m2 + pieces[i].n * (d * d);
  }
  return {count, mean, warp_sum(m2)};
}

// Written is what a thread of heavy_write computes: kN pixels that lie beside each other.
template <int kN>
struct alignas(4 * kN) Written {
  float v[kN];
};

// write computes pixels of a channel; tile is the place of the tile in the lists, -1 for none.
template <int kN>
APEXX_DEVICE void write(const HeavyArgs& a, int64_t place, int64_t in_gate, int64_t tile, int channel, int pixel, float mean, double inverse) {
  using Pixels = Written<kN>;
  const int C = a.channels, area = a.tiling.tile * a.tiling.tile;
  const Pixels base = *reinterpret_cast<const Pixels*>(a.base + place);
  Pixels y = base, alpha = {};
  if (a.alpha) alpha = *reinterpret_cast<const Pixels*>(a.alpha + in_gate);
  if (tile >= 0) {
    const float* refined = a.refined + (tile * 2 * C + channel) * area + pixel;
    const Pixels value = *reinterpret_cast<const Pixels*>(refined), gate = *reinterpret_cast<const Pixels*>(refined + static_cast<int64_t>(C) * area);
    const float scale = a.film[tile * 2 * C + channel], shift = a.film[tile * 2 * C + C + channel];
    const Affine f = {mean, static_cast<float>(inverse * a.group_scale[channel]), a.group_shift[channel]};
    const Affine g = {mean, static_cast<float>(inverse * a.group_scale[C + channel]), a.group_shift[C + channel]};
#pragma unroll
    for (int i = 0; i < kN; i++) {
      y.v[i] = applied(f, value.v[i]) * larger(applied(g, gate.v[i]), 0.0f);
      y.v[i] = rounded(a.stored, y.v[i] + modulated(a, scale, shift, base.v[i]));
    }
  }
#pragma unroll
  for (int i = 0; i < kN; i++) {
    if (a.alpha) y.v[i] = base.v[i] + alpha.v[i] * (y.v[i] - base.v[i]);
    y.v[i] = rounded(a.stored, y.v[i]);
  }
  *reinterpret_cast<Pixels*>(a.y + place) = y;
}

APEXX_BLOCK_KERNEL(heavy_write, HeavyArgs, kWriteThreads) {
  __shared__ int last;
  const int t = threadIdx.x, C = a.channels, side = a.tiling.tile, area = side * side;
  const int64_t b = blockIdx.x / a.tiling.tiles, cell = blockIdx.x % a.tiling.tiles;
  const int64_t* ids = a.ids + b * a.k;
  if (t == 0) last = -1;
  __syncthreads();
  for (int j = t; j < a.k; j += kWriteThreads) {
    if (ids[j] == cell) atomicMax(&last, j);
  }
  __syncthreads();
  const int64_t tile = last >= 0 ? b * a.k + last : -1;
  double mean = 0, inverse = 0;
  if (tile >= 0) {
    const Piece p = joined(a.pieces + tile * a.strips, a.strips);
    mean = p.mean;
    inverse = 1 / sqrt(p.m2 / p.n + a.group_epsilon);
  }
  const int first = blockIdx.y * kWriteChannels, channels = C - first < kWriteChannels ? C - first : kWriteChannels;
  const int step = side % 4 == 0 ? 4 : 1;  // then four pixels of a row begin at a multiple of 16 bytes everywhere
  for (int i = t * step; i < channels * area; i += kWriteThreads * step) {
    const int c = first + i / area, p = i % area;
    const int64_t in_plane = origin(a.tiling, cell) + p / side * a.tiling.width + p % side;
    const int64_t place = (b * C + c) * a.plane + in_plane, in_gate = b * a.plane + in_plane;
    if (step == 4) {
      write<4>(a, place, in_gate, tile, c, p, static_cast<float>(mean), inverse);
    } else {
      write<1>(a, place, in_gate, tile, c, p, static_cast<float>(mean), inverse);
    }
  }
}

}  // namespace apexx
