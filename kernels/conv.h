// A convolution over many maps and many sets of weights in one launch: geometry, memory formats, schedule. Every kernel
// of the family shares them. Plain C++, so that all of it is tested without a GPU (test/host_test.cpp); launch.go and
// pack.go say the same in Go, and a test holds the two to each other.
//
//   out(p, n) = Σ_tap Σ_c act(in(S·p + tap - pad, c)) · weight(n, c, tap) + bias(n) + add(p, n)
//
// with 9 taps (padding 1, stride S of 1 or 2) or one (padding 0, stride 1). act is nothing, or GroupNorm with one group
// and SiLU. The work is cut in *tasks*: 8×8 output pixels of one map by a few output channels.
//
// Formats
//   maps     NHWC: pixel (y, x) of an image at (y·width + x)·channels; channels are a multiple of 8
//   weights  [output channel / N][part][phase][tap][chunk 4][n of N][channels of a chunk]: 16-byte cells, four chunks
//   of
//            input channels to a phase, eight consecutive n are an 8×8 core matrix of 128 bytes. What a task needs is
//            contiguous. Channels that do not exist are zero.
//   patch    [chunk][cell] in shared memory: the input pixels under a task with their border. Eight neighbouring
//            outputs of a row read eight neighbouring cells for every tap, so that a core matrix of any tap is 128
//            contiguous bytes of the same patch: nothing is copied for im2col. At stride 2 a row keeps its even columns
//            before its odd ones, which makes that true again.
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifndef __CUDACC_RTC__  // which compiles for the device alone
#include <algorithm>
#include <vector>
#endif

#include "both.h"
#include "moments.h"

