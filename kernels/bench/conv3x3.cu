// Workbench of the 3×3 convolutions at the shapes of profile nano: every variant in order of speed, each compared with
// the CPU, run a hundred times for equal bits, and only then timed.
//
//   conv3x3 [--check] [image side, default 512 [result.json]]
//
// --check compares and does not time, for compute-sanitizer. Exits 1 if any variant is wrong.
//
// heads.first   three towers on five levels, prototypes and semantic trunk on P3: 96 → 96, one input, five sets of
//               weights
// heads.second  second layer of towers and prototypes: input normalised and activated in the prologue
// heads.both    the two after each other
// fp32.first    heads.first in strict single precision
// fp32.second   heads.second in strict single precision
// down_s4       backbone, 64 → 64, stride 2, the largest map
// down_s8       the same on the next map
// chain         eight layers 64 → 64 on the maps of P3 and P4, one after the other: what a step costs that waits for
//               the one before
#include <string.h>

#include "../conv3x3_direct.cuh"
#include "../conv3x3_plain.h"
#include "../conv3x3_sm80.cuh"
#include "../conv3x3_sm90.cuh"
#include "workbench.cuh"

using namespace apexx;
using namespace apexx::bench;
using namespace apexx::conv3x3;

namespace {

int multiprocessors() {
  int n;
  APEXX_CHECK(cudaDeviceGetAttribute(&n, cudaDevAttrMultiProcessorCount, 0));
  return n;
}

// Statistics of values in double precision.
struct Statistics {
  double mean = 0, m2 = 0;
  Statistics(const double* x, size_t n) {
    for (size_t i = 0; i < n; i++) mean += x[i] / double(n);
    for (size_t i = 0; i < n; i++) m2 += (x[i] - mean) * (x[i] - mean);
  }
};

// tolerance on ‖out - want‖ / ‖want‖: rounding the output to fp16 makes 2.1e-4 of this measure, adding 864 products in
// single precision 5e-7.
template <class T>
constexpr double tolerance() {
  return sizeof(T) == 2 ? 4e-4 : 2e-6;
}

// Layer is one convolution of all branches with its data on both sides.
template <class T, int kIn, int kOut, int kStride, bool kNormalise>
class Layer {
 public:
  // level_branches gives, for each branch, on how many levels it runs; all branches read one input if shared.
  Layer(const char* name, const std::vector<std::pair<int, int>>& input_sizes, const std::vector<int>& level_branches,
        bool shared, uint64_t seed)
      : name_(name) {
    Random random(seed);
    for (auto [h, w] : input_sizes) add_level(plan, h, w, kStride);
    for (int levels : level_branches) add_branch(plan, levels);
    spread(plan, multiprocessors());
    for (int b = 0; b < plan.branches; b++) {
      const int levels = level_branches[b];
      const Level& last = plan.level[levels - 1];
      if (b == 0 || !shared) {
        // Where the prologue normalises, a mean beside zero and gains make it matter.
        input_.push_back(random.many(size_t(last.in_first + last.in_height * last.in_width) * kIn,
                                     kNormalise ? 2.0f : 1.0f, kNormalise ? 0.5f : 0.0f));
        for (float& x : input_.back()) x = rounded(x);
        in_.emplace_back(convert<T>(input_.back()));
        in_moments_.emplace_back(moments_of_input(levels, input_.back()));
      }
      weights_.push_back(random.many(size_t(kOut) * kIn * kTaps, std::sqrt(3.0f / (kIn * kTaps))));
      std::vector<__half> packed_weights(weights_.back().size() * (sizeof(T) / 2));
      for (int n = 0; n < kOut; n++)
        for (int c = 0; c < kIn; c++)
          for (int tap = 0; tap < kTaps; tap++) {
            float& w = weights_.back()[(size_t(n) * kIn + c) * kTaps + tap];
            w = rounded(w);
            __half hi, lo;
            split(w, hi, lo);
            packed_weights[packed(kOut, n, c, tap)] = hi;
            if (sizeof(T) == 4) packed_weights[weights_.back().size() + packed(kOut, n, c, tap)] = lo;
          }
      packed_.emplace_back(packed_weights);
      scale_.push_back(random.many(kIn, 0.1f, 1.0f)), shift_.push_back(random.many(kIn, 0.1f));
      scale_buffer_.emplace_back(scale_.back()), shift_buffer_.emplace_back(shift_.back());
      out_.emplace_back(out_size(b)), moments_.emplace_back(plan.branch[b].tiles);
      operands[b] = {in_.back().get(),          packed_.back().get(),     out_.back().get(),
                     moments_.back().get(),     in_moments_.back().get(), scale_buffer_.back().get(),
                     shift_buffer_.back().get()};
      gflop += 2e-9 * double(out_size(b)) * kIn * kTaps;
    }
    upload();
  }

