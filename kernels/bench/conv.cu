// Workbench of the network's kernels at the shapes of profile nano: every launch of the network in every format, each
// compared with the CPU, run a hundred times for equal bits, and only then timed; then all of them one after the other.
//
//   conv [--check] [image side, default 512 [result.json]]
//
// --check compares and does not time, for compute-sanitizer. Exits 1 if anything is wrong. The names of the groups are
// those of ../budget: the launches of the complete model.
#include <string.h>

#include <memory>

#include "../conv.cu"
#include "../conv_plain.h"
#include "../norm.cu"
#include "workbench.cuh"

using namespace apexx;
using namespace apexx::bench;
using namespace apexx::conv;
using plain::Size;

namespace {

int multiprocessors() {
  int n;
  APEXX_CHECK(cudaDeviceGetAttribute(&n, cudaDevAttrMultiProcessorCount, 0));
  return n;
}

using Entry = void (*)(Arguments);

// kEntries has the kernels in the order of the launch table.
#define APEXX_X(name, ...) name,
constexpr Entry kEntries[] = {APEXX_KERNELS(APEXX_X, APEXX_X)};
#undef APEXX_X

// tolerance on ‖out - want‖ / ‖want‖: rounding the output makes 2.1e-4 of this measure in fp16 and 1.7e-3 in bf16,
// adding a thousand products in single precision 5e-7; an operand of tf32 that lies between two numbers moves by 5e-4.
constexpr double tolerance(Format f) {
  return f == Format::f16 ? 4e-4 : f == Format::bf16 ? 3.2e-3 : f == Format::tf32 ? 5e-5 : 2e-6;
}

// rounded is a number as it lies in memory, operand as the matrix unit sees it (in single precision: whole).
template <Format f>
float rounded(double x) {
  return float(typename Types<f>::Map(float(x)));
}

template <Format f>
float operand(double x) {
  if (f != Format::tf32) return rounded<f>(x);
  uint32_t bits;
  const float v = float(x);
  memcpy(&bits, &v, 4);
  bits = (bits + 0xFFF + (bits >> 13 & 1)) & 0xFFFFE000;
  float out;
  memcpy(&out, &bits, 4);
  return out;
}

// pack_weights lays weights [out][in][taps] out for tasks of n output channels (conv.h).
template <Format f>
std::vector<typename Types<f>::Operand> pack_weights(const std::vector<float>& w, int out, int in, int taps, int n) {
  using T = typename Types<f>::Operand;
  const int cell = cell_channels(f);
  const size_t task = size_t(packed_cells(f, n, in, taps)) * cell, part = task / parts(f);
  std::vector<T> packed(task * ((out + n - 1) / n), T(0.0f));
  for (int o = 0; o < out; o++)
    for (int c = 0; c < in; c++)
      for (int tap = 0; tap < taps; tap++) {
        const float v = w[(size_t(o) * in + c) * taps + tap];
        const size_t at = task * (o / n) + packed_at(f, n, o % n, c, taps, tap);
        if constexpr (f == Format::f32) {
          split(v, packed[at], packed[at + part]);
        } else {
          packed[at] = T(operand<f>(v));
        }
      }
  return packed;
}

// Options of one convolution.
struct Spec {
  int taps = 9, stride = 1, in = 0, in2 = 0, out = 0;
  bool normalises = false, bias = false, planar = false, image = false;
  int add_shift = -1;  // -1: nothing is added
};

// Statistics of the pieces that a kernel left, combined.
Moments whole(const std::vector<Moments>& pieces, int count) {
  Moments m = {0, 0, 0};
  for (int i = 0; i < count; i++) m = combine<2>({m, pieces[i]});
  return m;
}

// pieces_of are the moments of a map [pixel][channels] in as many pieces as a launch would leave.
std::vector<Moments> pieces_of(const std::vector<float>& map, int channels) {
  std::vector<Moments> pieces;
  const size_t most = 4 * multiprocessors(), pixels = std::max<size_t>(kTilePixels, map.size() / channels / most + 1);
  for (size_t first = 0; first < map.size(); first += pixels * channels) {
    const std::vector<float> part(map.begin() + first, map.begin() + std::min(map.size(), first + pixels * channels));
    const plain::Statistics s(part);
    pieces.push_back({float(s.n), float(s.mean), float(s.m2)});
  }
  return pieces;
}

// Conv is one map under one set of weights, with its data on both sides.
template <Format f>
class Conv {
 public:
  using Map = typename Types<f>::Map;

