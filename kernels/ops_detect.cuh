// Detection: of the dense predictions of a pyramid, cls [B,C,h,w], box [B,4,h,w] and quality [B,1,h,w] for each level, all logits, the pairs of
// an anchor and a class that are kept, and their boxes. Anchors are numbered through, level by level, row by row; pair = anchor·C + class.
//
// A candidate is a key, so that one comparison of integers is the order of candidates:
//
//   key = (bits of its score - bits of the threshold) << key_shift << 32 | ~pair
//
// Scores are ≥ 0, so that their bits have their order; ties go to the lower pair. The shift moves what differs between scores to the top, where
// the ranking looks first. Score and pair can be had back from the key.
//
// detect_select is one launch of three stages. What follows a stage is done by the block that ends it last, which it learns from a counter; the
// result does not depend on which one that is.
//
// 1. All blocks: the keys of all candidates of a level of a sample are appended to its list, in any order: keys are distinct, so that the next
//    stage finds the same ones in any order.
// 2. The last block of a level: the best `top` of its list, sorted, with their boxes. What does not fit into shared memory is first cut by
//    histograms of the keys, from the top bits down.
// 3. The last block of a sample: suppression. The levels are merged by stretches of kStretch candidates. Of a stretch, those that no detection of
//    an earlier stretch overlaps are judged together: K = {j : no i < j in K overlaps j} is found by iterating from all of them, a bit
//    for each; i < j makes the fixed point the only one, and it is what one candidate after the other would give.
//
// The block that is last sets the counters back to 0, as the next run needs them.
//
// detect_decode computes boxes, scores and classes of given pairs, by the very operations of 1 and 2.
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
APEXX_CALLED float score_factor(float v) { return static_cast<float>(logistic(static_cast<double>(v))); }

APEXX_DEVICE float clamped(float v, float limit) { return smaller(larger(v, 0.0f), limit); }

// distance_of and decoded return the box of a cell: distances softplus(clamp(box, -20, 20))·stride from its centre, clamped to the image.
APEXX_CALLED float distance_of(float logit) {
  const double v = smaller(larger(static_cast<double>(logit), -20.0), 20.0);
  return static_cast<float>((v > 0 ? v : 0) + log1p(exp(-fabs(v))));
}

APEXX_DEVICE Box decoded(const Pyramid& p, const Level& l, int64_t sample, int cell) {
  float d[4];
#pragma unroll
  for (int i = 0; i < 4; i++) d[i] = l.box[(sample * 4 + i) * l.cells + cell];
#pragma unroll
  for (int i = 0; i < 4; i++) d[i] = distance_of(d[i]) * l.stride;
  const float x = (cell % l.columns + 0.5f) * l.stride, y = (cell / l.columns + 0.5f) * l.stride;
  return {clamped(x - d[0], p.width), clamped(y - d[1], p.height), clamped(x + d[2], p.width), clamped(y + d[3], p.height)};
}

struct DetectArgs {
  Pyramid pyramid;
  uint64_t* keys;    // [B][all pairs of a sample], the lists of its levels one after the other
  uint64_t* ranked;  // [B][levels][room]: the first `top` are sorted
  Box* boxes;        // of ranked, [B][levels][top]
  int *counts, *level_blocks, *sample_levels;  // [B][levels], [B][levels], [B]: lengths of the lists, blocks and levels that are done; 0 between runs
  int64_t* pairs;    // [B][most]
  int64_t* valid;    // [B]
  Box* kept_boxes;   // [B][most]: of pairs; beyond the valid ones 0
  float* scores;     // [B][most], 0 beyond; null: not wanted
  int64_t* classes;  // [B][most], -1 beyond; null: not wanted
  int64_t pairs_per_sample;
  float score_threshold, overlap_threshold;
  float floor;  // no smaller class logit reaches the threshold
  int top, most, key_shift, room, unused;
};

constexpr int kSelectThreads = 1024, kCollectClasses = 4;  // classes of a thread

// quality_of returns the quality of a cell, a NaN where its box is one.
APEXX_CALLED float quality_of(const Level& l, int64_t sample, int cell) {
  float quality = score_factor(l.quality[sample * l.cells + cell]);
  for (int i = 0; i < 4; i++) {
    const float v = l.box[(sample * 4 + i) * l.cells + cell];
    if (v != v) quality = v;
  }
  return quality;
}

