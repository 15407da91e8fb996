// One execution of an operator. An operator's compute is walked three times with the same shapes: to measure its workspace, to make what it keeps on
// the device, and, as often as wanted, to launch. So what it needs is said once, where it is used.
#pragma once

#include "device.h"
#include "ops_plugin.cuh"

namespace apexx::plugin {

// Kept is what a plugin keeps on the device between executions: constant tables, and counters that are 0 between executions. It is made when shapes
// become known, never in an execution. What stays as it is keeps its place, which a captured graph may hold.
class Kept {
 public:
  // at returns the memory number i with these contents; made says whether it has to be there already.
  void* at(size_t i, const std::vector<int64_t>& contents, bool made) {
    if (i < entries_.size() && entries_[i].contents == contents) return entries_[i].memory.data();
    require(!made, "executed with shapes that it was not told of");
    entries_.resize(i);
    const size_t bytes = contents.size() * sizeof(int64_t);
    Entry e{contents, Memory(bytes)};
    copy(e.memory.data(), contents.data(), bytes, nullptr);
    wait_for(nullptr);
    entries_.push_back(std::move(e));
    return entries_.back().memory.data();
  }

 private:
  struct Entry {
    std::vector<int64_t> contents;
    Memory memory;
  };
  std::vector<Entry> entries_;
};

enum class Walk { kMeasure, kPrepare, kRun };

class Call {
 public:
  Call(Walk walk, const std::vector<Tensor>& in, const std::vector<Tensor>& out) : in_(in), out_(out), walk_(walk) {}

  // Where things are in Walk::kRun, and Kept in kPrepare too.
  const void* const* inputs = nullptr;
  void* const* outputs = nullptr;
  void* workspace = nullptr;
  Kept* kept = nullptr;
  Stream stream = nullptr;
  int number = 0;  // of the layer, for faults

  const Tensor& in(int i) const { return in_[i]; }
  const Tensor& out(int i) const { return out_[i]; }
  int input_count() const { return static_cast<int>(in_.size()); }
  int output_count() const { return static_cast<int>(out_.size()); }
  size_t workspace_bytes() const { return taken_; }

  // input and output return where an operand is, null where the node has none.
  template <class T>
  const T* input(int i) const {
    return inputs && i < input_count() ? static_cast<const T*>(inputs[i]) : nullptr;
  }
  template <class T>
  T* output(int i) const {
    return outputs ? static_cast<T*>(outputs[i]) : nullptr;
  }

  // scratch returns room for n elements in the workspace.
  template <class T>
  T* scratch(int64_t n) {
    const size_t at = taken_;
    taken_ += (n * sizeof(T) + kAlignment - 1) / kAlignment * kAlignment;
    return workspace ? reinterpret_cast<T*>(static_cast<char*>(workspace) + at) : nullptr;
  }

  // table returns a constant table. make() is the same for the same fields and shapes.
  template <class Make>
  const int64_t* table(Make make) {
    return walk_ == Walk::kMeasure ? nullptr : static_cast<const int64_t*>(keep(make()));
  }

  // counters returns n counters. They are 0 before the first execution, and the kernels leave them so.
  int* counters(int64_t n) {
    return walk_ == Walk::kMeasure ? nullptr : static_cast<int*>(keep(std::vector<int64_t>((n + 1) / 2)));
  }

  Fault fault() const { return {walk_ == Walk::kRun ? fault_word() : nullptr, number, 1}; }

  template <class Kernel, class Args>
  void launch(const char* name, Kernel kernel, Grid g, int threads, const Args& args, bool waits = false) const {
    if (walk_ == Walk::kRun && g.x * g.y * g.z > 0) plugin::launch(name, kernel, g, threads, args, stream, waits);
  }

 private:
  static constexpr size_t kAlignment = 256;

  void* keep(const std::vector<int64_t>& contents) { return kept->at(kept_++, contents, walk_ == Walk::kRun); }

  const std::vector<Tensor>&in_, &out_;
  Walk walk_;
  size_t taken_ = 0, kept_ = 0;
};

// APEXX_LAUNCH(call, kernel, grid, threads, args) or, of a kernel that waits itself for the one before it, APEXX_LAUNCH(…, true)
#ifdef __CUDACC__
#define APEXX_LAUNCH(call, kernel, ...) (call).launch(#kernel, kernel, __VA_ARGS__)
#else
#define APEXX_LAUNCH(call, kernel, ...) (call).launch(#kernel, static_cast<const void*>(nullptr), __VA_ARGS__)
#endif

// convert launches conversions, many at a time.
inline void convert(Call& c, const std::vector<Conversion>& list) {
  for (size_t first = 0; first < list.size(); first += kMostConversions) {
    ConvertArgs args = {};
    int64_t most = 0;
    for (; args.count < kMostConversions && first + args.count < list.size(); args.count++) {
      args.list[args.count] = list[first + args.count];
      most = std::max(most, threads_of(args.list[args.count]));
    }
    APEXX_LAUNCH(c, convert_operands, (Grid{blocks_of(most, kConvertThreads), args.count}), kConvertThreads, args);
  }
}

inline bool is_plane(const Tensor& t) { return t.element != Element::kHalf && t.format == Format::kLinear; }

inline Conversion conversion_of(const Tensor& t, const void* from, void* to, bool widens) {
  Conversion v = {from, to, t.size(), 1, 1, t.format == Format::kHWC8, widens};
  if (v.nhwc) v.channels = static_cast<int>(t.dims[1]), v.plane = static_cast<int>(t.dims[2] * t.dims[3]);
  return v;
}

// compute walks an operator. Unless it takes maps as they are, it works on float32 planes in the workspace, converted in one launch before and one
// behind it.
inline void compute(const Operator& op, Call& c) {
  std::vector<Tensor> in, out;
  for (int i = 0; i < c.input_count(); i++) in.push_back(c.in(i));
  if (op.native(in)) return op.compute(c);
  std::vector<const void*> inputs;
  std::vector<void*> outputs;
  std::vector<Conversion> before, behind;
  for (int i = 0; i < c.input_count(); i++) {
    inputs.push_back(c.input<void>(i));
    if (is_plane(c.in(i))) continue;
    float* plane = c.scratch<float>(c.in(i).size());
    if (c.in(i).size() > 0) before.push_back(conversion_of(c.in(i), inputs[i], plane, true));
    inputs[i] = plane;
  }
  for (int i = 0; i < c.output_count(); i++) {
    outputs.push_back(c.output<void>(i));
    if (is_plane(c.out(i))) continue;
    float* plane = c.scratch<float>(c.out(i).size());
    if (c.out(i).size() > 0) behind.push_back(conversion_of(c.out(i), plane, outputs[i], false));
    outputs[i] = plane;
  }
  convert(c, before);
  const auto* real_inputs = c.inputs;
  const auto* real_outputs = c.outputs;
  if (c.inputs) c.inputs = inputs.data(), c.outputs = outputs.data();
  op.compute(c);
  c.inputs = real_inputs, c.outputs = real_outputs;
  convert(c, behind);
}

}  // namespace apexx::plugin
