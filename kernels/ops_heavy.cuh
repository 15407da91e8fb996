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
// 2. heavy_refine: a block takes some strips of a tile, kHeavyPixels pixels each, computes what is normalised and leaves the moments of its parts.
//    Recurrence and modulation are the tile's alone and cheap, so each of its blocks does them once more instead of waiting for another launch.
// 3. heavy_write: a block for a cell of the grid and some stretches of channels. A cell without a tile stays as it is; of several tiles the last one counts.
//
// A block of these runs through its code once, from an instruction cache that other kernels have filled: what is written once instead of unrolled
// costs less than it looks, and so does a quotient by reciprocal.
//
// What the graph rounds on the way is rounded: `product` are operands of products, `stored` what else lies in memory.
#pragma once

#include "moments.h"
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
  Moments* pieces;                 // [B,k,pieces_of_tile]
  Scan forward, backward;
  const float *gate, *rest;  // [C]; null: forwards alone
  const float *row_scale, *row_shift, *weight0, *bias0, *weight2, *bias2;  // [C], [C], [hidden,C], [hidden], [2C,hidden], [2C]
  const float *depthwise, *depthwise_bias, *pointwise, *pointwise_bias;    // [C,3,3], [C] or null, [2C,C], [2C] or null
  const float *group_scale, *group_shift;                                  // [2C]
  double pixel_share, channel_share;  // of a tile's mean and of a token's: 1/t², 1/C
  int64_t plane;
  int channels, k, hidden;
  int pieces_of_tile;  // kHeavyWarps for each strip
  Tiling tiling;
  float row_epsilon, group_epsilon;
  float limit, low, high;  // of the recurrence's input; of its result
  int written;             // channels of a stretch of heavy_write, of which a block has some
  int strips, together;    // of a tile; of a block of heavy_refine
  int halves;              // 1: the operands of the pointwise product are fp16 numbers, for the matrix unit
  int stretches;           // of a block of heavy_write
  Rounding product, stored;
  Fault fault;
};

constexpr int kHeavyThreads = 256, kHeavyWarps = kHeavyThreads / 32;
constexpr int kHeavyPixels = 32;     // of a strip
constexpr int kHeavyChannels = 128;  // the most, C
constexpr int kHeavyHidden = 256;    // the most
constexpr int kHeavyTile = 32;       // the most, t; a multiple of 4, so that four pixels of a row begin at a multiple of 16 bytes everywhere
constexpr int kHeavyWindow = 128;    // the most pixels that a strip reads, with a border of one around whole rows: 120 at t = 28

APEXX_BLOCK_KERNEL(heavy_tokens, HeavyArgs, kHeavyThreads) {
  const int lane = threadIdx.x % 32, channel = blockIdx.y * kHeavyWarps + threadIdx.x / 32;
  const int in_row = a.tiling.tile / 4, fours = a.tiling.tile * in_row;
  const int64_t b = blockIdx.z, tile = b * a.k + blockIdx.x, id = a.ids[tile];
  const bool exists = id >= 0 && id < a.tiling.tiles;
  if (!exists && threadIdx.x == 0) report(a.fault);
  double sum = 0;
  if (exists && channel < a.channels) {
    const float* x = a.base + (b * a.channels + channel) * a.plane + origin(a.tiling, id);
    const float per_row = 1.0f / in_row;
#pragma unroll 2
    for (int i = lane; i < fours; i += 32) {
      const int row = quotient_of(i, per_row);
      const Four f = *reinterpret_cast<const Four*>(x + row * a.tiling.width + 4 * (i - row * in_row));
      sum += (f.v[0] + f.v[1]) + (f.v[2] + f.v[3]);
    }
  }
  sum = warp_sum(sum);
  if (lane == 0 && channel < a.channels) a.tokens[tile * a.channels + channel] = static_cast<float>(sum * a.pixel_share);
}

constexpr int kScanTokens = 8;  // that are loaded together