  // like: whose weights it has, too; null: its own.
  Conv(const Spec& spec, Size in, uint64_t seed, Conv* like)
      : spec_(spec), in_(in), out_(plain::strided(in, spec.stride)), like_(like) {
    Random random(seed);
    // Where the input is normalised, a mean beside zero and gains make it matter.
    auto map = [&](int pixels, int channels, bool offset) {
      std::vector<float> v = random.many(size_t(pixels) * channels, offset ? 2.0f : 1.0f, offset ? 0.5f : 0.0f);
      for (float& x : v) x = rounded<f>(x);
      return v;
    };
    const int channels = spec.in + spec.in2;
    weights_ = random.many(size_t(spec.out) * channels * spec.taps, std::sqrt(3.0f / float(channels * spec.taps)));
    if (like) weights_ = like->weights_;
    bias_ = random.many(spec.out, spec.bias ? 1.0f : 0.0f);
    scale_ = random.many(spec.in, 0.5f, 1), shift_ = random.many(spec.in, 0.5f);
    if (spec.image) {
      input_ = random.many(size_t(3) * in.pixels(), 0.5f, 0.5f);
      in_buffer_ = upload_floats(input_);
    } else {
      input_ = map(in.pixels(), spec.in, spec.normalises);
      in_buffer_ = upload(input_);
    }
    if (spec.in2) input2_ = map(in.pixels(), spec.in2, false), in2_buffer_ = upload(input2_);
    if (spec.add_shift >= 0)
      add_ = map((out_.height >> spec.add_shift) * (out_.width >> spec.add_shift), spec.out, false),
      add_buffer_ = upload(add_);
    if (spec.normalises) in_moments_ = Buffer<Moments>(pieces_of(input_, spec.in));
    bias_buffer_ = Buffer<float>(bias_), scale_buffer_ = Buffer<float>(scale_), shift_buffer_ = Buffer<float>(shift_);
    out_buffer_ = Buffer<char>(out_size() * (spec.planar ? 4 : sizeof(Map)));
    moments_ = Buffer<Moments>(size_t(tiles_along(out_.height)) * tiles_along(out_.width) * ((spec.out + 31) / 32));
  }

  // add_jobs appends the jobs for tasks of n output channels.
  void add_jobs(int n, int map, std::vector<Job>& jobs) {
    const int taps = spec_.image ? 1 : spec_.taps, channels = spec_.image ? 27 : spec_.in + spec_.in2;
    if (!like_) {
      const auto packed = pack_weights<f>(weights_, spec_.out, channels, taps, n);
      weights_buffers_.emplace_back(std::vector<char>(reinterpret_cast<const char*>(packed.data()),
                                                      reinterpret_cast<const char*>(packed.data() + packed.size())));
    }
    const char* packed_weights = (like_ ? like_ : this)->weights_buffers_.back().get();
    for (int first = 0; first < spec_.out; first += n) {
      Task t = {};
      t.in = in_buffer_.get(), t.in2 = spec_.in2 ? in2_buffer_.get() : nullptr;
      t.weights = packed_weights + size_t(first / n) * packed_cells(f, n, channels, taps) * 16;
      t.bias = spec_.bias ? bias_buffer_.get() + first : nullptr;
      t.add = spec_.add_shift >= 0 ? add_buffer_.get() : nullptr, t.add_shift = int16_t(std::max(0, spec_.add_shift));
      t.out = out_buffer_.get(), t.moments = spec_.planar ? nullptr : moments_.get();
      if (spec_.normalises)
        t.in_moments = in_moments_.get(), t.in_pieces = int(in_moments_.size()), t.scale = scale_buffer_.get(),
        t.shift = shift_buffer_.get();
      t.in_height = int16_t(in_.height), t.in_width = int16_t(in_.width);
      t.height = int16_t(out_.height), t.width = int16_t(out_.width);
      t.channels = int16_t(spec_.in), t.channels2 = int16_t(spec_.in2), t.out_channels = int16_t(spec_.out);
      t.first = int16_t(first), t.valid = int16_t(std::min(n, spec_.out - first)), t.planar = spec_.planar;
      jobs.push_back({t, map});
    }
  }

