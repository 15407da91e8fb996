// What every workbench needs: checked calls, random data, comparison, and times by device events of a replayed CUDA
// graph.
#pragma once

#include <cuda_fp16.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <vector>

namespace apexx::bench {

inline void check(cudaError_t status, const char* call, const char* file, int line) {
  if (status == cudaSuccess) return;
  fprintf(stderr, "%s:%d: %s: %s\n", file, line, call, cudaGetErrorString(status));
  exit(5);
}
#define APEXX_CHECK(call) ::apexx::bench::check(call, #call, __FILE__, __LINE__)

// Random draws uniform numbers in [-1, 1) from splitmix64.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  float next() {
    uint64_t z = state_ += 0x9E3779B97F4A7C15;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
    return float((z ^ (z >> 31)) >> 40) / float(1 << 23) - 1;
  }
  std::vector<float> many(size_t n, float scale, float offset = 0) {
    std::vector<float> v(n);
    for (float& x : v) x = offset + scale * next();
    return v;
  }

 private:
  uint64_t state_;
};

// Buffer owns device memory.
template <class T>
class Buffer {
 public:
  explicit Buffer(size_t n) : n_(n) { APEXX_CHECK(cudaMalloc(&data_, n * sizeof(T))); }
  explicit Buffer(const std::vector<T>& v) : Buffer(v.size()) {
    APEXX_CHECK(cudaMemcpy(data_, v.data(), n_ * sizeof(T), cudaMemcpyHostToDevice));
  }
  Buffer(Buffer&& other) : data_(other.data_), n_(other.n_) { other.data_ = nullptr; }
  Buffer& operator=(Buffer&& other) {
    std::swap(data_, other.data_), std::swap(n_, other.n_);
    return *this;
  }
  ~Buffer() { cudaFree(data_); }
  T* get() const { return data_; }
  size_t size() const { return n_; }
  // fill sets every byte: 0xFF is a NaN, so that what a kernel leaves unwritten shows.
  void fill(int byte) { APEXX_CHECK(cudaMemset(data_, byte, n_ * sizeof(T))); }
  std::vector<T> download() const {
    std::vector<T> v(n_);
    APEXX_CHECK(cudaMemcpy(v.data(), data_, n_ * sizeof(T), cudaMemcpyDeviceToHost));
    return v;
  }

 private:
  T* data_ = nullptr;
  size_t n_;
};

template <class To, class From>
std::vector<To> convert(const std::vector<From>& v) {
  std::vector<To> out;
  for (const From& x : v) out.push_back(To(float(x)));
  return out;
}

// Difference of a result from its reference: ‖out - want‖ / ‖want‖, and the largest element of |out - want|. A NaN is
// infinite.
struct Difference {
  double relative = 0, largest = 0;
};

inline Difference difference(const std::vector<float>& out, const std::vector<double>& want) {
  double error = 0, norm = 0, largest = 0;
  for (size_t i = 0; i < want.size(); i++) {
    const double d = std::fabs(out[i] - want[i]);
    if (!(d < INFINITY)) return {INFINITY, INFINITY};
    error += d * d, norm += want[i] * want[i], largest = std::max(largest, d);
  }
  return {std::sqrt(error / norm), largest};
}

// Samples are microseconds of one run each.
struct Samples {
  std::vector<double> us;
  double quantile(double q) const {
    std::vector<double> v = us;
    std::sort(v.begin(), v.end());
    return v[size_t(q * double(v.size() - 1))];
  }
};

// time_graph captures `run` `rows` times in a row into one CUDA graph and replays that; a sample is a replay's time by
// device events divided by rows. Data stay in L2 between runs, as they do between the steps of the model.
inline Samples time_graph(const std::function<void(cudaStream_t)>& run, int rows, int replays, int warm_up) {
  cudaStream_t stream;
  APEXX_CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  cudaGraph_t graph;
  cudaGraphExec_t executable;
  APEXX_CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  for (int i = 0; i < rows; i++) run(stream);
  APEXX_CHECK(cudaStreamEndCapture(stream, &graph));
  APEXX_CHECK(cudaGraphInstantiate(&executable, graph, 0));
  cudaEvent_t begin, end;
  APEXX_CHECK(cudaEventCreate(&begin));
  APEXX_CHECK(cudaEventCreate(&end));
  Samples samples;
  for (int i = 0; i < warm_up + replays; i++) {
    APEXX_CHECK(cudaEventRecord(begin, stream));
    APEXX_CHECK(cudaGraphLaunch(executable, stream));
    APEXX_CHECK(cudaEventRecord(end, stream));
    APEXX_CHECK(cudaEventSynchronize(end));
    float ms;
    APEXX_CHECK(cudaEventElapsedTime(&ms, begin, end));
    if (i >= warm_up) samples.us.push_back(double(ms) * 1e3 / rows);
  }
  APEXX_CHECK(cudaEventDestroy(begin));
  APEXX_CHECK(cudaEventDestroy(end));
  APEXX_CHECK(cudaGraphExecDestroy(executable));
  APEXX_CHECK(cudaGraphDestroy(graph));
  APEXX_CHECK(cudaStreamDestroy(stream));
  return samples;
}

