// Tests of everything that needs no GPU: geometry, schedule, formats, moments, and the plain convolution the kernels
// are compared with. Exits 1 after the first failed expectation of each test.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <random>
#include <set>
#include <vector>

#include "../conv3x3.h"
#include "../conv3x3_plain.h"
#include "../moments.h"

using namespace apexx;
using namespace apexx::conv3x3;

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
template <int kStride>
void test_patch_is_contiguous_for_every_tap() {
  using P = Patch<64, kStride>;
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
template <int kStride>
void test_patch_stores_meet_no_bank_twice() {
  using P = Patch<64, kStride>;
  for (int column = 0; column + 1 < P::kSide; column += kStride) {
    std::set<int> banks;
    for (int chunk = 0; chunk < kPhaseChunks; chunk++)
      for (int i = 0; i < 2; i++) banks.insert((chunk * P::kPlane + P::cell(0, column + i)) % 8);
    EXPECT(banks.size() == 8, "stride %d, column %d: %zu groups of banks", kStride, column, banks.size());
  }
}

void test_packed_is_a_permutation() {
  constexpr int kIn = 96, kOut = 32;
  std::vector<bool> seen(kIn * kOut * kTaps);
  for (int n = 0; n < kOut; n++)
    for (int c = 0; c < kIn; c++)
      for (int tap = 0; tap < kTaps; tap++) {
        const int i = packed(kOut, n, c, tap);
        EXPECT(i >= 0 && i < int(seen.size()) && !seen[i], "n %d, c %d, tap %d: place %d", n, c, tap, i);
        seen[i] = true;
      }
}

// Every tile of every branch belongs to exactly one block, no block has more than the plan says, and the plan says the
// least possible.
void test_spread(int side, int stride, const std::vector<int>& branches, int most) {
  Plan plan{};
  for (int s = side; s >= side / 16; s /= 2) add_level(plan, s, s, stride);
  int all = 0;
  for (int levels : branches) add_branch(plan, levels), all += plan.branch[plan.branches - 1].tiles;
  spread(plan, most);
  EXPECT(plan.blocks <= most, "side %d: %d blocks of at most %d", side, plan.blocks, most);
  EXPECT(plan.most_tiles >= (all + most - 1) / most, "side %d: %d tiles of a block", side, plan.most_tiles);
  int next_block = 0;
  for (int b = 0; b < plan.branches; b++) {
    const Branch& branch = plan.branch[b];
    EXPECT(branch.first_block == next_block, "branch %d begins at block %d, want %d", b, branch.first_block,
           next_block);
    next_block += branch.blocks;
    EXPECT(first_tile_of(branch, 0) == 0 && first_tile_of(branch, branch.blocks) == branch.tiles, "branch %d", b);
    for (int i = 0; i < branch.blocks; i++) {
      const int tiles = first_tile_of(branch, i + 1) - first_tile_of(branch, i);
      EXPECT(tiles >= 1 && tiles <= plan.most_tiles, "branch %d, block %d: %d tiles", b, i, tiles);
    }
    std::set<std::vector<int>> pixels;
    for (int i = 0; i < branch.tiles; i++) {
      const Tile t = tile_at(plan, i);
      EXPECT(t.level < branch.levels, "tile %d of branch %d is on level %d", i, b, t.level);
      for (int y = t.y; y < t.y + kTile && y < plan.level[t.level].height; y++)
        for (int x = t.x; x < t.x + kTile && x < plan.level[t.level].width; x++)
          EXPECT(pixels.insert({t.level, y, x}).second, "pixel (%d, %d) of level %d twice", y, x, t.level);
    }
    size_t want = 0;
    for (int l = 0; l < branch.levels; l++) want += size_t(plan.level[l].height) * plan.level[l].width;
    EXPECT(pixels.size() == want, "branch %d: %zu pixels, want %zu", b, pixels.size(), want);
  }
  EXPECT(next_block == plan.blocks, "%d blocks, want %d", next_block, plan.blocks);
  if (plan.most_tiles > 1) {  // one tile less for the fullest block would need too many blocks
    int blocks = 0;
    for (int b = 0; b < plan.branches; b++)
      blocks += (plan.branch[b].tiles + plan.most_tiles - 2) / (plan.most_tiles - 1);
    EXPECT(blocks > most, "%d tiles would do with %d blocks", plan.most_tiles - 1, blocks);
  }
}

// Levels know where the moments of their input are: the tiles of the producer's plan.
void test_input_tiles_are_the_producers() {
  Plan producer{}, consumer{};
  for (int s = 64; s >= 4; s /= 2) add_level(producer, s, s, 1), add_level(consumer, s, s, 2);
  for (int l = 0; l < producer.levels; l++) {
    EXPECT(consumer.level[l].in_first_tile == producer.level[l].first_tile, "level %d begins at %d, want %d", l,
           consumer.level[l].in_first_tile, producer.level[l].first_tile);
    EXPECT(consumer.level[l].in_tiles == level_tiles(producer.level[l]), "level %d has %d, want %d", l,
           consumer.level[l].in_tiles, level_tiles(producer.level[l]));
  }
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
    double mean = 0, m2 = 0;
    for (double& v : x) v = 1000 + i + normal(random), mean += v / sizes[i];
    for (double v : x) m2 += (v - mean) * (v - mean);
    piece[i] = {float(sizes[i]), float(mean), float(m2)};
    all.insert(all.end(), x.begin(), x.end());
  }
  double mean = 0, m2 = 0;
  for (double v : all) mean += v / double(all.size());
  for (double v : all) m2 += (v - mean) * (v - mean);
  const Moments m = combine(piece);
  EXPECT(m.n == float(all.size()), "n %g, want %zu", m.n, all.size());
  EXPECT(fabs(m.mean - mean) < 2e-4, "mean %.9g, want %.9g", m.mean, mean);
  EXPECT(fabs(m.m2 / m2 - 1) < 2e-3, "m2 %.9g, want %.9g", m.m2, m2);
  const Moments none = combine<2>({{0, 0, 0}, {0, 0, 0}});
  EXPECT(none.n == 0 && none.mean == 0 && none.m2 == 0, "nothing has moments %g %g %g", none.n, none.mean, none.m2);
}