  void poison() { out_buffer_.fill(0xFF), moments_.fill(0xFF); }
  std::vector<char> bytes() const { return out_buffer_.download(); }

  // compare returns how far the output is from the CPU's, and its moments from those of the output itself.
  Difference compare(int pieces) {
    if (want_.empty()) want_ = expect();
    const std::vector<char> raw = bytes();
    std::vector<float> got(out_size());
    for (size_t i = 0; i < got.size(); i++) {
      if (!spec_.planar) {
        got[i] = float(reinterpret_cast<const Map*>(raw.data())[i]);
      } else {
        const size_t n = i % spec_.out, p = i / spec_.out;
        got[i] = reinterpret_cast<const float*>(raw.data())[n * out_.pixels() + p];
      }
    }
    Difference d = difference(got, want_);
    if (!spec_.planar) {
      const Moments m = whole(moments_.download(), pieces);
      const plain::Statistics truth(got);
      const double error =
          std::max(std::fabs(std::sqrt(m.m2 / m.n) - truth.deviation()), std::fabs(m.mean - truth.mean));
      if (!(m.n == float(truth.n) && error < 2e-6 * truth.deviation())) {
        printf("moments n %g mean %.9g m2 %.9g, want %g %.9g %.9g\n", m.n, m.mean, m.m2, truth.n, truth.mean, truth.m2);
        return {INFINITY, INFINITY};
      }
    }
    return d;
  }

  double gflop() const { return 2e-9 * double(out_size()) * (spec_.in + spec_.in2) * spec_.taps; }

 private:
  size_t out_size() const { return size_t(out_.pixels()) * spec_.out; }

  static Buffer<char> upload(const std::vector<float>& v) {
    const std::vector<Map> m = convert<Map>(v);
    return Buffer<char>(
        std::vector<char>(reinterpret_cast<const char*>(m.data()), reinterpret_cast<const char*>(m.data() + m.size())));
  }
  static Buffer<char> upload_floats(const std::vector<float>& v) {
    return Buffer<char>(
        std::vector<char>(reinterpret_cast<const char*>(v.data()), reinterpret_cast<const char*>(v.data() + v.size())));
  }

  std::vector<double> expect() const {
    std::vector<float> in(input_.size() + input2_.size());
    const int channels = spec_.in + spec_.in2;
    if (spec_.image) {
      for (int p = 0; p < in_.pixels(); p++)
        for (int c = 0; c < 3; c++) in[size_t(p) * 3 + c] = operand<f>(input_[size_t(c) * in_.pixels() + p]);
    } else {
      std::vector<double> first(input_.begin(), input_.end());
      if (spec_.normalises) {
        first = plain::normalise(input_, scale_, shift_, norm::kEpsilon);
        for (double& v : first) v = plain::silu(v);
      }
      for (size_t i = 0; i < in.size(); i++) {
        const size_t p = i / channels, c = i % channels;
        in[i] = operand<f>(int(c) < spec_.in ? first[p * spec_.in + c] : input2_[p * spec_.in2 + c - spec_.in]);
      }
    }
    std::vector<float> weights = weights_;
    for (float& w : weights) w = operand<f>(w);
    std::vector<double> out = plain::convolve(in_, spec_.taps, spec_.stride, channels, spec_.out, in, weights);
    for (int p = 0; p < out_.pixels(); p++)
      for (int n = 0; n < spec_.out; n++) {
        double& v = out[size_t(p) * spec_.out + n];
        v += bias_[n];
        if (const int s = spec_.add_shift; s >= 0)
          v += add_[size_t((p / out_.width >> s) * (out_.width >> s) + (p % out_.width >> s)) * spec_.out + n];
      }
    return out;
  }

