// Detection: of the dense predictions of a pyramid, cls [B,C,h,w], box [B,4,h,w] and quality [B,1,h,w] for each level, all logits, the pairs of
// an anchor and a class that are kept, and their boxes. Anchors are numbered through, level by level, row by row; pair = anchor·C + class.
//
// A candidate is a key, so that one comparison of integers is the order of candidates:
//
//   key = (bits of its score - bits of the threshold) << key_shift << 32 | ~pair
//
// Scores are ≥ 0, so that their bits have their order; ties go to the lower pair. The shift moves what differs between scores to the top, where
// step 3 looks first.
//
// 1. detect_clear sets the counters of the lists to 0.
// 2. detect_collect appends the keys of all candidates of a level of a sample to its list, in any order: keys are distinct, so that the next
//    step finds the same ones in any order.
// 3. detect_rank, one block for a list, finds the best `top` by bisecting the keys, sorts them, and decodes their boxes.
// 4. detect_suppress, one block for a sample, merges the levels and keeps greedily: of the candidates left the best one, which drops
//    those of its class that overlap it by more than the threshold.
//
// detect_decode computes boxes, scores and classes of given pairs, by the very operations of 2 and 3.
#pragma once

#include "ops.cuh"

namespace apexx {

constexpr int kMaxLevels = 8;

struct Level {
  const float *cls, *box, *quality;
  int cells, columns, first, stride;  // first: the anchor of cell 0
};

struct Pyramid {
  Level levels[kMaxLevels];
  int count, classes, batch, unused;
  float width, height;  // of the image in pixels
};

struct Box {
  float x1, y1, x2, y2;
};

// score_factor is σ(v), in double precision and rounded.
APEXX_DEVICE float score_factor(float v) { return static_cast<float>(logistic(static_cast<double>(v))); }

APEXX_DEVICE float clamped(float v, float limit) { return smaller(larger(v, 0.0f), limit); }

// decoded returns the box of a cell: distances softplus(clamp(box, -20, 20))·stride from its centre, clamped to the image.
APEXX_DEVICE Box decoded(const Pyramid& p, const Level& l, int64_t sample, int cell) {
  float d[4];
  for (int i = 0; i < 4; i++) {
    const double v = smaller(larger(static_cast<double>(l.box[(sample * 4 + i) * l.cells + cell]), -20.0), 20.0);
    d[i] = static_cast<float>((v > 0 ? v : 0) + log1p(exp(-fabs(v)))) * l.stride;
  }
  const float x = (cell % l.columns + 0.5f) * l.stride, y = (cell / l.columns + 0.5f) * l.stride;
  return {clamped(x - d[0], p.width), clamped(y - d[1], p.height), clamped(x + d[2], p.width), clamped(y + d[3], p.height)};
}

struct DetectArgs {
  Pyramid pyramid;
  uint64_t* keys;    // [B][all pairs of a sample], the lists of its levels one after the other
  int* counts;       // [B][levels], the lengths of the lists
  uint64_t* ranked;  // [B][levels][top], sorted
  Box* boxes;        // of ranked
  uint64_t* merged;  // [B][levels·top]
  Box* merged_boxes;
  int64_t* pairs;    // [B][most]
  int64_t* valid;    // [B]
  int64_t pairs_per_sample;
  float score_threshold, overlap_threshold;
  float floor;  // no smaller class logit reaches the threshold
  int top, most, key_shift;
};

APEXX_KERNEL(detect_clear, DetectArgs, 128) {
  const int64_t i = thread_of();
  if (i < static_cast<int64_t>(a.pyramid.batch) * a.pyramid.count) a.counts[i] = 0;
}

constexpr int kCollectClasses = 8, kCollectThreads = 128;  // classes of a thread of detect_collect

// key_of returns the key of a pair of a cell, 0 if it is no candidate. quality is looked up when it is first needed; -1: not yet.
APEXX_DEVICE uint64_t key_of(const DetectArgs& a, const Level& l, int64_t sample, int cell, int c, float* quality) {
  const Pyramid& p = a.pyramid;
  const float logit = l.cls[(sample * p.classes + c) * l.cells + cell];
  if (!(logit >= a.floor)) return 0;
  if (*quality == -1) {
    *quality = score_factor(l.quality[sample * l.cells + cell]);
    for (int i = 0; i < 4; i++) {
      const float v = l.box[(sample * 4 + i) * l.cells + cell];
      if (v != v) *quality = v;
    }
  }
  const float score = score_factor(logit) * *quality;
  if (!(score >= a.score_threshold)) return 0;
  const unsigned pair = static_cast<unsigned>((l.first + cell) * p.classes + c);
  const unsigned rank = (__float_as_uint(score) - __float_as_uint(a.score_threshold)) << a.key_shift;
  return static_cast<uint64_t>(rank) << 32 | (~pair & 0xffffffffu);
}

// blockIdx.y: level and stretch of classes; blockIdx.z: sample. A block takes room for all of its keys at once.
APEXX_BLOCK_KERNEL(detect_collect, DetectArgs, kCollectThreads) {
  __shared__ int found, start;
  const Pyramid& p = a.pyramid;
  const int number = blockIdx.y % p.count, first = blockIdx.y / p.count * kCollectClasses;
  const Level& l = p.levels[number];
  const int64_t b = blockIdx.z, cell = thread_of();
  if (threadIdx.x == 0) found = 0;
  __syncthreads();
  uint64_t keys[kCollectClasses];
  int own = 0;
  float quality = -1;
#pragma unroll
  for (int k = 0; k < kCollectClasses; k++) {
    const bool exists = cell < l.cells && first + k < p.classes;
    keys[k] = exists ? key_of(a, l, b, static_cast<int>(cell), first + k, &quality) : 0;
    own += keys[k] != 0;
  }
  int at = own > 0 ? atomicAdd(&found, own) : 0;
  __syncthreads();
  if (threadIdx.x == 0 && found > 0) start = atomicAdd(&a.counts[b * p.count + number], found);
  __syncthreads();
  uint64_t* list = a.keys + b * a.pairs_per_sample + static_cast<int64_t>(l.first) * p.classes;
  if (own > 0) list += start + at;
#pragma unroll
  for (int k = 0; k < kCollectClasses; k++) {
    if (keys[k] != 0) *list++ = keys[k];
  }
}

constexpr int kRankThreads = 1024;

APEXX_DEVICE int64_t pair_of(uint64_t key) { return static_cast<unsigned>(~key & 0xffffffffu); }

// threshold_key returns a number that the `top` largest of n keys reach, n ≥ top, and no others: eight bits at a time, from the top, by a histogram of
// those keys that agree so far, until those are all among the largest.
APEXX_DEVICE uint64_t threshold_key(const uint64_t* keys, int n, int top, int* histogram) {
  uint64_t prefix = 0;
  for (int shift = 56; shift >= 0; shift -= 8) {
    for (int i = threadIdx.x; i < 256; i += blockDim.x) histogram[i] = 0;
    __syncthreads();
    for (int i = threadIdx.x; i < n; i += blockDim.x) {
      if (shift == 56 || keys[i] >> (shift + 8) == prefix >> (shift + 8)) atomicAdd(&histogram[keys[i] >> shift & 255], 1);
    }
    __syncthreads();
    int digit = 255;
    while (histogram[digit] < top) top -= histogram[digit--];  // every thread for itself
    prefix |= static_cast<uint64_t>(digit) << shift;
    const bool all = histogram[digit] == top;
    __syncthreads();
    if (all) break;
  }
  return prefix;
}

APEXX_BLOCK_KERNEL(detect_rank, DetectArgs, kRankThreads) {
  __shared__ int histogram[256];
  __shared__ int found;
  const Pyramid& p = a.pyramid;
  const int number = blockIdx.x % p.count, n = a.counts[blockIdx.x];
  const int64_t b = blockIdx.x / p.count;
  const Level& l = p.levels[number];
  const uint64_t* list = a.keys + b * a.pairs_per_sample + static_cast<int64_t>(l.first) * p.classes;
  uint64_t* best = a.merged + static_cast<int64_t>(blockIdx.x) * a.top;  // free until the merge
  const int kept = n < a.top ? n : a.top;
  const uint64_t least = n > a.top ? threshold_key(list, n, a.top, histogram) : 0;
  if (threadIdx.x == 0) found = 0;
  __syncthreads();
  for (int i = threadIdx.x; i < n; i += blockDim.x) {
    if (list[i] >= least) best[atomicAdd(&found, 1)] = list[i];
  }
  __syncthreads();
  for (int i = threadIdx.x; i < kept; i += blockDim.x) {
    const uint64_t key = best[i];
    int rank = 0;
    for (int j = 0; j < kept; j++) rank += best[j] > key;
    const int64_t at = static_cast<int64_t>(blockIdx.x) * a.top + rank;
    a.ranked[at] = key;
    a.boxes[at] = decoded(p, l, b, static_cast<int>(pair_of(key) / p.classes) - l.first);
  }
}

// overlap is the intersection over union, the union being at least 1e-9.
APEXX_DEVICE float overlap(const Box& a, const Box& b) {
  const float w = smaller(a.x2, b.x2) - larger(a.x1, b.x1), h = smaller(a.y2, b.y2) - larger(a.y1, b.y1);
  const float inter = larger(w, 0.0f) * larger(h, 0.0f);
  const float both = (a.x2 - a.x1) * (a.y2 - a.y1) + (b.x2 - b.x1) * (b.y2 - b.y1) - inter;
  return inter / larger(both, 1e-9f);
}

// larger_keys returns how many of n descending keys are larger than a key.
APEXX_DEVICE int larger_keys(const uint64_t* keys, int n, uint64_t key) {
  int lo = 0;
  while (lo < n) {
    const int mid = (lo + n) / 2;
    if (keys[mid] > key) {
      lo = mid + 1;
    } else {
      n = mid;
    }
  }
  return lo;
}

// merge puts the sorted lists of the levels of a sample into one and returns its length.
APEXX_DEVICE int merge(const DetectArgs& a, int64_t sample, int64_t first) {
  const Pyramid& p = a.pyramid;
  int n = 0;
  for (int number = 0; number < p.count; number++) {
    const int count = a.counts[sample * p.count + number], own = count < a.top ? count : a.top;
    for (int i = threadIdx.x; i < own; i += blockDim.x) {
      const int64_t at = first + static_cast<int64_t>(number) * a.top + i;
      const uint64_t key = a.ranked[at];
      int place = i;
      for (int other = 0; other < p.count; other++) {
        const int theirs = a.counts[sample * p.count + other];
        const uint64_t* list = a.ranked + first + static_cast<int64_t>(other) * a.top;
        if (other != number) place += larger_keys(list, theirs < a.top ? theirs : a.top, key);
      }
      a.merged[first + place] = key;
      a.merged_boxes[first + place] = a.boxes[at];
    }
    n += own;
  }
  return n;
}

constexpr int kMostCandidates = 1 << 16;  // of a sample, after the levels have been cut to their best

// A thread owns every kRankThreads-th candidate. What it needs of the first kHeld of them stays in registers.
constexpr int kHeld = 6;

// One bit says whether a candidate is left. Candidates are kept in ascending order, so the search for the next one goes on where the last
// one ended, and every thread does it for itself.
APEXX_BLOCK_KERNEL(detect_suppress, DetectArgs, kRankThreads) {
  __shared__ unsigned left[kMostCandidates / 32];
  const Pyramid& p = a.pyramid;
  const int64_t b = blockIdx.x, first = b * p.count * a.top;
  const int t = threadIdx.x, n = merge(a, b, first), words = (n + 31) / 32;
  for (int w = t; w < words; w += kRankThreads) left[w] = n - 32 * w >= 32 ? ~0u : (1u << (n - 32 * w)) - 1;
  __syncthreads();
  const uint64_t* merged = a.merged + first;
  const Box* boxes = a.merged_boxes + first;
  Box own[kHeld];
  int category[kHeld];
#pragma unroll
  for (int k = 0; k < kHeld; k++) {
    const int i = t + k * kRankThreads;
    category[k] = -1;
    if (i >= n) continue;
    own[k] = boxes[i];
    category[k] = static_cast<int>(pair_of(merged[i]) % p.classes);
  }
  int kept = 0, word = 0;
  for (; kept < a.most; kept++) {
    while (word < words && left[word] == 0) word++;
    if (word == words) break;
    int bit = 0;
    while (!(left[word] >> bit & 1)) bit++;
    const int best = 32 * word + bit;
    const int64_t pair = pair_of(merged[best]);
    const int chosen = static_cast<int>(pair % p.classes);
    const Box box = boxes[best];
    if (t == 0) a.pairs[b * a.most + kept] = pair;
    __syncthreads();  // every thread has found it
#pragma unroll
    for (int k = 0; k < kHeld; k++) {
      const int i = t + k * kRankThreads;
      const bool rival = category[k] == chosen && overlap(box, own[k]) > a.overlap_threshold;
      if (i == best || rival) atomicAnd(&left[i / 32], ~(1u << i % 32));
    }
    for (int i = t + kHeld * kRankThreads; i < n; i += kRankThreads) {
      const bool rival = pair_of(merged[i]) % p.classes == chosen && overlap(box, boxes[i]) > a.overlap_threshold;
      if (i == best || rival) atomicAnd(&left[i / 32], ~(1u << i % 32));
    }
    __syncthreads();
  }
  for (int i = kept + t; i < a.most; i += blockDim.x) a.pairs[b * a.most + i] = 0;
  if (t == 0) a.valid[b] = kept;
}

// detect_decode: pairs [B,N], how many of them are valid [B] → boxes [B,N,4], scores [B,N], classes [B,N]; 0, 0 and -1 beyond.
struct DecodeArgs {
  Pyramid pyramid;
  const int64_t *pairs, *valid;
  Box* boxes;
  float* scores;
  int64_t* classes;
  int64_t anchors;
  int rows, unused;
  Fault fault;
};

APEXX_KERNEL(detect_decode, DecodeArgs, 128) {
  const Pyramid& p = a.pyramid;
  const int64_t i = thread_of();
  if (i >= static_cast<int64_t>(p.batch) * a.rows) return;
  const int64_t b = i / a.rows, pair = a.pairs[i];
  a.boxes[i] = {0, 0, 0, 0};
  a.scores[i] = 0;
  a.classes[i] = -1;
  if (i - b * a.rows >= a.valid[b]) return;
  if (pair < 0 || pair >= a.anchors * p.classes) {
    report(a.fault);
    return;
  }
  const int anchor = static_cast<int>(pair / p.classes), category = static_cast<int>(pair % p.classes);
  int number = p.count - 1;
  while (anchor < p.levels[number].first) number--;
  const Level& l = p.levels[number];
  const int cell = anchor - l.first;
  a.boxes[i] = decoded(p, l, b, cell);
  a.scores[i] = score_factor(l.cls[(b * p.classes + category) * l.cells + cell]) * score_factor(l.quality[b * l.cells + cell]);
  a.classes[i] = category;
}

}  // namespace apexx
