// GroupNormFusion: GroupNormalization of ONNX and what follows it in the model, in one node.
//
//   x [B,C,H,W], scale [C], shift [C], residual as y or none → y = f(norm(x)) + residual
//
// activation none: f(v) = v; silu: v·σ(v); reglu: a·max(b, 0) of the halves a and b of the channels, of which y has C/2.
#pragma once

#include "../ops_norm.cuh"
#include "norm_nhwc.cuh"
#include "op_tiles.h"

namespace apexx::plugin {

class GroupNormFusion : public Named<GroupNormFusion> {
 public:
  static constexpr char kName[] = "GroupNormFusion";

  void fields(Fields& f) override {
    f.integer("num_groups", &groups_);
    f.real("epsilon", &epsilon_, false);
    f.text("activation", &activation_, false);
  }
  void check() const override {
    require(groups_ >= 1, "num_groups is %d, want at least 1", groups_);
    require(epsilon_ > 0, "epsilon is %g, want more than 0", epsilon_);
    require(activation_ == "none" || activation_ == "silu" || activation_ == "reglu", "activation is %s, want none, silu or reglu", activation_.c_str());
  }
  std::vector<Input> inputs(int count) const override {
    require(count == 3 || count == 4, "%d inputs, want 3 or, with a residual, 4: x, scale, shift", count);
    std::vector<Input> list = {{Role::kMap, 4}, {Role::kNumber, 1}, {Role::kNumber, 1}};
    if (count == 4) list.push_back({Role::kMap, 4});
    return list;
  }
  std::vector<Output> outputs() const override {
    std::vector<Size> sizes = like(0, 4);
    if (gated()) sizes[1] = scaled(0, 1, 1, 2);
    return {{Role::kMap, sizes}};
  }
  void accept(const std::vector<Tensor>& in) const override {
    const Tensor& x = in[0];
    const int64_t channels = x.dims[1];
    require(channels % groups_ == 0 && !(gated() && channels % 2), "%d channels do not fit %d groups or two halves", integer_of(channels), groups_);
    expect("scale", in[1], {channels});
    expect("shift", in[2], {channels});
    if (in.size() == 4) expect("residual", in[3], {x.dims[0], gated() ? channels / 2 : channels, x.dims[2], x.dims[3]});
  }
  bool native(const std::vector<Tensor>& in) const override {
    return in[0].element == Element::kHalf && in[0].format == Format::kHWC8 && groups_ == 1 && in[0].dims[1] % (gated() ? 2 * kCell : kCell) == 0;
  }
  void compute(Call& c) const override {
    if (c.out(0).size() == 0) return;
    native({c.in(0)}) ? compute_nhwc(c) : compute_planes(c);
  }

 private:
  bool gated() const { return activation_ == "reglu"; }
  int activation() const { return gated() ? kNormGate : activation_ == "silu" ? kNormSilu : kNoActivation; }

  void compute_planes(Call& c) const {
    constexpr int64_t kPiece = 4096, kSmall = 8192, kStretch = 2048;  // elements; as in backends/cuda
    const Tensor& x = c.in(0);
    const int64_t batch = x.dims[0], channels = x.dims[1], spatial = x.dims[2] * x.dims[3], size = channels / groups_ * spatial;
    const int64_t step = std::max(kPiece, blocks_of(size, kNormThreads));
    NormArgs args = {c.input<float>(0), c.input<float>(1), c.input<float>(2), c.input<float>(3), c.output<float>(0), nullptr, epsilon_,
                     spatial,           kStretch,          integer_of(channels), groups_,        integer_of(blocks_of(size, integer_of(step))), activation()};
    if (size <= kSmall && (!gated() || groups_ == 1)) {
      APEXX_LAUNCH(c, norm_group, Grid{batch * groups_}, kNormThreads, args);
      return;
    }
    Piece* pieces = c.scratch<Piece>(batch * groups_ * args.count);
    args.pieces = pieces;
    APEXX_LAUNCH(c, moments, Grid{batch * groups_ * args.count}, kNormThreads, (MomentsArgs{args.x, pieces, size, step, args.count, 0}));
    APEXX_LAUNCH(c, norm_apply, Grid{batch * c.out(0).dims[1] * blocks_of(spatial, integer_of(kStretch))}, kNormThreads, args);
  }

  void compute_nhwc(Call& c) const {
    const Tensor& x = c.in(0);
    const int64_t batch = x.dims[0], cells = x.dims[1] / kCell * x.dims[2] * x.dims[3];
    constexpr int64_t kBlocks = 132;  // about the multiprocessors of a large GPU; any number gives the same moments to rounding
    const int piece = integer_of(std::clamp<int64_t>(blocks_of(cells, kBlocks), kNhwcThreads, kPieceCells));
    NhwcNormArgs args = {c.input<HalfCell>(0), c.input<HalfCell>(3), c.input<float>(1), c.input<float>(2), c.output<HalfCell>(0), nullptr, epsilon_,
                         integer_of(cells), piece, integer_of(blocks_of(cells, piece)), integer_of(x.dims[1] / kCell), activation()};
    args.pieces = c.scratch<Moments>(batch * args.count);
    APEXX_LAUNCH(c, norm_nhwc_moments, (Grid{args.count, batch}), kNhwcThreads, args);
    APEXX_LAUNCH(c, norm_nhwc_apply, (Grid{blocks_of(gated() ? cells / 2 : cells, kApplyCells * kNhwcThreads), batch}), kNhwcThreads, args);
  }

  int groups_ = 0;
  float epsilon_ = 1e-5f;
  std::string activation_ = "none";
};

}  // namespace apexx::plugin
