// Plugins over ../ops_select.cuh: which tiles are chosen, split, and in which order they are scanned (backends/graph defines them).
#pragma once

#include "call.h"
#include "fields.h"
#include "op_tiles.h"

namespace apexx::plugin {

constexpr int kTilesThreads = 128;

class GreedySelect : public Named<GreedySelect> {
 public:
  static constexpr char kName[] = "GreedySelect";

  void fields(Fields& f) override { f.integer("count", &count_); }
  void check() const override { require(count_ >= 1, "count is %d, want at least 1", count_); }
  std::vector<Input> inputs(int count) const override {
    require(count == 1, "%d inputs, want 1: utilities", count);
    return {{Role::kNumber, 2}};
  }
  std::vector<Output> outputs() const override { return {{Role::kIndex, {same(0, 0), constant(count_)}}}; }
  void accept(const std::vector<Tensor>& in) const override {
    require(count_ <= in[0].dims[1], "cannot choose %d of %d tiles", count_, integer_of(in[0].dims[1]));
  }
  void compute(Call& c) const override {
    const Tensor& x = c.in(0);
    const GreedySelectArgs args = {c.input<float>(0), c.output<int64_t>(0), integer_of(x.dims[0]), integer_of(x.dims[1]), count_, 0};
    APEXX_LAUNCH(c, greedy_select, Grid{blocks_of(x.size(), kTilesThreads)}, kTilesThreads, args);
  }

 private:
  int count_ = 0;
};

class SplitSelect : public Named<SplitSelect> {
 public:
  static constexpr char kName[] = "SplitSelect";

  void fields(Fields& f) override {
    f.integer("count", &count_);
    f.integer("grid_height", &height_);
    f.integer("grid_width", &width_);
  }
  void check() const override {
    require(count_ >= 1, "count is %d, want at least 1", count_);
    require(height_ >= 1 && width_ >= 1, "the grid %dx%d is empty", height_, width_);
  }
  std::vector<Input> inputs(int count) const override {
    require(count == 2, "%d inputs, want 2: utilities, parents", count);
    return {{Role::kNumber, 2}, {Role::kIndex, 2}};
  }
  std::vector<Output> outputs() const override { return {{Role::kIndex, {same(0, 0), constant(4 * static_cast<int64_t>(count_))}}}; }
  void accept(const std::vector<Tensor>& in) const override {
    expect("utilities", in[0], {in[1].dims[0], static_cast<int64_t>(height_) * width_});
    require(count_ <= in[1].dims[1], "cannot split %d of %d tiles", count_, integer_of(in[1].dims[1]));
  }
  void compute(Call& c) const override {
    const Tensor& parents = c.in(1);
    const SplitSelectArgs args = {c.input<float>(0), c.input<int64_t>(1), c.output<int64_t>(0), integer_of(parents.dims[0]), integer_of(parents.dims[1]), count_,
                                  width_, height_ * width_, 0, c.fault()};
    APEXX_LAUNCH(c, split_select, Grid{blocks_of(parents.size(), kTilesThreads)}, kTilesThreads, args);
  }

 private:
  int count_ = 0, height_ = 0, width_ = 0;
};

// hilbert_distance is the position of a cell on the curve of spec/routing.md 2.2 in a square whose side is a power of two (internal/hilbert).
inline int64_t hilbert_distance(int64_t x, int64_t y, int64_t side) {
  int64_t d = 0;
  for (int64_t s = side / 2; s > 0; s /= 2) {
    const int64_t right = x / s, down = y / s;
    d += s * s * ((3 * right) ^ down);
    x %= s, y %= s;
    if (down != 0) continue;
    if (right == 1) x = s - 1 - x, y = s - 1 - y;
    std::swap(x, y);
  }
  return d;
}

// ranks_of returns the key of every tile of a grid in an order of tiles (graph.TileOrder.Ranks).
inline std::vector<int64_t> ranks_of(const std::string& mode, int64_t h, int64_t w) {
  std::vector<int64_t> list;
  int64_t side = 1;
  while (side < h || side < w) side *= 2;
  for (int64_t y = 0; y < h; y++) {
    for (int64_t x = 0; x < w; x++) {
      list.push_back(mode == "hilbert" ? hilbert_distance(x, y, side)
                     : mode == "l2r"   ? y * w + x
                     : mode == "r2l"   ? y * w + w - 1 - x
                     : mode == "u2d"   ? x * h + y
                     : mode == "d2u"   ? x * h + h - 1 - y
                                       : 2 * (y * w + x * h) + w + h - 2);
    }
  }
  return list;
}

// check_order refuses a grid that is empty or too large, and unknown orders.
inline void check_order(const std::string& mode, int h, int w) {
  require(h >= 1 && w >= 1 && static_cast<int64_t>(h) * w < 1 << 24, "the grid %dx%d is empty or too large", h, w);
  const bool known = mode == "hilbert" || mode == "multi_direction" || mode == "l2r" || mode == "r2l" || mode == "u2d" || mode == "d2u";
  require(known, "mode is %s, want hilbert, multi_direction, l2r, r2l, u2d or d2u", mode.c_str());
}

class TileOrder : public Named<TileOrder> {
 public:
  static constexpr char kName[] = "TileOrder";

  void fields(Fields& f) override {
    f.integer("grid_height", &height_);
    f.integer("grid_width", &width_);
    f.text("mode", &mode_);
  }
  void check() const override { check_order(mode_, height_, width_); }
  std::vector<Input> inputs(int count) const override {
    require(count == 1, "%d inputs, want 1: ids", count);
    return {{Role::kIndex, 2}};
  }
  std::vector<Output> outputs() const override { return {{Role::kIndex, like(0, 2)}}; }
  void accept(const std::vector<Tensor>&) const override {}
  void compute(Call& c) const override {
    const Tensor& ids = c.in(0);
    const TileOrderArgs args = {c.input<int64_t>(0), c.table([&] { return ranks_of(mode_, height_, width_); }), c.output<int64_t>(0), integer_of(ids.dims[0]), integer_of(ids.dims[1]),
                                height_ * width_, 0, c.fault()};
    APEXX_LAUNCH(c, tile_order, Grid{blocks_of(ids.size(), kTilesThreads)}, kTilesThreads, args);
  }

 private:
  int height_ = 0, width_ = 0;
  std::string mode_;
};

}  // namespace apexx::plugin