// scanned returns the recurrence's output of a channel behind `steps` tokens, which lie `stride` apart.
APEXX_DEVICE float scanned(const Scan& p, const float* x, int stride, int steps, int channel, float limit) {
  const float d = smaller(larger(p.decay[channel], 1e-6f), static_cast<float>(1 - 1e-6));
  const float rest = 1 - d, gain = p.input_gain[channel], bias = p.bias[channel], out = p.output_gain[channel];
  float s = 0;
#pragma unroll 1
  for (int first = 0; first < steps; first += kScanTokens) {
    const int left = steps - first;
    float v[kScanTokens];
#pragma unroll
    for (int i = 0; i < kScanTokens; i++) v[i] = x[(i < left ? i : 0) * stride];
    x += kScanTokens * stride;
#pragma unroll
    for (int i = 0; i < kScanTokens; i++) {
      const float u = v[i] == v[i] ? fminf(fmaxf(v[i], -limit), limit) : 0.0f, next = d * s + rest * (gain * u + bias);
      s = i < left ? next : s;
    }
  }
  return out * s;
}

// FilmRoom is the shared memory of film_of.
struct FilmRoom {
  double scratch[32];
  float mixed[kHeavyThreads];
  alignas(16) float row[kHeavyChannels], hidden[kHeavyHidden];
};

// film_of computes 1 + γ and β of tile j of a sample.
APEXX_DEVICE void film_of(const HeavyArgs& a, int64_t sample, int j, FilmRoom& r, float* film) {
  const int t = threadIdx.x, C = a.channels, channel = t < C ? t : t - C;
  const bool forward = t < C;
  if (forward || (t < 2 * C && a.rest)) {
    const float* tokens = a.tokens + (sample * a.k + (forward ? 0 : a.k - 1)) * C + channel;
    r.mixed[t] = scanned(forward ? a.forward : a.backward, tokens, forward ? C : -C, forward ? j + 1 : a.k - j, channel, a.limit);
  }
  __syncthreads();
  float v = 0;
  if (t < C) {
    v = a.rest ? a.gate[t] * r.mixed[t] + a.rest[t] * r.mixed[C + t] : r.mixed[t];
    v = v < a.low ? a.low : (v > a.high ? a.high : v);
  }
  const double mean = sum_of_block(v, r.scratch) * a.channel_share, d = t < C ? v - mean : 0;
  const float inverse = 1 / sqrtf(static_cast<float>(sum_of_block(d * d, r.scratch) * a.channel_share) + a.row_epsilon);
  if (t < C) r.row[t] = rounded(a.product, static_cast<float>(d) * inverse * a.row_scale[t] + a.row_shift[t]);
  __syncthreads();
  matvec<kHeavyThreads, 4>(a.weight0, a.bias0, r.row, a.hidden, C, r.mixed, [&](int i, float y) { r.hidden[i] = rounded(a.product, y * logistic(y)); });
  matvec<kHeavyThreads, 4>(a.weight2, a.bias2, r.hidden, 2 * C, a.hidden, r.mixed, [&](int i, float y) { film[i] = i < C ? tanhf(y) + 1 : y; });
}

constexpr int kHeavyDepth = 16, kHeavyOutputs = 128;  // channels and outputs that are in shared memory at a time
constexpr int kHeavyLoads = kHeavyOutputs * kHeavyDepth / 4 / kHeavyThreads;  // of a thread, four weights each

constexpr int kPairPitch = kHeavyPixels + 8;  // four neighbouring pairs of channels of eight pixels lie in different banks
constexpr int kHalvesDepth = 64;              // channels whose weights are in registers at a time, where the matrix unit multiplies

// Window is the pixels that a strip reads of kHeavyDepth channels: whole rows of the tile, once modulated, with a border of zeros. Each warp has
// channels of its own.
struct Window {
  float v[kHeavyDepth][kHeavyWindow];
};

