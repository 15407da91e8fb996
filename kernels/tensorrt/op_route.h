// Plugins over ../ops_route.cuh: what proxies are made of logits, gates of proxies, and the router with the selections that follow it.
#pragma once

#include "../ops_route.cuh"
#include "op_select.h"
#include "regions.h"

namespace apexx::plugin {

// Proxies: logits [B,1,h,w] of boundary, objectness and variance → maps [B,4,h,w], and boundary, objectness, uncertainty, variance [B,1,h,w] alone.
class Proxies : public Named<Proxies> {
 public:
  static constexpr char kName[] = "Proxies";

  void fields(Fields&) override {}
  std::vector<Input> inputs(int count) const override {
    require(count == 3, "%d inputs, want 3: logits of boundary, objectness, variance", count);
    return std::vector<Input>(3, {Role::kNumber, 4});
  }
  std::vector<Output> outputs() const override {
    std::vector<Output> list(5, {Role::kNumber, like(0, 4)});
    list[0].sizes[1] = constant(4);
    return list;
  }
  void accept(const std::vector<Tensor>& in) const override {
    for (const Tensor& t : in) expect("logits", t, {in[0].dims[0], 1, in[0].dims[2], in[0].dims[3]});
  }
  void compute(Call& c) const override {
    constexpr int kThreads = 128;
    const Tensor& x = c.in(0);
    const ProxiesArgs args = {c.input<float>(0), c.input<float>(1), c.input<float>(2), c.output<float>(1), c.output<float>(2), c.output<float>(3), c.output<float>(4),
                              c.output<float>(0), x.size(), x.dims[2] * x.dims[3]};
    APEXX_LAUNCH(c, proxies, Grid{blocks_of(x.size(), kThreads)}, kThreads, args);
  }
};

// Gates: boundary and uncertainty [B,1,h,w], then for each gate its two weights and its bias [1] → gates [B,1,height,width].
class Gates : public Named<Gates> {
 public:
  static constexpr char kName[] = "Gates";

  void fields(Fields& f) override {
    f.integer("gates", &gates_);
    f.integer("height", &height_);
    f.integer("width", &width_);
  }
  void check() const override {
    require(gates_ >= 1 && gates_ <= kMostGates, "gates is %d, want 1 to %d", gates_, kMostGates);
    require(height_ >= 1 && width_ >= 1, "gates of %dx%d are empty", height_, width_);
  }
  std::vector<Input> inputs(int count) const override {
    require(count == 2 + 3 * gates_, "%d inputs, want %d: boundary, uncertainty, two weights and a bias of each gate", count, 2 + 3 * gates_);
    std::vector<Input> list(count, {Role::kNumber, 1});
    list[0].rank = list[1].rank = 4;
    return list;
  }
  std::vector<Output> outputs() const override { return std::vector<Output>(gates_, {Role::kNumber, {same(0, 0), constant(1), constant(height_), constant(width_)}}); }
  void accept(const std::vector<Tensor>& in) const override {
    require(in[0].dims[2] >= 1 && in[0].dims[3] >= 1, "the maps are empty");
    for (int i = 0; i < 2; i++) expect("a proxy", in[i], {in[0].dims[0], 1, in[0].dims[2], in[0].dims[3]});
    for (size_t i = 2; i < in.size(); i++) expect("a weight", in[i], {1});
  }
  void compute(Call& c) const override {
    constexpr int kThreads = 128;
    const Tensor& x = c.in(0);
    GatesArgs args = {};
    args.boundary = c.input<float>(0), args.uncertainty = c.input<float>(1), args.n = x.dims[0] * height_ * width_, args.count = gates_;
    args.in_height = integer_of(x.dims[2]), args.in_width = integer_of(x.dims[3]), args.out_height = height_, args.out_width = width_;
    if (args.in_height != height_ || args.in_width != width_) {
      args.rows = samples_of(c, args.in_height, height_);
      args.columns = samples_of(c, args.in_width, width_);
    }
    for (int g = 0; g < gates_; g++) args.gates[g] = {c.input<float>(2 + 3 * g), c.input<float>(3 + 3 * g), c.input<float>(4 + 3 * g), c.output<float>(g)};
    APEXX_LAUNCH(c, gates, Grid{blocks_of(args.n, kThreads)}, kThreads, args);
  }

 private:
  int gates_ = 0, height_ = 0, width_ = 0;
};

// Route: maps [B,M,h,w], then weights [outputs,inputs] and biases [outputs] of two layers and of the heads of both utilities → utilities and split
// utilities [B,K], the chosen tiles in order of their utilities and in that of their places [B,count], and so the children of those that are split
// [B,4·splits]. K are the tiles of tile_size in a map of feature_height by feature_width, places those of mode in the grid, of
// child_mode in one twice as fine for children.
class Route : public Named<Route> {
 public:
  static constexpr char kName[] = "Route";

