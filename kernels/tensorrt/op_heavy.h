// HeavyPath: one level of the heavy path of the model over ../ops_heavy.cuh, where the formulas stand.
#pragma once

#include "../ops_heavy.cuh"
#include "regions.h"

namespace apexx::plugin {

// Inputs: base [B,C,H,W], ids [B,k], alpha [B,1,H,W]; of each recurrence decay, gain of the input, gain of the output and bias [C]: forwards, and with
// bidirectional backwards, then the weights [C] of both; scale and shift [C] of the normalised row, the two layers' weights and biases, those of the
// depthwise and the pointwise convolution, scale and shift [2C] of the group. Output: the map with the tiles in it.
class HeavyPath : public Named<HeavyPath> {
 public:
  static constexpr char kName[] = "HeavyPath";

  void fields(Fields& f) override {
    f.integer("tile_size", &tile_);
    f.integer("bidirectional", &bidirectional_);
    f.real("clamp_value", &limit_);
    f.real("low", &low_);
    f.real("high", &high_);
    f.real("row_epsilon", &row_epsilon_);
    f.real("group_epsilon", &group_epsilon_);
    product_.field("product", f);
    stored_.field("stored", f);
  }
  void check() const override {
    require(tile_ >= 4 && tile_ <= kHeavyTile && tile_ % 4 == 0, "tile_size is %d, want a multiple of 4 up to %d", tile_, kHeavyTile);
    require(bidirectional_ == 0 || bidirectional_ == 1, "bidirectional is %d, want 0 or 1", bidirectional_);
    require(limit_ > 0 && low_ <= high_, "clamp_value is %g, low %g, high %g", limit_, low_, high_);
    require(row_epsilon_ > 0 && group_epsilon_ > 0, "row_epsilon is %g, group_epsilon %g, want more than 0", row_epsilon_, group_epsilon_);
    product_.check("product");
    stored_.check("stored");
  }
  std::vector<Input> inputs(int count) const override {
    require(count == first() + 12, "%d inputs, want %d", count, first() + 12);
    std::vector<Input> list(count, {Role::kNumber, 1});
    list[0] = {Role::kMap, 4}, list[1] = {Role::kIndex, 2}, list[2] = {Role::kNumber, 4};
    list[first() + 2].rank = list[first() + 4].rank = 2;
    list[first() + 6].rank = list[first() + 8].rank = 4;
    return list;
  }
  std::vector<Output> outputs() const override { return {{Role::kNumber, like(0, 4)}}; }
  void accept(const std::vector<Tensor>& in) const override {
    const Tensor& x = in[0];
    const int64_t channels = x.dims[1], hidden = in[first() + 2].dims[0];
    tiling_of(x, tile_);
    require(channels >= 4 && channels <= kHeavyChannels && channels % 4 == 0, "%d channels, want a multiple of 4 up to %d", integer_of(channels), kHeavyChannels);
    require(hidden >= 4 && hidden <= kHeavyHidden && hidden % 4 == 0, "a hidden layer of %d, want a multiple of 4 up to %d", integer_of(hidden), kHeavyHidden);
    expect("ids", in[1], {x.dims[0], -1});
    expect("alpha", in[2], {x.dims[0], 1, x.dims[2], x.dims[3]});
    for (int i = 3; i < first() + 2; i++) expect("a parameter of a channel", in[i], {channels});
    expect("the first layer", in[first() + 2], {hidden, channels});
    expect("its bias", in[first() + 3], {hidden});
    expect("the second layer", in[first() + 4], {2 * channels, hidden});
    expect("its bias", in[first() + 5], {2 * channels});
    expect("the depthwise convolution", in[first() + 6], {channels, 1, 3, 3});
    expect("its bias", in[first() + 7], {channels});
    expect("the pointwise convolution", in[first() + 8], {2 * channels, channels, 1, 1});
    for (int i = first() + 9; i < first() + 12; i++) expect("a parameter of a pair of channels", in[i], {2 * channels});
  }
  void compute(Call& c) const override {
    // Blocks of heavy_refine and of heavy_write that a large GPU holds: where there would be more, a block takes several strips, or stretches of channels.
    constexpr int kRefineFull = 3 * 132, kWriteFull = 5 * 132;
    const Tensor& x = c.in(0);
    const int64_t batch = x.dims[0], channels = x.dims[1], k = c.in(1).dims[1], area = static_cast<int64_t>(tile_) * tile_, tiles = batch * k;
    const int strips = integer_of(blocks_of(area, kHeavyPixels)), pieces = strips * kHeavyWarps;
    HeavyArgs a = {};
    a.base = c.input<float>(0), a.ids = c.input<int64_t>(1), a.alpha = c.input<float>(2), a.y = c.output<float>(0);
    a.tokens = c.scratch<float>(tiles * channels), a.film = c.scratch<float>(tiles * 2 * channels), a.refined = c.scratch<float>(tiles * 2 * channels * area);
    a.pieces = c.scratch<Moments>(tiles * pieces);
    parameters(c, a);
    a.pixel_share = 1.0 / static_cast<double>(area), a.channel_share = 1.0 / static_cast<double>(channels);
    a.plane = x.dims[2] * x.dims[3];
    a.channels = integer_of(channels), a.k = integer_of(k), a.hidden = integer_of(c.in(first() + 2).dims[0]);
    a.pieces_of_tile = pieces, a.tiling = tiling_of(x, tile_);
    a.row_epsilon = row_epsilon_, a.group_epsilon = group_epsilon_, a.limit = limit_, a.low = low_, a.high = high_;
    a.written = integer_of(std::max<int64_t>(4 * kWriteThreads / area, 1)), a.strips = strips;
    a.together = integer_of(std::clamp<int64_t>(blocks_of(strips * tiles, kRefineFull), 1, strips));
    const int64_t stretches = blocks_of(channels, a.written);  // of a cell
    a.stretches = integer_of(std::clamp<int64_t>(blocks_of(a.tiling.tiles * stretches * batch, kWriteFull), 1, stretches));
    a.halves = product_.halves(), a.product = product_.rounding(), a.stored = stored_.rounding();
    a.fault = c.fault();
    APEXX_LAUNCH(c, heavy_tokens, (Grid{k, blocks_of(channels, kHeavyWarps), batch}), kHeavyThreads, a);
    APEXX_LAUNCH(c, heavy_refine, (Grid{blocks_of(strips, a.together), k, batch}), kHeavyThreads, a);
    APEXX_LAUNCH(c, heavy_write, (Grid{a.tiling.tiles, blocks_of(stretches, a.stretches), batch}), kWriteThreads, a);
  }

 private:
  // first is the first parameter behind the recurrences.
  int first() const { return bidirectional_ ? 13 : 7; }

  void parameters(const Call& c, HeavyArgs& a) const {
    const auto at = [&](int i) { return c.input<float>(i); };
    a.forward = {at(3), at(4), at(5), at(6)};
    if (bidirectional_) a.backward = {at(7), at(8), at(9), at(10)}, a.gate = at(11), a.rest = at(12);
    int i = first();
    for (const float** p : {&a.row_scale, &a.row_shift, &a.weight0, &a.bias0, &a.weight2, &a.bias2, &a.depthwise, &a.depthwise_bias, &a.pointwise, &a.pointwise_bias,
                            &a.group_scale, &a.group_shift}) {
      *p = at(i++);
    }
  }

  int tile_ = 0, bidirectional_ = 0;
  float limit_ = 0, low_ = 0, high_ = 0, row_epsilon_ = 0, group_epsilon_ = 0;
  Rounded product_, stored_;
};

}  // namespace apexx::plugin