// RefineRoom is the shared memory of heavy_refine.
struct RefineRoom {
  FilmRoom room;
  float film[2 * kHeavyChannels];
  int at[kHeavyWindow];  // where in the map the pixels of a window are, from the first of the tile; -1: in the border
  float taps[9 * kHeavyChannels], bias[kHeavyChannels];  // of the depthwise convolution
  union {  // operands of the pointwise product
    Four pixels[kHeavyChannels][kHeavyPixels / 4 + 1];
    unsigned pairs[kHeavyChannels / 2][kPairPitch];  // of two channels as fp16, where the matrix unit multiplies
  };
  union {
    Window window;
    Four weights[kHeavyDepth][kHeavyOutputs / 4 + 1];
  };
};

// Strip says where the pixels of a block lie.
struct Strip {
  int first, count;  // of the tile's pixels
  int row, pitch;    // the tile's row of the first one; columns of the window
  int window;        // pixels of the window
};

APEXX_DEVICE Strip strip_of(int number, int side, float per_row) {
  Strip s;
  s.first = number * kHeavyPixels;
  s.count = side * side - s.first < kHeavyPixels ? side * side - s.first : kHeavyPixels;
  s.row = quotient_of(s.first, per_row);
  s.pitch = side + 2;
  s.window = (quotient_of(s.first + s.count - 1, per_row) - s.row + 3) * s.pitch;
  return s;
}

constexpr int kWindowChannels = kHeavyDepth / kHeavyWarps, kWindowPixels = kHeavyWindow / 32;  // of a warp, of a lane

// load_window starts the loads of the channels from c0 on: a warp for some channels. Where there is nothing to load, any pixel is.
APEXX_DEVICE void load_window(const HeavyArgs& a, const float* tile, int c0, const int* at, int window, float (&raw)[kWindowChannels * kWindowPixels]) {
  const int lane = threadIdx.x % 32, last = a.channels - kWindowChannels, channel = c0 + threadIdx.x / 32 * kWindowChannels;
  const float* x = tile + (channel < last ? channel : last) * a.plane;
#pragma unroll
  for (int m = 0; m < kWindowPixels; m++) {
    const int p = lane + 32 * m, from = p < window ? at[p] : 0;
#pragma unroll
    for (int e = 0; e < kWindowChannels; e++) raw[e * kWindowPixels + m] = x[e * a.plane + (from > 0 ? from : 0)];
  }
}

// store_window modulates what load_window has loaded.
APEXX_DEVICE void store_window(const HeavyArgs& a, int c0, const int* at, int window, const float* film, float (&v)[kWindowChannels * kWindowPixels],
                               Window& to) {
  const int lane = threadIdx.x % 32, first = threadIdx.x / 32 * kWindowChannels;
#pragma unroll
  for (int e = 0; e < kWindowChannels; e++) {
    const int c = c0 + first + e < a.channels ? c0 + first + e : 0;
    const float scale = film[c], shift = film[a.channels + c];
#pragma unroll
    for (int m = 0; m < kWindowPixels; m++) v[e * kWindowPixels + m] = scale * v[e * kWindowPixels + m] + shift;
  }
  round_all(a.stored, v);
#pragma unroll
  for (int m = 0; m < kWindowPixels; m++) {
    const int p = lane + 32 * m;
    if (p >= window) continue;
    const bool inside = at[p] >= 0;
#pragma unroll
    for (int e = 0; e < kWindowChannels; e++) to.v[first + e][p] = inside ? v[e * kWindowPixels + m] : 0.0f;
  }
}

// depthwise is the 3×3 convolution of a channel at one pixel: `under` is the upper left one of the nine.
APEXX_DEVICE float depthwise(const float* under, int pitch, const float* taps, float bias) {
  float sum = 0;
#pragma unroll
  for (int i = 0; i < 9; i++) sum = fmaf(taps[i], under[i / 3 * pitch + i % 3], sum);
  return sum + bias;
}

// weight_output and weight_term say which weights a thread loads: neighbours take neighbouring outputs, for the sake of the banks.
APEXX_DEVICE int weight_output(int i) { return (threadIdx.x + i * kHeavyThreads) % kHeavyOutputs; }
APEXX_DEVICE int weight_term(int i) { return (threadIdx.x + i * kHeavyThreads) / kHeavyOutputs * 4; }

