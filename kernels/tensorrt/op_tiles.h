// Plugins over ../ops_tiles.cuh. Beside what backends/graph defines they keep the contract of the original's: the tile -1 stands for none, tiles have
// levels, the recurrence has states and both directions.
#pragma once

#include "call.h"
#include "fields.h"

namespace apexx::plugin {

inline int integer_of(int64_t n) { return static_cast<int>(n); }

// tiling_of refuses a map that is not divisible into tiles.
inline Tiling tiling_of(const Tensor& map, int64_t tile) {
  const int64_t h = map.dims[2], w = map.dims[3];
  require(tile >= 1 && h % tile == 0 && w % tile == 0, "a map of %lldx%lld is not divisible into tiles of %lld", static_cast<long long>(h),
          static_cast<long long>(w), static_cast<long long>(tile));
  return {integer_of(w), integer_of(tile), integer_of(w / tile), integer_of(h / tile * (w / tile))};
}

class TileAggregate : public Named<TileAggregate> {
 public:
  static constexpr char kName[] = "TileAggregate";

  void fields(Fields& f) override {
    f.integer("feature_height", &height_);
    f.integer("feature_width", &width_);
    f.integer("tile_size", &tile_);
  }
  void check() const override {
    require(tile_ >= 1 && height_ >= 1 && width_ >= 1 && height_ % tile_ == 0 && width_ % tile_ == 0, "a map of %dx%d is not divisible into tiles of %d", height_,
            width_, tile_);
  }
  std::vector<Input> inputs(int count) const override {
    require(count == 1, "%d inputs, want 1", count);
    return {{Role::kMap, 4}};
  }
  std::vector<Output> outputs() const override { return {{Role::kNumber, {same(0, 0), constant(tiles()), scaled(0, 1, 3, 1)}}}; }
  void accept(const std::vector<Tensor>& in) const override { require(in[0].dims[2] >= 1 && in[0].dims[3] >= 1, "the maps are empty"); }
  void compute(Call& c) const override {
    const Tensor& x = c.in(0);
    const TileAggregateArgs args = {c.input<float>(0), c.output<float>(0), integer_of(x.dims[1]), integer_of(x.dims[2]), integer_of(x.dims[3]), tile_, height_,
                                    width_, tiles(), 0};
    APEXX_LAUNCH(c, tile_aggregate, Grid{x.dims[0] * tiles() * x.dims[1]}, kAggregateThreads, args);
  }

 private:
  int tiles() const { return height_ / tile_ * (width_ / tile_); }

  int height_ = 0, width_ = 0, tile_ = 0;
};

class TilePack : public Named<TilePack> {
 public:
  static constexpr char kName[] = "TilePack";

  void fields(Fields& f) override { f.integer("tile_size", &tile_, false); }
  void check() const override { require(tile_ >= 1, "tile_size is %d, want at least 1", tile_); }
  std::vector<Input> inputs(int count) const override {
    require(count == 2, "%d inputs, want 2: features, ids", count);
    return {{Role::kMap, 4}, {Role::kIndex, 2}};
  }
  std::vector<Output> outputs() const override {
    return {{Role::kMap, {same(0, 0), same(1, 1), same(0, 1), constant(tile_), constant(tile_)}}};
  }
  void accept(const std::vector<Tensor>& in) const override {
    tiling_of(in[0], tile_);
    expect("ids", in[1], {in[0].dims[0], -1});
  }
  void compute(Call& c) const override {
    const Tensor& x = c.in(0);
    const TilePackArgs args = {c.input<float>(0), c.input<int64_t>(1), c.output<float>(0), c.out(0).size(), x.dims[2] * x.dims[3], integer_of(x.dims[1]),
                               integer_of(c.in(1).dims[1]), tiling_of(x, tile_), c.fault()};
    APEXX_LAUNCH(c, tile_pack, Grid{blocks_of(args.n, 256)}, 256, args);
  }

 private:
  int tile_ = 8;
};

// TileSSMScan has after the inputs of the graph's operator a state to start from (initial_state) and, where both directions are merged by a gate, that
// gate; without it the gate is 0.5. The final state of both directions is [B,2,C]. A long sequence may be cut anywhere: the state goes on.
class TileSSMScan : public Named<TileSSMScan> {
 public:
  static constexpr char kName[] = "TileSSMScan";