// key_of returns the key of a pair of a cell, 0 if it is no candidate. quality is looked up when it is first needed; -1: not yet.
APEXX_DEVICE uint64_t key_of(const DetectArgs& a, const Level& l, int64_t sample, int cell, int c, float logit, float* quality) {
  if (!(logit >= a.floor)) return 0;
  if (*quality == -1) *quality = quality_of(l, sample, cell);
  const float score = score_factor(logit) * *quality;
  if (!(score >= a.score_threshold)) return 0;
  const unsigned pair = static_cast<unsigned>((l.first + cell) * a.pyramid.classes + c);
  const unsigned rank = (__float_as_uint(score) - __float_as_uint(a.score_threshold)) << a.key_shift;
  return static_cast<uint64_t>(rank) << 32 | (~pair & 0xffffffffu);
}

APEXX_DEVICE int64_t pair_of(uint64_t key) { return static_cast<unsigned>(~key & 0xffffffffu); }

APEXX_DEVICE float score_of(const DetectArgs& a, uint64_t key) {
  return __uint_as_float((static_cast<unsigned>(key >> 32) >> a.key_shift) + __float_as_uint(a.score_threshold));
}

constexpr int kSorted = 4096;          // keys that are sorted in shared memory
constexpr int kDigit = 10, kDigits = 1 << kDigit;  // of a key, for histograms
static_assert(kDigits == kSelectThreads, "a thread has a digit");

// Shared is the shared memory of detect_select.
struct Shared {
  uint64_t keys[kSorted];
  int histogram[kDigits];
  int totals[kSelectThreads / 32];  // of the digits of a warp
  int words[4];
};

// collect appends the keys of kSelectThreads cells and kCollectClasses classes to the list of a level. Its block takes room for all of them at once.
APEXX_DEVICE void collect(const DetectArgs& a, int64_t sample, int number, int first, int* found) {
  const Pyramid& p = a.pyramid;
  const Level& l = p.levels[number];
  const int cell = static_cast<int>(thread_of());
  float logits[kCollectClasses];
#pragma unroll
  for (int k = 0; k < kCollectClasses; k++) {
    const bool exists = cell < l.cells && first + k < p.classes;
    logits[k] = exists ? l.cls[(sample * p.classes + first + k) * l.cells + cell] : NAN;
  }
  if (threadIdx.x == 0) found[0] = 0;
  __syncthreads();
  uint64_t keys[kCollectClasses];
  int own = 0;
  float quality = -1;
#pragma unroll
  for (int k = 0; k < kCollectClasses; k++) {
    keys[k] = key_of(a, l, sample, cell, first + k, logits[k], &quality);
    own += keys[k] != 0;
  }
  int at = own > 0 ? atomicAdd(&found[0], own) : 0;
  __syncthreads();
  if (threadIdx.x == 0 && found[0] > 0) found[1] = atomicAdd(&a.counts[sample * p.count + number], found[0]);
  __syncthreads();
  uint64_t* list = a.keys + sample * a.pairs_per_sample + static_cast<int64_t>(l.first) * p.classes;
  if (own > 0) list += found[1] + at;
#pragma unroll
  for (int k = 0; k < kCollectClasses; k++) {
    if (keys[k] != 0) *list++ = keys[k];
  }
}

// count_from_top replaces the count of each digit by how many keys have this digit or a larger one. A thread for a digit.
APEXX_CALLED void count_from_top(Shared* s) {
  const int t = threadIdx.x, lane = t % 32, warp = t / 32;
  int count = s->histogram[t], total = count;
#pragma unroll
  for (int w = 1; w < 32; w *= 2) {  // count: from this lane on within 2w lanes, total: of all of these
    const int other = __shfl_xor_sync(~0u, total, w);
    if ((lane & w) == 0) count += other;
    total += other;
  }
  if (lane == 0) s->totals[warp] = total;
  __syncthreads();
  const auto add = [](int p, int q) { return p + q; };
  s->histogram[t] = count + warp_all(lane > warp ? s->totals[lane] : 0, add);
  __syncthreads();
}

