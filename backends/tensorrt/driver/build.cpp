//go:build tensorrt

// Building engines, and calibrating, which is a build that ends early.

#include <NvOnnxParser.h>

#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "calibrator.h"
#include "ended.h"
#include "library.h"

// apexxProgress is a function of Go. It returns 0 to interrupt the build.
extern "C" int apexxProgress(uintptr_t handle, char* phase, int done, int total);

// apexxBatch is a function of Go. It fills the memory with an input of a batch, and returns 1; 0 to interrupt, -1 if there is no such input of that size.
extern "C" int apexxBatch(uintptr_t handle, int batch, char* name, void* host, size_t bytes);

using namespace shim;

namespace {

// Made for the first build and kept, as that takes 5 to 8 seconds: it reads the builder resource.
nvinfer1::IBuilder* kept_builder = nullptr;
std::optional<std::string> no_builder;  // why there will be none any more

// Monitor tells Go how far a build is.
class Monitor : public nvinfer1::IProgressMonitor {
 public:
  explicit Monitor(uintptr_t handle) : handle_(handle) {}

  void phaseStart(const char* phase, const char*, int32_t steps) noexcept override {
    const std::lock_guard<std::mutex> lock(mutex_);
    steps_[phase] = steps;
    tell(phase, 0);
  }
  bool stepComplete(const char* phase, int32_t step) noexcept override {
    const std::lock_guard<std::mutex> lock(mutex_);
    tell(phase, step + 1);
    return !interrupted_ && !enough_;
  }
  void phaseFinish(const char* phase) noexcept override {
    const std::lock_guard<std::mutex> lock(mutex_);
    steps_.erase(phase);
  }
  bool interrupted() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return interrupted_;
  }

  // batch tells of a batch of a calibration, which is no phase of the builder's.
  bool batch(int done, int total) {
    const std::lock_guard<std::mutex> lock(mutex_);
    steps_["calibrating"] = total;
    tell("calibrating", done);
    return !interrupted_;
  }
  // enough ends the build at its next step, as what it was for is there.
  void enough() {
    const std::lock_guard<std::mutex> lock(mutex_);
    enough_ = true;
  }

 private:
  void tell(const char* phase, int done) {
    if (!apexxProgress(handle_, const_cast<char*>(phase), done, steps_[phase])) interrupted_ = true;
  }

  uintptr_t handle_;
  std::mutex mutex_;
  std::map<std::string, int> steps_;
  bool interrupted_ = false, enough_ = false;
};

void configure(nvinfer1::IBuilderConfig& config, const apexx_trt_build& b) {
  if (b.tf32) {
    config.setFlag(nvinfer1::BuilderFlag::kTF32);
  } else {
    config.clearFlag(nvinfer1::BuilderFlag::kTF32);  // it is set before
  }
  config.setBuilderOptimizationLevel(b.level);
  config.setProfilingVerbosity(nvinfer1::ProfilingVerbosity::kDETAILED);
}

// profile lets the first dimension of every input be one of the batches.
int profile(nvinfer1::IBuilder& builder, nvinfer1::INetworkDefinition& network, const apexx_trt_build& b, nvinfer1::IBuilderConfig& config, char** error) {
  if (b.batches[0] == 0) return APEXX_TRT_OK;
  constexpr nvinfer1::OptProfileSelector kSelectors[] = {nvinfer1::OptProfileSelector::kMIN, nvinfer1::OptProfileSelector::kOPT, nvinfer1::OptProfileSelector::kMAX};
  nvinfer1::IOptimizationProfile* const shapes = builder.createOptimizationProfile();  // the builder's own
  if (!shapes) return refuse(error, APEXX_TRT_FAILED, "TensorRT gives no optimisation profile");
  for (int32_t i = 0; i < network.getNbInputs(); i++) {
    const nvinfer1::ITensor& input = *network.getInput(i);
    for (int s = 0; s < 3; s++) {
      nvinfer1::Dims shape = input.getDimensions();
      shape.d[0] = b.batches[s];
      if (!shapes->setDimensions(input.getName(), kSelectors[s], shape)) return refuse(error, APEXX_TRT_FAILED, "an optimisation profile was refused");
    }
  }
  if (config.addOptimizationProfile(shapes) < 0) return refuse(error, APEXX_TRT_FAILED, "the optimisation profile was refused");
  return APEXX_TRT_OK;
}