// load_weights loads the weights of kHeavyOutputs outputs and kHeavyDepth terms. Where there are none, others stand: their products are 0 or not stored.
APEXX_DEVICE void load_weights(const HeavyArgs& a, int out, int k0, Four (&w)[kHeavyLoads]) {
  const int last_output = 2 * a.channels - 1, last_term = a.channels - 4;
#pragma unroll
  for (int i = 0; i < kHeavyLoads; i++) {
    const int o = out + weight_output(i), k = k0 + weight_term(i);
    w[i] = *reinterpret_cast<const Four*>(a.pointwise + (o < last_output ? o : last_output) * a.channels + (k < last_term ? k : last_term));
  }
}

// Of the product a warp computes 16 outputs of all pixels, a thread the outputs own_output and 8 more, and of every eight pixels own_pixel and the
// next one: the layout of the matrix unit's sums. Sum 4·n + 2·r + e is that of output own_output + 8·r and pixel 8·n + own_pixel + e.
constexpr int kHeavySums = 16;

APEXX_DEVICE int own_output() { return threadIdx.x / 32 * 16 + threadIdx.x % 32 / 4; }
APEXX_DEVICE int own_pixel() { return threadIdx.x % 4 * 2; }

// multiply adds the products of kHeavyDepth channels, c0 and on.
APEXX_DEVICE void multiply(const RefineRoom& s, int c0, float (&sum)[kHeavySums]) {
#pragma unroll 4
  for (int k = 0; k < kHeavyDepth; k++) {
    const float* w = &s.weights[k][0].v[own_output()];
    const float* v = &s.pixels[c0 + k][0].v[own_pixel()];
#pragma unroll
    for (int i = 0; i < kHeavySums; i++) sum[i] = fmaf(w[i / 2 % 2 * 8], v[i / 4 * 8 + i % 2], sum[i]);
  }
}

#if defined(__CUDACC__) && __CUDA_ARCH__ >= 800
constexpr bool kMultipliesHalves = true;

APEXX_DEVICE unsigned pair_of(float low, float high) {
  const __half2 both = __floats2half2_rn(low, high);
  return *reinterpret_cast<const unsigned*>(&both);
}

// load_halves loads the weights of a warp's outputs for kHalvesDepth channels, from c0 on, as the matrix unit takes them: those of own_output and 8
// more, terms 2·(lane%4) and 8 more of each 16. Where there are none, others stand: their products are 0 or not stored.
APEXX_DEVICE void load_halves(const HeavyArgs& a, int out, int c0, unsigned (&w)[kHalvesDepth / 16][4]) {
  const int last_output = 2 * a.channels - 1, last_term = a.channels - 2;
#pragma unroll
  for (int step = 0; step < kHalvesDepth / 16; step++) {
#pragma unroll
    for (int i = 0; i < 4; i++) {
      const int o = out + own_output() + i % 2 * 8, k = c0 + 16 * step + own_pixel() + i / 2 * 8;
      const Two two = *reinterpret_cast<const Two*>(a.pointwise + (o < last_output ? o : last_output) * a.channels + (k < last_term ? k : last_term));
      w[step][i] = pair_of(two.v[0], two.v[1]);
    }
  }
}

// multiply_halves adds the products of those channels.
APEXX_DEVICE void multiply_halves(const RefineRoom& s, int c0, int channels, const unsigned (&w)[kHalvesDepth / 16][4], float (&sum)[kHeavySums]) {
  const int pixel = threadIdx.x % 32 / 4;
#pragma unroll
  for (int step = 0; step < kHalvesDepth / 16; step++) {
    if (c0 + 16 * step >= channels) break;
    const unsigned* pairs = s.pairs[(c0 + 16 * step) / 2 + threadIdx.x % 4] + pixel;
#pragma unroll
    for (int n = 0; n < kHeavyPixels / 8; n++) {
      float* d = &sum[4 * n];
      asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
          : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
          : "r"(w[step][0]), "r"(w[step][1]), "r"(w[step][2]), "r"(w[step][3]), "r"(pairs[8 * n]), "r"(pairs[8 * n + 4 * kPairPitch]));
    }
  }
}
#else
constexpr bool kMultipliesHalves = false;
#endif

