//go:build tensorrt

#include "shim.h"

#include <NvInfer.h>
#include <NvOnnxParser.h>
#include <cuda.h>
#include <dlfcn.h>

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "../../../kernels/tensorrt/plugins.h"
#include "calibrator.h"
#include "ended.h"

#if NV_TENSORRT_MAJOR != 10
#error "apexx-tensorrt is written for TensorRT 10: name the folder of its headers in TENSORRT_ROOT"
#endif

// apexxProgress is a function of Go. It returns 0 to interrupt the build.
extern "C" int apexxProgress(uintptr_t handle, char* phase, int done, int total);

// apexxBatch is a function of Go. It fills the memory with an input of a batch, and returns 1; 0 to interrupt, -1 if there is no such input of that size.
extern "C" int apexxBatch(uintptr_t handle, int batch, char* name, void* host, size_t bytes);

namespace {

int fail(char** error, int code, const char* format, ...) __attribute__((format(printf, 3, 4)));

int fail(char** error, int code, const char* format, ...) {
  va_list list;
  va_start(list, format);
  if (vasprintf(error, format, list) < 0) *error = nullptr;
  va_end(list);
  return code;
}

// The CUDA driver. Each function is found by the name that cuda.h gives its present version.
#define CUDA_FUNCTIONS(F)                                                                                                              \
  F(cuInit) F(cuDriverGetVersion) F(cuDeviceGetCount) F(cuDeviceGet) F(cuDeviceGetName) F(cuDeviceGetAttribute) F(cuDeviceTotalMem)    \
  F(cuDevicePrimaryCtxRetain) F(cuCtxSetCurrent) F(cuGetErrorName) F(cuMemAlloc) F(cuMemFree) F(cuMemHostAlloc) F(cuMemFreeHost)       \
  F(cuMemsetD8Async) F(cuMemcpyHtoDAsync) F(cuMemcpyDtoHAsync) F(cuStreamCreate) F(cuStreamDestroy) F(cuStreamSynchronize)             \
  F(cuStreamBeginCapture) F(cuStreamEndCapture) F(cuGraphInstantiateWithFlags) F(cuGraphUpload) F(cuGraphLaunch) F(cuGraphDestroy)     \
  F(cuGraphExecDestroy) F(cuEventCreate) F(cuEventRecord) F(cuEventSynchronize) F(cuEventElapsedTime) F(cuEventDestroy)

#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)
#define DECLARE(f) decltype(&f) call_##f = nullptr;

struct Cuda {
  CUDA_FUNCTIONS(DECLARE)
  CUcontext context = nullptr;
} cuda;

const char* name_of(CUresult result) {
  const char* name = nullptr;
  return cuda.call_cuGetErrorName(result, &name) == CUDA_SUCCESS && name ? name : "an unknown error of the CUDA driver";
}

int code_of(CUresult result) { return result == CUDA_ERROR_OUT_OF_MEMORY ? APEXX_TRT_NO_MEMORY : APEXX_TRT_FAILED; }

// CUDA returns from the function around it where a call fails. call is the name of a function and its arguments.
#define CUDA(call)                                                                                                       \
  if (const CUresult result = cuda.call_##call; result != CUDA_SUCCESS)                                                  \
    return fail(error, code_of(result), "%s (%d) from %s", name_of(result), static_cast<int>(result), #call)

// Logger keeps errors until the call in which they came up asks for them.
class Logger : public nvinfer1::ILogger {
 public:
  void log(Severity severity, const char* message) noexcept override {
    if (severity > Severity::kERROR) return;
    const std::lock_guard<std::mutex> lock(mutex_);
    if (text_.size() > 2000) return;
    if (!text_.empty()) text_ += "; ";
    text_ += message;
  }

  // take returns what was logged since the last time, or other.
  std::string take(const char* other) {
    const std::lock_guard<std::mutex> lock(mutex_);
    std::string text;
    text.swap(text_);
    return text.empty() ? other : text;
  }

 private:
  std::mutex mutex_;
  std::string text_;
} logger;

int code_of(const std::string& text, int otherwise) {
  for (const char* sign : {"out of memory", "OutOfMemory", "OUT_OF_MEMORY"})
    if (text.find(sign) != std::string::npos) return APEXX_TRT_NO_MEMORY;
  return otherwise;
}

int refuse(char** error, int code, const char* what) {
  const std::string text = logger.take(what);
  return fail(error, code_of(text, code), "%s", text.c_str());
}

// TensorRT, and our plugins.
struct Library {
  void* (*create_builder)(void*, int32_t) = nullptr;
  void* (*create_runtime)(void*, int32_t) = nullptr;
  void* (*create_parser)(void*, void*, int) = nullptr;
  void* (*registry)() = nullptr;
  decltype(&apexx_plugins_get) plugin = nullptr;
  decltype(&apexx_plugins_take_fault) take_fault = nullptr;
  // Made for the first build and kept, as that takes 5 to 8 seconds: it reads the builder resource.
  nvinfer1::IBuilder* builder = nullptr;
  std::optional<std::string> no_builder;  // why there will be none any more
} library;

template <class F>
bool find(void* handle, const char* name, F* function) {
  *function = reinterpret_cast<F>(dlsym(handle, name));
  return *function != nullptr;
}

void* open(const char* path, char** error) {
  void* handle = dlopen(path, RTLD_NOW | RTLD_GLOBAL);
  if (!handle) {
    const char* why = dlerror();
    fail(error, 0, "%s", why ? why : path);
  }
  return handle;
}

#define SYMBOL(handle, path, name, function) \
  if (!find(handle, name, &function)) return fail(error, APEXX_TRT_NO_SYMBOL, "%s has no function %s", path, name)

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

class Profiler : public nvinfer1::IProfiler {
 public:
  struct Time {
    std::string layer;
    float milliseconds;
  };
  void reportLayerTime(const char* layer, float milliseconds) noexcept override { times.push_back({layer, milliseconds}); }
  std::vector<Time> times;
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

int element_of(nvinfer1::DataType type) {
  switch (type) {
    case nvinfer1::DataType::kFLOAT: return APEXX_TRT_FLOAT32;
    case nvinfer1::DataType::kINT32: return APEXX_TRT_INT32;
    case nvinfer1::DataType::kINT64: return APEXX_TRT_INT64;
    case nvinfer1::DataType::kBOOL: return APEXX_TRT_BOOL;
    default: return -1;
  }
}

constexpr size_t kElementBytes[] = {4, 4, 8, 1};

// begin_build makes the builder, if there is none.
int begin_build(char** error) {
  CUDA(cuCtxSetCurrent(cuda.context));
  logger.take("");
  if (library.builder) return APEXX_TRT_OK;
  if (!library.no_builder) {
    library.builder = static_cast<nvinfer1::IBuilder*>(ended::result_of(
        [] {
          cuda.call_cuCtxSetCurrent(cuda.context);
          return library.create_builder(&logger, NV_TENSORRT_VERSION);
        },
        &library.no_builder));
  }
  if (library.builder) return APEXX_TRT_OK;
  return refuse(error, APEXX_TRT_NOT_STARTED, library.no_builder ? library.no_builder->c_str() : "TensorRT gives no builder and does not say why");
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

struct apexx_trt_run {
  std::unique_ptr<nvinfer1::IRuntime> runtime;
  std::unique_ptr<nvinfer1::ICudaEngine> engine;
  std::unique_ptr<nvinfer1::IExecutionContext> context;
  Profiler profiler;
  struct Binding {
    apexx_trt_binding seen;
    CUdeviceptr device = 0;
  };
  std::vector<Binding> bindings;
  std::string layers, captured;
  int64_t device_bytes = 0;
  CUstream stream = nullptr;
  CUevent start = nullptr, end = nullptr;
  CUgraphExec graph = nullptr;

  ~apexx_trt_run() {
    cuda.call_cuCtxSetCurrent(cuda.context);
    if (stream) cuda.call_cuStreamSynchronize(stream);
    if (graph) cuda.call_cuGraphExecDestroy(graph);
    context.reset();
    engine.reset();
    runtime.reset();
    for (const Binding& b : bindings) {
      if (b.device) cuda.call_cuMemFree(b.device);
      if (b.seen.host) cuda.call_cuMemFreeHost(b.seen.host);
    }
    if (start) cuda.call_cuEventDestroy(start);
    if (end) cuda.call_cuEventDestroy(end);
    if (stream) cuda.call_cuStreamDestroy(stream);
  }

  // shape_inputs chooses the first dimension of inputs in which it is free.
  int shape_inputs(int64_t batch, char** error) {
    for (int32_t i = 0; i < engine->getNbIOTensors(); i++) {
      const char* name = engine->getIOTensorName(i);
      nvinfer1::Dims shape = engine->getTensorShape(name);
      if (engine->getTensorIOMode(name) != nvinfer1::TensorIOMode::kINPUT || shape.nbDims == 0 || shape.d[0] >= 0) continue;
      shape.d[0] = batch;
      if (!context->setInputShape(name, shape)) return refuse(error, APEXX_TRT_FAILED, "the engine does not take the batch");
    }
    return APEXX_TRT_OK;
  }

  int bind(char** error) {
    for (int32_t i = 0; i < engine->getNbIOTensors(); i++) {
      Binding b{};
      b.seen.name = engine->getIOTensorName(i);
      b.seen.input = engine->getTensorIOMode(b.seen.name) == nvinfer1::TensorIOMode::kINPUT;
      b.seen.element = element_of(engine->getTensorDataType(b.seen.name));
      if (b.seen.element < 0) return fail(error, APEXX_TRT_FAILED, "%s has an element type that this worker does not know", b.seen.name);
      const nvinfer1::Dims shape = context->getTensorShape(b.seen.name);
      b.seen.rank = shape.nbDims;
      b.seen.bytes = kElementBytes[b.seen.element];
      for (int d = 0; d < shape.nbDims; d++) {
        if (shape.d[d] < 0) return fail(error, APEXX_TRT_FAILED, "%s has no fixed shape, though its inputs have", b.seen.name);
        b.seen.dims[d] = shape.d[d];
        b.seen.bytes *= shape.d[d];
      }
      const size_t bytes = b.seen.bytes ? b.seen.bytes : 1;  // an empty tensor has an address, too
      bindings.push_back(b);
      Binding& kept = bindings.back();
      CUDA(cuMemAlloc(&kept.device, bytes));
      CUDA(cuMemHostAlloc(&kept.seen.host, bytes, 0));
      CUDA(cuMemsetD8Async(kept.device, 0, bytes, stream));
      device_bytes += bytes;
      if (!context->setTensorAddress(kept.seen.name, reinterpret_cast<void*>(kept.device))) return refuse(error, APEXX_TRT_FAILED, "an address was refused");
    }
    return APEXX_TRT_OK;
  }

  int enqueue(char** error) {
    if (context->enqueueV3(reinterpret_cast<cudaStream_t>(stream))) return APEXX_TRT_OK;
    return refuse(error, APEXX_TRT_FAILED, "enqueueV3 failed and did not say why");
  }

  // warm_up executes once on zeros, as TensorRT finishes its preparations in the first execution. What plugins say of that input is of no interest.
  int warm_up(char** error) {
    if (const int code = enqueue(error)) return code;
    CUDA(cuStreamSynchronize(stream));
    if (library.take_fault) library.take_fault();
    return APEXX_TRT_OK;
  }

  // capture records the CUDA graph. An engine that synchronises cannot be recorded, and runs without.
  int capture(char** error) {
    CUDA(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
    const bool enqueued = context->enqueueV3(reinterpret_cast<cudaStream_t>(stream));
    CUgraph recorded = nullptr;
    const CUresult ended = cuda.call_cuStreamEndCapture(stream, &recorded);
    if (!enqueued || ended != CUDA_SUCCESS) {
      captured = logger.take(name_of(ended));
      if (recorded) cuda.call_cuGraphDestroy(recorded);
      return warm_up(error);  // the device has to be sound after this
    }
    const CUresult made = cuda.call_cuGraphInstantiateWithFlags(&graph, recorded, 0);
    CUDA(cuGraphDestroy(recorded));
    if (made != CUDA_SUCCESS) {
      captured = name_of(made);
      graph = nullptr;
      return APEXX_TRT_OK;
    }
    CUDA(cuGraphUpload(graph, stream));
    return APEXX_TRT_OK;
  }

  int prepare(const void* data, size_t size, int64_t batch, bool layer_times, char** error) {
    CUDA(cuCtxSetCurrent(cuda.context));
    CUDA(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    CUDA(cuEventCreate(&start, CU_EVENT_DEFAULT));
    CUDA(cuEventCreate(&end, CU_EVENT_DEFAULT));
    // Where CUDA fails, TensorRT 10.6 says so and returns an address at which there is nothing.
    void* const given = library.create_runtime(&logger, NV_TENSORRT_VERSION);
    const std::string said = logger.take("TensorRT gives no runtime and does not say why");
    if (!given || said.find("createInferRuntime:") != std::string::npos) return fail(error, code_of(said, APEXX_TRT_NOT_STARTED), "%s", said.c_str());
    runtime.reset(static_cast<nvinfer1::IRuntime*>(given));
    engine.reset(runtime->deserializeCudaEngine(data, size));
    if (!engine) return refuse(error, APEXX_TRT_CORRUPT, "TensorRT takes it for no engine");
    context.reset(engine->createExecutionContext());
    if (!context) return refuse(error, APEXX_TRT_NO_MEMORY, "TensorRT gives no context of execution");
    std::unique_ptr<nvinfer1::IEngineInspector> inspector(engine->createEngineInspector());
    const char* information = inspector ? inspector->getEngineInformation(nvinfer1::LayerInformationFormat::kJSON) : nullptr;
    layers = information ? information : "{}";
    device_bytes = engine->getDeviceMemorySizeV2() + static_cast<int64_t>(size);
    if (const int code = shape_inputs(batch, error)) return code;
    if (const int code = bind(error)) return code;
    if (layer_times) context->setProfiler(&profiler);
    if (const int code = warm_up(error)) return code;
    if (layer_times) {
      captured = "every layer is timed";
      return APEXX_TRT_OK;
    }
    return capture(error);
  }

  int execute(float* milliseconds, char** error) {
    CUDA(cuCtxSetCurrent(cuda.context));
    profiler.times.clear();
    CUDA(cuEventRecord(start, stream));
    if (graph) {
      CUDA(cuGraphLaunch(graph, stream));
    } else if (const int code = enqueue(error)) {
      return code;
    }
    CUDA(cuEventRecord(end, stream));
    CUDA(cuEventSynchronize(end));
    CUDA(cuEventElapsedTime(milliseconds, start, end));
    const char* layer = library.take_fault ? library.take_fault() : nullptr;
    return layer ? fail(error, APEXX_TRT_FAILED, "layer %s: an index is out of range", layer) : APEXX_TRT_OK;
  }

  int copy(int i, bool to_device, char** error) {
    const Binding& b = bindings[i];
    CUDA(cuCtxSetCurrent(cuda.context));
    if (to_device) {
      CUDA(cuMemcpyHtoDAsync(b.device, b.seen.host, b.seen.bytes, stream));
    } else {
      CUDA(cuMemcpyDtoHAsync(b.seen.host, b.device, b.seen.bytes, stream));
    }
    CUDA(cuStreamSynchronize(stream));
    return APEXX_TRT_OK;
  }
};

int apexx_trt_open_device(apexx_trt_device* device, char** error) {
  void* handle = open("libcuda.so.1", error);
  if (!handle) return APEXX_TRT_NO_LIBRARY;
#define FIND(f) SYMBOL(handle, "libcuda.so.1", TEXT(f), cuda.call_##f);
  CUDA_FUNCTIONS(FIND)
#undef FIND
  if (const CUresult result = cuda.call_cuInit(0); result != CUDA_SUCCESS)
    return fail(error, result == CUDA_ERROR_NO_DEVICE ? APEXX_TRT_NO_DEVICE : APEXX_TRT_FAILED, "%s (%d)", name_of(result), static_cast<int>(result));
  int count = 0, major = 0, minor = 0;
  CUdevice first;
  size_t memory = 0;
  CUDA(cuDeviceGetCount(&count));
  if (count == 0) return fail(error, APEXX_TRT_NO_DEVICE, "the driver shows no device");
  CUDA(cuDeviceGet(&first, 0));
  CUDA(cuDriverGetVersion(&device->driver));
  CUDA(cuDeviceGetName(device->name, sizeof device->name, first));
  CUDA(cuDeviceGetAttribute(&major, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, first));
  CUDA(cuDeviceGetAttribute(&minor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, first));
  CUDA(cuDeviceTotalMem(&memory, first));
  CUDA(cuDevicePrimaryCtxRetain(&cuda.context, first));
  device->capability = 10 * major + minor;
  device->memory = static_cast<int64_t>(memory);
  return APEXX_TRT_OK;
}

int apexx_trt_open(const char* infer, const char* parser, int* version, int* headers, char** error) {
  *headers = NV_TENSORRT_VERSION;
  void* handle = open(infer, error);
  if (!handle) return APEXX_TRT_NO_LIBRARY;
  int32_t (*get_version)() = nullptr;
  SYMBOL(handle, infer, "getInferLibVersion", get_version);
  SYMBOL(handle, infer, "createInferRuntime_INTERNAL", library.create_runtime);
  SYMBOL(handle, infer, "getPluginRegistry", library.registry);
  SYMBOL(handle, infer, "createInferBuilder_INTERNAL", library.create_builder);
  ended::watch(handle);
  *version = get_version();
  if (!parser) return APEXX_TRT_OK;
  if (!(handle = open(parser, error))) return APEXX_TRT_NO_LIBRARY;
  SYMBOL(handle, parser, "createNvOnnxParser_INTERNAL", library.create_parser);
  return APEXX_TRT_OK;
}

int apexx_trt_open_plugins(const char* path, int* count, const char** digest, char** error) {
  void* handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!handle) return fail(error, APEXX_TRT_NO_LIBRARY, "%s", dlerror());
  decltype(&apexx_plugins_abi) abi = nullptr;
  decltype(&apexx_plugins_count) counted = nullptr;
  decltype(&apexx_plugins_digest) digested = nullptr;
  decltype(&apexx_plugins_register) enter = nullptr;
  decltype(&apexx_plugins_error) why = nullptr;
  SYMBOL(handle, path, "apexx_plugins_abi", abi);
  if (abi() != APEXX_PLUGINS_ABI) return fail(error, APEXX_TRT_NO_SYMBOL, "%s has the interface %d, this worker knows %d", path, abi(), APEXX_PLUGINS_ABI);
  SYMBOL(handle, path, "apexx_plugins_count", counted);
  SYMBOL(handle, path, "apexx_plugins_digest", digested);
  SYMBOL(handle, path, "apexx_plugins_register", enter);
  SYMBOL(handle, path, "apexx_plugins_error", why);
  SYMBOL(handle, path, "apexx_plugins_get", library.plugin);
  SYMBOL(handle, path, "apexx_plugins_take_fault", library.take_fault);
  if (enter(library.registry()) != 0) return fail(error, APEXX_TRT_FAILED, "%s: %s", path, why());
  *count = counted();
  *digest = digested();
  return APEXX_TRT_OK;
}

void apexx_trt_plugin(int i, const char** name, const char** version, const char** name_space, int* fields) {
  const apexx_plugin* p = library.plugin(i);
  *name = p->name;
  *version = p->version;
  *name_space = p->name_space;
  *fields = p->field_count;
}

apexx_trt_field apexx_trt_plugin_field(int i, int field) {
  const apexx_plugin_field& f = library.plugin(i)->fields[field];
  return {f.name, f.required};
}

void apexx_trt_free_blob(apexx_trt_blob* blob) {
  delete static_cast<nvinfer1::IHostMemory*>(blob->owner);
  *blob = {};
}

int apexx_trt_build_engine(const apexx_trt_build* b, apexx_trt_blob* engine, apexx_trt_blob* timings, char** error) {
  *engine = *timings = {};
  if (const int code = begin_build(error)) return code;
  nvinfer1::IBuilder* const builder = library.builder;
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
  std::unique_ptr<nvinfer1::INetworkDefinition> network(library.builder->createNetworkV2(0));  // weakly typed: strong types leave nothing to calibrate
  std::unique_ptr<nvinfer1::IBuilderConfig> config(library.builder->createBuilderConfig());
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
  const std::unique_ptr<nvinfer1::IHostMemory> built(library.builder->buildSerializedNetwork(*network, *config));
  if (inputs.code) {
    *error = inputs.error;
    return inputs.code;
  }
  if (monitor.interrupted()) return fail(error, APEXX_TRT_INTERRUPTED, "interrupted");
  if (inputs.table.empty()) return refuse(error, APEXX_TRT_FAILED, built ? "TensorRT built an engine and wrote no table" : "the builder gave nothing and did not say why");
  *size = inputs.table.size();
  *table = static_cast<char*>(malloc(*size));
  memcpy(*table, inputs.table.data(), *size);
  return APEXX_TRT_OK;
}

int apexx_trt_load(const void* engine, size_t size, int64_t batch, int layer_times, apexx_trt_run** run, char** error) {
  logger.take("");
  auto made = std::make_unique<apexx_trt_run>();
  if (const int code = made->prepare(engine, size, batch, layer_times != 0, error)) return code;
  *run = made.release();
  return APEXX_TRT_OK;
}

int apexx_trt_bindings(const apexx_trt_run* run) { return static_cast<int>(run->bindings.size()); }
apexx_trt_binding apexx_trt_get_binding(const apexx_trt_run* run, int i) { return run->bindings[i].seen; }
const char* apexx_trt_captured(const apexx_trt_run* run) { return run->captured.c_str(); }
const char* apexx_trt_layers(const apexx_trt_run* run) { return run->layers.c_str(); }
int64_t apexx_trt_device_bytes(const apexx_trt_run* run) { return run->device_bytes; }
int apexx_trt_copy(apexx_trt_run* run, int binding, int to_device, char** error) { return run->copy(binding, to_device != 0, error); }
int apexx_trt_execute(apexx_trt_run* run, float* milliseconds, char** error) { return run->execute(milliseconds, error); }
int apexx_trt_layer_times(const apexx_trt_run* run) { return static_cast<int>(run->profiler.times.size()); }
const char* apexx_trt_layer_time(const apexx_trt_run* run, int i, float* milliseconds) {
  *milliseconds = run->profiler.times[i].milliseconds;
  return run->profiler.times[i].layer.c_str();
}
void apexx_trt_close(apexx_trt_run* run) { delete run; }