  // compare runs once over poisoned memory, then a hundred times for equal bits.
  Difference compare(const std::function<void(cudaStream_t)>& run, bool with_moments = true) {
    if (want_.empty())
      for (int b = 0; b < plan.branches; b++) want_.push_back(expect(b, input_[input_.size() == 1 ? 0 : b]));
    return compare_with(want_, run, with_moments);
  }

  Difference compare_with(const std::vector<std::vector<double>>& want, const std::function<void(cudaStream_t)>& run,
                          bool with_moments) {
    for (auto& b : out_) b.fill(0xFF);
    for (auto& b : moments_) b.fill(0xFF);
    run(nullptr);
    APEXX_CHECK(cudaDeviceSynchronize());
    Difference worst;
    std::vector<std::vector<T>> first;
    for (int b = 0; b < plan.branches; b++) {
      first.push_back(out_[b].download());
      Difference d = difference(convert<float>(first[b]), want[b]);
      if (with_moments) d.relative = std::max(d.relative, moments_error(b, want[b]));
      worst.relative = std::max(worst.relative, d.relative), worst.largest = std::max(worst.largest, d.largest);
    }
    for (int i = 0; i < 100; i++) {
      run(nullptr);
      if (i % 10 != 9) continue;
      APEXX_CHECK(cudaDeviceSynchronize());
      for (int b = 0; b < plan.branches; b++) {
        std::vector<T> again = out_[b].download();
        if (memcmp(again.data(), first[b].data(), again.size() * sizeof(T))) worst = {INFINITY, INFINITY};
      }
    }
    return worst;
  }

  // expect computes a branch on the CPU from an input before normalisation.
  std::vector<double> expect(int b, const std::vector<float>& input) const {
    const int levels = plan.branch[b].levels;
    std::vector<float> in = input;
    if (kNormalise) in = plain::normalise(plan, levels, kIn, in, scale_[b], shift_[b], kEpsilon, rounded);
    return plain::convolve(plan, levels, kStride, kIn, kOut, in, weights_[b]);
  }

  // feed makes branches [0, branches) read what another layer writes.
  template <class Other>
  void feed(const Other& other, int branches) {
    for (int b = 0; b < branches; b++) {
      operands[b].in = other.operands[b].out;
      operands[b].in_moments = other.operands[b].moments;
    }
    upload();
  }

  // upload makes the tasks anew after a change of operands.
  void upload() { tasks_ = Buffer<Task<T>>(make_tasks(plan, operands, kIn, kOut)); }

  const Task<T>* tasks() const { return tasks_.get(); }
  int slots() const { return plan.blocks * plan.most_tiles; }

  std::vector<float> output(int b) const { return convert<float>(out_[b].download()); }
  const char* name() const { return name_; }

  // rounded is what the kernels see of a number.
  static float rounded(double x) { return float(T(float(x))); }

  Plan plan = {};
  Operands<T> operands[kMaxBranches] = {};
  double gflop = 0;

 private:
  size_t out_size(int b) const {
    const Level& last = plan.level[plan.branch[b].levels - 1];
    return size_t(last.first_pixel + last.height * last.width) * kOut;
  }

  std::vector<Moments> moments_of_input(int levels, const std::vector<float>& input) const {
    std::vector<Moments> moments;
    for (int l = 0; l < levels; l++) {
      const Level& level = plan.level[l];
      for (int y = 0; y < level.in_height; y += kTile)
        for (int x = 0; x < level.in_width; x += kTile) {
          std::vector<double> values;
          for (int p = 0; p < kTilePixels; p++) {
            const int py = y + p / kTile, px = x + p % kTile;
            if (py < level.in_height && px < level.in_width)
              for (int c = 0; c < kIn; c++)
                values.push_back(input[size_t(level.in_first + py * level.in_width + px) * kIn + c]);
          }
          const Statistics m(values.data(), values.size());
          moments.push_back({float(values.size()), float(m.mean), float(m.m2)});
        }
    }
    return moments;
  }