// store_outputs stores the sums of a thread, rounded, and returns the moments of what its warp stores. A pair of sums exists or does not.
APEXX_DEVICE Moments store_outputs(const HeavyArgs& a, float (&sum)[kHeavySums], int out, int count, float* refined) {
  const int o = out + own_output(), area = a.tiling.tile * a.tiling.tile;
  const auto exists = [&](int i) { return o + i / 2 % 2 * 8 < 2 * a.channels && i / 4 * 8 + own_pixel() < count; };
#pragma unroll
  for (int i = 0; i < kHeavySums; i++) {
    if (a.pointwise_bias && exists(i)) sum[i] += a.pointwise_bias[o + i / 2 % 2 * 8];
  }
  round_all(a.stored, sum);
  float total = 0, squares = 0;
  int stored = 0;
#pragma unroll
  for (int i = 0; i < kHeavySums; i += 2) {
    if (!exists(i)) continue;
    *reinterpret_cast<Two*>(refined + (o + i / 2 % 2 * 8) * area + i / 4 * 8 + own_pixel()) = {{sum[i], sum[i + 1]}};
    total += sum[i] + sum[i + 1];
    stored += 2;
  }
  const auto add = [](float p, float q) { return p + q; };
  const float n = warp_all(static_cast<float>(stored), add), mean = warp_all(total, add) / fmaxf(n, 1.0f);
#pragma unroll
  for (int i = 0; i < kHeavySums; i++) {
    if (exists(i)) squares = fmaf(sum[i] - mean, sum[i] - mean, squares);
  }
  return {n, mean, warp_all(squares, add)};
}

// store_operands brings neighbouring channels of a pixel, from an even one on, to shared memory.
APEXX_DEVICE void store_operands(const HeavyArgs& a, int channel, int pixel, const float (&v)[kWindowChannels], RefineRoom& s) {
  static_assert(kWindowChannels == 2, "a pair");
#if defined(__CUDACC__) && __CUDA_ARCH__ >= 800
  if (a.halves) {
    s.pairs[channel / 2][pixel] = pair_of(v[0], v[1]);
    return;
  }
#endif
  for (int e = 0; e < kWindowChannels; e++) s.pixels[channel + e][pixel / 4].v[pixel % 4] = v[e];
}

// depthwise_strip brings the convolved pixels of a strip to shared memory, as operands.
APEXX_DEVICE void depthwise_strip(const HeavyArgs& a, const float* tile, const Strip& strip, float (&raw)[kWindowChannels * kWindowPixels], RefineRoom& s) {
  const int t = threadIdx.x, pixel = t % kHeavyPixels, C = a.channels, side = a.tiling.tile;
  const int in_tile = strip.first + (pixel < strip.count ? pixel : 0);  // what is beyond the tile is not stored
  const int in_row = quotient_of(in_tile, 1.0f / side), under = (in_row - strip.row) * strip.pitch + in_tile - in_row * side;
#pragma unroll 1
  for (int c0 = 0; c0 < C; c0 += kHeavyDepth) {
    store_window(a, c0, s.at, strip.window, s.film, raw, s.window);
    load_window(a, tile, c0 + kHeavyDepth, s.at, strip.window, raw);
    __syncwarp();
    const int first = t / 32 * kWindowChannels;
    float v[kWindowChannels];
#pragma unroll
    for (int e = 0; e < kWindowChannels; e++) {
      const int in = first + e, c = c0 + in;
      v[e] = 0;  // terms are taken kHeavyDepth at a time
      if (c < C) v[e] = depthwise(&s.window.v[in][under], strip.pitch, s.taps + 9 * c, s.bias[c]);
    }
    round_all(a.product, v);
    store_operands(a, c0 + first, pixel, v, s);
    __syncwarp();
  }
  __syncthreads();
}

