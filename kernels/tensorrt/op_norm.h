// GroupNormFusion: GroupNormalization of ONNX and what follows it in the model, in one node, of one map or of several that are independent.
//
//   x [B,C,H,W], scale [C], shift [C], residual as y or none → y = f(norm(x)) + residual
//
// activation none: f(v) = v; silu: v·σ(v); reglu: a·max(b, 0) of the halves a and b of the channels, of which y has C/2. With n maps the inputs are
// n times x, n times scale, n times shift and, with residuals, n of those; C, H and W are each map's own. Small maps cost launches, not arithmetic. With first_channels,
// a number for each map, x has more channels than scale, and those from that number on are normalised: one convolution may have made what several are.
#pragma once

#include "../ops_norm.cuh"
#include "norm_cells.cuh"
#include "op_tiles.h"

namespace apexx::plugin {

class GroupNormFusion : public Named<GroupNormFusion> {
 public:
  static constexpr char kName[] = "GroupNormFusion";

  void fields(Fields& f) override {
    f.integer("num_groups", &groups_);
    f.real("epsilon", &epsilon_, false);
    f.text("activation", &activation_, false);
    f.integer("maps", &maps_, false);
    f.integers("first_channels", &first_, false);
  }
  void check() const override {
    require(groups_ >= 1, "num_groups is %d, want at least 1", groups_);
    require(epsilon_ > 0, "epsilon is %g, want more than 0", epsilon_);
    require(activation_ == "none" || activation_ == "silu" || activation_ == "reglu", "activation is %s, want none, silu or reglu", activation_.c_str());
    require(maps_ >= 1 && maps_ <= kMostNormMaps, "maps is %d, want 1 to %d", maps_, kMostNormMaps);
    require(first_.empty() || static_cast<int>(first_.size()) == maps_, "first_channels has %zu values for %d maps", first_.size(), maps_);
    for (int first : first_) require(first >= 0 && first % kCell == 0, "first_channels has %d, want multiples of %d", first, kCell);
  }
  std::vector<Input> inputs(int count) const override {
    require(count == 3 * maps_ || count == 4 * maps_, "%d inputs, want %d or, with residuals, %d: x, scale, shift", count, 3 * maps_, 4 * maps_);
    std::vector<Input> list(count, {Role::kMap, 4});
    std::fill(list.begin() + maps_, list.begin() + 3 * maps_, Input{Role::kNumber, 1});
    return list;
  }
  std::vector<Output> outputs() const override {
    std::vector<Output> list;
    for (int m = 0; m < maps_; m++) {
      list.push_back({Role::kMap, like(m, 4)});
      list.back().sizes[1] = scaled(maps_ + m, 0, 1, gated() ? 2 : 1);
    }
    return list;
  }
  void accept(const std::vector<Tensor>& in) const override {
    for (int m = 0; m < maps_; m++) {
      const Tensor& x = in[m];
      const int64_t channels = in[maps_ + m].dims[0];
      expect("x", x, {in[0].dims[0], first_.empty() ? channels : -1, -1, -1});
      require(first(m) + channels <= x.dims[1] && (first_.empty() || x.dims[1] % kCell == 0), "%d channels from %d on, of %d", integer_of(channels), first(m), integer_of(x.dims[1]));
      require(first_.empty() || x.dims[2] * x.dims[3] * x.dims[1] / kCell < 1 << 21, "x is too large for first_channels");  // quotient_of
      require(channels % groups_ == 0 && !(gated() && channels % 2), "%d channels do not fit %d groups or two halves", integer_of(channels), groups_);
      expect("shift", in[2 * maps_ + m], {channels});
      if (static_cast<int>(in.size()) > 3 * maps_) expect("residual", in[3 * maps_ + m], {x.dims[0], gated() ? channels / 2 : channels, x.dims[2], x.dims[3]});
    }
  }
  // native: every map is a row of whole cells (norm_cells.cuh), all in one format.
  bool native(const std::vector<Tensor>& in) const override {
    for (int m = 0; m < maps_; m++) {
      const int64_t row = in[m].format == Format::kHWC8 ? in[maps_ + m].dims[0] / (gated() ? 2 : 1) : in[m].dims[2] * in[m].dims[3];
      if (in[m].format != in[0].format || row % kCell != 0) return false;
    }
    return groups_ == 1;
  }
  bool cells() const override { return true; }
  void compute(Call& c) const override {
    std::vector<Tensor> in;
    for (int m = 0; m < 2 * maps_; m++) in.push_back(c.in(m));
    if (native(in)) return compute_cells(c);
    for (int m = 0; m < maps_; m++) compute_planes(c, m);
  }

