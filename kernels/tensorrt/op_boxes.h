// Plugins over ../ops_boxes.cuh: the mean of a map under a box, and masks cropped to their boxes (backends/graph defines them), and what the model makes
// of each box as a whole: a vector, and a mask of prototypes.
#pragma once

#include "../ops_boxes.cuh"
#include "regions.h"

namespace apexx::plugin {

// BoxesOver is what both have: maps, boxes in pixels of an image, and the image's size.
class BoxesOver {
 public:
  void fields(Fields& f) {
    f.integer("image_height", &height_);
    f.integer("image_width", &width_);
  }
  void check() const { require(height_ >= 1 && width_ >= 1, "the image %dx%d is empty", height_, width_); }
  std::vector<Input> inputs(int count) const {
    require(count == 2, "%d inputs, want 2: maps, boxes", count);
    return {{Role::kMap, 4}, {Role::kNumber, 3}};
  }
  Projection projection_of(const Tensor& map) const {
    const float h = static_cast<float>(map.dims[2]), w = static_cast<float>(map.dims[3]);
    return {integer_of(map.dims[2]), integer_of(map.dims[3]), h / static_cast<float>(height_), w / static_cast<float>(width_)};
  }

 private:
  int height_ = 0, width_ = 0;
};

class RoiMeanPool : public Named<RoiMeanPool> {
 public:
  static constexpr char kName[] = "RoiMeanPool";

  void fields(Fields& f) override { over_.fields(f); }
  void check() const override { over_.check(); }
  std::vector<Input> inputs(int count) const override { return over_.inputs(count); }
  std::vector<Output> outputs() const override { return {{Role::kMap, {same(0, 0), same(1, 1), same(0, 1)}}}; }
  void accept(const std::vector<Tensor>& in) const override { expect("boxes", in[1], {in[0].dims[0], -1, 4}); }
  void compute(Call& c) const override {
    const Tensor &x = c.in(0), &boxes = c.in(1);
    const RoiMeanArgs args = {c.input<float>(0), c.input<float>(1), c.output<float>(0), integer_of(x.dims[1]), integer_of(boxes.dims[1]), over_.projection_of(x)};
    APEXX_LAUNCH(c, roi_mean, (Grid{boxes.dims[0] * boxes.dims[1], blocks_of(x.dims[1], kRoiChannels)}), kRoiThreads, args);
  }

 private:
  BoxesOver over_;
};

class BoxMask : public Named<BoxMask> {
 public:
  static constexpr char kName[] = "BoxMask";

  void fields(Fields& f) override {
    over_.fields(f);
    f.real("fill", &fill_);
  }
  void check() const override { over_.check(); }
  std::vector<Input> inputs(int count) const override { return over_.inputs(count); }
  std::vector<Output> outputs() const override { return {{Role::kMap, like(0, 4)}, {Role::kNumber, {same(0, 0), same(0, 1)}}}; }
  void accept(const std::vector<Tensor>& in) const override { expect("boxes", in[1], {in[0].dims[0], in[0].dims[1], 4}); }
  void compute(Call& c) const override {
    const Tensor& x = c.in(0);
    const BoxMaskArgs args = {c.input<float>(0), c.input<float>(1), c.output<float>(0), c.output<float>(1), over_.projection_of(x), fill_, 0};
    APEXX_LAUNCH(c, box_mask, Grid{x.dims[0] * x.dims[1]}, kMaskThreads, args);
  }

 private:
  BoxesOver over_;
  float fill_ = 0;
};

// BoxVector: x [B,C,h,w], boxes [B,N,4], weight [hidden,C] and bias of a layer with SiLU, weight [outputs,hidden] and bias of another one → [B,N,outputs].
// With a floor above 0 each row is divided by its length, or by the floor if that is more.
class BoxVector : public Named<BoxVector> {
 public:
  static constexpr char kName[] = "BoxVector";