// least_key returns a number that at least the `top` largest of n keys reach, and no more than `room` ≥ top of them: digit by digit, from the
// top, by a histogram of those keys that agree so far.
APEXX_CALLED uint64_t least_key(const uint64_t* keys, int n, int top, int room, Shared* s) {
  const int t = threadIdx.x;
  uint64_t prefix = 0;
  int above = 0;  // keys with a larger prefix
  for (int from = 64; from > 0;) {
    const int shift = from > kDigit ? from - kDigit : 0;
    const unsigned mask = (1u << (from - shift)) - 1;
    s->histogram[t] = 0;
    __syncthreads();
#pragma unroll 4
    for (int i = t; i < n; i += kSelectThreads) {
      const uint64_t key = keys[i];
      if (from == 64 || key >> from == prefix >> from) atomicAdd(&s->histogram[key >> shift & mask], 1);
    }
    __syncthreads();
    count_from_top(s);
    const int beyond = t + 1 < kDigits ? s->histogram[t + 1] : 0;
    if (above + s->histogram[t] >= top && above + beyond < top) {
      s->words[0] = t;
      s->words[1] = above + beyond;
      s->words[2] = above + s->histogram[t];
    }
    __syncthreads();
    prefix |= static_cast<uint64_t>(s->words[0]) << shift;
    above = s->words[1];
    const bool fits = s->words[2] <= room;
    __syncthreads();
    if (fits) break;
    from = shift;
  }
  return prefix;
}

// bitonic puts n keys, a power of two from 64 on, into descending order by a network. Where the pairs of a stage lie in the 64 keys of a warp, the
// warp alone waits.
APEXX_DEVICE void bitonic(uint64_t* keys, int n) {
  for (int size = 2; size <= n; size *= 2) {
    for (int step = size / 2; step > 0; step /= 2) {
      for (int i = threadIdx.x; i < n / 2; i += kSelectThreads) {
        const int low = 2 * i - (i & (step - 1)), high = low + step;
        const uint64_t x = keys[low], y = keys[high];
        if ((x < y) == ((low & size) == 0)) {
          keys[low] = y;
          keys[high] = x;
        }
      }
      const int next = step > 1 ? step / 2 : size;
      if (step > 32 || next > 32) {
        __syncthreads();
      } else {
        __syncwarp();
      }
    }
  }
  __syncthreads();
}

// sort puts n keys into descending order; behind them there is room up to a power of two from 64 on.
APEXX_CALLED void sort(uint64_t* keys, int n) {
  int size = 64;
  while (size < n) size *= 2;
  for (int i = n + threadIdx.x; i < size; i += kSelectThreads) keys[i] = 0;
  __syncthreads();
  bitonic(keys, size);
}

constexpr int kOwnKeys = kSorted / kSelectThreads;  // of a thread
constexpr int kCrowd = 48;                          // the most keys of a bucket that are compared with each other