// pointwise_strip multiplies them, and returns the moments of what the warp stores.
APEXX_DEVICE Moments pointwise_strip(const HeavyArgs& a, const Strip& strip, float* refined, RefineRoom& s) {
  const int C = a.channels;
  Moments piece = {0, 0, 0};
  Four next[kHeavyLoads];
  load_weights(a, 0, 0, next);
#pragma unroll 1
  for (int out = 0; out < 2 * C; out += kHeavyOutputs) {
    float sum[kHeavySums] = {};
#pragma unroll 1
    for (int k0 = 0; k0 < C; k0 += kHeavyDepth) {
#pragma unroll
      for (int i = 0; i < kHeavyLoads; i++) {
        const int o = weight_output(i), k = weight_term(i);
        for (int e = 0; e < 4; e++) s.weights[k + e][o / 4].v[o % 4] = next[i].v[e];
      }
      __syncthreads();
      const bool more = k0 + kHeavyDepth < C;
      load_weights(a, more ? out : out + kHeavyOutputs, more ? k0 + kHeavyDepth : 0, next);
      multiply(s, k0, sum);
      __syncthreads();
    }
    piece = combine<2>({piece, store_outputs(a, sum, out, strip.count, refined + strip.first)});
  }
  return piece;
}

// pointwise_halves does the same with the matrix unit: its weights go from memory to registers, and no warp waits for another.
APEXX_DEVICE Moments pointwise_halves(const HeavyArgs& a, const Strip& strip, float* refined, const RefineRoom& s) {
  Moments piece = {0, 0, 0};
#if defined(__CUDACC__) && __CUDA_ARCH__ >= 800
#pragma unroll 1
  for (int out = 0; out < 2 * a.channels; out += kHeavyOutputs) {
    float sum[kHeavySums] = {};
#pragma unroll 1
    for (int c0 = 0; c0 < a.channels; c0 += kHalvesDepth) {
      unsigned w[kHalvesDepth / 16][4];
      load_halves(a, out, c0, w);
      multiply_halves(s, c0, a.channels, w, sum);
    }
    piece = combine<2>({piece, store_outputs(a, sum, out, strip.count, refined + strip.first)});
  }
#endif
  return piece;
}

// blockIdx.x: strips; blockIdx.y: tile; blockIdx.z: sample.
APEXX_BLOCK_KERNEL(heavy_refine, HeavyArgs, kHeavyThreads) {
  __shared__ RefineRoom s;
  const int t = threadIdx.x, C = a.channels, side = a.tiling.tile;
  const int64_t sample = blockIdx.z, at = sample * a.k + blockIdx.y, id = a.ids[at];
  if (id < 0 || id >= a.tiling.tiles) return;
  const float* tile = a.base + sample * C * a.plane + origin(a.tiling, id);
#pragma unroll 1
  for (int i = t; i < 9 * C; i += kHeavyThreads) copy_ahead(&s.taps[i], a.depthwise + i);
  if (t < C) s.bias[t] = a.depthwise_bias ? a.depthwise_bias[t] : 0;
  float raw[kWindowChannels * kWindowPixels];
#pragma unroll 1
  for (int i = 0; i < a.together; i++) {
    const int number = blockIdx.x * a.together + i;
    if (number >= a.strips) break;
    const Strip strip = strip_of(number, side, 1.0f / side);
    if (t < strip.window) {
      const int above = quotient_of(t, 1.0f / strip.pitch), y = strip.row + above - 1, x = t - above * strip.pitch - 1;
      s.at[t] = y >= 0 && y < side && x >= 0 && x < side ? y * a.tiling.width + x : -1;
    }
    __syncthreads();
    load_window(a, tile, 0, s.at, strip.window, raw);
    if (i == 0) {
      wait_for_copies();
      film_of(a, sample, blockIdx.y, s.room, s.film);
      if (number == 0 && t < 2 * C) a.film[at * 2 * C + t] = s.film[t];
    }
    depthwise_strip(a, tile, strip, raw, s);
    float* refined = a.refined + at * 2 * C * side * side;
    const Moments piece = kMultipliesHalves && a.halves ? pointwise_halves(a, strip, refined, s) : pointwise_strip(a, strip, refined, s);
    if (t % 32 == 0) a.pieces[at * a.pieces_of_tile + number * kHeavyWarps + t / 32] = piece;
  }
}