  // moments_error compares deviation and mean of each level, both against the deviation, with those of the reference.
  double moments_error(int b, const std::vector<double>& want) const {
    std::vector<Moments> tiles = moments_[b].download();
    double worst = 0;
    for (int l = 0; l < plan.branch[b].levels; l++) {
      const Level& level = plan.level[l];
      Moments m = {0, 0, 0};
      for (int i = 0; i < level_tiles(level); i++) m = combine<2>({m, tiles[level.first_tile + i]});
      const size_t first = size_t(level.first_pixel) * kOut, n = size_t(level.height) * level.width * kOut;
      const Statistics truth(&want[first], n);
      const double deviation = std::sqrt(truth.m2 / double(n));
      const double error =
          std::max(std::fabs(std::sqrt(m.m2 / m.n) - deviation), std::fabs(m.mean - truth.mean)) / deviation;
      worst = error < INFINITY ? std::max(worst, error) : INFINITY;
    }
    return worst;
  }

  const char* name_;
  Buffer<Task<T>> tasks_{1};
  std::vector<std::vector<float>> input_, weights_, scale_, shift_;
  std::vector<std::vector<double>> want_;
  std::vector<Buffer<T>> in_, out_;
  std::vector<Buffer<__half>> packed_;
  std::vector<Buffer<Moments>> in_moments_, moments_;
  std::vector<Buffer<float>> scale_buffer_, shift_buffer_;
};

template <class T, int kIn, int kOut, int kStride, bool kNormalise>
void run_direct(const Layer<T, kIn, kOut, kStride, kNormalise>& l, cudaStream_t stream) {
  launch(conv3x3_direct<T, kIn, kOut, kStride>, dim3(l.slots() * (kOut / 4)), 256, 0, stream, Start::plain, l.tasks());
}

template <class T, int kIn, int kOut, int kStride, bool kNormalise>
void run_sm80(const Layer<T, kIn, kOut, kStride, kNormalise>& l, cudaStream_t stream) {
  using Shape = Sm80Shape<T, kIn, kOut, kStride>;
  launch(conv3x3_sm80<Shape, kNormalise>, dim3(l.slots()), Shape::kThreads, sizeof(typename Shape::Shared), stream,
         Start::plain, l.tasks());
}

template <int kTeams, int kSplit, int kIn, int kOut, int kStride, bool kNormalise>
void run_sm90(const Layer<__half, kIn, kOut, kStride, kNormalise>& l, cudaStream_t stream, Start start) {
  using Shape = Sm90Shape<kIn, kOut, kStride, kTeams, kSplit>;
  launch(conv3x3_sm90<Shape, kNormalise>, dim3(l.plan.blocks), Shape::kThreads, sizeof(typename Shape::Shared), stream,
         start, l.tasks(), l.plan.most_tiles);
}

// Chain is several layers in one cooperative launch.
template <class Shape, bool kNormalise>
class Chain {
 public:
  Chain(const std::vector<Task<__half>>& tasks, const Plan& plan, int layers)
      : tasks_(tasks), arrivals_(kMaxBranches), plan_(plan), layers_(layers) {
    arrivals_.fill(0);
  }
  void run(cudaStream_t stream) const {
    launch(conv3x3_sm90_chain<Shape, kNormalise>, dim3(plan_.blocks), Shape::kThreads, sizeof(typename Shape::Shared),
           stream, Start::cooperative, tasks_.get(), layers_, plan_.most_tiles, arrivals_.get());
  }

