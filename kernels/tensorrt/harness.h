// Running one plugin without an engine, through all that TensorRT does with it: creation from fields, inference of types and shapes, the question for
// each operand's format, cloning, serialisation and creation from that, attachment, shapes, and many executions. Without TensorRT's headers the operator
// is run as it is.
#pragma once

#include "operators.h"
#ifdef APEXX_TENSORRT
#include "plugin.h"
#endif

namespace apexx::plugin {

inline Tensor tensor_of(const apexx_plugin_tensor& t) {
  require(t.rank >= 0 && t.rank <= kMostRank, "rank %d", t.rank);
  require(t.element >= APEXX_FLOAT && t.element <= APEXX_INT64, "element %d", t.element);
  require(t.format == APEXX_LINEAR || t.format == APEXX_HWC8, "format %d", t.format);
  Tensor to = {static_cast<Element>(t.element), static_cast<Format>(t.format), t.rank, {}};
  std::copy(t.dims, t.dims + t.rank, to.dims);
  return to;
}

inline std::vector<Tensor> tensors_of(const apexx_plugin_tensor* t, int n) {
  std::vector<Tensor> list;
  for (int i = 0; i < n; i++) list.push_back(tensor_of(t[i]));
  return list;
}

#ifdef APEXX_TENSORRT

// Expression is a dimension that is known.
class Expression final : public nvinfer1::IDimensionExpr, public nvinfer1::apiv::VDimensionExpr {
 public:
  explicit Expression(int64_t value) : value_(value) { nvinfer1::IDimensionExpr::mImpl = this; }
  bool isConstant() const noexcept override { return true; }
  int64_t getConstantValue() const noexcept override { return value_; }
  bool isSizeTensor() const noexcept override { return false; }

 private:
  int64_t value_;
};

class ExpressionBuilder final : public nvinfer1::IExprBuilder, public nvinfer1::apiv::VExprBuilder {
 public:
  ExpressionBuilder() { nvinfer1::IExprBuilder::mImpl = this; }
  const nvinfer1::IDimensionExpr* constant(int64_t value) noexcept override { return made_.emplace_back(std::make_unique<Expression>(value)).get(); }
  const nvinfer1::IDimensionExpr* operation(nvinfer1::DimensionOperation op, const nvinfer1::IDimensionExpr& a, const nvinfer1::IDimensionExpr& b) noexcept override {
    const int64_t x = a.getConstantValue(), y = b.getConstantValue();
    if (op == nvinfer1::DimensionOperation::kPROD) return constant(x * y);
    if (op == nvinfer1::DimensionOperation::kFLOOR_DIV) return constant(x / y);
    return nullptr;
  }
  const nvinfer1::IDimensionExpr* declareSizeTensor(int32_t, const nvinfer1::IDimensionExpr&, const nvinfer1::IDimensionExpr&) noexcept override { return nullptr; }

 private:
  std::vector<std::unique_ptr<Expression>> made_;
};

inline nvinfer1::PluginTensorDesc desc_of(const Tensor& t) {
  nvinfer1::PluginTensorDesc d = {};
  d.dims.nbDims = t.rank;
  std::copy(t.dims, t.dims + t.rank, d.dims.d);
  d.type = type_of(t.element);
  d.format = t.format == Format::kHWC8 ? nvinfer1::TensorFormat::kHWC8 : nvinfer1::TensorFormat::kLINEAR;
  return d;
}

// Subject is the plugin that is run.
class Subject {
 public:
  Subject(const char* name, const std::vector<Attribute>& attributes) {
    find(name);
    for (const auto& c : creators()) {
      if (std::string_view(c->getPluginName()) == name) creator_ = c.get();
    }
    std::vector<nvinfer1::PluginField> fields = fields_of(attributes);
    built_ = made(fields, nvinfer1::TensorRTPhase::kBUILD);
  }

  std::vector<Tensor> infer(const std::vector<Tensor>& in) {
    auto* build = capability<nvinfer1::IPluginV3OneBuild>(*built_, nvinfer1::PluginCapabilityType::kBUILD);
    const int count = static_cast<int>(in.size()), outputs = build->getNbOutputs();
    ExpressionBuilder b;
    std::vector<nvinfer1::DimsExprs> from(count), to(outputs);
    std::vector<nvinfer1::DataType> types, results(outputs);
    for (int i = 0; i < count; i++) {
      types.push_back(type_of(in[i].element));
      from[i].nbDims = in[i].rank;
      for (int axis = 0; axis < in[i].rank; axis++) from[i].d[axis] = b.constant(in[i].dims[axis]);
    }
    succeeded(build->getOutputDataTypes(results.data(), outputs, types.data(), count));
    succeeded(build->getOutputShapes(from.data(), count, nullptr, 0, to.data(), outputs, b));
    std::vector<Tensor> out;
    for (int i = 0; i < outputs; i++) {
      Tensor t = {};
      require(element_of(results[i], &t.element), "output %d has a type that no plugin has", i);
      t.rank = to[i].nbDims;
      for (int axis = 0; axis < t.rank; axis++) t.dims[axis] = to[i].d[axis]->getConstantValue();
      if (t.rank == 4 && t.element == Element::kHalf) t.format = in[0].format;
      out.push_back(t);
    }
    return out;
  }