int parse(nvinfer1::INetworkDefinition& network, const void* model, size_t size, char** error, std::unique_ptr<nvonnxparser::IParser>& parser) {
  parser.reset(static_cast<nvonnxparser::IParser*>(library.create_parser(&network, &logger, NV_ONNX_PARSER_VERSION)));
  if (!parser) return refuse(error, APEXX_TRT_FAILED, "the ONNX parser gave nothing");
  if (parser->parse(model, size)) return APEXX_TRT_OK;
  std::string text;
  for (int i = 0; i < parser->getNbErrors(); i++) {
    const nvonnxparser::IParserError* e = parser->getError(i);
    if (!text.empty()) text += "; ";
    text += "node " + std::string(e->nodeName() ? e->nodeName() : "") + " (" + (e->nodeOperator() ? e->nodeOperator() : "") + "): " + e->desc();
  }
  logger.take("");
  return fail(error, APEXX_TRT_FAILED, "the ONNX parser refuses the model: %s", text.c_str());
}

apexx_trt_blob blob_of(nvinfer1::IHostMemory* memory) { return {memory->data(), memory->size(), memory}; }


// begin_build makes the builder, if there is none.
int begin_build(char** error) {
  CUDA(cuCtxSetCurrent(cuda.context));
  logger.take("");
  if (kept_builder) return APEXX_TRT_OK;
  if (!no_builder) {
    kept_builder = static_cast<nvinfer1::IBuilder*>(ended::result_of(
        [] {
          cuda.call_cuCtxSetCurrent(cuda.context);
          return library.create_builder(&logger, NV_TENSORRT_VERSION);
        },
        &no_builder));
  }
  if (kept_builder) return APEXX_TRT_OK;
  return refuse(error, APEXX_TRT_NOT_STARTED, no_builder ? no_builder->c_str() : "TensorRT gives no builder and does not say why");
}

// Inputs are those of a network on the device, filled with one batch after the other.
class Inputs : public calibrating::Feed {
 public:
  Inputs(const apexx_trt_calibration& c, Monitor& monitor) : calibration_(c), monitor_(monitor) {}
  ~Inputs() override {
    for (const auto& [name, input] : inputs_) cuda.call_cuMemFree(input.device);
  }

  int allocate(const nvinfer1::INetworkDefinition& network, char** error) {
    for (int32_t i = 0; i < network.getNbInputs(); i++) {
      const nvinfer1::ITensor& tensor = *network.getInput(i);
      const nvinfer1::Dims shape = tensor.getDimensions();
      const int element = element_of(tensor.getType());
      if (element < 0) return fail(error, APEXX_TRT_FAILED, "%s has an element type that this worker does not know", tensor.getName());
      size_t bytes = kElementBytes[element];
      for (int32_t d = 0; d < shape.nbDims; d++) bytes *= shape.d[d];
      CUdeviceptr device = 0;
      CUDA(cuMemAlloc(&device, bytes));
      inputs_[tensor.getName()] = {device, std::vector<char>(bytes)};
    }
    return APEXX_TRT_OK;
  }

  bool next(void* bindings[], const char* names[], int32_t count) noexcept override {
    if (batch_ == calibration_.batches || code || !monitor_.batch(batch_ + 1, calibration_.batches)) return false;
    for (int32_t i = 0; i < count && !code; i++) code = fill(names[i], &bindings[i]);
    batch_++;
    return code == APEXX_TRT_OK;
  }
  void take(const void* text, size_t size) noexcept override {
    table.assign(static_cast<const char*>(text), size);
    monitor_.enough();
  }

  // batches counts those that were asked for.
  int batches() const { return batch_; }

  std::string table;
  int code = APEXX_TRT_OK;  // of what failed
  char* error = nullptr;

 private:
  struct Input {
    CUdeviceptr device;
    std::vector<char> host;
  };

  int fill(const char* name, void** binding) {
    const auto found = inputs_.find(name);
    if (found == inputs_.end()) return fail(&error, APEXX_TRT_FAILED, "TensorRT asks for an input %s, which the network has not", name);
    Input& input = found->second;
    switch (apexxBatch(calibration_.handle, batch_, const_cast<char*>(name), input.host.data(), input.host.size())) {
      case 0: return fail(&error, APEXX_TRT_INTERRUPTED, "interrupted");
      case -1: return fail(&error, APEXX_TRT_FAILED, "there is no input %s of %zu bytes in batch %d", name, input.host.size(), batch_);
    }
    char** const error = &this->error;  // of CUDA
    CUDA(cuCtxSetCurrent(cuda.context));
    CUDA(cuMemcpyHtoDAsync(input.device, input.host.data(), input.host.size(), nullptr));
    CUDA(cuStreamSynchronize(nullptr));
    *binding = reinterpret_cast<void*>(input.device);
    return APEXX_TRT_OK;
  }