  void fields(Fields& f) override {
    f.integer("direction", &direction_, false);
    f.real("clamp_value", &limit_, false);
    f.text("merge_mode", &merge_, false);
    f.integer("initial_state", &initial_, false);
  }
  void check() const override {
    require(direction_ >= kForward && direction_ <= kBoth, "direction is %d, want 0 (forwards), 1 (backwards) or 2 (both)", direction_);
    require(limit_ > 0, "clamp_value is %g, want more than 0", limit_);
    require(initial_ == 0 || initial_ == 1, "initial_state is %d, want 0 or 1", initial_);
    require(merge_ == "sum" || merge_ == "avg" || merge_ == "gated", "merge_mode is %s, want sum, avg or gated", merge_.c_str());
  }
  std::vector<Input> inputs(int count) const override {
    const int least = 5 + initial_, most = least + (gated() ? 1 : 0);
    require(count == least || count == most, "%d inputs, want %d%s", count, least, most > least ? " or one more" : "");
    std::vector<Input> list = {{Role::kMap, 3}};
    for (int i = 0; i < 4; i++) list.push_back({Role::kNumber, 1});
    if (initial_) list.push_back({Role::kNumber, both() ? 3 : 2});
    if (count > least) list.push_back({Role::kNumber, 1});
    return list;
  }
  std::vector<Output> outputs() const override {
    std::vector<Size> state = {same(0, 0), same(0, 2)};
    if (both()) state.insert(state.begin() + 1, constant(2));
    return {{Role::kMap, like(0, 3)}, {Role::kMap, state}};
  }
  void accept(const std::vector<Tensor>& in) const override {
    const int64_t batch = in[0].dims[0], channels = in[0].dims[2];
    static const char* const names[] = {"decay", "input_gain", "output_gain", "state_bias"};
    for (int i = 0; i < 4; i++) expect(names[i], in[i + 1], {channels});
    if (initial_ && both()) expect("the initial state", in[5], {batch, 2, channels});
    if (initial_ && !both()) expect("the initial state", in[5], {batch, channels});
    if (static_cast<int>(in.size()) > 5 + initial_) expect("the gate", in.back(), {channels});
  }
  void compute(Call& c) const override {
    const Tensor& x = c.in(0);
    const TileScanArgs scan = {c.input<float>(0), c.input<float>(1), c.input<float>(2), c.input<float>(3), c.input<float>(4), c.output<float>(0),
                               c.output<float>(1), integer_of(x.dims[0]), integer_of(x.dims[1]), integer_of(x.dims[2]), direction_ == kBackward, limit_, 0};
    const Grid grid = {blocks_of(x.dims[0] * x.dims[2], 32)};
    if (!both() && !initial_) {
      APEXX_LAUNCH(c, tile_scan, grid, 32, scan);
      return;
    }
    const int merge = merge_ == "sum" ? kMergeSum : merge_ == "avg" ? kMergeAverage : kMergeGated;
    const TileScanFromArgs args = {scan, initial_ ? c.input<float>(5) : nullptr, c.input<float>(5 + initial_), both(), merge};
    APEXX_LAUNCH(c, tile_scan_from, grid, 32, args);
  }

 private:
  enum { kForward, kBackward, kBoth };

  bool both() const { return direction_ == kBoth; }
  bool gated() const { return both() && merge_ == "gated"; }

  int direction_ = kForward, initial_ = 0;
  float limit_ = 1e4f;
  std::string merge_ = "avg";
};

// TileUnpackFusion has, if levels is 1, the levels [B,k] of the tiles behind their ids: of several tiles over a cell one of a higher level counts later.
class TileUnpackFusion : public Named<TileUnpackFusion> {
 public:
  static constexpr char kName[] = "TileUnpackFusion";

  void fields(Fields& f) override {
    f.integer("blend", &blend_, false);
    f.real("blend_alpha", &weight_, false);
    f.integer("levels", &levels_, false);
  }
  void check() const override {
    require(blend_ == 0 || blend_ == 1, "blend is %d, want 0 or 1", blend_);
    require(levels_ == 0 || levels_ == 1, "levels is %d, want 0 or 1", levels_);
    require(weight_ >= 0 && weight_ <= 1, "blend_alpha is %g, want 0 to 1", weight_);
  }
  std::vector<Input> inputs(int count) const override {
    const int least = 3 + levels_;
    require(count == least || count == least + 1, "%d inputs, want %d or, with alpha, %d", count, least, least + 1);
    std::vector<Input> list = {{Role::kMap, 4}, {Role::kMap, 5}, {Role::kIndex, 2}};
    if (levels_) list.push_back({Role::kIndex, 2});
    if (count > least) list.push_back({Role::kMap, 4});
    return list;
  }
  std::vector<Output> outputs() const override { return {{Role::kMap, like(0, 4)}}; }
  void accept(const std::vector<Tensor>& in) const override {
    const Tensor& x = in[0];
    const int64_t k = in[2].dims[1], tile = in[1].dims[4];
    tiling_of(x, tile);
    expect("packed", in[1], {x.dims[0], k, x.dims[1], tile, tile});
    expect("ids", in[2], {x.dims[0], -1});
    if (levels_) expect("levels", in[3], {x.dims[0], k});
    if (static_cast<int>(in.size()) > 3 + levels_) expect("alpha", in.back(), {x.dims[0], 1, x.dims[2], x.dims[3]});
  }
  void compute(Call& c) const override {
    const Tensor& x = c.in(0);
    const TileUnpackArgs args = {c.input<float>(0), c.input<float>(1), c.input<float>(3 + levels_), c.input<int64_t>(2), c.output<float>(0), x.dims[2] * x.dims[3],
                                 integer_of(x.dims[1]), integer_of(c.in(2).dims[1]), blend_, weight_, tiling_of(x, c.in(1).dims[4]), c.fault()};
    const Grid grid = {x.dims[0] * args.tiling.tiles, blocks_of(x.dims[1], kUnpackChannels)};
    if (levels_) {
      APEXX_LAUNCH(c, tile_unpack_levels, grid, kUnpackThreads, (TileUnpackLevelsArgs{args, c.input<int64_t>(3)}));
    } else {
      APEXX_LAUNCH(c, tile_unpack, grid, kUnpackThreads, args);
    }
  }

 private:
  int blend_ = 0, levels_ = 0;
  float weight_ = 0.5f;
};

}  // namespace apexx::plugin
