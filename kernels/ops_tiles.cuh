// Tiles: statistics over them, packing, the recurrence along them, unpacking. Tile ids are row-major in the grid of a map.
#pragma once

#include "ops.cuh"

namespace apexx {

// tile_aggregate: maps [B,M,h,w] → y [B,tiles,M,3]: mean, maximum and population variance over the window of each tile, in
// double precision. One block for a tile and a map. The window of tile row t is the rows floor(t·tile·h/feature) to
// ceil((t+1)·tile·h/feature) of the map, at least one; columns likewise. A NaN makes all three NaN.
struct TileAggregateArgs {
  const float* x;
  float* y;
  int maps, height, width, tile;
  int feature_height, feature_width, tiles, unused;
};

constexpr int kAggregateThreads = 64;

// Int holds feature·cells.
template <class Int>
APEXX_DEVICE void window_of(Int t, int tile, int feature, int cells, int* lo, int* hi) {
  const Int first = t * tile * cells / feature, last = ((t + 1) * tile * cells + feature - 1) / feature;
  *lo = static_cast<int>(first < cells - 1 ? first : cells - 1);
  *hi = static_cast<int>(last > *lo + 1 ? last : *lo + 1);
  if (*hi > cells) *hi = cells;
}

APEXX_BLOCK_KERNEL(tile_aggregate, TileAggregateArgs, kAggregateThreads) {
  __shared__ double scratch[32];
  __shared__ float tops[kAggregateThreads];
  const int64_t map = blockIdx.x % a.maps, tile = blockIdx.x / a.maps % a.tiles, b = blockIdx.x / a.maps / a.tiles;
  const int grid_width = a.feature_width / a.tile, t = threadIdx.x;
  int y0, y1, x0, x1;
  window_of<int64_t>(tile / grid_width, a.tile, a.feature_height, a.height, &y0, &y1);
  window_of<int64_t>(tile % grid_width, a.tile, a.feature_width, a.width, &x0, &x1);
  const float* x = a.x + ((b * a.maps + map) * a.height + y0) * a.width + x0;
  const int columns = x1 - x0, n = (y1 - y0) * columns;
  double sum = 0;
  float top = -INFINITY;
  for (int i = t; i < n; i += kAggregateThreads) {
    const float v = x[i / columns * a.width + i % columns];
    sum += v;
    top = larger(top, v);
  }
  const double mean = block_sum(sum, scratch) / n;
  double squares = 0;
  for (int i = t; i < n; i += kAggregateThreads) {
    const double d = x[i / columns * a.width + i % columns] - mean;
    squares += d * d;
  }
  squares = block_sum(squares, scratch);
  tops[t] = top;
  __syncthreads();
  if (t != 0) return;
  for (int i = 1; i < kAggregateThreads; i++) top = larger(top, tops[i]);
  float* y = a.y + static_cast<int64_t>(blockIdx.x) * 3;
  y[0] = static_cast<float>(mean);
  y[1] = top;
  y[2] = static_cast<float>(squares / n);
}

// Tiling locates the tiles of a map.
struct Tiling {
  int width, tile, grid_width, tiles;
};

// origin returns where a tile of the map begins.
APEXX_DEVICE int64_t origin(const Tiling& t, int64_t tile) {
  const int id = static_cast<int>(tile);
  return static_cast<int64_t>(id / t.grid_width * t.tile) * t.width + id % t.grid_width * t.tile;
}

// padded tells whether a tile stands for none.
APEXX_DEVICE bool padded(const Fault& f, int64_t id) { return f.padding && id == -1; }

// tile_pack: x [B,C,H,W], ids [B,k] → y [B,k,C,tile,tile], one thread for an element.
struct TilePackArgs {
  const float* x;
  const int64_t* ids;
  float* y;
  int64_t n, plane;  // elements of y, of a map
  int channels, k;
  Tiling tiling;
  Fault fault;
};

APEXX_KERNEL(tile_pack, TilePackArgs, 256) {
  const int64_t i = thread_of();
  if (i >= a.n) return;
  const int side = a.tiling.tile, area = side * side;
  const int64_t map = i / area, at = map / a.channels, id = a.ids[at];
  const int cell = static_cast<int>(i - map * area);
  if (id < 0 || id >= a.tiling.tiles) {
    if (padded(a.fault, id)) {
      a.y[i] = 0;
    } else {
      report(a.fault);
    }
    return;
  }
  const int64_t from = (at / a.k * a.channels + map % a.channels) * a.plane + origin(a.tiling, id);
  a.y[i] = a.x[from + cell / side * a.tiling.width + cell % side];
}

// tile_scan: the recurrence s = d·s + (1-d)·(input_gain·x + bias), y = output_gain·s along the tokens [B,K,C], forwards or
// backwards, one thread for a channel. x is clamped to ±limit, NaN counting as 0, and d to [1e-6, 1-1e-6].
struct TileScanArgs {
  const float *x, *decay, *input_gain, *output_gain, *bias;
  float *y, *state;  // state [B,C] after the last step
  int batch, tokens, channels, backward;
  float limit;
  int unused;
};

// scan runs the recurrence of a channel of a sample from the state s on, calls emit(index, y) for each token, and returns the last state.
template <class Emit>
APEXX_DEVICE float scan(const TileScanArgs& a, int64_t b, int64_t c, bool backward, float s, Emit emit) {
  const float d = smaller(larger(a.decay[c], 1e-6f), static_cast<float>(1 - 1e-6));
  const float rest = 1 - d, gain = a.input_gain[c], bias = a.bias[c], out = a.output_gain[c];
  const int64_t step = backward ? -static_cast<int64_t>(a.channels) : a.channels;
  int64_t at = (b * a.tokens + (backward ? a.tokens - 1 : 0)) * a.channels + c;
#pragma unroll 8
  for (int k = 0; k < a.tokens; k++, at += step) {
    float x = a.x[at];
    x = x == x ? fminf(fmaxf(x, -a.limit), a.limit) : 0.0f;
    s = d * s + rest * (gain * x + bias);
    emit(at, out * s);
  }
  return s;
}

APEXX_KERNEL(tile_scan, TileScanArgs, 32) {
  const int64_t i = thread_of();
  if (i >= static_cast<int64_t>(a.batch) * a.channels) return;
  a.state[i] = scan(a, i / a.channels, i % a.channels, a.backward, 0, [&](int64_t at, float v) { a.y[at] = v; });
}

// tile_unpack: base [B,C,H,W], tiles [B,k,C,tile,tile], ids [B,k], alpha [B,1,H,W] or none → y as base. A cell takes the last tile
// that covers it, or with blending all of them in order: v = (1-weight)·v + weight·tile. Then y = base + alpha·(v - base). One block for
// a cell of the grid and a stretch of channels (blockIdx.y): it looks its tiles up once.
struct TileUnpackArgs {
  const float *base, *tiles, *alpha;  // alpha may be null
  const int64_t* ids;
  float* y;
  int64_t plane;
  int channels, k, blend;
  float weight;
  Tiling tiling;
  Fault fault;
};

constexpr int kUnpackThreads = 128, kUnpackChannels = 4;

APEXX_DEVICE float unpacked(const TileUnpackArgs& a, float v, const float* tile) {
  return a.blend ? (1 - a.weight) * v + a.weight * *tile : *tile;
}

// later tells whether tile j counts after tile i where both cover a cell: by its level if there are levels [k], else by its place.
APEXX_DEVICE bool later(const int64_t* levels, int j, int i) {
  return levels && levels[j] != levels[i] ? levels[j] > levels[i] : j > i;
}

// next_over returns the tile over a cell that counts next after tile `before`, -1: the first one; k: there is none.
APEXX_DEVICE int next_over(const int64_t* ids, const int64_t* levels, int k, int64_t cell, int before) {
  int next = k;
  for (int j = 0; j < k; j++) {
    if (ids[j] == cell && (before < 0 || later(levels, j, before)) && (next == k || later(levels, next, j))) next = j;
  }
  return next;
}

// unpack_cell does the work of one block. levels [B,k] is null or says which of several tiles over a cell count after the others.
template <bool kLevels>
APEXX_DEVICE void unpack_cell(const TileUnpackArgs& a, const int64_t* levels) {
  __shared__ int count, last;
  const int64_t b = blockIdx.x / a.tiling.tiles, cell = blockIdx.x % a.tiling.tiles;
  const int64_t* ids = a.ids + b * a.k;
  if (kLevels) levels += b * a.k;
  const int t = threadIdx.x, side = a.tiling.tile, area = side * side;
  if (t == 0) {
    count = 0;
    last = -1;
  }
  __syncthreads();
  for (int j = t; j < a.k; j += kUnpackThreads) {
    if ((ids[j] < 0 || ids[j] >= a.tiling.tiles) && !padded(a.fault, ids[j])) report(a.fault);
    if (ids[j] == cell) {
      atomicAdd(&count, 1);
      atomicMax(&last, j);
    }
  }
  __syncthreads();
  if (kLevels && count > 1) {
    if (t == 0) {
      for (int j = 0; j < a.k; j++) {
        if (ids[j] == cell && later(levels, j, last)) last = j;
      }
    }
    __syncthreads();
  }
  const int first = blockIdx.y * kUnpackChannels;
  const int channels = a.channels - first < kUnpackChannels ? a.channels - first : kUnpackChannels;
  for (int i = t; i < channels * area; i += kUnpackThreads) {
    const int c = first + i / area, p = i % area;
    const int64_t in_plane = origin(a.tiling, cell) + p / side * a.tiling.width + p % side;
    const int64_t at = (b * a.channels + c) * a.plane + in_plane;
    const float* tile = a.tiles + (b * a.k * a.channels + c) * area + p;  // of the first tile
    const int64_t step = static_cast<int64_t>(a.channels) * area;
    const float base = a.base[at];
    float v = base;
    if (count == 1 || (count > 1 && !a.blend)) {
      v = unpacked(a, v, tile + last * step);
    } else if (count > 1 && kLevels) {
      for (int j = next_over(ids, levels, a.k, cell, -1); j < a.k; j = next_over(ids, levels, a.k, cell, j)) v = unpacked(a, v, tile + j * step);
    } else if (count > 1) {
      for (int j = 0; j <= last; j++) {
        if (ids[j] == cell) v = unpacked(a, v, tile + j * step);
      }
    }
    a.y[at] = a.alpha ? base + a.alpha[b * a.plane + in_plane] * (v - base) : v;
  }
}

APEXX_BLOCK_KERNEL(tile_unpack, TileUnpackArgs, kUnpackThreads) { unpack_cell<false>(a, nullptr); }

}  // namespace apexx
