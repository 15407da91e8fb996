// From proxies to tiles: what proxies are made of logits, what gates are made of proxies, and the router with the selections that follow it.
#pragma once

#include "ops_mlp.cuh"
#include "ops_resize.cuh"
#include "ops_select.cuh"
#include "ops_tiles.cuh"

namespace apexx {

// proxies: three maps of logits, n elements in `images` of `plane` → σ(boundary), p = σ(objectness), (4·p)·(1-p), softplus(variance), each as a map
// of its own where it is wanted, and all four as maps [images,4,plane].
struct ProxiesArgs {
  const float *boundary_logit, *objectness_logit, *variance_logit;
  float *boundary, *objectness, *uncertainty, *variance;  // may be null
  float* maps;
  int64_t n, plane;
};

APEXX_KERNEL(proxies, ProxiesArgs, 128) {
  const int64_t i = thread_of();
  if (i >= a.n) return;
  const float p = logistic(a.objectness_logit[i]), v = a.variance_logit[i];
  const float values[4] = {logistic(a.boundary_logit[i]), p, p * 4 * (1 - p), larger(v, 0.0f) + log1pf(expf(-fabsf(v)))};
  float* alone[4] = {a.boundary, a.objectness, a.uncertainty, a.variance};
  float* maps = a.maps + i / a.plane * 4 * a.plane + i % a.plane;
#pragma unroll
  for (int m = 0; m < 4; m++) {
    maps[m * a.plane] = values[m];
    if (alone[m]) alone[m][i] = values[m];
  }
}

// gates: boundary and uncertainty [B,1,h,w], a NaN counting as 0, are resized to [B,1,H,W]; a gate of a level is
// σ(boundary_weight·boundary + uncertainty_weight·uncertainty + bias).
constexpr int kMostGates = 4;

struct Gate {
  const float *boundary_weight, *uncertainty_weight, *bias;  // a number each
  float* y;
};

struct GatesArgs {
  const float *boundary, *uncertainty;
  const Sample *rows, *columns;  // null: the size is the same
  Gate gates[kMostGates];
  int64_t n;
  int in_height, in_width, out_height, out_width;
  int count, unused;
};

APEXX_DEVICE float clean(float v) { return v != v ? 0.0f : v; }

// fitted samples a plane free of NaN.
APEXX_DEVICE float fitted(const float* x, int width, const Sample& row, const Sample& column) {
  const float* top = x + static_cast<int64_t>(row.lo) * width;
  const float* bottom = x + static_cast<int64_t>(row.hi) * width;
  return mixed(mixed(clean(top[column.lo]), clean(bottom[column.lo]), row.weight),
               mixed(clean(top[column.hi]), clean(bottom[column.hi]), row.weight), column.weight);
}

APEXX_KERNEL(gates, GatesArgs, 128) {
  const int64_t i = thread_of();
  if (i >= a.n) return;
  float boundary, uncertainty;
  if (a.rows) {
    const Sample row = a.rows[i / a.out_width % a.out_height], column = a.columns[i % a.out_width];
    const int64_t image = i / a.out_width / a.out_height * a.in_height * a.in_width;
    boundary = fitted(a.boundary + image, a.in_width, row, column);
    uncertainty = fitted(a.uncertainty + image, a.in_width, row, column);
  } else {
    boundary = clean(a.boundary[i]);
    uncertainty = clean(a.uncertainty[i]);
  }
  for (int g = 0; g < a.count; g++) {
    const Gate& gate = a.gates[g];
    gate.y[i] = logistic(*gate.boundary_weight * boundary + *gate.uncertainty_weight * uncertainty + *gate.bias);
  }
}

// route: maps [B,M,h,w] → utilities of the tiles [B,K], by way of the statistics of ops_tiles.cuh: two layers with ReLU, and a head for each utility.
// One block for a tile. The last block of an image then selects, in the way of ops_select.cuh: the best tiles, their order, the children of those
// that are split, and their order.
constexpr int kRouteThreads = 128;
constexpr int kRouteInputs = 32, kRouteHidden = 64;    // the most, of a layer
constexpr int kRouteTiles = 512, kRouteChildren = 1024;  // the most of an image

// Layer is x·Wᵀ + bias: weights [outputs,inputs].
struct Layer {
  const float *weight, *bias;  // bias may be null
};

struct RouteArgs {
  const float* maps;
  Layer first, second, heads[2];
  float* utilities[2];  // the second may be null
  int64_t *chosen, *ordered, *children, *ordered_children;  // [B,count], [B,count], [B,4·splits] twice; null: not wanted
  const int64_t *order, *child_order;                       // ranks of all tiles; null: not wanted
  int* done;                                                // [B], 0 between runs; null: nothing is selected
  int map_count, height, width, tile, feature_height, feature_width, tiles;
  int first_outputs, second_outputs, count, splits, grid_width;
};

// RouteRoom is the shared memory of route.
struct RouteRoom {
  float x[kRouteInputs], first[kRouteHidden], second[kRouteHidden];
  float utility[kRouteTiles];
  int chosen[kRouteTiles], children[kRouteChildren], ranks[kRouteChildren];
  int last;
};

// window_along is window_of (ops_tiles.cuh) by a reciprocal, along one side: (feature + 1)·cells < 2^21.
APEXX_DEVICE void window_along(int t, int tile, int feature, int cells, int* lo, int* hi) {
  const float per_feature = 1.0f / feature;
  const int first = quotient_of(t * tile * cells, per_feature), last = quotient_of((t + 1) * tile * cells + feature - 1, per_feature);
  *lo = first < cells - 1 ? first : cells - 1;
  *hi = last > *lo + 1 ? last : *lo + 1;
  if (*hi > cells) *hi = cells;
}

// statistics fills x with mean, maximum and variance of each map over the window of a tile. A warp for a map.
APEXX_DEVICE void statistics(const RouteArgs& a, int64_t sample, int tile, RouteRoom& r) {
  const int t = threadIdx.x, lane = t % 32, grid_width = a.feature_width / a.tile, tile_row = tile / grid_width;
  int y0, y1, x0, x1;
  window_along(tile_row, a.tile, a.feature_height, a.height, &y0, &y1);
  window_along(tile - tile_row * grid_width, a.tile, a.feature_width, a.width, &x0, &x1);
  const int columns = x1 - x0, n = (y1 - y0) * columns;
  const float per_column = 1.0f / columns;
  const double share = 1.0 / n;
#pragma unroll 1
  for (int m = t / 32; m < a.map_count; m += kRouteThreads / 32) {
    const float* x = a.maps + ((sample * a.map_count + m) * a.height + y0) * a.width + x0;
    const auto at = [&](int i) {
      const int row = quotient_of(i, per_column);
      return x[row * a.width + i - row * columns];
    };
    double sum = 0, squares = 0;
    float top = -INFINITY;
#pragma unroll 2
    for (int i = lane; i < n; i += 32) {
      const float v = at(i);
      sum += v;
      top = larger(top, v);
    }
    const double mean = warp_sum(sum) * share;
#pragma unroll 2
    for (int i = lane; i < n; i += 32) {
      const double d = at(i) - mean;
      squares += d * d;
    }
    squares = warp_sum(squares);
    top = warp_all(top, [](float p, float q) { return larger(p, q); });
    if (lane == 0) {
      r.x[3 * m] = static_cast<float>(mean);
      r.x[3 * m + 1] = top;
      r.x[3 * m + 2] = static_cast<float>(squares * share);
    }
  }
  __syncthreads();
}

// dot is one output of a layer.
APEXX_CALLED float dot(const Layer& l, int output, const float* x, int n) {
  const float* w = l.weight + output * n;
  float sum = 0;
#pragma unroll 8
  for (int k = 0; k < n; k++) sum = fmaf(x[k], w[k], sum);
  return l.bias ? sum + l.bias[output] : sum;
}

// put_in_order writes n ids in the order of their ranks; equal ranks keep their order.
APEXX_CALLED void put_in_order(const int* ids, int n, const int64_t* ranks, int* own, int64_t* ordered) {
  for (int i = threadIdx.x; i < n; i += kRouteThreads) own[i] = static_cast<int>(ranks[ids[i]]);
  __syncthreads();
#pragma unroll 1
  for (int i = threadIdx.x; i < n; i += kRouteThreads) {
    const int rank = own[i];
    int place = 0;
#pragma unroll 4
    for (int j = 0; j < n; j++) place += own[j] < rank || (own[j] == rank && j < i);
    ordered[place] = ids[i];
  }
  __syncthreads();
}

// place_of returns how many of n tiles come before one: of ids, or of all.
APEXX_CALLED int place_of(const float* utility, const int* ids, int n, int own) {
  int place = 0;
#pragma unroll 4
  for (int j = 0; j < n; j++) place += before(utility, ids ? ids[j] : j, own);
  return place;
}

// take_utilities brings the utilities of the tiles of a sample to shared memory.
APEXX_DEVICE void take_utilities(const RouteArgs& a, int64_t sample, int head, RouteRoom& r) {
#pragma unroll 1
  for (int i = threadIdx.x; i < a.tiles; i += kRouteThreads) r.utility[i] = a.utilities[head][sample * a.tiles + i];
  __syncthreads();
}

APEXX_DEVICE void select(const RouteArgs& a, int64_t sample, RouteRoom& r) {
  const int t = threadIdx.x;
  take_utilities(a, sample, 0, r);
#pragma unroll 1
  for (int i = t; i < a.tiles; i += kRouteThreads) {
    const int place = place_of(r.utility, nullptr, a.tiles, i);
    if (place >= a.count) continue;
    r.chosen[place] = i;
    a.chosen[sample * a.count + place] = i;
  }
  __syncthreads();
  if (a.order) put_in_order(r.chosen, a.count, a.order, r.ranks, a.ordered + sample * a.count);
  if (a.splits == 0) return;
  take_utilities(a, sample, 1, r);
#pragma unroll 1
  for (int i = t; i < a.count; i += kRouteThreads) {
    const int id = r.chosen[i], place = place_of(r.utility, r.chosen, a.count, id);
    if (place >= a.splits) continue;
    const int row = id / a.grid_width, first = row * 4 * a.grid_width + (id - row * a.grid_width) * 2;
#pragma unroll 1
    for (int e = 0; e < 4; e++) {
      const int child = first + e % 2 + e / 2 * 2 * a.grid_width;
      r.children[4 * place + e] = child;
      if (a.children) a.children[sample * 4 * a.splits + 4 * place + e] = child;
    }
  }
  __syncthreads();
  if (a.child_order) put_in_order(r.children, 4 * a.splits, a.child_order, r.ranks, a.ordered_children + sample * 4 * a.splits);
}

APEXX_BLOCK_KERNEL(route, RouteArgs, kRouteThreads) {
  __shared__ RouteRoom r;
  const int t = threadIdx.x, tile = blockIdx.x;
  const int64_t b = blockIdx.y;
  statistics(a, b, tile, r);
  if (t < a.first_outputs) r.first[t] = larger(dot(a.first, t, r.x, 3 * a.map_count), 0.0f);
  __syncthreads();
  if (t < a.second_outputs) r.second[t] = larger(dot(a.second, t, r.first, a.first_outputs), 0.0f);
  __syncthreads();
  if (t < 2 && a.utilities[t]) a.utilities[t][b * a.tiles + tile] = dot(a.heads[t], 0, r.second, a.second_outputs);
  if (!a.done || !ends_last(&a.done[b], gridDim.x, &r.last)) return;
  if (t == 0) a.done[b] = 0;
  select(a, b, r);
}

}  // namespace apexx
