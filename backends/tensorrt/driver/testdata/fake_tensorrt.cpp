// TensorRT and its parser without kernels, for libnvinfer.so.10 and libnvonnxparser.so.10: the network of every model has one input, x, of three floats, and a build
// is a calibration. FAKE_FAULT says what goes wrong. Where FAKE_ENGINE is set, there are engines, for y = 2x, and it says what is wrong with those.
#include <NvInfer.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>

#include <NvOnnxParser.h>

namespace {

using namespace nvinfer1;

bool is(const char* variable, const char* what) {
  const char* value = getenv(variable);
  return value && !strcmp(value, what);
}
bool fails(const char* what) { return is("FAKE_FAULT", what); }

long nothing() { return 0; }

// Virtual stands for an object of an interface: functions that nobody sets return 0.
template <class Interface>
class Virtual {
 public:
  Virtual() {
    for (void*& f : table_) f = reinterpret_cast<void*>(nothing);
  }
  // A pointer to a virtual function is its offset in the table, and 1 (Itanium C++ ABI, 2.3).
  template <class Method, class Function>
  Virtual& set(Method method, Function f) {
    uintptr_t at;
    memcpy(&at, &method, sizeof at);
    table_[(at - 1) / sizeof(void*)] = reinterpret_cast<void*>(f);
    return *this;
  }
  Interface* get() { return reinterpret_cast<Interface*>(&object_); }