  size_t prepare(const std::vector<Tensor>& in, const std::vector<Tensor>& out) {
    auto* build = capability<nvinfer1::IPluginV3OneBuild>(*built_, nvinfer1::PluginCapabilityType::kBUILD);
    std::vector<nvinfer1::DynamicPluginTensorDesc> all;
    for (const auto* list : {&in, &out}) {
      for (const Tensor& t : *list) {
        const nvinfer1::PluginTensorDesc d = desc_of(t);
        descs_.push_back(d);
        all.push_back({d, d.dims, d.dims, d.dims});
      }
    }
    inputs_ = static_cast<int>(in.size());
    const int outputs = static_cast<int>(out.size());
    for (int i = 0; i < inputs_ + outputs; i++) {
      require(build->supportsFormatCombination(i, all.data(), inputs_, outputs), "operand %d: type or format is not supported", i);
    }
    succeeded(build->configurePlugin(all.data(), inputs_, all.data() + inputs_, outputs));
    std::unique_ptr<nvinfer1::IPluginV3> copy(built_->clone());
    require(copy != nullptr, "%s", last_error().c_str());
    const nvinfer1::PluginFieldCollection* saved = runtime_of(*copy)->getFieldsToSerialize();
    loaded_ = made({saved->fields, saved->fields + saved->nbFields}, nvinfer1::TensorRTPhase::kRUNTIME);
    attached_.reset(runtime_of(*loaded_)->attachToContext(nullptr));
    require(attached_ != nullptr, "%s", last_error().c_str());
    auto* again = capability<nvinfer1::IPluginV3OneBuild>(*attached_, nvinfer1::PluginCapabilityType::kBUILD);
    const char *read = again->getMetadataString(), *written = build->getMetadataString();
    require(std::string_view(read) == written, "read back as %s instead of %s", read, written);
    succeeded(runtime_of(*attached_)->onShapeChange(descs_.data(), inputs_, descs_.data() + inputs_, outputs));
    return build->getWorkspaceSize(all.data(), inputs_, all.data() + inputs_, outputs);
  }

  void enqueue(const void* const* inputs, void* const* outputs, void* workspace, Stream stream) {
    succeeded(runtime_of(*attached_)->enqueue(descs_.data(), descs_.data() + inputs_, inputs, outputs, workspace, static_cast<cudaStream_t>(stream)));
  }

 private:
  using Handle = std::unique_ptr<nvinfer1::IPluginV3>;

  static void succeeded(int32_t status) { require(status == 0, "%s", last_error().c_str()); }

  template <class T>
  static T* capability(nvinfer1::IPluginV3& p, nvinfer1::PluginCapabilityType type) {
    return static_cast<T*>(p.getCapabilityInterface(type));
  }
  static nvinfer1::IPluginV3OneRuntime* runtime_of(nvinfer1::IPluginV3& p) {
    return capability<nvinfer1::IPluginV3OneRuntime>(p, nvinfer1::PluginCapabilityType::kRUNTIME);
  }
  Handle made(const std::vector<nvinfer1::PluginField>& fields, nvinfer1::TensorRTPhase phase) {
    const nvinfer1::PluginFieldCollection collection = {static_cast<int32_t>(fields.size()), fields.data()};
    Handle h(creator_->createPlugin("a plugin", &collection, phase));
    require(h != nullptr, "%s", last_error().c_str());
    return h;
  }

  Creator* creator_ = nullptr;
  Handle built_, loaded_, attached_;
  std::vector<nvinfer1::PluginTensorDesc> descs_;
  int inputs_ = 0;
};

#else

class Subject {
 public:
  Subject(const char* name, const std::vector<Attribute>& attributes) : op_(find(name).example->clone()) { read_fields(*op_, attributes); }

  std::vector<Tensor> infer(const std::vector<Tensor>& in) { return plugin::infer(*op_, in); }

  size_t prepare(const std::vector<Tensor>& in, const std::vector<Tensor>& out) {
    const std::vector<Input> wanted = op_->inputs(static_cast<int>(in.size()));
    for (size_t i = 0; i < in.size(); i++) require(fits(*op_, wanted[i].role, in[i], in[0]), "operand %zu: type or format is not supported", i);
    in_ = in, out_ = out;
    Call keeps(Walk::kPrepare, in_, out_), measures(Walk::kMeasure, in_, out_);
    keeps.kept = &kept_;
    compute(*op_, keeps);
    compute(*op_, measures);
    return measures.workspace_bytes();
  }