// time_runs takes 200 samples of 20 runs each, or of what takes milliseconds, where one run drowns every gap, 20
// samples of one.
inline Samples time_runs(const std::function<void(cudaStream_t)>& run) {
  constexpr double kSlow = 1000;  // microseconds
  if (time_graph(run, 1, 1, 1).us[0] > kSlow) return time_graph(run, 1, 20, 2);
  return time_graph(run, 20, 200, 20);
}

// Launch attributes beside grid and block.
enum class Start { plain, overlapped };

// launch starts a kernel. Overlapped: its blocks may start while the kernel before it still runs (programmatic
// dependent launch).
template <class... Params, class... Args>
void launch(void (*kernel)(Params...), dim3 grid, int threads, size_t shared, cudaStream_t stream, Start start,
            const Args&... args) {
  APEXX_CHECK(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, int(shared)));
  cudaLaunchConfig_t config = {};
  config.gridDim = grid, config.blockDim = dim3(threads), config.dynamicSmemBytes = shared, config.stream = stream;
  cudaLaunchAttribute attribute = {};
  attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  attribute.val.programmaticStreamSerializationAllowed = 1;
  config.attrs = &attribute, config.numAttrs = start == Start::plain ? 0 : 1;
  APEXX_CHECK(cudaLaunchKernelEx(&config, kernel, args...));
}

// Report collects results as JSON, one object for each variant.
class Report {
 public:
  // times: whether what is right is timed.
  explicit Report(bool times) : times_(times) {}

  // add takes a variant with its difference from the reference and returns its median in microseconds. What exceeds the
  // tolerance is wrong, counted and not timed; what is not timed takes forever.
  double add(const std::string& group, const std::string& name, const std::function<void(cudaStream_t)>& run,
             Difference d, double tolerance, double gflop) {
    printf("%-14s %-34s error %.2e (largest %.2e)", group.c_str(), name.c_str(), d.relative, d.largest);
    if (!(d.relative <= tolerance)) {
      printf("  WRONG: more than %.1e\n", tolerance);
      wrong_++;
      return INFINITY;
    }
    double p50 = INFINITY;
    if (times_) {
      const Samples s = time_runs(run);
      printf("  p5 %8.2f  p50 %8.2f  p95 %8.2f µs  %6.1f TFLOP/s", s.quantile(0.05), s.quantile(0.5), s.quantile(0.95),
             gflop / s.quantile(0.5) * 1e3);
      p50 = s.quantile(0.5);
      keep(group, name, s, d, gflop);
    }
    printf("\n");
    fflush(stdout);
    return p50;
  }

  int wrong() const { return wrong_; }

  void write(const char* path, const std::string& head) const {
    FILE* f = fopen(path, "w");
    if (!f) {
      fprintf(stderr, "cannot write %s\n", path);
      exit(2);
    }
    fprintf(f, "{%s,\n\"results\":[\n", head.c_str());
    for (size_t i = 0; i < rows_.size(); i++) fprintf(f, "%s%s\n", rows_[i].c_str(), i + 1 < rows_.size() ? "," : "");
    fprintf(f, "]}\n");
    fclose(f);
  }

 private:
  void keep(const std::string& group, const std::string& name, const Samples& s, Difference d, double gflop) {
    char text[512];
    snprintf(text, sizeof text,
             "{\"group\":\"%s\",\"variant\":\"%s\",\"gflop\":%.6g,\"relative_error\":%.4g,\"largest_error\":%.4g,\"p50_"
             "us\":%.4f,\"samples_us\":[",
             group.c_str(), name.c_str(), gflop, d.relative, d.largest, s.quantile(0.5));
    std::string line = text;
    for (size_t i = 0; i < s.us.size(); i++) {
      snprintf(text, sizeof text, "%s%.4f", i ? "," : "", s.us[i]);
      line += text;
    }
    rows_.push_back(line + "]}");
  }

  bool times_;
  int wrong_ = 0;
  std::vector<std::string> rows_;
};

}  // namespace apexx::bench