 private:
  void* table_[256];
  void* object_[8] = {table_};
};

// Of is an object of the library whose functions are those of a Virtual.
template <class Class, class Interface>
struct Of : Class {
  explicit Of(Interface* v) { this->mImpl = v; }
};

IProgressMonitor* monitor;
IInt8Calibrator* calibrator;
ILogger* logger;

Virtual<apiv::VHostMemory> memory;
Virtual<apiv::VTimingCache> timings;
Virtual<apiv::VRuntime> runtime;
Virtual<apiv::VCudaEngine> engine;
Virtual<apiv::VExecutionContext> context;
Virtual<apiv::VEngineInspector> inspector;
Virtual<apiv::VTensor> tensor;
Virtual<apiv::VNetworkDefinition> network;
Virtual<apiv::VBuilderConfig> config;
Virtual<apiv::VBuilder> builder;
Virtual<nvonnxparser::IParser> parser;

// calibrate asks for all batches and writes the table.
bool calibrate() {
  size_t length = 1;
  if (calibrator->readCalibrationCache(length) || length) return false;
  const char* names[] = {fails("input") ? "y" : "x"};
  void* bindings[1];
  float largest = 0;
  while (calibrator->getBatch(bindings, names, 1)) {
    for (int i = 0; i < 3; i++) largest = fmaxf(largest, fabsf(static_cast<float*>(bindings[0])[i]));
    if (fails("few")) break;
  }
  if (fails("table")) return true;
  const float scale = largest / 127;
  unsigned bits;
  memcpy(&bits, &scale, sizeof bits);
  const char* kind = calibrator->getAlgorithm() == CalibrationAlgoType::kMINMAX_CALIBRATION ? "MinMaxCalibration" : "EntropyCalibration2";
  char text[100];
  calibrator->writeCalibrationCache(text, snprintf(text, sizeof text, "TRT-%d-%s\nx: %08x\n", NV_TENSORRT_VERSION, kind, bits));
  return true;
}

// Of the engine.
const char* const kNames[] = {"x", "y"};
float *x, *y;
int enqueued;

bool enqueue(void*, cudaStream_t) {
  enqueued++;
  if (is("FAKE_ENGINE", "synchronises") && enqueued == 2) return false;  // the second is captured
  for (int i = 0; i < 3; i++) y[i] = 2 * x[i];
  if (is("FAKE_ENGINE", "wrong")) y[1] += 0.1F;
  if (is("FAKE_ENGINE", "infinite")) y[2] = INFINITY;
  if (is("FAKE_ENGINE", "changes")) y[0] += 1e-6F * enqueued;
  return true;
}

void prepare_engine() {
  memory.set(&apiv::VHostMemory::data, +[](void*) -> void* { return const_cast<char*>("engine"); }).set(&apiv::VHostMemory::size, +[](void*) -> size_t { return 6; });
  timings.set(&apiv::VTimingCache::serialize, +[](void*) -> IHostMemory* { return new Of<IHostMemory, apiv::VHostMemory>(memory.get()); });
  ICudaEngine* (apiv::VRuntime::*load)(const void*, size_t) noexcept = &apiv::VRuntime::deserializeCudaEngine;
  runtime.set(load, +[](void*, const void*, size_t) -> ICudaEngine* { return new Of<ICudaEngine, apiv::VCudaEngine>(engine.get()); });
  IExecutionContext* (apiv::VCudaEngine::*make)(ExecutionContextAllocationStrategy) noexcept = &apiv::VCudaEngine::createExecutionContext;
  engine.set(make, +[](void*, ExecutionContextAllocationStrategy) -> IExecutionContext* { return new Of<IExecutionContext, apiv::VExecutionContext>(context.get()); })
      .set(&apiv::VCudaEngine::getNbIOTensors, +[](void*) { return 2; })
      .set(&apiv::VCudaEngine::getIOTensorName, +[](void*, int32_t i) { return kNames[i]; })
      .set(&apiv::VCudaEngine::getTensorIOMode, +[](void*, const char* name) { return *name == 'x' ? TensorIOMode::kINPUT : TensorIOMode::kOUTPUT; })
      .set(&apiv::VCudaEngine::getTensorShape, +[](void*, const char*) { return Dims{1, {3}}; })
      .set(&apiv::VCudaEngine::createEngineInspector, +[](void*) -> IEngineInspector* { return new Of<IEngineInspector, apiv::VEngineInspector>(inspector.get()); });
  inspector.set(&apiv::VEngineInspector::getEngineInformation, +[](void*, LayerInformationFormat) { return R"({"Layers": [{"LayerType": "a"}, {"LayerType": "b"}]})"; });
  context.set(&apiv::VExecutionContext::getTensorShape, +[](void*, const char*) { return Dims{1, {3}}; })
      .set(&apiv::VExecutionContext::setTensorAddress, +[](void*, const char* name, void* at) { return (*name == 'x' ? x : y) = static_cast<float*>(at), true; })
      .set(&apiv::VExecutionContext::enqueueV3, enqueue);
}

IHostMemory* build(void*, INetworkDefinition&, IBuilderConfig&) {
  if (getenv("FAKE_ENGINE")) return new Of<IHostMemory, apiv::VHostMemory>(memory.get());
  monitor->phaseStart("Building", nullptr, 2);
  if (!calibrate()) logger->log(ILogger::Severity::kERROR, "the calibrator has an earlier table");
  if (monitor->stepComplete("Building", 0) && !fails("table")) logger->log(ILogger::Severity::kERROR, "the build goes on");
  return nullptr;
}

void prepare() {
  tensor.set(&apiv::VTensor::getName, +[](void*) { return "x"; })
      .set(&apiv::VTensor::getDimensions, +[](void*) { return Dims{1, {3}}; })
      .set(&apiv::VTensor::getType, +[](void*) { return DataType::kFLOAT; });
  prepare_engine();
  network.set(&apiv::VNetworkDefinition::getNbLayers, +[](void*) { return 7; })
      .set(&apiv::VNetworkDefinition::getNbInputs, +[](void*) { return 1; })
      .set(&apiv::VNetworkDefinition::getInput, +[](void*, int32_t) -> ITensor* {
        static Of<ITensor, apiv::VTensor> x(tensor.get());
        return &x;
      });
  config.set(&apiv::VBuilderConfig::createTimingCache, +[](void*, const void*, size_t) -> ITimingCache* { return new Of<ITimingCache, apiv::VTimingCache>(timings.get()); })
      .set(&apiv::VBuilderConfig::setProgressMonitor, +[](void*, IProgressMonitor* m) { monitor = m; })
      .set(&apiv::VBuilderConfig::setInt8Calibrator, +[](void*, IInt8Calibrator* c) { calibrator = c; });
  builder.set(&apiv::VBuilder::createNetworkV2, +[](void*, NetworkDefinitionCreationFlags flags) -> INetworkDefinition* {
           return flags ? nullptr : new Of<INetworkDefinition, apiv::VNetworkDefinition>(network.get());
         })
      .set(&apiv::VBuilder::createBuilderConfig, +[](void*) -> IBuilderConfig* { return new Of<IBuilderConfig, apiv::VBuilderConfig>(config.get()); })
      .set(&apiv::VBuilder::buildSerializedNetwork, build);
  bool (nvonnxparser::IParser::*parse)(const void*, size_t, const char*) noexcept = &nvonnxparser::IParser::parse;
  parser.set(parse, +[](void*, const void* model, size_t size, const char*) { return size == 5 && !memcmp(model, "model", 5); });
}

}  // namespace

extern "C" {

int32_t getInferLibVersion() noexcept { return NV_TENSORRT_VERSION; }
// fakeGraph is what the CUDA graph does that was captured.
void fakeGraph() { enqueue(nullptr, nullptr); }

void* createInferRuntime_INTERNAL(void* l, int32_t) noexcept {
  if (getenv("FAKE_ENGINE")) return new Of<IRuntime, apiv::VRuntime>(runtime.get());
  if (!fails("runtime")) return nullptr;
  static_cast<nvinfer1::ILogger*>(l)->log(nvinfer1::ILogger::Severity::kERROR, "createInferRuntime: Error Code 6: API Usage Error (CUDA initialization failure with error: 35)");
  return reinterpret_cast<void*>(0x200);  // as 10.6 does
}
nvinfer1::IPluginRegistry* getPluginRegistry() noexcept { return nullptr; }

void* createInferBuilder_INTERNAL(void* l, int32_t) noexcept {
  logger = static_cast<ILogger*>(l);
  if (fails("end")) throw std::runtime_error("CUDA initialization failure\nwith error: 35\n");
  if (fails("builder")) return nullptr;
  prepare();
  return new Of<IBuilder, apiv::VBuilder>(builder.get());
}

void* createNvOnnxParser_INTERNAL(void*, void*, int) noexcept {
  prepare();
  return parser.get();
}
}