  Spec spec_;
  Size in_, out_;
  Conv* like_;
  std::vector<float> input_, input2_, add_, weights_, bias_, scale_, shift_;
  std::vector<double> want_;
  Buffer<char> in_buffer_{1}, in2_buffer_{1}, add_buffer_{1}, out_buffer_{1};
  std::vector<Buffer<char>> weights_buffers_;  // of each kernel that was prepared
  Buffer<Moments> in_moments_{1}, moments_{1};
  Buffer<float> bias_buffer_{1}, scale_buffer_{1}, shift_buffer_{1};
};

// Step is a launch that the network makes.
using Step = std::function<void(cudaStream_t, Start)>;

// runs_for_bits says how often a step is run to see whether its bits stay.
int runs_for_bits = 100;

// same says whether they do.
bool same(const Step& step, const std::function<std::vector<std::vector<char>>()>& bytes) {
  const auto first = bytes();
  for (int i = 1; i <= runs_for_bits; i++) {
    step(nullptr, i % 2 ? Start::plain : Start::overlapped);
    if (i % 10 != 0 && i != runs_for_bits) continue;
    APEXX_CHECK(cudaDeviceSynchronize());
    if (bytes() != first) return false;
  }
  return true;
}

// Launch is a list of convolutions in one launch.
template <Format f>
class Launch {
 public:
  Launch(const char* name, Report& report) : name_(name), report_(report) {}

  // add appends maps that share their weights, one for each size.
  Launch& add(const Spec& spec, const std::vector<Size>& sizes) {
    Conv<f>* first = nullptr;
    for (Size in : sizes) {
      convs_->push_back(std::make_unique<Conv<f>>(spec, in, convs_->size() + 1, first));
      if (!first) first = convs_->back().get();
    }
    spec_ = spec;
    return *this;
  }

  // measure compares and times every kernel of the table that fits, and returns the fastest, or the first if nothing is
  // timed.
  Step measure() {
    double gflop = 0, best = INFINITY;
    for (auto& c : *convs_) gflop += c->gflop();
    Step fastest;
    for (size_t k = 0; k < std::size(kKernels); k++) {
      const Kernel& kernel = kKernels[k];
      if (!fits(kernel)) continue;
      auto [step, pieces] = prepare(kernel, kEntries[k]);
      for (auto& c : *convs_) c->poison();
      step(nullptr, Start::plain);
      APEXX_CHECK(cudaDeviceSynchronize());
      Difference worst;
      for (size_t i = 0; i < convs_->size(); i++) {
        const Difference d = (*convs_)[i]->compare(pieces[i]);
        worst.relative = std::max(worst.relative, d.relative), worst.largest = std::max(worst.largest, d.largest);
      }
      if (!same(step, [&] {
            std::vector<std::vector<char>> all;
            for (auto& c : *convs_) all.push_back(c->bytes());
            return all;
          }))
        worst = {INFINITY, INFINITY};
      for (Start start : {Start::plain, Start::overlapped}) {
        const std::string variant = std::string(kernel.name) + (start == Start::plain ? "" : ", overlapped");
        const double us = report_.add(
            name_, variant, [&, start, step = step](cudaStream_t s) { step(s, start); }, worst, tolerance(f), gflop);
        if (us < best || !fastest) best = us, fastest = step;
      }
    }
    return fastest;
  }

