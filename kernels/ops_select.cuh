// Routing: which tiles are chosen, split, and in which order they are scanned. Each element finds its place by counting those that come
// before it, one thread for an element: k·K comparisons, no sorting network, and the order is total, so there is one result.
#pragma once

#include "ops.cuh"

namespace apexx {

// before tells whether tile i comes before tile j: by descending utility, then by ascending id; NaN counts as -Inf.
APEXX_DEVICE bool before(const float* utility, int64_t i, int64_t j) {
  const float u = utility[i] == utility[i] ? utility[i] : -INFINITY;
  const float v = utility[j] == utility[j] ? utility[j] : -INFINITY;
  return u > v || (u == v && i < j);
}

// greedy_select: utilities [B,tiles] → ids [B,count] of the best.
struct GreedySelectArgs {
  const float* utilities;
  int64_t* ids;
  int batch, tiles, count, unused;
};

APEXX_KERNEL(greedy_select, GreedySelectArgs, 128) {
  const int64_t i = thread_of();
  if (i >= static_cast<int64_t>(a.batch) * a.tiles) return;
  const int64_t b = i / a.tiles, tile = i % a.tiles;
  const float* utility = a.utilities + b * a.tiles;
  int rank = 0;
  for (int j = 0; j < a.tiles; j++) rank += before(utility, j, tile);
  if (rank < a.count) a.ids[b * a.count + rank] = tile;
}

// split_select: of the parents [B,k] the best `count` by utility [B,grid_height·grid_width], and their children in the grid of twice the
// resolution: top-left, top-right, bottom-left, bottom-right.
struct SplitSelectArgs {
  const float* utilities;
  const int64_t* parents;
  int64_t* children;
  int batch, parents_per_sample, count, grid_width, tiles, unused;
  Fault fault;
};

APEXX_KERNEL(split_select, SplitSelectArgs, 128) {
  const int64_t i = thread_of();
  const int k = a.parents_per_sample;
  if (i >= static_cast<int64_t>(a.batch) * k) return;
  const int64_t b = i / k;
  const int64_t* parents = a.parents + b * k;
  const float* utility = a.utilities + b * a.tiles;
  const int64_t id = a.parents[i];
  int rank = 0;
  for (int j = 0; j < k; j++) {
    if (parents[j] < 0 || parents[j] >= a.tiles || id < 0 || id >= a.tiles) {
      report(a.fault);
      return;
    }
    rank += before(utility, parents[j], id) || (parents[j] == id && j < i - b * k);
  }
  if (rank >= a.count) return;
  int64_t* child = a.children + (b * a.count + rank) * 4;
  const int64_t first = id / a.grid_width * 4 * a.grid_width + id % a.grid_width * 2;
  child[0] = first;
  child[1] = first + 1;
  child[2] = first + 2 * a.grid_width;
  child[3] = first + 2 * a.grid_width + 1;
}

// tile_order: ids [B,k] by their keys in a scan of the grid; equal keys keep their order.
struct TileOrderArgs {
  const int64_t* ids;
  const int64_t* keys;  // of every tile of the grid
  int64_t* ordered;
  int batch, k, tiles, unused;
  Fault fault;
};

APEXX_KERNEL(tile_order, TileOrderArgs, 128) {
  const int64_t i = thread_of();
  if (i >= static_cast<int64_t>(a.batch) * a.k) return;
  const int64_t b = i / a.k, own = i % a.k, id = a.ids[i];
  const int64_t* ids = a.ids + b * a.k;
  int rank = 0;
  for (int j = 0; j < a.k; j++) {
    if (ids[j] < 0 || ids[j] >= a.tiles || id < 0 || id >= a.tiles) {
      report(a.fault);
      return;
    }
    const int64_t key = a.keys[ids[j]];
    rank += key < a.keys[id] || (key == a.keys[id] && j < own);
  }
  a.ordered[b * a.k + rank] = id;
}

}  // namespace apexx
