//go:build tensorrt

#include "shim.h"

#include <NvInfer.h>
#include <cuda.h>
#include <dlfcn.h>

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "ended.h"
#include "library.h"

using namespace shim;

namespace {

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

class Profiler : public nvinfer1::IProfiler {
 public:
  struct Time {
    std::string layer;
    float milliseconds;
  };
  void reportLayerTime(const char* layer, float milliseconds) noexcept override { times.push_back({layer, milliseconds}); }
  std::vector<Time> times;
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
  *version = library.version = get_version();
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
  decltype(&apexx_plugins_tensorrt) headers = nullptr;
  SYMBOL(handle, path, "apexx_plugins_abi", abi);
  if (abi() != APEXX_PLUGINS_ABI) return fail(error, APEXX_TRT_NO_SYMBOL, "%s has the interface %d, this worker knows %d", path, abi(), APEXX_PLUGINS_ABI);
  SYMBOL(handle, path, "apexx_plugins_tensorrt", headers);
  if (const int built = headers(), here = library.version; built > 0 && (built / 10000 != here / 10000 || built / 100 > here / 100))
    return fail(error, APEXX_TRT_NO_SYMBOL, "%s was built with the headers of TensorRT %d.%d, and the library is %d.%d", path, built / 10000, built / 100 % 100, here / 10000,
                here / 100 % 100);
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