  void fields(Fields& f) override {
    f.integer("feature_height", &height_);
    f.integer("feature_width", &width_);
    f.integer("tile_size", &tile_);
    f.integer("count", &count_);
    f.integer("splits", &splits_);
    f.text("mode", &mode_);
    f.text("child_mode", &child_mode_);
  }
  void check() const override {
    require(tile_ >= 1 && height_ >= 1 && width_ >= 1 && height_ % tile_ == 0 && width_ % tile_ == 0, "a map of %dx%d is not divisible into tiles of %d", height_,
            width_, tile_);
    require(tiles() <= kRouteTiles && 4 * splits_ <= kRouteChildren, "%d tiles and %d children, want at most %d and %d", tiles(), 4 * splits_, kRouteTiles,
            kRouteChildren);
    require(splits_ >= 1 && splits_ <= count_ && count_ <= tiles(), "cannot choose %d of %d tiles and split %d", count_, tiles(), splits_);
    check_order(mode_, height_ / tile_, width_ / tile_);
    check_order(child_mode_, 2 * height_ / tile_, 2 * width_ / tile_);
  }
  std::vector<Input> inputs(int count) const override {
    require(count == 9, "%d inputs, want 9: maps, weight and bias of two layers and two heads", count);
    std::vector<Input> list = {{Role::kNumber, 4}};
    for (int i = 0; i < 4; i++) list.insert(list.end(), {{Role::kNumber, 2}, {Role::kNumber, 1}});
    return list;
  }
  std::vector<Output> outputs() const override {
    const auto rows = [](Role role, int64_t n) { return Output{role, {same(0, 0), constant(n)}}; };
    return {rows(Role::kNumber, tiles()), rows(Role::kNumber, tiles()), rows(Role::kIndex, count_), rows(Role::kIndex, count_),
            rows(Role::kIndex, 4 * int64_t{splits_}), rows(Role::kIndex, 4 * int64_t{splits_})};
  }
  void accept(const std::vector<Tensor>& in) const override {
    constexpr int64_t kMostCells = 1 << 21;  // window_along
    const int64_t inputs = 3 * in[0].dims[1], first = in[1].dims[0], second = in[3].dims[0], h = in[0].dims[2], w = in[0].dims[3];
    require(h >= 1 && w >= 1 && (height_ + 1) * h < kMostCells && (width_ + 1) * w < kMostCells, "the maps are empty or too large");
    require(inputs <= kRouteInputs && std::max(first, second) <= kRouteHidden, "layers of %d, %d and %d inputs, want at most %d, %d and %d", integer_of(inputs),
            integer_of(first), integer_of(second), kRouteInputs, kRouteHidden, kRouteHidden);
    const int64_t sizes[4][2] = {{first, inputs}, {second, first}, {1, second}, {1, second}};
    for (int i = 0; i < 4; i++) {
      expect("weights", in[1 + 2 * i], {sizes[i][0], sizes[i][1]});
      expect("a bias", in[2 + 2 * i], {sizes[i][0]});
    }
  }
  void compute(Call& c) const override {
    const Tensor& x = c.in(0);
    const auto layer = [&](int i) { return Layer{c.input<float>(1 + 2 * i), c.input<float>(2 + 2 * i)}; };
    RouteArgs a = {};
    a.maps = c.input<float>(0);
    a.first = layer(0), a.second = layer(1), a.heads[0] = layer(2), a.heads[1] = layer(3);
    a.utilities[0] = c.output<float>(0), a.utilities[1] = c.output<float>(1);
    a.chosen = c.output<int64_t>(2), a.ordered = c.output<int64_t>(3), a.children = c.output<int64_t>(4), a.ordered_children = c.output<int64_t>(5);
    a.order = c.table([&] { return ranks_of(mode_, height_ / tile_, width_ / tile_); });
    a.child_order = c.table([&] { return ranks_of(child_mode_, 2 * height_ / tile_, 2 * width_ / tile_); });
    a.done = c.counters(x.dims[0]);
    a.map_count = integer_of(x.dims[1]), a.height = integer_of(x.dims[2]), a.width = integer_of(x.dims[3]), a.tile = tile_;
    a.feature_height = height_, a.feature_width = width_, a.tiles = tiles();
    a.first_outputs = integer_of(c.in(1).dims[0]), a.second_outputs = integer_of(c.in(3).dims[0]);
    a.count = count_, a.splits = splits_, a.grid_width = width_ / tile_;
    APEXX_LAUNCH(c, route, (Grid{tiles(), x.dims[0]}), kRouteThreads, a);
  }

 private:
  int tiles() const { return height_ / tile_ * (width_ / tile_); }

  int height_ = 0, width_ = 0, tile_ = 0, count_ = 0, splits_ = 0;
  std::string mode_, child_mode_;
};

}  // namespace apexx::plugin
