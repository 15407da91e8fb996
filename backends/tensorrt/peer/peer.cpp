// How long TensorRT takes for a network in standard operators, chosen and fused by TensorRT alone: the peer of the backend tensorrt, which has
// plugins.
//
//   apexx export --scope network --inline --instances --out DIR                       the network, up to the outputs of the heads
//   apexx run --backend reference --tensors IMAGE --taps --out EXPECTED               what it should give of an image
//   tensorrt-peer --library libnvinfer.so.10 --model DIR/model.onnx --dtype float16 --inputs IMAGE --expected EXPECTED --json FILE
//
// The network is weakly typed, so that TensorRT may choose float16 for any layer (--dtype float16), or float32 without TF32. Its engine is loaded,
// captured as one CUDA graph and timed by the code that does so for the worker (driver/shim.cpp): the clock is the device's, and of both the same. An
// engine that cannot be captured is enqueued, and the result says so ("mode").
//
// Fast and wrong is no peer. The outputs are compared with those expected (safetensors, under their names or as tap.NAME) by ‖x - expected‖ over
// ‖expected‖, of which the largest is at most kLimit, and have to be the same bit for bit after all runs. The JSON has the keys of the PyTorch peer and
// some more; times are in milliseconds. It is also written where the outputs are wrong, and the exit code is 1 then: 2 is wrong usage, 5 that there is
// no library or device, 6 all else.
#include <NvInfer.h>
#include <NvOnnxParser.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "../driver/ended.h"
#include "../driver/library.h"

namespace {

constexpr int kWrong = 1, kUsage = 2, kUnavailable = 5, kInternal = 6;  // exit codes

constexpr auto kWarmUp = std::chrono::milliseconds(500);  // clocks have risen by then
constexpr int kRuns = 1000;

// Largest relative error of an output (nano, 512²). Implementations in float32 are off by 1e-6 to 1.5e-4, the reference emulating TF32 or float16 by
// 0.0017; with sums in float16, which TensorRT may choose, the backend tensorrt is off by 0.0086 in the worst of twelve pictures. A network whose scans
// forget what came before is off by 0.038, one that normalises each channel alone by 5.
const std::map<std::string, double> kLimit = {{"float32", 5e-4}, {"float16", 2e-2}};

[[noreturn]] void end(int code, const std::string& why) {
  std::cerr << "tensorrt-peer: " << why << "\n";
  exit(code);
}

// call ends the program if a function of the shim fails, whose last argument is where it says why.
template <class F>
void call(const std::string& doing, F f) {
  char* error = nullptr;
  const int code = f(&error);
  if (code == APEXX_TRT_OK) return;
  const bool missing = code == APEXX_TRT_NO_LIBRARY || code == APEXX_TRT_NO_SYMBOL || code == APEXX_TRT_NO_DEVICE || code == APEXX_TRT_NOT_STARTED;
  end(missing ? kUnavailable : kInternal, doing + ": " + (error ? error : "no reason given"));
}

std::string read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) end(kUsage, path + ": " + strerror(errno));
  return {std::istreambuf_iterator<char>(file), {}};
}

void write(const std::string& path, const void* data, size_t size) {
  std::ofstream file(path, std::ios::binary);
  if (!file.write(static_cast<const char*>(data), size).flush()) end(kInternal, path + ": " + strerror(errno));
}

// Flags are pairs --NAME VALUE.
class Flags {
 public:
  Flags(int argc, char** argv) {
    for (int i = 1; i < argc; i += 2) {
      const std::string name = argv[i];
      if (!values_.count(name)) end(kUsage, "unknown flag " + name + "; known are" + names());
      if (i + 1 == argc) end(kUsage, name + " needs a value");
      values_[name] = argv[i + 1];
    }
    for (const char* name : {"--library", "--model", "--inputs", "--expected"})
      if (values_[name].empty()) end(kUsage, std::string(name) + " FILE is missing");
    if (!kLimit.count(values_["--dtype"])) end(kUsage, "--dtype is " + values_["--dtype"] + ", want float32 or float16");
    const std::string& level = values_["--level"];
    if (level.size() != 1 || level < "0" || level > "5") end(kUsage, "--level is " + level + ", want 0 to 5");
  }
  const std::string& operator[](const char* name) const { return values_.at(name); }

