// Tests of everything that needs no GPU: geometry, schedule, formats, moments, and the plain convolution the kernels
// are compared with. Exits 1 after the first failed expectation of each test.
//
//   host_test            runs the tests
//   host_test --golden   prints launch table, formats and schedules, which the Go package must reproduce
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <random>
#include <set>
#include <vector>

#include "../conv.h"
#include "../conv_plain.h"
#include "../moments.h"
#include "../norm.h"

using namespace apexx;
using namespace apexx::conv;

namespace {

int failures = 0;

#define EXPECT(condition, ...)                                      \
  if (!(condition)) {                                               \
    failures++;                                                     \
    printf("%s:%d: expected %s; ", __FILE__, __LINE__, #condition); \
    printf(__VA_ARGS__);                                            \
    printf("\n");                                                   \
    return;                                                         \
  }

// Eight neighbouring outputs of a row must read eight neighbouring cells for every tap, rows at an equal distance: that
// is what lets the matrix unit read any tap straight out of the patch.
template <int kTaps, int kStride>
void test_patch_is_contiguous_for_every_tap() {
  using P = Patch<kTaps, kStride>;
  for (int tap = 0; tap < kTaps; tap++)
    for (int y = 0; y < kTile; y++)
      for (int x = 0; x < kTile; x++) {
        const int want = P::cell(tap / 3, tap % 3) + y * kStride * P::kPitch + x;
        const int got = P::cell(y * kStride + tap / 3, x * kStride + tap % 3);
        EXPECT(got == want, "stride %d, tap %d, pixel (%d, %d): cell %d, want %d", kStride, tap, y, x, got, want);
      }
  std::set<int> cells;
  for (int row = 0; row < P::kSide; row++)
    for (int column = 0; column < P::kSide; column++) cells.insert(P::cell(row, column));
  EXPECT(int(cells.size()) == P::kSide * P::kSide, "stride %d: %zu cells for %d pixels", kStride, cells.size(),
         P::kSide * P::kSide);
  EXPECT(*cells.rbegin() < P::kPlane, "stride %d: cell %d, plane of %d", kStride, *cells.rbegin(), P::kPlane);
}

// A quarter of a warp stores four chunks of two neighbouring pixels: eight 16-byte cells in the eight groups of four
// banks. At stride 2 the planes cannot be laid so for both an even column and the next, and an odd one and the next;
// even columns have it.
template <int kTaps, int kStride>
void test_patch_stores_meet_no_bank_twice() {
  using P = Patch<kTaps, kStride>;
  for (int column = 0; column + 1 < P::kSide; column += kStride) {
    std::set<int> banks;
    for (int chunk = 0; chunk < kPhaseChunks; chunk++)
      for (int i = 0; i < 2; i++) banks.insert((chunk * P::kPlane + P::cell(0, column + i)) % 8);
    EXPECT(banks.size() == 8, "stride %d, column %d: %zu groups of banks", kStride, column, banks.size());
  }
}

void test_packed_is_a_permutation(Format f) {
  const int in = 96, out = 32, taps = 9, elements = packed_cells(f, out, in, taps) / parts(f) * cell_channels(f);
  EXPECT(elements == in * out * taps, "%d elements, want %d", elements, in * out * taps);
  std::vector<bool> seen(elements);
  for (int n = 0; n < out; n++)
    for (int c = 0; c < in; c++)
      for (int tap = 0; tap < taps; tap++) {
        const int i = packed_at(f, out, n, c, taps, tap);
        EXPECT(i >= 0 && i < elements && !seen[i], "n %d, c %d, tap %d: place %d", n, c, tap, i);
        seen[i] = true;
      }
}

// Maps of a launch by their sides, and tasks of output channels of each.
struct Maps {
  std::vector<std::pair<int, int>> sides;
  int channel_tasks;
};

// jobs_of makes jobs whose addresses are numbers: weights differ from group to group of `shared` maps.
std::vector<Job> jobs_of(const Maps& maps, int shared) {
  static char memory[1];
  static Moments moments[1];
  std::vector<Job> jobs;
  for (size_t m = 0; m < maps.sides.size(); m++)
    for (int n = 0; n < maps.channel_tasks; n++) {
      Task t = {};
      t.in = memory, t.weights = reinterpret_cast<const void*>(uintptr_t(1 + m / shared));
      t.moments = reinterpret_cast<Moments*>(reinterpret_cast<uintptr_t>(moments) + m * 1000000);
      t.height = int16_t(maps.sides[m].first), t.width = int16_t(maps.sides[m].second);
      t.first = int16_t(64 * n), t.valid = 64;
      jobs.push_back({t, int(m)});
    }
  return jobs;
}

// Every tile of every job belongs to exactly one block, no block has more than the schedule says, and the schedule says
// the least possible; pieces are written by one team of one block each.
void test_schedule(const Maps& maps, int shared, int most, int teams, bool resident) {
  const std::vector<Job> jobs = jobs_of(maps, shared);
  const Schedule s = schedule(jobs, most, teams, resident);
  size_t tiles = 0;
  for (const Job& j : jobs) tiles += tiles_of(j.task);
  const int groups = resident ? int((maps.sides.size() + shared - 1) / shared) : 1;
  EXPECT(s.blocks <= std::max(most, groups), "%d blocks of at most %d", s.blocks, most);
  EXPECT(s.tasks.size() == size_t(s.blocks) * s.most_tasks, "%zu slots", s.tasks.size());
  std::set<std::vector<int>> seen;
  std::set<std::pair<const void*, int>> writers;  // piece and team
  std::set<const void*> pieces;
  for (int b = 0; b < s.blocks; b++)
    for (int i = 0; i < s.most_tasks; i++) {
      const Task& t = s.tasks[size_t(b) * s.most_tasks + i];
      if (t.in == nullptr) continue;
      const Task& first = s.tasks[size_t(b) * s.most_tasks];
      EXPECT(first.in != nullptr, "block %d has task %d but none before", b, i);
      EXPECT(!resident || t.weights == first.weights, "block %d has several sets of weights", b);
      const auto map =
          (reinterpret_cast<uintptr_t>(t.moments) - reinterpret_cast<uintptr_t>(jobs[0].task.moments)) / 1000000;
      EXPECT(seen.insert({int(map), t.first, t.y, t.x}).second, "block %d, task %d: twice", b, i);
      EXPECT(t.y < t.height && t.x < t.width, "block %d, task %d at (%d, %d)", b, i, t.y, t.x);
      writers.insert({t.moments, b * teams + i % teams}), pieces.insert(t.moments);
    }
  size_t done = 0, all_pieces = 0;
  for (const Task& t : s.tasks) done += t.in != nullptr;
  for (int p : s.pieces) all_pieces += p;
  EXPECT(done == tiles, "%zu tasks, want %zu", done, tiles);
  EXPECT(writers.size() == pieces.size(), "%zu writers of %zu pieces", writers.size(), pieces.size());
  EXPECT(pieces.size() == all_pieces, "%zu pieces, said to be %zu", pieces.size(), all_pieces);
  if (s.most_tasks > 1 && !resident)
    EXPECT((tiles + s.most_tasks - 2) / (s.most_tasks - 1) > size_t(most), "%d tasks would do", s.most_tasks - 1);
}

// Pieces of very different size, mean and deviation, some empty, against two passes in double precision; the mean is
// large beside the deviation, where a difference of sums of squares would leave nothing.
void test_moments_combine() {
  std::mt19937 random(1);
  std::normal_distribution<double> normal;
  std::vector<double> all;
  Moments piece[7];
  const int sizes[7] = {1, 640, 0, 17, 3000, 2, 0};
  for (int i = 0; i < 7; i++) {
    std::vector<double> x(sizes[i]);
    for (double& v : x) v = 1000 + i + normal(random);
    const plain::Statistics s(x);
    piece[i] = {float(sizes[i]), float(s.mean), float(s.m2)};
    all.insert(all.end(), x.begin(), x.end());
  }
  const plain::Statistics want(all);
  const Moments m = combine(piece);
  EXPECT(m.n == float(all.size()), "n %g, want %zu", m.n, all.size());
  EXPECT(fabs(m.mean - want.mean) < 2e-4, "mean %.9g, want %.9g", m.mean, want.mean);
  EXPECT(fabs(m.m2 / want.m2 - 1) < 2e-3, "m2 %.9g, want %.9g", m.m2, want.m2);
  const Moments none = combine<2>({{0, 0, 0}, {0, 0, 0}});
  EXPECT(none.n == 0 && none.mean == 0 && none.m2 == 0, "nothing has moments %g %g %g", none.n, none.mean, none.m2);
}

// A weight at one tap alone shifts the map; a map of ones counts the taps that lie inside.
void test_plain_convolution() {
  for (int stride : {1, 2}) {
    const plain::Size size = {5, 6}, to = plain::strided(size, stride);
    std::vector<float> in(size_t(size.pixels()) * 2);
    for (size_t i = 0; i < in.size(); i++) in[i] = float(i);
    for (int tap = 0; tap < 9; tap++) {
      std::vector<float> weights(3 * 2 * 9);
      weights[(1 * 2 + 1) * 9 + tap] = 2;  // output channel 1, input channel 1
      const std::vector<double> out = plain::convolve(size, 9, stride, 2, 3, in, weights);
      for (int y = 0; y < to.height; y++)
        for (int x = 0; x < to.width; x++)
          for (int n = 0; n < 3; n++) {
            const int iy = y * stride + tap / 3 - 1, ix = x * stride + tap % 3 - 1;
            const bool inside = n == 1 && iy >= 0 && iy < size.height && ix >= 0 && ix < size.width;
            const double want = inside ? 2.0 * in[(iy * size.width + ix) * 2 + 1] : 0.0;
            const double got = out[(y * to.width + x) * 3 + n];
            EXPECT(got == want, "stride %d, tap %d, (%d, %d), channel %d: %g, want %g", stride, tap, y, x, n, got,
                   want);
          }
    }
    const std::vector<double> count =
        plain::convolve(size, 9, stride, 2, 1, std::vector<float>(in.size(), 1), std::vector<float>(2 * 9, 1));
    EXPECT(count[0] == 8, "stride %d: the corner counts %g values, want 4 taps of 2 channels", stride, count[0]);
  }
  const std::vector<double> one = plain::convolve({1, 2}, 1, 1, 2, 1, {1, 2, 3, 4}, {10, 1});
  EXPECT(one[0] == 12 && one[1] == 34, "one tap: %g and %g", one[0], one[1]);
}

void test_plain_normalisation() {
  const std::vector<double> out = plain::normalise({1, 3, 1, 3}, {2}, {0.5}, 0);
  for (int i = 0; i < 4; i++) {
    const double want = (i % 2 ? 1 : -1) * 2 + 0.5;
    EXPECT(fabs(out[i] - want) < 1e-6, "value %d: %g, want %g", i, out[i], want);
  }
  EXPECT(fabs(plain::silu(1) - 0.731058579) < 1e-9, "silu(1) = %.9g", plain::silu(1));
}

void test_cut() {
  for (int cells : {1, 512, 513, 5000}) {
    norm::Apply map = {};
    map.cells = cells;
    std::vector<norm::Apply> blocks;
    norm::cut(map, blocks);
    int next = 0;
    for (const norm::Apply& b : blocks) {
      EXPECT(b.first == next && b.cells > 0 && b.cells <= norm::kBlockCells, "block at %d of %d cells", b.first,
             b.cells);
      next += b.cells;
    }
    EXPECT(next == cells, "%d cells, want %d", next, cells);
  }
}

const Maps kPyramid = {{{64, 64}, {32, 32}, {16, 16}, {8, 8}, {4, 4}, {64, 64}, {32, 32}, {16, 16}, {8, 8}, {4, 4}}, 1};

// print_golden says what the Go package must say too.
void print_golden() {
  for (const Kernel& k : kKernels)
    printf(
        "kernel %s taps %d stride %d image %d n %d channels %d teams %d split %d resident %d blocks %d norm %d threads "
        "%d shared %zu\n",
        k.name, k.taps, k.stride, k.image, k.n, k.channels, k.teams, k.split, k.resident, k.blocks, k.normalises,
        k.threads(), shared_bytes(k));
  for (const Kernel& k : kKernels) {
    const int in = k.image ? 27 : k.resident ? k.channels : 72;
    uint64_t hash = 14695981039346656037u;  // FNV-1a of all places
    for (int o = 0; o < k.n; o++)
      for (int c = 0; c < in; c++)
        for (int tap = 0; tap < k.taps; tap++)
          hash = (hash ^ uint64_t(packed_at(k.format, k.n, o, c, k.taps, tap))) * 1099511628211u;
    printf("pack %s in %d bytes %d places %016llx\n", k.name, in, packed_cells(k.format, k.n, in, k.taps) * 16,
           static_cast<unsigned long long>(hash));
  }
  auto print = [](const char* name, const Maps& maps, int shared, int most, int teams, bool resident) {
    const std::vector<Job> jobs = jobs_of(maps, shared);
    const Schedule s = schedule(jobs, most, teams, resident);
    printf("schedule %s blocks %d most %d pieces", name, s.blocks, s.most_tasks);
    for (int p : s.pieces) printf(" %d", p);
    printf("\n");
    for (const Task& t : s.tasks) {
      if (t.in == nullptr) {
        printf("-\n");
        continue;
      }
      printf("%dx%d y %d x %d first %d weights %d moments %d\n", t.height, t.width, t.y, t.x, t.first,
             int(reinterpret_cast<uintptr_t>(t.weights)),
             int(reinterpret_cast<uintptr_t>(t.moments) - reinterpret_cast<uintptr_t>(jobs[0].task.moments)));
    }
  };
  print("pyramid", kPyramid, 5, 20, 3, true);
  print("streams", {{{20, 30}, {7, 9}}, 2}, 1, 8, 1, false);
  print("small", {{{4, 4}}, 3}, 1, 264, 1, false);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1 && strcmp(argv[1], "--golden") == 0) return print_golden(), 0;
  test_patch_is_contiguous_for_every_tap<1, 1>();
  test_patch_is_contiguous_for_every_tap<9, 1>();
  test_patch_is_contiguous_for_every_tap<9, 2>();
  test_patch_stores_meet_no_bank_twice<1, 1>();
  test_patch_stores_meet_no_bank_twice<9, 1>();
  test_patch_stores_meet_no_bank_twice<9, 2>();
  for (Format f : {Format::f16, Format::bf16, Format::tf32, Format::f32}) test_packed_is_a_permutation(f);
  for (int most : {7, 78, 132, 264}) {
    test_schedule(kPyramid, 5, most, 3, true), test_schedule(kPyramid, 5, most, 1, false);
    test_schedule({{{128, 128}}, 2}, 1, most, 1, false), test_schedule({{{13, 70}}, 1}, 1, most, 2, true);
  }
  test_moments_combine();
  test_plain_convolution();
  test_plain_normalisation();
  test_cut();
  printf(failures ? "%d tests failed\n" : "ok\n", failures);
  return failures ? 1 : 0;
}