 private:
  Buffer<Task<__half>> tasks_;
  Buffer<unsigned long long> arrivals_;
  Plan plan_;
  int layers_;
};

// measure compares and then times; what is wrong is not timed.
template <class T, int kIn, int kOut, int kStride, bool kNormalise>
void measure(Report& report, Layer<T, kIn, kOut, kStride, kNormalise>& layer, const char* variant,
             const std::function<void(cudaStream_t)>& run, bool with_moments = true) {
  report.add(layer.name(), variant, run, layer.compare(run, with_moments), tolerance<T>(), layer.gflop);
}

template <int kIn, int kOut, int kStride, bool kNormalise>
void measure_sm90(Report& report, Layer<__half, kIn, kOut, kStride, kNormalise>& layer) {
  auto sm90 = [&]<int kTeams, int kSplit>(std::integer_sequence<int, kTeams, kSplit>, Start start) {
    char name[64];
    snprintf(name, sizeof name, "sm90, %d teams of %d%s", kTeams, kSplit,
             start == Start::overlapped ? ", overlapped" : "");
    measure(report, layer, name, [&](cudaStream_t s) { run_sm90<kTeams, kSplit>(layer, s, start); });
  };
  sm90(std::integer_sequence<int, 1, 2>(), Start::plain);
  sm90(std::integer_sequence<int, 2, 1>(), Start::plain);
  sm90(std::integer_sequence<int, 3, 1>(), Start::plain);
  sm90(std::integer_sequence<int, 1, 2>(), Start::overlapped);
  sm90(std::integer_sequence<int, 2, 1>(), Start::overlapped);
  sm90(std::integer_sequence<int, 3, 1>(), Start::overlapped);
}

template <class T, int kIn, int kOut, int kStride, bool kNormalise>
void measure_all(Report& report, Layer<T, kIn, kOut, kStride, kNormalise>& layer) {
  if constexpr (!kNormalise) measure(report, layer, "direct", [&](cudaStream_t s) { run_direct(layer, s); }, false);
  measure(report, layer, "sm80", [&](cudaStream_t s) { run_sm80(layer, s); });
  if constexpr (sizeof(T) == 2) measure_sm90(report, layer);
}
// pyramid returns the sizes of P3 to P7.
std::vector<std::pair<int, int>> pyramid(int side) {
  std::vector<std::pair<int, int>> levels;
  for (int stride = 8; stride <= 128; stride *= 2) levels.push_back({side / stride, side / stride});
  return levels;
}

void measure_single_precision(Report& report, int side) {
  Layer<float, 96, 96, 1, false> first("fp32.first", pyramid(side), {5, 5, 5, 1, 1}, true, 1);
  measure_all(report, first);
  Layer<float, 96, 96, 1, true> second("fp32.second", pyramid(side), {5, 5, 5, 1}, false, 2);
  measure_all(report, second);
}

void measure_heads(Report& report, int side) {
  Layer<__half, 96, 96, 1, false> first("heads.first", pyramid(side), {5, 5, 5, 1, 1}, true, 1);
  Layer<__half, 96, 96, 1, true> second("heads.second", pyramid(side), {5, 5, 5, 1}, false, 2);
  printf("heads: %d blocks of at most %d tiles, then %d of at most %d\n", first.plan.blocks, first.plan.most_tiles,
         second.plan.blocks, second.plan.most_tiles);
  measure_all(report, first);
  measure_all(report, second);

  // The second layer on what the first one wrote; its reference starts from the same fp16 values.
  second.feed(first, 4);
  auto chain = [&](Start start) {
    return [&, start](cudaStream_t s) { run_sm90<3, 1>(first, s, start), run_sm90<3, 1>(second, s, start); };
  };
  chain(Start::plain)(nullptr);
  APEXX_CHECK(cudaDeviceSynchronize());
  std::vector<std::vector<double>> want;
  for (int b = 0; b < 4; b++) want.push_back(second.expect(b, first.output(b)));
  auto measure_both = [&](const char* variant, const std::function<void(cudaStream_t)>& run) {
    report.add("heads.both", variant, run, second.compare_with(want, run, true), tolerance<__half>(),
               first.gflop + second.gflop);
  };
  measure_both("sm80, two launches", [&](cudaStream_t s) { run_sm80(first, s), run_sm80(second, s); });
  measure_both("sm90, two launches", chain(Start::plain));
  measure_both("sm90, two launches, overlapped", chain(Start::overlapped));

  // One launch for both layers: the second takes the first one's plan, and its last branch is nothing.
  Operands<__half> operands[kMaxBranches] = {};
  std::copy(second.operands, second.operands + 4, operands);
  std::vector<Task<__half>> tasks = make_tasks(first.plan, first.operands, 96, 96);
  for (Task<__half> t : make_tasks(first.plan, operands, 96, 96)) tasks.push_back(t.branch == 4 ? Task<__half>{} : t);
  Chain<Sm90Shape<96, 96, 1, 3, 1>, false> both(tasks, first.plan, 2);
  measure_both("sm90, one cooperative launch", [&](cudaStream_t s) { both.run(s); });
}

// measure_chain times layers that have next to nothing to do, one after the other: what a step costs that must wait for
// the one before. A sample is the whole chain; all ways to run it must give the same bits.
template <int kTeams, int kSplit>
void measure_chain(Report& report, const char* name, int side) {
  constexpr int kLayers = 8;
  using L = Layer<__half, 64, 64, 1, true>;
  L first(name, {{side, side}}, {1}, false, 5), odd(name, {{side, side}}, {1}, false, 6),
      even(name, {{side, side}}, {1}, false, 7), odd_again(name, {{side, side}}, {1}, false, 6);
  odd.feed(first, 1), even.feed(odd, 1), odd_again.feed(even, 1);
  odd_again.operands[0].out = odd.operands[0].out, odd_again.operands[0].moments = odd.operands[0].moments;
  odd_again.upload();
  const L* layers[kLayers] = {&first, &odd, &even, &odd_again, &even, &odd_again, &even, &odd_again};
  std::vector<Task<__half>> tasks;
  for (const L* l : layers)
    for (const Task<__half>& t : make_tasks(l->plan, l->operands, 64, 64)) tasks.push_back(t);
  printf("%s: %d blocks of at most %d tiles, %d layers\n", name, first.plan.blocks, first.plan.most_tiles, kLayers);

  std::vector<float> bits;
  auto measure_way = [&](const std::string& variant, const std::function<void(cudaStream_t)>& run) {
    for (int i = 0; i < 20; i++) run(nullptr);
    APEXX_CHECK(cudaDeviceSynchronize());
    const std::vector<float> out = odd.output(0);
    if (bits.empty()) bits = out;
    const Difference same = memcmp(out.data(), bits.data(), out.size() * sizeof(float)) == 0
                                ? Difference{}
                                : Difference{INFINITY, INFINITY};
    report.add(name, variant, run, same, tolerance<__half>(), first.gflop * kLayers);
  };
  auto separate = [&](Start start) {
    return [&, start](cudaStream_t s) {
      for (const L* l : layers) run_sm90<kTeams, kSplit>(*l, s, start);
    };
  };
  measure_way("eight launches", separate(Start::plain));
  measure_way("eight launches, overlapped", separate(Start::overlapped));
  Chain<Sm90Shape<64, 64, 1, kTeams, kSplit, 1>, true> chain(tasks, first.plan, kLayers);
  measure_way("one cooperative launch", [&](cudaStream_t s) { chain.run(s); });
  Chain<Sm90Shape<64, 64, 1, kTeams, kSplit, 2>, true> prefetching(tasks, first.plan, kLayers);
  measure_way("one launch, weights ahead", [&](cudaStream_t s) { prefetching.run(s); });
}

}  // namespace

