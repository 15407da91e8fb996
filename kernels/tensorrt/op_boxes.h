// Plugins over ../ops_boxes.cuh: the mean of a map under a box, and masks cropped to their boxes (backends/graph defines them).
#pragma once

#include "../ops_boxes.cuh"
#include "op_tiles.h"

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

}  // namespace apexx::plugin