namespace apexx::conv {

constexpr int kTile = 8;                    // output pixels along each side of a task
constexpr int kTilePixels = kTile * kTile;  // 64, the M of one warpgroup's matrix instruction
constexpr int kPhaseChunks = 4;    // 16-byte cells of one pixel that are multiplied while the next are made ready
constexpr int kMaxChannels = 512;  // of an input that is normalised
constexpr int kImageSquare = 3 * 17 * 17;  // values of the image under a task
constexpr int kListed = 4;                 // tasks of a block that are at hand, where blocks do not keep their weights

// Patch describes the input pixels under one task.
template <int kTaps, int kStride>
struct Patch {
  static_assert(kTaps == 9 ? kStride == 1 || kStride == 2 : kTaps == 1 && kStride == 1, "taps and stride");
  static constexpr int kBorder = kTaps == 9;                             // pixels of padding on each side
  static constexpr int kSide = (kTile - 1) * kStride + 1 + 2 * kBorder;  // 8, 10 or 17 pixels
  static constexpr int kHalfRow = (kSide + kStride - 1) / kStride;       // cells of a row with one column parity
  static constexpr int kPitch = kHalfRow * kStride;                      // cells of a row
  // A plane is the patch of one chunk. 8k+2 cells put four planes of two neighbouring pixels in different banks (at
  // stride 2 of every other two).
  static constexpr int kPlane = (kSide * kPitch + 5) / 8 * 8 + 2;
  // cell of an input pixel (row, column) of the patch.
  static APEXX_BOTH constexpr int cell(int row, int column) {
    return row * kPitch + column % kStride * kHalfRow + column / kStride;
  }
};

// Task is 8×8 pixels by some output channels with all that their computation needs. The tasks of a launch lie in device
// memory, made once: a block knows what to do after one access, where kernel parameters, read field by field, make it
// wait four times. All pointers are device memory, of one image. This layout is the interface of the kernels.
struct alignas(16) Task {
  const void* in;       // input map; null: no task
  const void* in2;      // map of the input channels from `channels` on, normalised never; null: none
  const void* weights;  // of the task's output channels
  const float* bias;    // of the task's output channels; null: none
  const void* add;      // map that is added to the products, of out_channels channels; null: none
  void* out;            // output map
  Moments* moments;     // piece for the moments of what is stored; null: none
  // GroupNorm and SiLU of the input, with the pieces that its producer left; scale is null: none.
  const Moments* in_moments;
  const float *scale, *shift;  // per input channel
  int32_t in_pieces;
  int16_t in_height, in_width, height, width;  // pixels of the input maps and of the output map
  int16_t y, x;                                // upper left output pixel
  int16_t channels, channels2;                 // of in and in2
  int16_t out_channels;                        // of the whole output map
  int16_t first, valid;  // the task's first output channel, and how many of those it computes exist
  int16_t add_shift;     // the add map has height >> add_shift rows, width >> add_shift columns; nearest is read
  int16_t planar;        // kMap, or out is float32 [channel][pixel] without moments: kPlanes, or kRoundedPlanes
  int16_t reserved[7];
};
static_assert(sizeof(Task) == 128, "launch.go has this layout");

// What Task::planar says of the output. Rounded planes hold what a map would.
constexpr int16_t kMap = 0, kPlanes = 1, kRoundedPlanes = 2;

// Job is one map and one set of output channels: `task` describes it, with its moments at the first piece of its output
// map. Jobs with equal `weights` follow each other where blocks keep their weights.
struct Job {
  Task task;
  int map;  // jobs with the same number write channels of the same output map, whose pieces they share
};

#ifndef __CUDACC_RTC__
// Schedule is a launch: block i has the tasks [i·most_tasks, (i+1)·most_tasks), the last of which may be empty.
struct Schedule {
  int blocks = 0, most_tasks = 0;
  std::vector<Task> tasks;
  std::vector<int> pieces;  // of moments, of each map
};
#endif

// Arguments is what every kernel receives. In single precision a kernel that meets an operand which fp16 halves cannot
// hold, 65520 or more in magnitude, writes `step` to *fault: what it stores is wrong then. A NaN is no fault: it stays.
struct Arguments {
  const Task* tasks;
  int32_t most_tasks, step;
  int* fault;  // null: nobody asks
};
static_assert(sizeof(Arguments) == 24, "launch.go has this layout");

#ifndef __CUDACC_RTC__
inline int tiles_along(int pixels) { return (pixels + kTile - 1) / kTile; }
inline int tiles_of(const Task& t) { return tiles_along(t.height) * tiles_along(t.width); }

// schedule cuts jobs in tasks and gives every block an even, contiguous run of them. At most `most` blocks are used if
// there are that many tasks, and only as many as keep the fullest block's tasks at its least: a launch takes as long as
// its fullest block. Where blocks keep their weights (resident), none gets tasks with different ones. A block works
// with `teams` teams, each of which takes every teams-th of its tasks and leaves one piece of moments for every map it
// meets.
inline Schedule schedule(const std::vector<Job>& jobs, int most, int teams, bool resident) {
  std::vector<std::vector<int>> groups;  // jobs by weights
  for (size_t j = 0; j < jobs.size(); j++) {
    if (j == 0 || (resident && jobs[j].task.weights != jobs[j - 1].task.weights)) groups.emplace_back();
    groups.back().push_back(int(j));
  }
  std::vector<int> tasks_of;
  for (const auto& g : groups) {
    tasks_of.push_back(0);
    for (int j : g) tasks_of.back() += tiles_of(jobs[j].task);
  }
  Schedule s;
  for (int blocks = most + 1; blocks > most;) {
    s.most_tasks++, blocks = 0;
    for (int n : tasks_of) blocks += (n + s.most_tasks - 1) / s.most_tasks;
    if (blocks == int(groups.size())) break;  // one block for each is the least
  }
  for (const Job& j : jobs)
    if (j.map >= int(s.pieces.size())) s.pieces.resize(j.map + 1);
  for (size_t g = 0; g < groups.size(); g++) {
    const int blocks = (tasks_of[g] + s.most_tasks - 1) / s.most_tasks;
    std::vector<Task> all;
    std::vector<int> map;
    for (int j : groups[g])
      for (int i = 0; i < tiles_of(jobs[j].task); i++) {
        Task t = jobs[j].task;
        t.y = int16_t(i / tiles_along(t.width) * kTile), t.x = int16_t(i % tiles_along(t.width) * kTile);
        all.push_back(t), map.push_back(jobs[j].map);
      }
    for (int b = 0; b < blocks; b++) {
      const int first = int(int64_t(all.size()) * b / blocks), end = int(int64_t(all.size()) * (b + 1) / blocks);
      for (int team = 0; team < teams; team++)
        for (int i = first + team; i < end; i += teams) {
          if (all[i].moments == nullptr) continue;
          const bool same = i - teams >= first && map[i] == map[i - teams];
          all[i].moments = same ? all[i - teams].moments : all[i].moments + s.pieces[map[i]]++;
        }
      s.tasks.insert(s.tasks.end(), all.begin() + first, all.begin() + end);
      s.tasks.resize(size_t(++s.blocks) * s.most_tasks);
    }
  }
  return s;
}
#endif

// Format is how maps lie in memory and what the matrix unit multiplies.
enum class Format { f16, bf16, tf32, f32 };

constexpr int cell_channels(Format f) { return f == Format::tf32 ? 4 : 8; }  // of a 16-byte cell of operands
constexpr int parts(Format f) { return f == Format::f32 ? 2 : 1; }           // sets of operands: high and low halves

// packed_cells returns how many 16-byte cells the weights of one task take.
constexpr int packed_cells(Format f, int n, int channels, int taps) {
  const int phase = kPhaseChunks * cell_channels(f);
  return parts(f) * ((channels + phase - 1) / phase) * taps * kPhaseChunks * n;
}

// packed_at returns where the weight of output channel `o`, input channel `c` and tap 3·row + column is among those of
// a part of one task with n output channels, in elements.
constexpr int packed_at(Format f, int n, int o, int c, int taps, int tap) {
  const int cell = cell_channels(f), phase = kPhaseChunks * cell;
  return (((c / phase * taps + tap) * kPhaseChunks + c % phase / cell) * n + o) * cell + c % cell;
}

// Kernel is one compiled entry of the family: what a launch of it needs. Names are "conv_" + format + "_" + geometry +
// "_n" + n, and "conv_" + format + "_sm90_" + geometry and channels for the ones whose weights stay in shared memory.
struct Kernel {
  const char* name;
  Format format;
  int taps, stride;
  bool image;        // reads the float32 image: 3×3 at stride 2 as one tap of 27 channels
  int n;             // output channels of a task
  int channels;      // input channels that it is compiled for; 0: any
  int teams, split;  // of a block; warpgroups of a team. Not resident: 1 team
  bool resident;     // blocks keep their weights: compute capability 9.0 alone
  int blocks;        // that fit a multiprocessor at once
  bool normalises;   // can normalise its input; if resident, always does

