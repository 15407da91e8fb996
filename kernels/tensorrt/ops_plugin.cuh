// What plugins need beside the operators of the graph: operands in the formats of an engine, and what the original's plugins could and the graph has
// no use for: levels of tiles, states of the recurrence, both directions in one.
#pragma once

#include "../ops_select.cuh"
#include "../ops_tiles.cuh"

namespace apexx {

#ifdef __CUDACC__
using Half = __half;
#else
using Half = _Float16;
#endif

// Conversion is float16 to float32 planes or back, n elements. With nhwc the float16 side is [N][plane][channels rounded up to 8].
struct Conversion {
  const void* from;
  void* to;
  int64_t n;
  int channels, plane;
  int nhwc, widens;
};

constexpr int kMostConversions = 32, kConvertThreads = 256;

struct ConvertArgs {
  Conversion list[kMostConversions];
  int count, unused;
};

constexpr int kCell = 8;  // channels that lie together

struct alignas(16) HalfCell {
  Half v[kCell];
};

inline int64_t groups_of(const Conversion& c) { return (c.channels + kCell - 1) / kCell; }

// threads_of is how many threads a conversion has: one for an element, or for the channels that lie together at a pixel.
inline int64_t threads_of(const Conversion& c) { return c.nhwc ? c.n / c.channels * groups_of(c) : c.n; }

// convert_operands: blockIdx.y is the number of a conversion.
APEXX_KERNEL(convert_operands, ConvertArgs, kConvertThreads) {
  const Conversion& c = a.list[blockIdx.y];
  const int64_t i = thread_of();
  if (!c.nhwc) {
    if (i >= c.n) return;
    if (c.widens) {
      static_cast<float*>(c.to)[i] = static_cast<float>(static_cast<const Half*>(c.from)[i]);
    } else {
      static_cast<Half*>(c.to)[i] = static_cast<Half>(static_cast<const float*>(c.from)[i]);
    }
    return;
  }
  const int64_t groups = (c.channels + kCell - 1) / kCell, pixel = i % c.plane, group = i / c.plane % groups, image = i / c.plane / groups;
  if (image * c.channels * c.plane >= c.n) return;
  const int64_t cell = (image * c.plane + pixel) * groups + group;
  const int64_t plane = (image * c.channels + group * kCell) * c.plane + pixel;  // of the cell's first channel
  const int channels = static_cast<int>(c.channels - group * kCell);
  if (c.widens) {
    const HalfCell h = static_cast<const HalfCell*>(c.from)[cell];
    for (int k = 0; k < kCell && k < channels; k++) static_cast<float*>(c.to)[plane + static_cast<int64_t>(k) * c.plane] = static_cast<float>(h.v[k]);
    return;
  }
  HalfCell h;
  for (int k = 0; k < kCell; k++) {
    const float v = k < channels ? static_cast<const float*>(c.from)[plane + static_cast<int64_t>(k) * c.plane] : 0.0f;
    h.v[k] = static_cast<Half>(v);
  }
  static_cast<HalfCell*>(c.to)[cell] = h;
}

// tile_unpack_levels is tile_unpack where the tile of the highest level counts last.
struct TileUnpackLevelsArgs {
  TileUnpackArgs unpack;
  const int64_t* levels;  // [B,k]
};

APEXX_BLOCK_KERNEL(tile_unpack_levels, TileUnpackLevelsArgs, kUnpackThreads) { unpack_cell<true>(a.unpack, a.levels); }

// tile_scan_from is tile_scan from given states on, in one direction or both. Both: y = f + b, (f + b)/2 or g·f + (1-g)·b with g in [0,1].
enum Merge { kMergeSum, kMergeAverage, kMergeGated };

struct TileScanFromArgs {
  TileScanArgs scan;     // its state is [B,C], with both directions [B,2,C]: forwards, backwards
  const float *initial;  // as the state, or null: 0
  const float *gate;     // [C], or null: 0.5
  int both, merge;
};

APEXX_KERNEL(tile_scan_from, TileScanFromArgs, 32) {
  const TileScanArgs& s = a.scan;
  const int64_t i = thread_of();
  if (i >= static_cast<int64_t>(s.batch) * s.channels) return;
  const int64_t b = i / s.channels, c = i % s.channels, first = a.both ? b * 2 * s.channels + c : i, second = first + s.channels;
  const float g = a.gate ? fminf(fmaxf(a.gate[c], 0.0f), 1.0f) : 0.5f;
  auto start = [&](int64_t at) { return a.initial ? a.initial[at] : 0.0f; };
  s.state[first] = scan(s, b, c, s.backward && !a.both, start(first), [&](int64_t at, float v) { s.y[at] = v; });
  if (!a.both) return;
  s.state[second] = scan(s, b, c, true, start(second), [&](int64_t at, float v) {
    const float f = s.y[at];
    s.y[at] = a.merge == kMergeSum ? f + v : a.merge == kMergeAverage ? 0.5f * (f + v) : g * f + (1 - g) * v;
  });
}

}  // namespace apexx