 private:
  bool fits(const Kernel& k) const {
    const int taps = spec_.image ? 1 : spec_.taps, stride = spec_.image ? 1 : spec_.stride;
    if (k.format != f || k.taps != taps || k.stride != stride || k.image != spec_.image) return false;
    return !k.resident || (k.channels == spec_.in && k.n == spec_.out && k.normalises == spec_.normalises &&
                           !spec_.bias && !spec_.in2 && spec_.add_shift < 0);
  }

  // prepare makes the schedule of a kernel.
  std::pair<Step, std::vector<int>> prepare(const Kernel& kernel, Entry entry) {
    std::vector<Job> jobs;
    for (size_t i = 0; i < convs_->size(); i++) (*convs_)[i]->add_jobs(kernel.n, int(i), jobs);
    const int most = multiprocessors() * kernel.blocks;
    const Schedule s = schedule(jobs, most, kernel.teams, kernel.resident);
    auto tasks = std::make_shared<Buffer<Task>>(s.tasks);
    printf("%-20s %-34s %d blocks of at most %d tasks\n", name_, kernel.name, s.blocks, s.most_tasks);
    Step step = [convs = convs_, tasks, entry, kernel, blocks = s.blocks, most_tasks = s.most_tasks](
                    cudaStream_t stream, Start start) {
      launch(entry, dim3(blocks), kernel.threads(), shared_bytes(kernel), stream, start,
             Arguments{tasks->get(), most_tasks, 0, nullptr});
    };
    return {step, s.pieces};
  }