  const apexx_trt_calibration& calibration_;
  Monitor& monitor_;
  std::map<std::string, Input> inputs_;
  int batch_ = 0;
};

}  // namespace

void apexx_trt_free_blob(apexx_trt_blob* blob) {
  delete static_cast<nvinfer1::IHostMemory*>(blob->owner);
  *blob = {};
}

int apexx_trt_build_engine(const apexx_trt_build* b, apexx_trt_blob* engine, apexx_trt_blob* timings, char** error) {
  *engine = *timings = {};
  if (const int code = begin_build(error)) return code;
  nvinfer1::IBuilder* const builder = kept_builder;
  std::unique_ptr<nvinfer1::INetworkDefinition> network(builder->createNetworkV2(
      1U << static_cast<uint32_t>(nvinfer1::NetworkDefinitionCreationFlag::kSTRONGLY_TYPED)));
  std::unique_ptr<nvinfer1::IBuilderConfig> config(builder->createBuilderConfig());
  if (!network || !config) return refuse(error, APEXX_TRT_FAILED, "TensorRT gives no network");
  std::unique_ptr<nvonnxparser::IParser> parser;  // weights of the network lie in it
  if (const int code = parse(*network, b->model, b->model_size, error, parser)) return code;
  configure(*config, *b);
  if (const int code = profile(*builder, *network, *b, *config, error)) return code;
  Monitor monitor(b->progress);
  if (b->progress) config->setProgressMonitor(&monitor);
  std::unique_ptr<nvinfer1::ITimingCache> cache(config->createTimingCache(b->timings, b->timings_size));
  if (!cache) cache.reset(config->createTimingCache(nullptr, 0));  // what was kept is of another library
  if (cache) config->setTimingCache(*cache, false);
  logger.take("");
  std::unique_ptr<nvinfer1::IHostMemory> built(builder->buildSerializedNetwork(*network, *config));
  if (b->progress && monitor.interrupted()) return fail(error, APEXX_TRT_INTERRUPTED, "interrupted");
  if (!built) return refuse(error, APEXX_TRT_FAILED, "the builder gave nothing and did not say why");
  if (nvinfer1::IHostMemory* kept = cache ? cache->serialize() : nullptr) *timings = blob_of(kept);
  *engine = blob_of(built.release());
  return APEXX_TRT_OK;
}

int apexx_trt_calibrate(const apexx_trt_calibration* c, char** table, size_t* size, char** error) {
  if (const int code = begin_build(error)) return code;
  std::unique_ptr<nvinfer1::INetworkDefinition> network(kept_builder->createNetworkV2(0));  // weakly typed: strong types leave nothing to calibrate
  std::unique_ptr<nvinfer1::IBuilderConfig> config(kept_builder->createBuilderConfig());
  if (!network || !config) return refuse(error, APEXX_TRT_FAILED, "TensorRT gives no network");
  std::unique_ptr<nvonnxparser::IParser> parser;
  if (const int code = parse(*network, c->model, c->model_size, error, parser)) return code;
  configure(*config, apexx_trt_build{});
  Monitor monitor(c->handle);
  config->setProgressMonitor(&monitor);
  Inputs inputs(*c, monitor);
  if (const int code = inputs.allocate(*network, error)) return code;
  calibrating::Calibrator<nvinfer1::IInt8EntropyCalibrator2> entropy(inputs);
  calibrating::Calibrator<nvinfer1::IInt8MinMaxCalibrator> largest(inputs);
  config->setFlag(nvinfer1::BuilderFlag::kINT8);
  config->setInt8Calibrator(c->largest ? static_cast<nvinfer1::IInt8Calibrator*>(&largest) : &entropy);
  logger.take("");
  const std::unique_ptr<nvinfer1::IHostMemory> built(kept_builder->buildSerializedNetwork(*network, *config));
  if (inputs.code) {
    *error = inputs.error;
    return inputs.code;
  }
  if (monitor.interrupted()) return fail(error, APEXX_TRT_INTERRUPTED, "interrupted");
  if (!inputs.table.empty() && inputs.batches() != c->batches)
    return fail(error, APEXX_TRT_FAILED, "TensorRT asked for %d of %d batches", inputs.batches(), c->batches);
  if (inputs.table.empty()) return refuse(error, APEXX_TRT_FAILED, built ? "TensorRT built an engine and wrote no table" : "the builder gave nothing and did not say why");
  *size = inputs.table.size();
  *table = static_cast<char*>(malloc(*size));
  memcpy(*table, inputs.table.data(), *size);
  return APEXX_TRT_OK;
}