 private:
  std::string names() const {
    std::string all;
    for (const auto& [name, value] : values_) all += " " + name;
    return all;
  }
  // --timings is a timing cache, read if it is there, and written; --level, how hard the builder searches.
  std::map<std::string, std::string> values_ = {{"--library", ""}, {"--model", ""}, {"--inputs", ""}, {"--expected", ""},
                                                {"--dtype", "float16"}, {"--level", "3"}, {"--timings", ""}, {"--json", ""}};
};

// Tensors are the float32 tensors of a safetensors file: 8 bytes of length, a header in JSON, {"NAME":{"dtype":"F32",…,"data_offsets":[FROM,TO]},…},
// the data.
class Tensors {
 public:
  explicit Tensors(const std::string& path) : path_(path), file_(read(path)) {
    uint64_t length = 0;
    if (file_.size() < sizeof length) end(kUsage, path + " is no safetensors file");
    memcpy(&length, file_.data(), sizeof length);
    data_ = sizeof length + length;
    if (length > file_.size() || data_ > file_.size()) end(kUsage, path + " is no safetensors file");
    header_ = file_.substr(sizeof length, length);
    std::erase_if(header_, [](char c) { return c == ' ' || c == '\n'; });
  }

  // get returns a tensor of so many bytes, called by one of these names.
  const float* get(const std::vector<std::string>& names, size_t bytes) const {
    for (const std::string& name : names) {
      const size_t at = header_.find('"' + name + "\":{");
      if (at == std::string::npos) continue;
      const std::string entry = header_.substr(at, header_.find('}', at + name.size()) - at);
      const size_t offsets = entry.find("\"data_offsets\":[");
      unsigned long long from = 0, to = 0;
      const bool found = offsets != std::string::npos && sscanf(entry.c_str() + offsets, "\"data_offsets\":[%llu,%llu]", &from, &to) == 2;
      if (!found || from > to || to > file_.size() - data_) end(kUsage, path_ + ": " + name + " lies outside the file");
      if (entry.find("\"dtype\":\"F32\"") == std::string::npos || to - from != bytes)
        end(kUsage, path_ + ": " + name + " is not of " + std::to_string(bytes / sizeof(float)) + " float32, as the network's");
      return reinterpret_cast<const float*>(file_.data() + data_ + from);
    }
    end(kUsage, path_ + " has no tensor " + names.front());
  }

 private:
  std::string path_, file_, header_;
  size_t data_;
};

struct Built {
  std::unique_ptr<nvinfer1::IHostMemory> engine;
  int layers;  // of the network, before TensorRT fuses any
  double seconds;
};

Built build(const Flags& flags) {
  using nvinfer1::BuilderFlag;
  std::optional<std::string> why;
  void* const made = ended::result_of(
      [] {
        shim::cuda.call_cuCtxSetCurrent(shim::cuda.context);
        return shim::library.create_builder(&shim::logger, NV_TENSORRT_VERSION);
      },
      &why);
  if (!made) end(kUnavailable, why ? *why : shim::logger.take("TensorRT gives no builder and does not say why"));
  const std::unique_ptr<nvinfer1::IBuilder> builder(static_cast<nvinfer1::IBuilder*>(made));
  const std::unique_ptr<nvinfer1::INetworkDefinition> network(builder->createNetworkV2(0));  // weakly typed
  const std::unique_ptr<nvinfer1::IBuilderConfig> config(builder->createBuilderConfig());
  const std::unique_ptr<nvonnxparser::IParser> parser(
      static_cast<nvonnxparser::IParser*>(shim::library.create_parser(network.get(), &shim::logger, NV_ONNX_PARSER_VERSION)));
  const std::string model = read(flags["--model"]);
  if (!parser->parse(model.data(), model.size()))
    end(kInternal, flags["--model"] + ": " + (parser->getNbErrors() ? parser->getError(0)->desc() : "the parser refuses it"));

  config->clearFlag(BuilderFlag::kTF32);  // it is set before
  if (flags["--dtype"] == "float16") config->setFlag(BuilderFlag::kFP16);
  config->setBuilderOptimizationLevel(std::stoi(flags["--level"]));
  config->setProfilingVerbosity(nvinfer1::ProfilingVerbosity::kDETAILED);
  const std::string& timings = flags["--timings"];
  if (!timings.empty() && !std::ofstream(timings, std::ios::app)) end(kUsage, timings + ": " + strerror(errno));  // before minutes of work
  const std::string known = timings.empty() ? "" : read(timings);
  std::unique_ptr<nvinfer1::ITimingCache> cache(config->createTimingCache(known.data(), known.size()));
  if (cache) config->setTimingCache(*cache, false);

  shim::logger.take("");
  const auto start = std::chrono::steady_clock::now();
  Built b{std::unique_ptr<nvinfer1::IHostMemory>(builder->buildSerializedNetwork(*network, *config)), network->getNbLayers(), 0};
  b.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (!b.engine) end(kInternal, flags["--model"] + ": " + shim::logger.take("the builder gave nothing and did not say why"));
  if (cache && !timings.empty()) {
    const std::unique_ptr<nvinfer1::IHostMemory> kept(cache->serialize());
    if (kept) write(timings, kept->data(), kept->size());
  }
  return b;
}