  const char* name_;
  Report& report_;
  Spec spec_;
  // Steps share the data.
  std::shared_ptr<std::vector<std::unique_ptr<Conv<f>>>> convs_ =
      std::make_shared<std::vector<std::unique_ptr<Conv<f>>>>();
};

using ApplyEntry = void (*)(norm::Arguments);
template <Format f>
constexpr ApplyEntry kApply = norm::norm_apply_f32;
template <>
constexpr ApplyEntry kApply<Format::f16> = norm::norm_apply_f16;
template <>
constexpr ApplyEntry kApply<Format::bf16> = norm::norm_apply_bf16;

// measure_apply compares and times one launch of norm_apply with gates and residuals over maps of some sizes.
template <Format f>
Step measure_apply(Report& report, const char* name, const std::vector<Size>& sizes, int channels,
                   bool normalises_residual) {
  using Map = typename Types<f>::Map;
  struct Data {
    std::vector<double> want;
    Buffer<Map> in, residual, out;
    Buffer<Moments> in_moments, residual_moments;
    Buffer<float> scale, shift, residual_scale, residual_shift;
  };
  auto data = std::make_shared<std::vector<Data>>();
  std::vector<norm::Apply> blocks;
  Random random(7);
  auto map = [&](int pixels, int n) {
    std::vector<float> v = random.many(size_t(pixels) * n, 2.0f, 0.5f);
    for (float& x : v) x = rounded<f>(x);
    return v;
  };
  for (Size size : sizes) {
    const std::vector<float> in = map(size.pixels(), 2 * channels), residual = map(size.pixels(), channels);
    const std::vector<float> scale = random.many(2 * channels, 0.5f, 1), shift = random.many(2 * channels, 0.5f);
    const std::vector<float> residual_scale = random.many(channels, 0.5f, 1),
                             residual_shift = random.many(channels, 0.5f);
    const std::vector<double> normal = plain::normalise(in, scale, shift, norm::kEpsilon);
    const std::vector<double> other = plain::normalise(residual, residual_scale, residual_shift, norm::kEpsilon);
    std::vector<double> want(residual.size());
    for (size_t i = 0; i < want.size(); i++) {
      const size_t p = i / channels, c = i % channels;
      want[i] = normal[p * 2 * channels + c] * std::max(0.0, normal[p * 2 * channels + channels + c]);
      want[i] += normalises_residual ? rounded<f>(plain::silu(other[i])) : residual[i];
    }
    data->push_back({want, Buffer<Map>(convert<Map>(in)), Buffer<Map>(convert<Map>(residual)), Buffer<Map>(want.size()),
                     Buffer<Moments>(pieces_of(in, 2 * channels)), Buffer<Moments>(pieces_of(residual, channels)),
                     Buffer<float>(scale), Buffer<float>(shift), Buffer<float>(residual_scale),
                     Buffer<float>(residual_shift)});
    const Data& d = data->back();
    norm::Apply a = {};
    a.in = d.in.get(), a.in_moments = d.in_moments.get(), a.in_pieces = int(d.in_moments.size());
    a.scale = d.scale.get(), a.shift = d.shift.get(), a.residual = d.residual.get(), a.out = d.out.get();
    if (normalises_residual)
      a.residual_moments = d.residual_moments.get(), a.residual_pieces = int(d.residual_moments.size()),
      a.residual_scale = d.residual_scale.get(), a.residual_shift = d.residual_shift.get();
    a.cells = size.pixels() * channels / norm::kCell, a.channels = int16_t(channels), a.gated = 1;
    norm::cut(a, blocks);
  }
  auto list = std::make_shared<Buffer<norm::Apply>>(blocks);
  Step step = [data, list, n = blocks.size()](cudaStream_t stream, Start start) {
    launch(kApply<f>, dim3(unsigned(n)), norm::kThreads, 0, stream, start, norm::Arguments{list->get()});
  };
  for (Data& d : *data) d.out.fill(0xFF);
  step(nullptr, Start::plain);
  APEXX_CHECK(cudaDeviceSynchronize());
  Difference worst;
  for (const Data& d : *data) {
    const Difference one = difference(convert<float>(d.out.download()), d.want);
    worst.relative = std::max(worst.relative, one.relative), worst.largest = std::max(worst.largest, one.largest);
  }
  for (Start start : {Start::plain, Start::overlapped})
    report.add(
        name, start == Start::plain ? "norm_apply" : "norm_apply, overlapped", [&](cudaStream_t s) { step(s, start); },
        worst, tolerance(f), 0);
  return step;
}

// measure_layouts compares the two launches between the layouts with each other and with the CPU.
template <class T>
void measure_layouts(Report& report, void (*planes)(norm::Layout), void (*maps)(norm::Layout), double tolerance) {
  constexpr int kImages = 2, kPixels = 1000, kChannels = 40;
  Random random(9);
  std::vector<float> values = random.many(size_t(kImages) * kPixels * kChannels, 1);
  Buffer<T> map(convert<T>(values)), back(values.size());
  Buffer<float> plane(values.size());
  const dim3 grid((kPixels + 31) / 32, (kChannels + 31) / 32, kImages);
  auto run = [&](cudaStream_t s) {
    launch(planes, grid, norm::kThreads, 0, s, Start::plain, norm::Layout{map.get(), plane.get(), kPixels, kChannels});
    launch(maps, grid, norm::kThreads, 0, s, Start::plain, norm::Layout{plane.get(), back.get(), kPixels, kChannels});
  };
  plane.fill(0xFF), back.fill(0xFF);
  run(nullptr);
  APEXX_CHECK(cudaDeviceSynchronize());
  std::vector<double> want(values.size());
  for (size_t i = 0; i < values.size(); i++) {
    const size_t image = i / (kPixels * kChannels), c = i / kPixels % kChannels, p = i % kPixels;
    want[i] = double(float(T(values[(image * kPixels + p) * kChannels + c])));
  }
  Difference d = difference(plane.download(), want);
  const std::vector<T> first = map.download(), again = back.download();
  if (memcmp(first.data(), again.data(), first.size() * sizeof(T))) d = {INFINITY, INFINITY};
  report.add("layouts", sizeof(T) == 4 ? "f32" : __is_same(T, __half) ? "f16" : "bf16", run, d, tolerance, 0);
}

// measure_network measures every launch of the network for one image, and all of them after each other.
template <Format f>
void measure_network(Report& report, const std::string& prefix, int side) {
  std::vector<Step> steps;
  std::vector<std::string> names;
  auto name = [&](const char* launch) {
    names.push_back(prefix + launch);
    return names.back().c_str();
  };
  names.reserve(32);
  auto at = [&](int stride) { return Size{side / stride, side / stride}; };
  const std::vector<Size> pyramid = {at(8), at(16), at(32), at(64), at(128)};
  auto first_of = [&](int levels) { return std::vector<Size>(pyramid.begin(), pyramid.begin() + levels); };
  auto one = [&](const char* launch, const Spec& spec, Size in) {
    steps.push_back(Launch<f>(name(launch), report).add(spec, {in}).measure());
  };
  one("stem", {.stride = 2, .in = 3, .out = 64, .image = true}, at(1));
  one("down_s4", {.stride = 2, .in = 64, .out = 64, .normalises = true}, at(2));
  one("down_s8", {.stride = 2, .in = 64, .out = 64, .normalises = true}, at(4));
  one("p3_block", {.taps = 1, .in = 64, .out = 128, .normalises = true, .bias = true}, at(8));
  steps.push_back(measure_apply<f>(report, name("p3"), {at(8)}, 64, true));
  one("down_p4", {.stride = 2, .in = 64, .out = 128}, at(8));
  one("p4_block", {.taps = 1, .in = 128, .out = 256, .normalises = true, .bias = true}, at(16));
  steps.push_back(measure_apply<f>(report, name("p4"), {at(16)}, 128, true));
  one("trunk", {.in = 128, .out = 128}, at(16));
  one("proxies", {.taps = 1, .in = 128, .out = 3, .normalises = true, .bias = true, .planar = true}, at(16));
  one("down_p5", {.stride = 2, .in = 128, .out = 192}, at(16));
  one("p5_block", {.taps = 1, .in = 192, .out = 384, .normalises = true, .bias = true}, at(32));
  steps.push_back(measure_apply<f>(report, name("p5"), {at(32)}, 192, true));
  one("p5_lateral", {.taps = 1, .in = 192, .out = 96}, at(32));
  one("p4_sum", {.taps = 1, .in = 128, .out = 96, .add_shift = 1}, at(16));
  auto smooth = [&](const char* launch, int first, int end) {
    Launch<f> l(name(launch), report);
    for (int i = first; i < end; i++) l.add({.taps = 1, .in = 96, .out = 192, .bias = true}, {pyramid[i]});
    steps.push_back(l.measure());
  };
  smooth("coarse_smooth", 1, 3);
  steps.push_back(measure_apply<f>(report, name("coarse"), {at(16), at(32)}, 96, false));
  one("p6", {.stride = 2, .in = 96, .out = 96}, at(32));
  one("p7", {.stride = 2, .in = 96, .out = 96}, at(64));
  one("p3_sum", {.taps = 1, .in = 64, .in2 = 64, .out = 96, .add_shift = 1}, at(8));
  smooth("fine_smooth", 0, 1);
  steps.push_back(measure_apply<f>(report, name("fine"), {at(8)}, 96, false));
  auto heads = [&](const char* launch, const Spec& spec, const std::vector<int>& levels) {
    Launch<f> l(name(launch), report);
    for (int n : levels) l.add(spec, first_of(n));
    steps.push_back(l.measure());
  };
  heads("heads.first", {.in = 96, .out = 96}, {5, 5, 5, 1, 1});
  heads("projections", {.taps = 1, .in = 96, .out = 96}, {1, 1});
  heads("heads.second", {.in = 96, .out = 96, .normalises = true}, {5, 5, 5, 1});
  Launch<f> predictions(name("predictions"), report);
  auto predict = [&](int out, int levels) {
    predictions.add({.taps = 1, .in = 96, .out = out, .normalises = true, .bias = true, .planar = true},
                    first_of(levels));
  };
  predict(8, 5), predict(4, 5), predict(1, 5), predict(32, 1), predict(9, 1);
  steps.push_back(predictions.measure());

  auto all = [&](Start start) {
    return [&, start](cudaStream_t s) {
      for (const Step& step : steps) step(s, start);
    };
  };
  report.add(prefix + "network", "one after the other", all(Start::plain), {}, 1, 0);
  report.add(prefix + "network", "one after the other, overlapped", all(Start::overlapped), {}, 1, 0);
}

// measure_shapes compares what the network of profile nano has not: odd sizes, channels of the other profiles.
template <Format f>
void measure_shapes(Report& report, const std::string& name) {
  auto one = [&](const Spec& spec, Size in) { Launch<f>(name.c_str(), report).add(spec, {in}).measure(); };
  one({.in = 80, .out = 80, .normalises = true, .bias = true}, {19, 13});
  one({.stride = 2, .in = 80, .out = 160}, {21, 35});
  one({.taps = 1, .in = 320, .out = 40, .normalises = true}, {5, 3});
  one({.taps = 1, .in = 96, .in2 = 80, .out = 160, .add_shift = 0}, {8, 24});
  one({.stride = 2, .in = 3, .out = 80, .image = true}, {34, 18});
}

}  // namespace