// A weight at one tap alone shifts the map; a map of ones counts the taps that lie inside.
void test_plain_convolution() {
  for (int stride : {1, 2}) {
    Plan plan{};
    add_level(plan, 5, 6, stride), add_level(plan, 2, 3, stride);
    const Level &l = plan.level[1], &last = plan.level[1];
    std::vector<float> in(size_t(last.in_first + last.in_height * last.in_width) * 2);
    for (size_t i = 0; i < in.size(); i++) in[i] = float(i);
    for (int tap = 0; tap < kTaps; tap++) {
      std::vector<float> weights(3 * 2 * kTaps);
      weights[(1 * 2 + 1) * kTaps + tap] = 2;  // output channel 1, input channel 1
      const std::vector<double> out = plain::convolve(plan, 2, stride, 2, 3, in, weights);
      for (int y = 0; y < l.height; y++)
        for (int x = 0; x < l.width; x++)
          for (int n = 0; n < 3; n++) {
            const int iy = y * stride + tap / 3 - 1, ix = x * stride + tap % 3 - 1;
            const bool inside = n == 1 && iy >= 0 && iy < l.in_height && ix >= 0 && ix < l.in_width;
            const double want = inside ? 2.0 * in[(l.in_first + iy * l.in_width + ix) * 2 + 1] : 0.0;
            const double got = out[(l.first_pixel + y * l.width + x) * 3 + n];
            EXPECT(got == want, "stride %d, tap %d, (%d, %d), channel %d: %g, want %g", stride, tap, y, x, n, got,
                   want);
          }
    }
    const std::vector<double> count =
        plain::convolve(plan, 2, stride, 2, 1, std::vector<float>(in.size(), 1), std::vector<float>(2 * kTaps, 1));
    EXPECT(count[0] == 8, "stride %d: the corner counts %g values, want 4 taps of 2 channels", stride, count[0]);
  }
}

void test_plain_normalisation() {
  Plan plan{};
  add_level(plan, 2, 2, 1);
  const std::vector<float> out =
      plain::normalise(plan, 1, 1, {1, 3, 1, 3}, {2}, {0.5}, 0, [](double x) { return float(x); });
  for (int i = 0; i < 4; i++) {
    const double v = (i % 2 ? 1 : -1) * 2 + 0.5, want = v / (1 + exp(-v));
    EXPECT(fabs(out[i] - want) < 1e-6, "value %d: %g, want %g", i, out[i], want);
  }
}

}  // namespace

int main() {
  test_patch_is_contiguous_for_every_tap<1>();
  test_patch_is_contiguous_for_every_tap<2>();
  test_patch_stores_meet_no_bank_twice<1>();
  test_patch_stores_meet_no_bank_twice<2>();
  test_packed_is_a_permutation();
  for (int side : {16, 48, 64, 128, 256})
    for (int most : {7, 78, 132}) test_spread(side, 1, {5, 5, 5, 1, 1}, most);
  test_spread(256, 2, {1}, 132);
  test_spread(64, 1, {5}, 1);
  test_input_tiles_are_the_producers();
  test_moments_combine();
  test_plain_convolution();
  test_plain_normalisation();
  printf(failures ? "%d tests failed\n" : "ok\n", failures);
  return failures ? 1 : 0;
}