// Error is the largest of the outputs.
struct Error {
  double value = 0;
  std::string output;
};

class Run {
 public:
  Run(const Built& b, const Tensors& inputs) {
    call("loading the engine", [&](char** error) { return apexx_trt_load(b.engine->data(), b.engine->size(), 0, 0, &run_, error); });
    for (int i = 0; i < apexx_trt_bindings(run_); i++) {
      bindings_.push_back(apexx_trt_get_binding(run_, i));
      const apexx_trt_binding& t = bindings_.back();
      if (t.element != APEXX_TRT_FLOAT32) end(kInternal, std::string(t.name) + " is not float32");
      if (!t.input) continue;
      memcpy(t.host, inputs.get({t.name}, t.bytes), t.bytes);
      call(t.name, [&](char** error) { return apexx_trt_copy(run_, i, 1, error); });
    }
  }
  ~Run() { apexx_trt_close(run_); }

  float milliseconds() {
    float time = 0;
    call("executing", [&](char** error) { return apexx_trt_execute(run_, &time, error); });
    return time;
  }

  // outputs returns the bytes of all outputs, one after the other.
  std::string outputs() {
    std::string all;
    for (size_t i = 0; i < bindings_.size(); i++) {
      const apexx_trt_binding& t = bindings_[i];
      if (t.input) continue;
      call(t.name, [&](char** error) { return apexx_trt_copy(run_, i, 0, error); });
      all.append(static_cast<const char*>(t.host), t.bytes);
    }
    return all;
  }

  // error compares the outputs that were returned last. One that is not finite is off by ∞ or NaN, which is more than any limit.
  Error error(const Tensors& expected) const {
    Error largest;
    for (const apexx_trt_binding& t : bindings_) {
      if (t.input) continue;
      const float *x = static_cast<const float*>(t.host), *want = expected.get({t.name, std::string("tap.") + t.name}, t.bytes);
      double difference = 0, all = 0;
      for (size_t i = 0; i < t.bytes / sizeof(float); i++) {
        difference += std::pow(static_cast<double>(x[i]) - want[i], 2);
        all += std::pow(static_cast<double>(want[i]), 2);
      }
      const double value = std::sqrt(difference / all);
      if (!(value <= largest.value)) largest = {value, t.name};
      if (std::isnan(value)) break;
    }
    return largest;
  }

  const apexx_trt_binding& input() const { return *std::find_if(bindings_.begin(), bindings_.end(), [](const apexx_trt_binding& t) { return t.input; }); }
  std::string not_captured() const { return apexx_trt_captured(run_); }
  int layers() const {
    const std::string text = apexx_trt_layers(run_), each = "\"LayerType\"";
    int count = 0;
    for (size_t at = text.find(each); at != std::string::npos; at = text.find(each, at + 1)) count++;
    return count;
  }