// sort_buckets does the same in shared memory, by buckets of equal width between the least and the largest score: it puts each key where its bucket
// begins, and then behind those of the same bucket that are larger. Scores that crowd are left to the network.
APEXX_DEVICE void sort_buckets(Shared* s, int n) {
  const int t = threadIdx.x;
  unsigned *least = reinterpret_cast<unsigned*>(&s->words[2]), *most = least + 1;  // the words before may still be read
  if (t == 0) {
    *least = ~0u;
    *most = 0;
  }
  s->histogram[t] = 0;
  __syncthreads();
  uint64_t own[kOwnKeys];
  int place[kOwnKeys];
  unsigned low = ~0u, high = 0;
#pragma unroll
  for (int k = 0; k < kOwnKeys; k++) {
    const int i = t + k * kSelectThreads;
    own[k] = i < n ? s->keys[i] : 0;
    const unsigned score = static_cast<unsigned>(own[k] >> 32);
    if (i < n && score < low) low = score;
    if (i < n && score > high) high = score;
  }
  low = warp_all(low, [](unsigned p, unsigned q) { return p < q ? p : q; });
  high = warp_all(high, [](unsigned p, unsigned q) { return p > q ? p : q; });
  if (t % 32 == 0) {
    atomicMin(least, low);
    atomicMax(most, high);
  }
  __syncthreads();
  const unsigned base = *least;
  int shift = 0;
  while ((*most - base) >> shift >= kDigits) shift++;
#pragma unroll
  for (int k = 0; k < kOwnKeys; k++) {
    place[k] = static_cast<int>((static_cast<unsigned>(own[k] >> 32) - base) >> shift);
    if (t + k * kSelectThreads < n) atomicAdd(&s->histogram[place[k]], 1);
  }
  __syncthreads();
  if (__syncthreads_or(s->histogram[t] > kCrowd)) {
    sort(s->keys, n);
    return;
  }
  count_from_top(s);
  const int begin = t + 1 < kDigits ? s->histogram[t + 1] : 0;
  __syncthreads();
  s->histogram[t] = begin;
  __syncthreads();
#pragma unroll
  for (int k = 0; k < kOwnKeys; k++) {
    if (t + k * kSelectThreads < n) s->keys[atomicAdd(&s->histogram[place[k]], 1)] = own[k];
  }
  __syncthreads();  // now a bucket's count is where it ends, and that of the next larger one where it begins
#pragma unroll
  for (int k = 0; k < kOwnKeys; k++) {
    if (t + k * kSelectThreads >= n) continue;
    const int bucket = place[k], end = s->histogram[bucket], first = bucket + 1 < kDigits ? s->histogram[bucket + 1] : 0;
    place[k] = first;
#pragma unroll 1
    for (int i = first; i < end; i++) place[k] += s->keys[i] > own[k];
  }
  __syncthreads();
#pragma unroll
  for (int k = 0; k < kOwnKeys; k++) {
    if (t + k * kSelectThreads < n) s->keys[place[k]] = own[k];
  }
  __syncthreads();
}

APEXX_DEVICE int smaller_count(int a, int b) { return a < b ? a : b; }

// best_of copies of a list of n keys at least the best `top`, and at most `room`, to another place, and returns how many.
APEXX_DEVICE int best_of(const uint64_t* list, int n, int top, uint64_t* best, int room, Shared* s) {
  if (n <= room) {
    for (int i = threadIdx.x; i < n; i += kSelectThreads) best[i] = list[i];
    __syncthreads();
    return n;
  }
  const uint64_t least = least_key(list, n, top, room, s);
  if (threadIdx.x == 0) s->words[0] = 0;
  __syncthreads();
#pragma unroll 4
  for (int i = threadIdx.x; i < n; i += kSelectThreads) {
    const uint64_t key = list[i];
    if (key >= least) best[atomicAdd(&s->words[0], 1)] = key;
  }
  __syncthreads();
  return s->words[0];
}

// rank sorts the best of a list and decodes their boxes.
APEXX_DEVICE void rank(const DetectArgs& a, int64_t sample, int number, Shared* s) {
  const Pyramid& p = a.pyramid;
  const Level& l = p.levels[number];
  const int64_t at = sample * p.count + number;
  const int n = a.counts[at], kept = smaller_count(n, a.top);
  const uint64_t* list = a.keys + sample * a.pairs_per_sample + static_cast<int64_t>(l.first) * p.classes;
  uint64_t* ranked = a.ranked + at * a.room;
  if (a.room <= kSorted) {
    sort_buckets(s, best_of(list, n, a.top, s->keys, kSorted, s));
    for (int i = threadIdx.x; i < kept; i += kSelectThreads) ranked[i] = s->keys[i];
  } else {
    sort(ranked, best_of(list, n, a.top, ranked, a.room, s));
  }
  for (int i = threadIdx.x; i < kept; i += kSelectThreads) {
    const uint64_t key = a.room <= kSorted ? s->keys[i] : ranked[i];
    a.boxes[at * a.top + i] = decoded(p, l, sample, static_cast<int>(pair_of(key) / p.classes) - l.first);
  }
}

// area and overlaps tell whether the intersection of two boxes over their union, at least 1e-9, is above a threshold ≥ 0. The quotient is rounded
// as everywhere, but needed only where the product with the threshold is near.
APEXX_DEVICE float area(const Box& b) { return (b.x2 - b.x1) * (b.y2 - b.y1); }

APEXX_DEVICE bool overlaps(const Box& a, const Box& b, float area_a, float threshold) {
  const float w = fmaxf(fminf(a.x2, b.x2) - fmaxf(a.x1, b.x1), 0.0f), h = fmaxf(fminf(a.y2, b.y2) - fmaxf(a.y1, b.y1), 0.0f);
  const float inter = w * h, both = fmaxf(area_a + area(b) - inter, 1e-9f), bound = both * threshold;
  bool above = inter > bound;
  if (fabsf(inter - bound) <= bound * 1e-5f) above = inter / both > threshold;
  return above;
}