int main(int argc, char** argv) {
  const bool check_only = argc > 1 && strcmp(argv[1], "--check") == 0;
  if (check_only) argc--, argv++;
  const int side = argc > 1 ? atoi(argv[1]) : 512;
  if (argc > 3 || side < 128 || side > 2048 || side % 128 != 0) {
    fprintf(stderr, "usage: conv3x3 [--check] [image side, a multiple of 128 from 128 to 2048 [result.json]]\n");
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
  measure_heads(report, side);
  measure_single_precision(report, side);
  Layer<__half, 64, 64, 2, true> down_s4("down_s4", {{side / 2, side / 2}}, {1}, false, 3);
  measure_all(report, down_s4);
  Layer<__half, 64, 64, 2, true> down_s8("down_s8", {{side / 4, side / 4}}, {1}, false, 4);
  measure_all(report, down_s8);
  measure_chain<1, 2>(report, "chain.p3", side / 8);
  measure_chain<1, 2>(report, "chain.p4", side / 16);
  if (argc > 2) {
    char head[512];
    snprintf(head, sizeof head,
             "\"device\":\"%s\",\"multiprocessors\":%d,\"max_clock_mhz\":%d,\"driver_api\":%d,\"image_side\":%d",
             device.name, device.multiProcessorCount, clock / 1000, driver, side);
    report.write(argv[2], head);
  }
  return report.wrong() == 0 ? 0 : 1;
}
