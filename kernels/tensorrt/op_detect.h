// Plugins over ../ops_detect.cuh: which pairs of an anchor and a class are kept, and their boxes (backends/graph defines them).
#pragma once

#include <math.h>

#include <bit>
#include <limits>

#include "../ops_detect.cuh"
#include "op_tiles.h"

namespace apexx::plugin {

// Predictions are the first 3·L inputs: class logits, box logits and quality logits of L levels.
class Predictions {
 public:
  void fields(Fields& f) {
    f.integers("strides", &strides_);
    f.integer("image_height", &height_);
    f.integer("image_width", &width_);
  }
  void check() const {
    require(!strides_.empty() && levels() <= kMaxLevels, "%d strides, want 1 to %d", levels(), kMaxLevels);
    for (int s : strides_) require(s >= 1, "a stride is %d, want at least 1", s);
    require(height_ >= 1 && width_ >= 1, "the image %dx%d is empty", height_, width_);
  }
  int levels() const { return static_cast<int>(strides_.size()); }
  int inputs() const { return 3 * levels(); }
  void accept(const std::vector<Tensor>& in) const {
    const int64_t batch = in[0].dims[0], classes = in[0].dims[1];
    for (int l = 0; l < levels(); l++) {
      const int64_t h = in[l].dims[2], w = in[l].dims[3];
      expect("class logits", in[l], {batch, classes, h, w});
      expect("box logits", in[levels() + l], {batch, 4, h, w});
      expect("quality logits", in[2 * levels() + l], {batch, 1, h, w});
    }
    const int64_t pairs = anchors(in) * classes;
    require(pairs <= std::numeric_limits<int>::max(), "%lld pairs of an anchor and a class, want at most %d", static_cast<long long>(pairs),
            std::numeric_limits<int>::max());
  }
  int64_t anchors(const std::vector<Tensor>& in) const {
    int64_t n = 0;
    for (int l = 0; l < levels(); l++) n += in[l].dims[2] * in[l].dims[3];
    return n;
  }

  // pyramid_of returns the predictions as the kernels take them.
  Pyramid pyramid_of(const Call& c) const {
    Pyramid p = {};
    p.count = levels(), p.classes = integer_of(c.in(0).dims[1]), p.batch = integer_of(c.in(0).dims[0]);
    p.width = static_cast<float>(width_), p.height = static_cast<float>(height_);
    int first = 0;
    for (int l = 0; l < levels(); l++) {
      const int cells = integer_of(c.in(l).dims[2] * c.in(l).dims[3]);
      p.levels[l] = {c.input<float>(l), c.input<float>(levels() + l), c.input<float>(2 * levels() + l), cells, integer_of(c.in(l).dims[3]), first, strides_[l]};
      first += cells;
    }
    return p;
  }

 private:
  std::vector<int> strides_;
  int height_ = 0, width_ = 0;
};

inline int64_t anchors_of(const Pyramid& p) { return p.levels[p.count - 1].first + p.levels[p.count - 1].cells; }

class SelectDetections : public Named<SelectDetections> {
 public:
  static constexpr char kName[] = "SelectDetections";