constexpr int kWriteThreads = 256, kWritePixels = 4 * kWriteThreads;  // of a block, in all of its channels

// joined returns the moments of all of n pieces, to all lanes of a warp.
APEXX_DEVICE Moments joined(const Moments* pieces, int n) {
  const auto add = [](float p, float q) { return p + q; };
  const int lane = threadIdx.x % 32;
  float count = 0, sum = 0, m2 = 0;
#pragma unroll 2
  for (int i = lane; i < n; i += 32) {
    count += pieces[i].n;
    sum += pieces[i].n * pieces[i].mean;
  }
  count = warp_all(count, add);
  const float mean = warp_all(sum, add) / count;
#pragma unroll 2
  for (int i = lane; i < n; i += 32) {
    const float d = pieces[i].mean - mean;
    m2 += pieces[i].m2 + pieces[i].n * (d * d);
  }
  return {count, mean, warp_all(m2, add)};
}

// A thread for four pixels of a channel of each stretch. blockIdx.x: cell; blockIdx.y: stretches of channels; blockIdx.z: sample.
APEXX_BLOCK_KERNEL(heavy_write, HeavyArgs, kWriteThreads) {
  const int lane = threadIdx.x % 32, C = a.channels, side = a.tiling.tile, area = side * side, cell = blockIdx.x;
  const int64_t b = blockIdx.z;
  const int64_t* ids = a.ids + b * a.k;
  int last = -1;
#pragma unroll 1
  for (int j = lane; j < a.k; j += 32) {
    if (ids[j] == cell) last = j;
  }
  last = warp_all(last, [](int p, int q) { return p > q ? p : q; });
  const int64_t tile = b * a.k + last;
  Moments moments = {1, 0, 0};
  if (last >= 0) moments = joined(a.pieces + tile * a.pieces_of_tile, a.pieces_of_tile);
  const float inverse = 1 / sqrtf(moments.m2 / moments.n + a.group_epsilon);

  const int i = 4 * threadIdx.x, in = quotient_of(i, static_cast<float>(a.pixel_share)), p = i - in * area, row = quotient_of(p, 1.0f / side);
  if (in >= a.written) return;
  const int64_t in_plane = origin(a.tiling, cell) + row * a.tiling.width + p - row * side;
  Four alpha = {};
  if (a.alpha) alpha = *reinterpret_cast<const Four*>(a.alpha + b * a.plane + in_plane);
#pragma unroll 1
  for (int stretch = 0; stretch < a.stretches; stretch++) {
    const int c = (blockIdx.y * a.stretches + stretch) * a.written + in;
    if (c >= C) return;
    const int64_t place = (b * C + c) * a.plane + in_plane;
    const Four base = *reinterpret_cast<const Four*>(a.base + place);
    Four y = base;
    if (last >= 0) {
      const float* refined = a.refined + (tile * 2 * C + c) * area + p;
      const Four value = *reinterpret_cast<const Four*>(refined), gate = *reinterpret_cast<const Four*>(refined + C * area);
      const float scale = a.film[tile * 2 * C + c], shift = a.film[tile * 2 * C + C + c];
      const Affine f = {moments.mean, inverse * a.group_scale[c], a.group_shift[c]};
      const Affine g = {moments.mean, inverse * a.group_scale[C + c], a.group_shift[C + c]};
      float modulated[4];
#pragma unroll
      for (int e = 0; e < 4; e++) modulated[e] = scale * base.v[e] + shift;
      round_all(a.stored, modulated);
#pragma unroll
      for (int e = 0; e < 4; e++) y.v[e] = applied(f, value.v[e]) * larger(applied(g, gate.v[e]), 0.0f) + modulated[e];
      round_all(a.stored, y.v);
    }
    if (a.alpha) {
#pragma unroll
      for (int e = 0; e < 4; e++) y.v[e] = base.v[e] + alpha.v[e] * (y.v[e] - base.v[e]);
    }
    round_all(a.stored, y.v);
    *reinterpret_cast<Four*>(a.y + place) = y;
  }
}

}  // namespace apexx