constexpr int kStretch = 128, kWords = kStretch / 32;
constexpr int kHeld = 128;  // detections that are held in shared memory; the rest is read back

// Stretch is the shared memory of the suppression, in the place of Shared::keys.
struct Stretch {
  uint64_t windows[kMaxLevels][kStretch];  // the next keys of each level, descending
  uint64_t keys[kStretch];                 // the next of all levels
  Box boxes[kStretch];
  int classes[kStretch];
  unsigned rivals[kStretch][kWords];  // for each candidate those before it that overlap it
  unsigned alive[kWords], chosen[kWords];
  Box held[kHeld];
  int held_classes[kHeld];
  int taken[kMaxLevels];  // of each level, before this stretch
  int fresh[kMaxLevels];  // in this stretch
};
static_assert(sizeof(Stretch) <= sizeof(uint64_t) * kSorted, "it takes the place of the keys");
static_assert(kMaxLevels * kStretch == kSelectThreads, "a thread has a key of a window");

// larger_keys returns how many of kStretch descending keys are larger than a key.
APEXX_DEVICE int larger_keys(const uint64_t* keys, uint64_t key) {
  int at = 0;
#pragma unroll 1
  for (int w = kStretch / 2; w > 0; w /= 2) {
    if (keys[at + w - 1] > key) at += w;
  }
  return at + (keys[at] > key);
}

// merge fills a stretch with the best candidates left, and returns how many there are.
APEXX_DEVICE int merge(const DetectArgs& a, int64_t sample, Stretch* s) {
  const Pyramid& p = a.pyramid;
  const int number = threadIdx.x / kStretch, i = threadIdx.x % kStretch;
  uint64_t key = 0;
  Box box = {};
  if (number < p.count) {
    const int64_t at = sample * p.count + number;
    const int place = s->taken[number] + i;
    if (place < smaller_count(a.counts[at], a.top)) {
      key = a.ranked[at * a.room + place];
      box = a.boxes[at * a.top + place];
    }
    s->windows[number][i] = key;
  }
  if (i == 0) s->fresh[number] = 0;
  __syncthreads();
  if (key != 0) {
    int place = i;
#pragma unroll 1
    for (int other = 0; other < p.count && place < kStretch; other++) {
      if (other != number) place += larger_keys(s->windows[other], key);
    }
    if (place < kStretch) {
      s->keys[place] = key;
      s->boxes[place] = box;
      s->classes[place] = static_cast<int>(pair_of(key) % p.classes);
      atomicAdd(&s->fresh[number], 1);
    }
  }
  __syncthreads();
  int n = 0;
  for (int other = 0; other < p.count; other++) n += s->fresh[other];
  __syncthreads();
  if (i == 0) s->taken[number] += s->fresh[number];
  return n;
}

// compare finds for each of n candidates of a stretch which before it overlap it, and whether one of the detections so far does. A warp for a
// candidate.
APEXX_DEVICE void compare(const DetectArgs& a, int64_t sample, int n, int kept, Stretch* s) {
  const int lane = threadIdx.x % 32;
  const Box* boxes = a.kept_boxes + sample * a.most;
#pragma unroll 1
  for (int j = threadIdx.x / 32; j < n; j += kSelectThreads / 32) {
    const Box own = s->boxes[j];
    const int category = s->classes[j];
    const float size = area(own);
    unsigned dropped = 0;
#pragma unroll 1
    for (int k = 0; k < kept && dropped == 0; k += 32) {
      const int i = k + lane, held = i < kept ? i : 0;
      const Box other = k < kHeld ? s->held[held] : boxes[held];
      const int same = k < kHeld ? s->held_classes[held] : static_cast<int>(a.pairs[sample * a.most + held] % a.pyramid.classes);
      dropped = __ballot_sync(~0u, i < kept && same == category && overlaps(own, other, size, a.overlap_threshold));
    }
    unsigned bits = 0;  // lane w keeps those of word w
#pragma unroll 1
    for (int w = 0; w < kWords && 32 * w < j && dropped == 0; w++) {
      const int i = 32 * w + lane;
      const unsigned found = __ballot_sync(~0u, i < j && s->classes[i] == category && overlaps(own, s->boxes[i], size, a.overlap_threshold));
      if (lane == w) bits = found;
    }
    if (lane < kWords) s->rivals[j][lane] = bits;
    if (lane == 0 && dropped == 0) atomicOr(&s->alive[j / 32], 1u << j % 32);
  }
}

