// A 3×3 convolution over several maps and several sets of weights in one launch: geometry, schedule and memory formats
// that every variant of the kernel shares. Plain C++, so that all of it is tested without a GPU (test/host_test.cpp).
//
//   out[b](p, n) = Σ_tap Σ_c in[b](S·p + tap - 1, c) · weight[b](n, c, tap)          padding 1, stride S of 1 or 2
//
// A *branch* b is one set of weights with its input and output; its *levels* are the maps of a pyramid that share the
// weights. The work is cut in tiles of 8×8 output pixels by all output channels of a branch.
//
// Formats
//   maps     NHWC: pixel (y, x) of a level at ((first_pixel + y·width + x)·channels); levels one after the other
//   weights  [channel/32][tap 9][channel%32/8][n][channel%8]: 16-byte cells, eight consecutive n make one 8×8 core
//            matrix of 128 bytes; a slab of a few taps by 32 channels is what is loaded and waited for at once
//   patch    [channel/8][cell][channel%8] in shared memory: the input pixels under one tile with their border. Eight
//            neighbouring outputs of a row read eight neighbouring cells for every tap, so that a core matrix of any
//            tap is 128 contiguous bytes of the same patch: nothing is copied for im2col. At stride 2 a row keeps its
//            even columns before its odd ones, which makes that true again.
#pragma once

#include <stdint.h>

#include "both.h"

namespace apexx::conv3x3 {

constexpr int kTile = 8;                    // output pixels along each side of a tile
constexpr int kTilePixels = kTile * kTile;  // 64, the M of one warpgroup's matrix instruction
constexpr int kTaps = 9;
constexpr int kMaxLevels = 5;    // P3 to P7
constexpr int kMaxBranches = 5;  // three towers, prototypes, semantic trunk
constexpr int kCell = 8;         // channels of a 16-byte cell in fp16
constexpr int kPhase = 32;       // input channels that are multiplied while the next ones are made ready
constexpr int kPhaseChunks = kPhase / kCell;

// Patch describes the input pixels under one tile.
template <int kChannels, int kStride>
struct Patch {
  static_assert(kStride == 1 || kStride == 2, "stride");
  static_assert(kChannels % kPhase == 0, "channels come in whole phases");
  static constexpr int kSide = (kTile - 1) * kStride + 3;           // 10 or 17 pixels
  static constexpr int kHalfRow = (kSide + kStride - 1) / kStride;  // cells of a row with one column parity
  static constexpr int kPitch = kHalfRow * kStride;                 // cells of a row
  static constexpr int kChunks = kChannels / kCell;
  // A plane is the patch of eight channels. 8k+2 cells put four planes of two neighbouring pixels in different banks
  // (at stride 2 of every other two).
  static constexpr int kPlane = (kSide * kPitch + 5) / 8 * 8 + 2;
  static constexpr int kBytes = kPlane * kChunks * 16;
  // cell of an input pixel (row, column) of the patch.
  static APEXX_BOTH constexpr int cell(int row, int column) {
    return row * kPitch + column % kStride * kHalfRow + column / kStride;
  }
};

// Level is one map of the pyramid, by the size of its output.
struct Level {
  int height, width;            // output pixels
  int in_height, in_width;      // input pixels
  int first_pixel, in_first;    // where the level begins in the output and in the input pyramid, in pixels
  int tiles_x, first_tile;      // tiles along x; index of the level's first tile within a branch
  int in_tiles, in_first_tile;  // the same of the layer that made the input: where its moments are
};

// Branch says which part of the grid works on one set of weights.
struct Branch {
  int levels;               // the branch runs on levels [0, levels)
  int tiles;                // of all its levels
  int first_block, blocks;  // its blocks in the grid
};

// Plan is the whole launch. It stays on the host: a block receives only its tiles.
struct Plan {
  int levels, branches, blocks;
  int most_tiles;  // of one block
  Level level[kMaxLevels];
  Branch branch[kMaxBranches];
};

// Tile is one unit of work.
struct Tile {
  int level, y, x;  // upper left output pixel
};

// packed returns where the weight of an output channel, an input channel and a tap (3·row + column) is among those of a
// branch.
APEXX_BOTH int packed(int channels_out, int n, int c, int tap) {
  return (((c / kPhase * kTaps + tap) * kPhaseChunks + c % kPhase / kCell) * channels_out + n) * kCell + c % kCell;
}

// level_tiles returns how many tiles a level has.
inline int level_tiles(const Level& level) { return level.tiles_x * ((level.height + kTile - 1) / kTile); }

// add_level appends a map with the given size of its input.
inline void add_level(Plan& plan, int in_height, int in_width, int stride) {
  Level l{};
  l.in_height = in_height, l.in_width = in_width;
  l.height = (in_height + stride - 1) / stride, l.width = (in_width + stride - 1) / stride;
  l.tiles_x = (l.width + kTile - 1) / kTile;
  l.in_tiles = ((in_height + kTile - 1) / kTile) * ((in_width + kTile - 1) / kTile);
  if (plan.levels > 0) {
    const Level& last = plan.level[plan.levels - 1];
    l.first_pixel = last.first_pixel + last.height * last.width;
    l.in_first = last.in_first + last.in_height * last.in_width;
    l.first_tile = last.first_tile + level_tiles(last);
    l.in_first_tile = last.in_first_tile + last.in_tiles;
  }
  plan.level[plan.levels++] = l;
}

// add_branch appends a set of weights that runs on the first levels of the pyramid.
inline void add_branch(Plan& plan, int levels) {
  const Level& last = plan.level[levels - 1];
  plan.branch[plan.branches++] = {levels, last.first_tile + level_tiles(last), 0, 0};
}

// tile_at finds tile i of a branch.
inline Tile tile_at(const Plan& plan, int i) {
  int l = 0;
  while (l + 1 < plan.levels && i >= plan.level[l + 1].first_tile) l++;
  const int at = i - plan.level[l].first_tile, columns = plan.level[l].tiles_x;
  return {l, at / columns * kTile, at % columns * kTile};
}

// spread gives every branch the fewest blocks with which no block has more tiles than the fullest block must have, when
// at most `most` blocks may be used: the launch takes as long as its fullest block.
inline void spread(Plan& plan, int most) {
  int blocks = most + 1;
  for (plan.most_tiles = 0; blocks > most;) {
    plan.most_tiles++, blocks = 0;
    for (int b = 0; b < plan.branches; b++) blocks += (plan.branch[b].tiles + plan.most_tiles - 1) / plan.most_tiles;
    if (blocks == plan.branches) break;  // one block for each is the least
  }
  plan.blocks = 0;
  for (int b = 0; b < plan.branches; b++) {
    Branch& branch = plan.branch[b];
    branch.blocks = (branch.tiles + plan.most_tiles - 1) / plan.most_tiles;
    branch.first_block = plan.blocks;
    plan.blocks += branch.blocks;
  }
}

// first_tile_of returns the first tile of a branch's block i, 0 ≤ i ≤ blocks: tiles go to the blocks in even,
// contiguous runs.
inline int first_tile_of(const Branch& branch, int i) { return int(int64_t(branch.tiles) * i / branch.blocks); }

}  // namespace apexx::conv3x3
