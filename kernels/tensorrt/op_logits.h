// Logits: 1×1 convolutions of one map or of several that are independent, in float32 (logits.cuh).
//
//   x [B,C,H,W], weight [O,C,1,1], bias [O] → y [B,O,H,W]
//
// With n maps the inputs are n times x, n times weight, n times bias; C, O, H and W are each map's own.
#pragma once

#include "logits.cuh"
#include "op_tiles.h"

namespace apexx::plugin {

class Logits : public Named<Logits> {
 public:
  static constexpr char kName[] = "Logits";

  void fields(Fields& f) override { f.integer("maps", &maps_, false); }
  void check() const override { require(maps_ >= 1 && maps_ <= kMostLogits, "maps is %d, want 1 to %d", maps_, kMostLogits); }
  std::vector<Input> inputs(int count) const override {
    require(count == 3 * maps_, "%d inputs, want %d: x, weight, bias", count, 3 * maps_);
    std::vector<Input> list(count, {Role::kMap, 4});
    std::fill(list.begin() + maps_, list.begin() + 2 * maps_, Input{Role::kNumber, 4});
    std::fill(list.begin() + 2 * maps_, list.end(), Input{Role::kNumber, 1});
    return list;
  }
  std::vector<Output> outputs() const override {
    std::vector<Output> list;
    for (int m = 0; m < maps_; m++) list.push_back({Role::kNumber, {same(m, 0), same(maps_ + m, 0), same(m, 2), same(m, 3)}});
    return list;
  }
  void accept(const std::vector<Tensor>& in) const override {
    for (int m = 0; m < maps_; m++) {
      const int64_t channels = in[m].dims[1], outputs = in[maps_ + m].dims[0];
      expect("x", in[m], {in[0].dims[0], -1, -1, -1});
      require(channels >= 1, "a map has no channels");
      expect("weight", in[maps_ + m], {outputs, channels, 1, 1});
      expect("bias", in[2 * maps_ + m], {outputs});
    }
  }
  // native: the maps are float16, in whole cells.
  bool native(const std::vector<Tensor>& in) const override {
    return std::all_of(in.begin(), in.begin() + maps_, [](const Tensor& x) { return x.format == Format::kHWC8 && x.dims[1] % kCell == 0; });
  }
  bool cells() const override { return true; }
  void compute(Call& c) const override {
    std::vector<Tensor> in;
    for (int m = 0; m < maps_; m++) in.push_back(c.in(m));
    LogitArgs args = {};
    args.cells = native(in);
    Grid blocks = {0, c.in(0).dims[0]};
    for (int m = 0; m < maps_; m++) {
      const Tensor& x = c.in(m);
      const int pixels = integer_of(x.dims[2] * x.dims[3]), outputs = integer_of(c.in(maps_ + m).dims[0]), stretches = integer_of(blocks_of(pixels, kLogitPixels));
      if (c.out(m).size() == 0) continue;
      args.maps[args.count++] = {c.input<void>(m), c.input<float>(maps_ + m), c.input<float>(2 * maps_ + m), c.output<float>(m), integer_of(x.dims[1]),
                                 outputs,          pixels,                    stretches,                     integer_of(blocks.x)};
      blocks.x += stretches * blocks_of(outputs, kLogitOutputs);
    }
    APEXX_LAUNCH(c, logits, blocks, kLogitThreads, args);
  }

 private:
  int maps_ = 1;
};

}  // namespace apexx::plugin