// choose finds which candidates of a stretch are kept. A thread for a candidate.
APEXX_DEVICE void choose(Stretch* s) {
  const int t = threadIdx.x, word = t / 32;
  if (t < kWords) s->chosen[t] = s->alive[t];
  __syncthreads();
  for (bool changed = true; changed;) {
    bool keep = false;
    if (t < kStretch) {
      keep = s->alive[word] >> t % 32 & 1;
      for (int w = 0; w < kWords; w++) keep = keep && (s->rivals[t][w] & s->chosen[w]) == 0;
    }
    __syncthreads();
    const unsigned bits = __ballot_sync(~0u, keep);
    const bool differs = t < kStretch && t % 32 == 0 && bits != s->chosen[word];
    if (differs) s->chosen[word] = bits;
    changed = __syncthreads_or(differs);
  }
}

// suppress writes the detections of a sample.
APEXX_DEVICE void suppress(const DetectArgs& a, int64_t sample, Stretch* s) {
  const Pyramid& p = a.pyramid;
  const int t = threadIdx.x, word = t / 32;
  const int64_t first = sample * a.most;
  if (t < kMaxLevels) s->taken[t] = 0;
  __syncthreads();
  int kept = 0;
  while (kept < a.most) {
    if (t < kWords) s->alive[t] = 0;
    const int n = merge(a, sample, s);
    if (n == 0) break;
    compare(a, sample, n, kept, s);
    __syncthreads();
    choose(s);
    if (t < kStretch && (s->chosen[word] >> t % 32 & 1)) {
      int place = kept + __popc(s->chosen[word] & ((1u << t % 32) - 1));
      for (int w = 0; w < word; w++) place += __popc(s->chosen[w]);
      if (place < a.most) {
        a.pairs[first + place] = pair_of(s->keys[t]);
        a.kept_boxes[first + place] = s->boxes[t];
        if (a.scores) a.scores[first + place] = score_of(a, s->keys[t]);
        if (a.classes) a.classes[first + place] = s->classes[t];
        if (place < kHeld) {
          s->held[place] = s->boxes[t];
          s->held_classes[place] = s->classes[t];
        }
      }
    }
    for (int w = 0; w < kWords; w++) kept += __popc(s->chosen[w]);
    kept = smaller_count(kept, a.most);
    __syncthreads();
  }
  for (int i = kept + t; i < a.most; i += kSelectThreads) {
    a.pairs[first + i] = 0;
    a.kept_boxes[first + i] = {0, 0, 0, 0};
    if (a.scores) a.scores[first + i] = 0;
    if (a.classes) a.classes[first + i] = -1;
  }
  if (t < p.count) a.counts[sample * p.count + t] = 0;
  if (t == 0) a.valid[sample] = kept;
}

// blockIdx.y: level and stretch of classes; blockIdx.z: sample.
APEXX_BLOCK_KERNEL(detect_select, DetectArgs, kSelectThreads) {
  __shared__ Shared s;
  const Pyramid& p = a.pyramid;
  const int number = blockIdx.y % p.count;
  const int64_t b = blockIdx.z, at = b * p.count + number;
  const int blocks = (p.levels[number].cells + kSelectThreads - 1) / kSelectThreads;
  if (static_cast<int>(blockIdx.x) >= blocks) return;
  collect(a, b, number, blockIdx.y / p.count * kCollectClasses, s.words);
  if (!ends_last(&a.level_blocks[at], blocks * (gridDim.y / p.count), s.words)) return;
  rank(a, b, number, &s);
  if (threadIdx.x == 0) a.level_blocks[at] = 0;
  if (!ends_last(&a.sample_levels[b], p.count, s.words)) return;
  if (threadIdx.x == 0) a.sample_levels[b] = 0;
  suppress(a, b, reinterpret_cast<Stretch*>(s.keys));
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