 private:
  apexx_trt_run* run_ = nullptr;
  std::vector<apexx_trt_binding> bindings_;
};

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += static_cast<unsigned char>(c) < ' ' ? ' ' : c;
  }
  return out + '"';
}

std::string number(double x) {
  std::ostringstream text;
  text.precision(9);
  if (std::isfinite(x)) text << x;
  return std::isfinite(x) ? text.str() : "null";
}

// open_libraries opens the device and TensorRT, and returns its version. The parser lies beside the library.
int open_libraries(const std::string& library, apexx_trt_device* device) {
  int version = 0, headers = 0;
  const std::string parser = library.substr(0, library.rfind('/') + 1) + "libnvonnxparser.so.10";
  call("opening the device", [&](char** error) { return apexx_trt_open_device(device, error); });
  call("opening TensorRT", [&](char** error) { return apexx_trt_open(library.c_str(), parser.c_str(), &version, &headers, error); });
  shim::cuda.call_cuCtxSetCurrent(shim::cuda.context);
  return version;
}

std::vector<float> measure(Run& run) {
  for (const auto start = std::chrono::steady_clock::now(); std::chrono::steady_clock::now() - start < kWarmUp;) run.milliseconds();
  std::vector<float> times(kRuns);
  for (float& t : times) t = run.milliseconds();
  std::sort(times.begin(), times.end());
  return times;
}

struct Measured {
  int version;  // of TensorRT, 100600 for 10.6.0
  std::string device;
  std::vector<float> times;  // in milliseconds, in order
  Error error;
  bool same;  // bits before and after
};

std::string json(const Flags& flags, const Built& built, const Run& run, const Measured& m) {
  std::ostringstream text;
  const auto put = [&](const char* key, const std::string& value) { text << (text.tellp() ? ", " : "{") << quoted(key) << ": " << value; };
  const auto percentile = [&](double p) { return number(m.times[static_cast<size_t>(p * (m.times.size() - 1))]); };
  const auto part = [&](int unit) { return std::to_string(m.version / unit % 100); };
  const std::string not_captured = run.not_captured();
  put("peer", quoted("tensorrt-" + part(10000) + "." + part(100) + "." + part(1)));
  put("mode", quoted(not_captured.empty() ? "graph" : "enqueue"));
  put("dtype", quoted(flags["--dtype"]));
  put("batch", number(run.input().dims[0]));
  put("size", number(run.input().dims[2]));
  put("scope", quoted("network"));
  put("p50_ms", percentile(0.5));
  put("p95_ms", percentile(0.95));
  put("device", quoted(m.device));
  put("p10_ms", percentile(0.1));
  put("p90_ms", percentile(0.9));
  put("runs", number(m.times.size()));
  put("level", flags["--level"]);
  put("network_layers", number(built.layers));
  put("engine_layers", number(run.layers()));
  put("build_s", number(built.seconds));
  put("error", number(m.error.value));
  put("error_of", quoted(m.error.output));
  put("same_bits", m.same ? "true" : "false");
  if (!not_captured.empty()) put("not_captured", quoted(not_captured));
  return text.str() + "}\n";
}

// judge tells why an engine is no peer; "" if it is one.
std::string judge(const Measured& m, double limit) {
  if (!(m.error.value <= limit)) return m.error.output + " is off by " + number(m.error.value) + ", more than " + number(limit) + ": this is another network";
  return m.same ? "" : "the outputs of the last run are not those of the first";
}

}  // namespace

int main(int argc, char** argv) {
  const Flags flags(argc, argv);
  const Tensors inputs(flags["--inputs"]), expected(flags["--expected"]);
  apexx_trt_device device{};
  Measured m{};
  m.version = open_libraries(flags["--library"], &device);
  m.device = device.name;

  const Built built = build(flags);
  Run run(built, inputs);
  run.milliseconds();
  const std::string first = run.outputs();
  m.error = run.error(expected);
  m.times = measure(run);
  m.same = run.outputs() == first;

  const std::string text = json(flags, built, run, m);
  std::cout << text;
  if (!flags["--json"].empty()) write(flags["--json"], text.data(), text.size());
  if (const std::string why = judge(m, kLimit.at(flags["--dtype"])); !why.empty()) end(kWrong, why);
  return 0;
}