  void fields(Fields& f) override {
    over_.fields(f);
    f.real("floor", &floor_, false);
    product_.field("product", f);
    result_.field("result", f);
  }
  void check() const override {
    over_.check();
    require(floor_ >= 0, "floor is %g, want at least 0", floor_);
    product_.check("product");
    result_.check("result");
  }
  std::vector<Input> inputs(int count) const override {
    require(count == 6, "%d inputs, want 6: maps, boxes, weight and bias of two layers", count);
    return {{Role::kMap, 4}, {Role::kNumber, 3}, {Role::kNumber, 2}, {Role::kNumber, 1}, {Role::kNumber, 2}, {Role::kNumber, 1}};
  }
  std::vector<Output> outputs() const override { return {{Role::kNumber, {same(1, 0), same(1, 1), same(4, 0)}}}; }
  void accept(const std::vector<Tensor>& in) const override {
    constexpr int64_t kMostCells = 1 << 21;  // quotient_of
    const int64_t channels = in[0].dims[1], hidden = in[2].dims[0], outputs = in[4].dims[0];
    require(in[0].dims[2] * in[0].dims[3] < kMostCells, "the maps are too large");
    require(channels % 4 == 0 && hidden % 4 == 0 && std::max({channels, hidden, outputs}) <= kVectorChannels, "layers of %d, %d and %d, want multiples of 4 up to %d",
            integer_of(channels), integer_of(hidden), integer_of(outputs), kVectorChannels);
    expect("boxes", in[1], {in[0].dims[0], -1, 4});
    expect("the first layer", in[2], {hidden, channels});
    expect("its bias", in[3], {hidden});
    expect("the second layer", in[4], {outputs, hidden});
    expect("its bias", in[5], {outputs});
  }
  void compute(Call& c) const override {
    const Tensor &x = c.in(0), &boxes = c.in(1);
    const auto at = [&](int i) { return c.input<float>(i); };
    const BoxVectorArgs args = {at(0), at(1), at(2), at(3), at(4), at(5), c.output<float>(0), integer_of(x.dims[1]), integer_of(c.in(2).dims[0]),
                                integer_of(c.in(4).dims[0]), integer_of(boxes.dims[1]), over_.projection_of(x), product_.rounding(), result_.rounding(), floor_, 0};
    APEXX_LAUNCH(c, box_vector, Grid{boxes.dims[0] * boxes.dims[1]}, kVectorThreads, args);
  }

 private:
  BoxesOver over_;
  float floor_ = 0;
  Rounded product_, result_;
};

// MaskDetail: x [B,1,h,w], strength [1], ids [B,k] → strength·tanh(x resized to height by width) on the tiles of ids, 0 elsewhere.
class MaskDetail : public Named<MaskDetail> {
 public:
  static constexpr char kName[] = "MaskDetail";

  void fields(Fields& f) override {
    f.integer("height", &height_);
    f.integer("width", &width_);
    f.integer("tile_size", &tile_);
  }
  void check() const override {
    require(tile_ >= 1 && height_ >= 1 && width_ >= 1 && height_ % tile_ == 0 && width_ % tile_ == 0, "a map of %dx%d is not divisible into tiles of %d", height_,
            width_, tile_);
  }
  std::vector<Input> inputs(int count) const override {
    require(count == 3, "%d inputs, want 3: map, strength, ids", count);
    return {{Role::kNumber, 4}, {Role::kNumber, 1}, {Role::kIndex, 2}};
  }
  std::vector<Output> outputs() const override { return {{Role::kNumber, {same(0, 0), constant(1), constant(height_), constant(width_)}}}; }
  void accept(const std::vector<Tensor>& in) const override {
    require(in[0].dims[2] >= 1 && in[0].dims[3] >= 1, "the map is empty");
    expect("the map", in[0], {-1, 1, -1, -1});
    expect("strength", in[1], {1});
    expect("ids", in[2], {in[0].dims[0], -1});
  }
  void compute(Call& c) const override {
    constexpr int kThreads = 128;
    const Tensor& x = c.in(0);
    const Tiling tiling = {width_, tile_, width_ / tile_, height_ / tile_ * (width_ / tile_)};
    const Sample* rows = samples_of(c, x.dims[2], height_);
    const Sample* columns = samples_of(c, x.dims[3], width_);
    const MaskDetailArgs args = {c.input<float>(0), c.input<float>(1), c.input<int64_t>(2), c.output<float>(0), rows, columns, x.dims[0] * height_ * width_,
                                 integer_of(x.dims[2]), integer_of(x.dims[3]), height_, integer_of(c.in(2).dims[1]), tiling, c.fault()};
    APEXX_LAUNCH(c, mask_detail, Grid{blocks_of(args.n, kThreads)}, kThreads, args);
  }