  void enqueue(const void* const* inputs, void* const* outputs, void* workspace, Stream stream) {
    Call c(Walk::kRun, in_, out_);
    c.inputs = inputs, c.outputs = outputs, c.workspace = workspace, c.kept = &kept_, c.number = number_of("a plugin"), c.stream = stream;
    compute(*op_, c);
  }

 private:
  std::unique_ptr<Operator> op_;
  std::vector<Tensor> in_, out_;
  Kept kept_;
};

#endif

// Execution measures and repeats enqueues of a subject.
#ifdef __CUDACC__

class Execution {
 public:
  explicit Execution(int captured) : captured_(captured) {
    must(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "a stream");
    must(cudaEventCreate(&start_), "an event");
    must(cudaEventCreate(&end_), "an event");
  }
  ~Execution() {
    if (graph_) cudaGraphExecDestroy(graph_);
    cudaEventDestroy(start_);
    cudaEventDestroy(end_);
    cudaStreamDestroy(stream);
  }
  Execution(const Execution&) = delete;

  // run enqueues once, or launches the graph, and returns the microseconds of one.
  template <class Enqueue>
  double run(Enqueue enqueue) {
    if (captured_ > 0 && !graph_) {
      cudaGraph_t graph;
      must(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal), "capturing");
      for (int i = 0; i < captured_; i++) enqueue(stream);
      must(cudaStreamEndCapture(stream, &graph), "capturing");
      must(cudaGraphInstantiate(&graph_, graph, 0), "a graph");
      cudaGraphDestroy(graph);
    }
    must(cudaEventRecord(start_, stream), "an event");
    if (graph_) {
      must(cudaGraphLaunch(graph_, stream), "a graph");
    } else {
      enqueue(stream);
    }
    must(cudaEventRecord(end_, stream), "an event");
    wait_for(stream);
    float milliseconds = 0;
    must(cudaEventElapsedTime(&milliseconds, start_, end_), "an event");
    return 1000 * static_cast<double>(milliseconds) / std::max(captured_, 1);
  }

  Stream stream = nullptr;

 private:
  int captured_;
  cudaGraphExec_t graph_ = nullptr;
  cudaEvent_t start_ = nullptr, end_ = nullptr;
};

#else

class Execution {
 public:
  explicit Execution(int captured) { require(captured == 0, "there are no CUDA graphs without a device"); }
  template <class Enqueue>
  double run(Enqueue enqueue) {
    enqueue(stream);
    return 0;
  }
  Stream stream = nullptr;
};

#endif

// run_plugin runs a subject as often as wanted; before each time outputs and workspace are filled with NaN.
inline void run_plugin(Subject& subject, const apexx_plugin_tensor* inputs, int input_count, const apexx_plugin_tensor* outputs, int output_count,
                       apexx_plugin_run& run) {
  require(run.repeats >= 1, "%d repeats, want at least 1", run.repeats);
  const std::vector<Tensor> in = tensors_of(inputs, input_count), out = tensors_of(outputs, output_count);
  const size_t workspace_bytes = subject.prepare(in, out);
  Execution execution(run.captured);
  const Stream s = execution.stream;
  Memory workspace(workspace_bytes);
  std::vector<Memory> memory;
  std::vector<const void*> from;
  std::vector<void*> to;
  for (int i = 0; i < input_count; i++) {
    memory.emplace_back(in[i].bytes());
    from.push_back(memory.back().data());
    copy(memory.back().data(), inputs[i].data, in[i].bytes(), s);
  }
  for (int i = 0; i < output_count; i++) {
    memory.emplace_back(out[i].bytes());
    to.push_back(memory.back().data());
  }
  std::vector<double> times;
  std::vector<char> bytes;
  run.different = 0;
  for (int n = 0; n < run.repeats; n++) {
    fill(workspace.data(), 0xff, workspace_bytes, s);
    for (int i = 0; i < output_count; i++) fill(to[i], 0xff, out[i].bytes(), s);
    wait_for(s);
    times.push_back(execution.run([&](Stream stream) { subject.enqueue(from.data(), to.data(), workspace.data(), stream); }));
    bool differs = false;
    for (int i = 0; i < output_count; i++) {
      bytes.resize(out[i].bytes());
      copy(bytes.data(), to[i], bytes.size(), s);
      wait_for(s);
      if (n == 0) {
        std::copy(bytes.begin(), bytes.end(), static_cast<char*>(outputs[i].data));
      } else {
        differs = differs || !std::equal(bytes.begin(), bytes.end(), static_cast<const char*>(outputs[i].data));
      }
    }
    run.different += differs;
  }
  std::nth_element(times.begin(), times.begin() + times.size() / 2, times.end());
  run.microseconds = times[times.size() / 2];
}

}  // namespace apexx::plugin
