// TensorRT's interfaces of an operator: one plugin and one creator for all of them.
#pragma once

#include <NvInfer.h>

#include <mutex>

#include "errors.h"
#include "operators.h"

namespace apexx::plugin {

// element_of and format_of return false for what no plugin has.
inline bool element_of(nvinfer1::DataType type, Element* e) {
  switch (type) {
    case nvinfer1::DataType::kFLOAT: *e = Element::kFloat; return true;
    case nvinfer1::DataType::kHALF: *e = Element::kHalf; return true;
    case nvinfer1::DataType::kINT64: *e = Element::kInt64; return true;
    default: return false;
  }
}

inline nvinfer1::DataType type_of(Element e) {
  return e == Element::kFloat ? nvinfer1::DataType::kFLOAT : e == Element::kHalf ? nvinfer1::DataType::kHALF : nvinfer1::DataType::kINT64;
}

inline bool format_of(nvinfer1::TensorFormat format, Format* f) {
  *f = format == nvinfer1::TensorFormat::kHWC8 ? Format::kHWC8 : Format::kLinear;
  return format == nvinfer1::TensorFormat::kHWC8 || format == nvinfer1::TensorFormat::kLINEAR;
}

// tensor_of refuses what no plugin has.
inline Tensor tensor_of(const nvinfer1::PluginTensorDesc& d, const nvinfer1::Dims& dims) {
  Tensor t = {};
  require(element_of(d.type, &t.element) && format_of(d.format, &t.format), "type %d in format %d", static_cast<int>(d.type), static_cast<int>(d.format));
  require(dims.nbDims <= kMostRank, "rank %d", dims.nbDims);
  t.rank = dims.nbDims;
  for (int i = 0; i < t.rank; i++) t.dims[i] = dims.d[i];
  return t;
}

inline std::vector<Tensor> tensors_of(const nvinfer1::PluginTensorDesc* d, int n) {
  std::vector<Tensor> list;
  for (int i = 0; i < n; i++) list.push_back(tensor_of(d[i], d[i].dims));
  return list;
}

// The largest shapes of a profile.
inline std::vector<Tensor> tensors_of(const nvinfer1::DynamicPluginTensorDesc* d, int n) {
  std::vector<Tensor> list;
  for (int i = 0; i < n; i++) list.push_back(tensor_of(d[i].desc, d[i].max));
  return list;
}

// fields_of and attributes_of translate fields. Integers of 64 bits come to `narrowed`, where they have to stay.
inline std::vector<nvinfer1::PluginField> fields_of(const std::vector<Attribute>& attributes) {
  using Type = nvinfer1::PluginFieldType;
  std::vector<nvinfer1::PluginField> list;
  for (const Attribute& a : attributes) {
    list.emplace_back(a.name.data(), a.data, a.kind == APEXX_REAL ? Type::kFLOAT32 : a.kind == APEXX_TEXT ? Type::kCHAR : Type::kINT32, a.length);
  }
  return list;
}

inline std::vector<Attribute> attributes_of(const nvinfer1::PluginFieldCollection& fields, std::vector<std::unique_ptr<int32_t[]>>& narrowed) {
  using Type = nvinfer1::PluginFieldType;
  std::vector<Attribute> list;
  for (int i = 0; i < fields.nbFields; i++) {
    const nvinfer1::PluginField& f = fields.fields[i];
    Attribute a = {f.name, APEXX_INTEGER, f.data, f.length};
    switch (f.type) {
      case Type::kINT32: break;
      case Type::kFLOAT32: a.kind = APEXX_REAL; break;
      case Type::kCHAR: a.kind = APEXX_TEXT; break;
      case Type::kINT64: {
        auto& to = narrowed.emplace_back(std::make_unique<int32_t[]>(f.length));
        for (int k = 0; k < f.length && f.data; k++) {
          const int64_t v = static_cast<const int64_t*>(f.data)[k];
          require(v == static_cast<int32_t>(v), "field %s is %lld, which is out of range", f.name, static_cast<long long>(v));
          to[k] = static_cast<int32_t>(v);
        }
        a.data = f.data ? to.get() : nullptr;
        break;
      }
      default: refuse("field %s has the type %d, want integers, a real or a text", f.name, static_cast<int>(f.type));
    }
    list.push_back(a);
  }
  return list;
}

class Plugin final : public nvinfer1::IPluginV3,
                     public nvinfer1::IPluginV3OneCore,
                     public nvinfer1::IPluginV3OneBuild,
                     public nvinfer1::IPluginV3OneRuntime {
 public:
  Plugin(std::unique_ptr<Operator> op, std::string layer) : op_(std::move(op)), layer_(std::move(layer)), number_(number_of(layer_)) {
    op_->fields(writer_);
    serialised_ = fields_of(writer_.list);
    collection_ = {static_cast<int32_t>(serialised_.size()), serialised_.data()};
    description_ = description_of(*op_);
  }

  // IPluginV3
  nvinfer1::IPluginCapability* getCapabilityInterface(nvinfer1::PluginCapabilityType type) noexcept override {
    switch (type) {
      case nvinfer1::PluginCapabilityType::kCORE: return static_cast<nvinfer1::IPluginV3OneCore*>(this);
      case nvinfer1::PluginCapabilityType::kBUILD: return static_cast<nvinfer1::IPluginV3OneBuild*>(this);
      case nvinfer1::PluginCapabilityType::kRUNTIME: return static_cast<nvinfer1::IPluginV3OneRuntime*>(this);
    }
    return nullptr;
  }
  nvinfer1::IPluginV3* clone() noexcept override {
    return guarded<nvinfer1::IPluginV3*>(nullptr, [&] { return new Plugin(op_->clone(), layer_); });
  }

  // IPluginV3OneCore
  const char* getPluginName() const noexcept override { return op_->name(); }
  const char* getPluginVersion() const noexcept override { return kVersion; }
  const char* getPluginNamespace() const noexcept override { return kNamespace; }

  // IPluginV3OneBuild
  int32_t configurePlugin(const nvinfer1::DynamicPluginTensorDesc*, int32_t inputs, const nvinfer1::DynamicPluginTensorDesc*, int32_t) noexcept override {
    return told([&] { op_->inputs(inputs); });
  }
  int32_t getNbOutputs() const noexcept override { return static_cast<int32_t>(op_->outputs().size()); }
  int32_t getOutputDataTypes(nvinfer1::DataType* types, int32_t, const nvinfer1::DataType* inputs, int32_t count) const noexcept override {
    return told([&] {
      op_->inputs(count);
      for (const Output& o : op_->outputs()) {
        *types++ = o.role == Role::kIndex                                                 ? nvinfer1::DataType::kINT64
                   : o.role == Role::kMap && inputs[0] == nvinfer1::DataType::kHALF ? nvinfer1::DataType::kHALF
                                                                                          : nvinfer1::DataType::kFLOAT;
      }
    });
  }
  int32_t getOutputShapes(const nvinfer1::DimsExprs* in, int32_t count, const nvinfer1::DimsExprs*, int32_t, nvinfer1::DimsExprs* out, int32_t,
                          nvinfer1::IExprBuilder& b) noexcept override {
    return told([&] {
      const std::vector<Input> wanted = op_->inputs(count);
      for (int i = 0; i < count; i++) require(in[i].nbDims == wanted[i].rank, "input %d has rank %d, want %d", i, in[i].nbDims, wanted[i].rank);
      for (const Output& o : op_->outputs()) {
        out->nbDims = static_cast<int32_t>(o.sizes.size());
        for (int i = 0; i < out->nbDims; i++) out->d[i] = expression_of(o.sizes[i], in, b);
        out++;
      }
    });
  }
  bool supportsFormatCombination(int32_t position, const nvinfer1::DynamicPluginTensorDesc* d, int32_t inputs, int32_t) noexcept override {
    return guarded(false, [&] {
      const std::vector<Input> wanted = op_->inputs(inputs);
      const std::vector<Output> results = op_->outputs();
      const Role role = position < inputs ? wanted[position].role : results[position - inputs].role;
      Tensor t = {}, first = {};
      t.rank = d[position].desc.dims.nbDims, first.rank = d[0].desc.dims.nbDims;
      t.dims[1] = d[position].desc.dims.d[1];
      return element_of(d[position].desc.type, &t.element) && format_of(d[position].desc.format, &t.format) && element_of(d[0].desc.type, &first.element) &&
             format_of(d[0].desc.format, &first.format) && fits(*op_, role, t, first);
    });
  }
  size_t getWorkspaceSize(const nvinfer1::DynamicPluginTensorDesc* in, int32_t inputs, const nvinfer1::DynamicPluginTensorDesc* out,
                          int32_t outputs) const noexcept override {
    return guarded(size_t{0}, [&] {
      const std::vector<Tensor> from = tensors_of(in, inputs), to = tensors_of(out, outputs);
      Call c(Walk::kMeasure, from, to);
      compute(*op_, c);
      return c.workspace_bytes();
    });
  }
  const char* getTimingCacheID() noexcept override { return description_.c_str(); }
  const char* getMetadataString() noexcept override { return description_.c_str(); }

  // IPluginV3OneRuntime
  int32_t onShapeChange(const nvinfer1::PluginTensorDesc* in, int32_t inputs, const nvinfer1::PluginTensorDesc* out, int32_t outputs) noexcept override {
    return told([&] {
      in_ = tensors_of(in, inputs), out_ = tensors_of(out, outputs);
      const std::vector<Tensor> want = infer(*op_, in_);
      for (int i = 0; i < outputs; i++) {
        require(want[i].rank == out_[i].rank && std::equal(want[i].dims, want[i].dims + want[i].rank, out_[i].dims), "output %d has another shape than follows", i);
      }
      fault_word();
      Call c(Walk::kPrepare, in_, out_);
      c.kept = &kept_;
      compute(*op_, c);
    });
  }
  int32_t enqueue(const nvinfer1::PluginTensorDesc*, const nvinfer1::PluginTensorDesc*, const void* const* inputs, void* const* outputs, void* workspace,
                  cudaStream_t stream) noexcept override {
    return told([&] {
      Call c(Walk::kRun, in_, out_);
      c.inputs = inputs, c.outputs = outputs, c.workspace = workspace, c.kept = &kept_, c.number = number_;
      c.stream = stream;
      compute(*op_, c);
    });
  }
  nvinfer1::IPluginV3* attachToContext(nvinfer1::IPluginResourceContext*) noexcept override { return clone(); }
  const nvinfer1::PluginFieldCollection* getFieldsToSerialize() noexcept override { return &collection_; }

 private:
  // told runs f, returns 0, or -1 and leaves an error that names the layer.
  template <class F>
  int32_t told(F f) const {
    return guarded(int32_t{-1}, [&] {
      try {
        f();
      } catch (const Refusal& r) {
        refuse("%s of %s: %s", layer_.c_str(), op_->name(), r.what());
      }
      return int32_t{0};
    });
  }

  static const nvinfer1::IDimensionExpr* expression_of(const Size& s, const nvinfer1::DimsExprs* in, nvinfer1::IExprBuilder& b) {
    using Op = nvinfer1::DimensionOperation;
    if (s.input < 0) return b.constant(s.multiply);
    const nvinfer1::IDimensionExpr* e = in[s.input].d[s.axis];
    if (s.multiply != 1) e = b.operation(Op::kPROD, *e, *b.constant(s.multiply));
    if (s.divide != 1) e = b.operation(Op::kFLOOR_DIV, *e, *b.constant(s.divide));
    return e;
  }

  std::unique_ptr<Operator> op_;
  std::string layer_;
  int number_;
  FieldWriter writer_;
  std::vector<nvinfer1::PluginField> serialised_;
  nvinfer1::PluginFieldCollection collection_;
  std::string description_;
  std::vector<Tensor> in_, out_;
  Kept kept_;
};

class Creator final : public nvinfer1::IPluginCreatorV3One {
 public:
  explicit Creator(const Entry& entry) : entry_(entry) {
    using Type = nvinfer1::PluginFieldType;
    for (const apexx_plugin_field& f : entry.fields) {
      fields_.emplace_back(f.name, nullptr, f.kind == APEXX_REAL ? Type::kFLOAT32 : f.kind == APEXX_TEXT ? Type::kCHAR : Type::kINT32, 1);
    }
    collection_ = {static_cast<int32_t>(fields_.size()), fields_.data()};
  }
  nvinfer1::IPluginV3* createPlugin(const char* layer, const nvinfer1::PluginFieldCollection* fields, nvinfer1::TensorRTPhase) noexcept override {
    return guarded<nvinfer1::IPluginV3*>(nullptr, [&] {
      try {
        require(fields != nullptr, "no fields");
        std::vector<std::unique_ptr<int32_t[]>> narrowed;
        std::unique_ptr<Operator> op = entry_.example->clone();
        read_fields(*op, attributes_of(*fields, narrowed));
        return new Plugin(std::move(op), layer && *layer ? layer : entry_.description.name);
      } catch (const Refusal& r) {
        refuse("%s of %s: %s", layer ? layer : "a layer", entry_.description.name, r.what());
      }
    });
  }
  const nvinfer1::PluginFieldCollection* getFieldNames() noexcept override { return &collection_; }
  const char* getPluginName() const noexcept override { return entry_.description.name; }
  const char* getPluginVersion() const noexcept override { return kVersion; }
  const char* getPluginNamespace() const noexcept override { return kNamespace; }

 private:
  const Entry& entry_;
  std::vector<nvinfer1::PluginField> fields_;
  nvinfer1::PluginFieldCollection collection_;
};

// creators has one for each entry. They live as long as the process: a registry keeps pointers to them.
inline std::vector<std::unique_ptr<Creator>>& creators() {
  static auto& list = *[] {
    auto* all = new std::vector<std::unique_ptr<Creator>>;
    for (const Entry& e : entries()) all->push_back(std::make_unique<Creator>(e));
    return all;
  }();
  return list;
}

// register_with hands the creators to a registry, once.
inline void register_with(nvinfer1::IPluginRegistry& registry) {
  static std::mutex mutex;
  static std::vector<nvinfer1::IPluginRegistry*> known;
  const std::lock_guard lock(mutex);
  if (std::find(known.begin(), known.end(), &registry) != known.end()) return;
  for (const auto& c : creators()) {
    require(registry.registerCreator(*c, kNamespace), "the registry did not take the plugin %s: another one of this name is there", c->getPluginName());
  }
  known.push_back(&registry);
}

}  // namespace apexx::plugin