 private:
  int height_ = 0, width_ = 0, tile_ = 0;
};

// PrototypeMasks: coefficients [B,N,P], prototypes [B,P,h·w], boxes [B,N,4] and, if it is there, detail [B,1,height,width] → masks [B,N,height,width] and
// their scores [B,N]. The prototypes are maps of low_height by low_width.
class PrototypeMasks : public Named<PrototypeMasks> {
 public:
  static constexpr char kName[] = "PrototypeMasks";

  void fields(Fields& f) override {
    over_.fields(f);
    f.integer("height", &height_);
    f.integer("width", &width_);
    f.integer("low_height", &low_height_);
    f.integer("low_width", &low_width_);
    f.real("fill", &fill_);
  }
  void check() const override {
    constexpr int64_t kMostCells = 1 << 21;  // quotient_of
    over_.check();
    require(height_ >= 1 && width_ >= 1 && int64_t{height_} * width_ < kMostCells, "masks of %dx%d are empty or too large", height_, width_);
    require(low_height_ >= 1 && low_width_ >= 1 && low_width_ <= kLowColumns, "prototypes of %dx%d are empty or too wide", low_height_, low_width_);
  }
  std::vector<Input> inputs(int count) const override {
    require(count == 3 || count == 4, "%d inputs, want 3 or, with a detail, 4: coefficients, prototypes, boxes", count);
    std::vector<Input> list(count, {Role::kNumber, 3});
    if (count == 4) list[3].rank = 4;
    return list;
  }
  std::vector<Output> outputs() const override {
    return {{Role::kNumber, {same(0, 0), same(0, 1), constant(height_), constant(width_)}}, {Role::kNumber, {same(0, 0), same(0, 1)}}};
  }
  void accept(const std::vector<Tensor>& in) const override {
    const int64_t batch = in[0].dims[0], count = in[0].dims[2];
    require(count <= kPrototypes, "%d prototypes, want at most %d", integer_of(count), kPrototypes);
    expect("prototypes", in[1], {batch, count, int64_t{low_height_} * low_width_});
    expect("boxes", in[2], {batch, in[0].dims[1], 4});
    if (in.size() == 4) expect("detail", in[3], {batch, 1, height_, width_});
  }
  void compute(Call& c) const override {
    const Tensor &coefficients = c.in(0), &mask = c.out(0);
    const Sample* rows = samples_of(c, low_height_, height_);
    const Sample* columns = samples_of(c, low_width_, width_);
    const PrototypeMaskArgs args = {c.input<float>(0), c.input<float>(1), c.input<float>(3), c.input<float>(2), c.output<float>(0), c.output<float>(1), rows, columns,
                                    integer_of(coefficients.dims[2]), integer_of(coefficients.dims[1]), low_height_, low_width_, over_.projection_of(mask), fill_, 0};
    APEXX_LAUNCH(c, prototype_masks, Grid{mask.dims[0] * mask.dims[1]}, kPrototypeThreads, args);
  }

 private:
  BoxesOver over_;
  int height_ = 0, width_ = 0, low_height_ = 0, low_width_ = 0;
  float fill_ = 0;
};

}  // namespace apexx::plugin