  constexpr int threads() const { return resident ? 128 * teams * split : 256; }
};

// align rounds bytes up to a multiple of `to`.
constexpr size_t align(size_t bytes, size_t to) { return (bytes + to - 1) / to * to; }

// patch_plane is Patch::kPlane for geometries that are not constants.
constexpr int patch_plane(int taps, int stride) {
  return taps == 1 ? Patch<1, 1>::kPlane : stride == 1 ? Patch<9, 1>::kPlane : Patch<9, 2>::kPlane;
}

// ring_taps returns the weights of how many taps of a phase lie in shared memory, where blocks do not keep them.
constexpr int ring_taps(Format f, int taps, int n) {
  if (taps == 1) return 4;
  if (n == 32) return parts(f) == 1 ? 18 : 6;
  return parts(f) == 1 ? 9 : 4;
}

// shared_bytes returns the dynamic shared memory of a launch. What lies there is declared in conv_image.cuh,
// conv_sm80.cuh and conv_sm90.cuh.
constexpr size_t shared_bytes(const Kernel& k) {
  const int map = k.format == Format::tf32 || k.format == Format::f32 ? 4 : 2;  // bytes of an element of a map
  const size_t plane = size_t(patch_plane(k.taps, k.stride)) * 16;
  if (k.resident) {
    const size_t weights = size_t(k.taps) * k.channels * k.n * 2, patch = plane * (k.channels / 8);
    const size_t slabs = 3 * (k.channels / 32);
    return align(weights + k.teams * (patch + k.channels * 8 + 4 * k.split * 16) + slabs * 8, 128);
  }
  if (k.image && map == 2) return 8 * sizeof(Moments);
  const size_t patch = 2 * parts(k.format) * kPhaseChunks * plane;
  const size_t stage = size_t(kTilePixels) * (k.n + 16 / map) * map, planar = size_t(k.n) * (kTilePixels + 4) * 4;
  const size_t weights = size_t(ring_taps(k.format, k.taps, k.n)) * parts(k.format) * kPhaseChunks * k.n * 16;
  const size_t work = patch > stage ? patch : stage;
  return (work > planar ? work : planar) + weights + kListed * sizeof(Task) + 2 * 8 * 16 + kMaxChannels * 8 +
         size_t(k.n) * 4 + align(k.image ? 2 * kImageSquare * 4 : 16, 16);
}

// Kernels with few registers fit more than twice: `light` blocks. APEXX_KERNELS calls X(name, format, taps, stride,
// image, n, blocks) for every kernel that takes any number of channels, and R(name, format, stride, channels, n, teams,
// split, normalises) for every one whose weights stay.
#define APEXX_KERNELS_OF(X, f, light)               \
  X(conv_##f##_image_n32, f, 1, 1, true, 32, light) \
  X(conv_##f##_image_n64, f, 1, 1, true, 64, light) \
  X(conv_##f##_1x1_n32, f, 1, 1, false, 32, light)  \
  X(conv_##f##_1x1_n64, f, 1, 1, false, 64, 2)      \
  X(conv_##f##_3x3_n32, f, 9, 1, false, 32, 2)      \
  X(conv_##f##_3x3_n64, f, 9, 1, false, 64, 2)      \
  X(conv_##f##_3x3s2_n32, f, 9, 2, false, 32, 2)    \
  X(conv_##f##_3x3s2_n64, f, 9, 2, false, 64, 2)
#define APEXX_RESIDENT_OF(R, f)                                 \
  R(conv_##f##_sm90_3x3_96_96, f, 1, 96, 96, 3, 1, false)       \
  R(conv_##f##_sm90_norm_3x3_96_96, f, 1, 96, 96, 3, 1, true)   \
  R(conv_##f##_sm90_norm_3x3s2_64_64, f, 2, 64, 64, 3, 1, true) \
  R(conv_##f##_sm90_norm_3x3s2_64_64_w2, f, 2, 64, 64, 1, 2, true)
#define APEXX_KERNELS(X, R)    \
  APEXX_KERNELS_OF(X, f16, 3)  \
  APEXX_KERNELS_OF(X, bf16, 3) \
  APEXX_KERNELS_OF(X, tf32, 2) \
  APEXX_KERNELS_OF(X, f32, 2)  \
  APEXX_RESIDENT_OF(R, f16)    \
  APEXX_RESIDENT_OF(R, bf16)

// kKernels is the launch table; launch.go has the same one.
#define APEXX_X(name, f, taps, stride, image, n, blocks) \
  {#name, Format::f, taps, stride, image, n, 0, 1, 1, false, blocks, !image},
#define APEXX_R(name, f, stride, channels, n, teams, split, normalises) \
  {#name, Format::f, 9, stride, false, n, channels, teams, split, true, 1, normalises},
constexpr Kernel kKernels[] = {APEXX_KERNELS(APEXX_X, APEXX_R)};
#undef APEXX_X
#undef APEXX_R

}  // namespace apexx::conv