 private:
  bool gated() const { return activation_ == "reglu"; }
  int activation() const { return gated() ? kNormGate : activation_ == "silu" ? kNormSilu : kNoActivation; }

  int first(int m) const { return first_.empty() ? 0 : first_[m]; }

  void compute_planes(Call& c, int m) const {
    require(first_.empty(), "first_channels has maps of whole cells and one group alone");
    if (c.out(m).size() == 0) return;
    constexpr int64_t kPiece = 4096, kSmall = 8192, kStretch = 2048;  // elements; as in backends/cuda
    const Tensor& x = c.in(m);
    const int64_t batch = x.dims[0], channels = x.dims[1], spatial = x.dims[2] * x.dims[3], size = channels / groups_ * spatial;
    const int64_t step = std::max(kPiece, blocks_of(size, kNormThreads));
    NormArgs args = {c.input<float>(m), c.input<float>(maps_ + m), c.input<float>(2 * maps_ + m), c.input<float>(3 * maps_ + m), c.output<float>(m), nullptr, epsilon_,
                     spatial,           kStretch,          integer_of(channels), groups_,        integer_of(blocks_of(size, integer_of(step))), activation()};
    if (size <= kSmall && (!gated() || groups_ == 1)) {
      APEXX_LAUNCH(c, norm_group, Grid{batch * groups_}, kNormThreads, args);
      return;
    }
    Piece* pieces = c.scratch<Piece>(batch * groups_ * args.count);
    args.pieces = pieces;
    APEXX_LAUNCH(c, moments, Grid{batch * groups_ * args.count}, kNormThreads, (MomentsArgs{args.x, pieces, size, step, args.count, 0}));
    APEXX_LAUNCH(c, norm_apply, Grid{batch * c.out(m).dims[1] * blocks_of(spatial, integer_of(kStretch))}, kNormThreads, args);
  }

  void compute_cells(Call& c) const {
    constexpr int64_t kBlocks = 132;  // about the multiprocessors of a large GPU; any number gives the same moments to rounding
    const bool half = c.in(0).element == Element::kHalf;
    const int64_t batch = c.in(0).dims[0], most = kCellThreads * (half ? kHeldCells<Half> : kHeldCells<float>);
    CellNormArgs args = {};
    args.epsilon = epsilon_, args.activation = activation(), args.planes = c.in(0).format == Format::kLinear;
    Grid pieces = {0, batch}, stretches = {0, batch};
    for (int m = 0; m < maps_; m++) {
      const Tensor& x = c.in(m);
      const int64_t own = c.in(maps_ + m).dims[0], channels = c.out(m).dims[1], spatial = x.dims[2] * x.dims[3], cells = own * spatial / kCell;
      const int64_t before = args.planes ? first(m) * spatial : first(m);  // elements of x in front of its first channel
      const int piece = integer_of(std::clamp<int64_t>(blocks_of(cells, kBlocks), kCellThreads, most)), count = integer_of(blocks_of(cells, piece));
      Moments* moments = c.scratch<Moments>(batch * count);
      if (cells == 0) continue;
      const char* from = c.input<char>(m);
      args.maps[args.count++] = {from ? from + before * (half ? sizeof(Half) : sizeof(float)) : nullptr,
                                 c.input<void>(3 * maps_ + m),
                                 x.dims[1] * spatial / kCell,
                                 c.input<float>(maps_ + m),
                                 c.input<float>(2 * maps_ + m),
                                 c.output<void>(m),
                                 moments,
                                 integer_of(cells),
                                 piece,
                                 count,
                                 integer_of(channels),
                                 integer_of((args.planes ? spatial : channels) / kCell),
                                 integer_of(own / kCell),
                                 integer_of(x.dims[1] / kCell),
                                 integer_of(pieces.x),
                                 integer_of(stretches.x)};
      pieces.x += count;
      stretches.x += blocks_of(gated() ? cells / 2 : cells, kApplyCells * kCellThreads);
    }
    if (half) {
      APEXX_LAUNCH(c, norm_moments_f16, pieces, kCellThreads, args);
      APEXX_LAUNCH(c, norm_cells_f16, stretches, kCellThreads, args, true);
    } else {
      APEXX_LAUNCH(c, norm_moments_f32, pieces, kCellThreads, args);
      APEXX_LAUNCH(c, norm_cells_f32, stretches, kCellThreads, args, true);
    }
  }

  int groups_ = 0, maps_ = 1;
  std::vector<int> first_;
  float epsilon_ = 1e-5f;
  std::string activation_ = "none";
};

}  // namespace apexx::plugin