  void fields(Fields& f) override {
    predictions_.fields(f);
    f.real("score_threshold", &score_, false);
    f.integer("pre_nms_topk", &top_, false);
    f.real("iou_threshold", &overlap_, false);
    f.integer("max_detections", &most_, false);
  }
  void check() const override {
    predictions_.check();
    require(score_ >= 0 && score_ <= 1, "score_threshold is %g, want 0 to 1", score_);
    require(overlap_ >= 0 && overlap_ <= 1, "iou_threshold is %g, want 0 to 1", overlap_);
    require(top_ >= 1, "pre_nms_topk is %d, want at least 1", top_);
    require(most_ >= 0, "max_detections is %d, want at least 0", most_);
  }
  std::vector<Input> inputs(int count) const override {
    require(count == predictions_.inputs(), "%d inputs, want %d: three kinds of predictions of each level", count, predictions_.inputs());
    return std::vector<Input>(count, {Role::kMap, 4});
  }
  std::vector<Output> outputs() const override { return {{Role::kIndex, {same(0, 0), constant(most_)}}, {Role::kIndex, {same(0, 0)}}}; }
  void accept(const std::vector<Tensor>& in) const override { predictions_.accept(in); }
  // compute has room for every pair as a candidate, so that no image has more than fit.
  void compute(Call& c) const override {
    DetectArgs args = {};
    args.pyramid = predictions_.pyramid_of(c);
    const Pyramid& p = args.pyramid;
    int cells = 0;
    for (int l = 0; l < p.count; l++) cells = std::max(cells, p.levels[l].cells);
    const int64_t lists = static_cast<int64_t>(p.batch) * p.count;
    args.pairs_per_sample = anchors_of(p) * p.classes;
    args.top = static_cast<int>(std::min<int64_t>(top_, std::max<int64_t>(1, static_cast<int64_t>(cells) * p.classes)));
    args.room = args.top > kSorted ? static_cast<int>(std::bit_ceil(static_cast<unsigned>(args.top))) : args.top;  // keys are sorted in their list, by powers of two
    args.most = most_;
    args.keys = c.scratch<uint64_t>(p.batch * args.pairs_per_sample);
    args.ranked = c.scratch<uint64_t>(lists * args.room);
    args.boxes = c.scratch<Box>(lists * args.top);
    args.kept_boxes = c.scratch<Box>(static_cast<int64_t>(p.batch) * most_);
    args.counts = c.counters(2 * lists + p.batch);
    args.level_blocks = args.counts + lists, args.sample_levels = args.counts + 2 * lists;
    args.pairs = c.output<int64_t>(0), args.valid = c.output<int64_t>(1);
    args.score_threshold = score_, args.overlap_threshold = overlap_;
    args.floor = logit_floor();
    args.key_shift = std::min(31, std::countl_zero(std::bit_cast<unsigned>(1.0f) - std::bit_cast<unsigned>(score_)));
    const Grid grid = {blocks_of(cells, kSelectThreads), p.count * blocks_of(p.classes, kCollectClasses), p.batch};
    APEXX_LAUNCH(c, detect_select, grid, kSelectThreads, args);
  }

 private:
  // logit_floor returns a class logit below which no score σ(logit)·σ(quality) reaches the least: log(t/(1-t)), lowered by more than any rounding of
  // the score amounts to.
  float logit_floor() const {
    if (score_ <= 0) return -INFINITY;
    const double t = std::min<double>(score_, 0.99);
    return static_cast<float>(log(t / (1 - t)) - 1e-3);
  }

  Predictions predictions_;
  float score_ = 0.05f, overlap_ = 0.6f;
  int top_ = 1000, most_ = 100;
};

class DecodeBoxes : public Named<DecodeBoxes> {
 public:
  static constexpr char kName[] = "DecodeBoxes";

  void fields(Fields& f) override { predictions_.fields(f); }
  void check() const override { predictions_.check(); }
  std::vector<Input> inputs(int count) const override {
    const int n = predictions_.inputs();
    require(count == n + 2, "%d inputs, want %d: three kinds of predictions of each level, pairs, how many are valid", count, n + 2);
    std::vector<Input> list(n, {Role::kMap, 4});
    list.push_back({Role::kIndex, 2});
    list.push_back({Role::kIndex, 1});
    return list;
  }
  std::vector<Output> outputs() const override {
    const int pairs = predictions_.inputs();
    return {{Role::kNumber, {same(0, 0), same(pairs, 1), constant(4)}}, {Role::kNumber, {same(0, 0), same(pairs, 1)}}, {Role::kIndex, {same(0, 0), same(pairs, 1)}}};
  }
  void accept(const std::vector<Tensor>& in) const override {
    predictions_.accept(in);
    expect("pairs", in[predictions_.inputs()], {in[0].dims[0], -1});
    expect("how many are valid", in.back(), {in[0].dims[0]});
  }
  void compute(Call& c) const override {
    const int pairs = predictions_.inputs();
    DecodeArgs args = {};
    args.pyramid = predictions_.pyramid_of(c);
    args.pairs = c.input<int64_t>(pairs), args.valid = c.input<int64_t>(pairs + 1);
    args.boxes = c.output<Box>(0), args.scores = c.output<float>(1), args.classes = c.output<int64_t>(2);
    args.anchors = anchors_of(args.pyramid);
    args.rows = integer_of(c.in(pairs).dims[1]);
    args.fault = c.fault();
    APEXX_LAUNCH(c, detect_decode, Grid{blocks_of(c.in(pairs).size(), 128)}, 128, args);
  }

 private:
  Predictions predictions_;
};

}  // namespace apexx::plugin