int main(int argc, char** argv) {
  const bool check_only = argc > 1 && strcmp(argv[1], "--check") == 0;
  if (check_only) argc--, argv++, runs_for_bits = 2;
  const int side = argc > 1 ? atoi(argv[1]) : 512;
  if (argc > 3 || side < 128 || side > 2048 || side % 128 != 0) {
    fprintf(stderr, "usage: conv [--check] [image side, a multiple of 128 from 128 to 2048 [result.json]]\n");
    return 2;
  }
  cudaDeviceProp device;
  APEXX_CHECK(cudaGetDeviceProperties(&device, 0));
  int driver, clock;
  APEXX_CHECK(cudaDriverGetVersion(&driver));
  APEXX_CHECK(cudaDeviceGetAttribute(&clock, cudaDevAttrClockRate, 0));
  printf("%s, %d multiprocessors, at most %d MHz, driver API %d; image %d×%d\n", device.name,
         device.multiProcessorCount, clock / 1000, driver, side, side);

  Report report(!check_only);
  {
    Report shapes(false);
    measure_shapes<Format::f16>(shapes, "f16.shapes");
    measure_shapes<Format::bf16>(shapes, "bf16.shapes");
    measure_shapes<Format::tf32>(shapes, "tf32.shapes");
    measure_shapes<Format::f32>(shapes, "f32.shapes");
    measure_layouts<__half>(shapes, norm::norm_planes_f16, norm::norm_maps_f16, 0);
    measure_layouts<__nv_bfloat16>(shapes, norm::norm_planes_bf16, norm::norm_maps_bf16, 0);
    measure_layouts<float>(shapes, norm::norm_planes_f32, norm::norm_maps_f32, 0);
    if (shapes.wrong() > 0) return 1;
  }
  measure_network<Format::f16>(report, "", side);
  measure_network<Format::f32>(report, "f32.", side);
  measure_network<Format::bf16>(report, "bf16.", side);
  measure_network<Format::tf32>(report, "tf32.", side);
  if (argc > 2) {
    char head[512];
    snprintf(head, sizeof head,
             "\"device\":\"%s\",\"multiprocessors\":%d,\"max_clock_mhz\":%d,\"driver_api\":%d,\"image_side\":%d",
             device.name, device.multiProcessorCount, clock / 1000, driver, side);
    report.write(argv[2], head);
  }
  return report.wrong() == 0 ? 0 : 1;
}
