// The library: the C interface of plugins.h, one compilation. APEXX_TENSORRT: with TensorRT's headers, so that there are plugins.
#include "plugins.h"

#include "errors.h"
#include "harness.h"

#ifndef APEXX_PLUGINS_DIGEST
#define APEXX_PLUGINS_DIGEST "unknown"
#endif

using namespace apexx::plugin;

namespace {

std::vector<Attribute> attributes_of(const apexx_plugin_attribute* a, int n) {
  std::vector<Attribute> list;
  for (int i = 0; i < n; i++) {
    require(a[i].kind >= APEXX_INTEGER && a[i].kind <= APEXX_TEXT, "field %s has the kind %d", a[i].name, a[i].kind);
    list.push_back({a[i].name, a[i].kind, a[i].data, a[i].length});
  }
  return list;
}

}  // namespace

#define APEXX_API extern "C" __attribute__((visibility("default")))

APEXX_API int32_t apexx_plugins_abi() { return APEXX_PLUGINS_ABI; }

APEXX_API const char* apexx_plugins_digest() { return APEXX_PLUGINS_DIGEST; }

APEXX_API int32_t apexx_plugins_tensorrt() {
#ifdef APEXX_TENSORRT
  return NV_TENSORRT_VERSION;
#else
  return 0;
#endif
}

APEXX_API int32_t apexx_plugins_count() { return static_cast<int32_t>(entries().size()); }

APEXX_API const apexx_plugin* apexx_plugins_get(int32_t i) { return i >= 0 && i < apexx_plugins_count() ? &entries()[i].description : nullptr; }

APEXX_API int32_t apexx_plugins_register([[maybe_unused]] void* registry) {
  return guarded(int32_t{-1}, [&] {
#ifdef APEXX_TENSORRT
    require(registry != nullptr, "no registry");
    register_with(*static_cast<nvinfer1::IPluginRegistry*>(registry));
#else
    refuse("the library was built without TensorRT's headers");
#endif
    return int32_t{0};
  });
}

APEXX_API const char* apexx_plugins_error() { return last_error().c_str(); }

APEXX_API const char* apexx_plugins_take_fault() {
  return guarded<const char*>(nullptr, [] {
    volatile int* word = fault_word();
    const int number = *word;
    if (number != 0) *word = 0;
    return Layers::all().name_of(number);
  });
}

APEXX_API int32_t apexx_plugins_infer(const char* plugin, const apexx_plugin_attribute* attributes, int32_t attribute_count, const apexx_plugin_tensor* inputs,
                                      int32_t input_count, apexx_plugin_tensor* outputs, int32_t most_outputs) {
  return guarded(int32_t{-1}, [&] {
    Subject subject(plugin, attributes_of(attributes, attribute_count));
    const std::vector<Tensor> out = subject.infer(tensors_of(inputs, input_count));
    require(static_cast<int32_t>(out.size()) <= most_outputs, "%zu outputs, there is room for %d", out.size(), most_outputs);
    for (size_t i = 0; i < out.size(); i++) {
      outputs[i].element = static_cast<int32_t>(out[i].element), outputs[i].format = static_cast<int32_t>(out[i].format), outputs[i].rank = out[i].rank;
      std::copy(out[i].dims, out[i].dims + out[i].rank, outputs[i].dims);
    }
    return static_cast<int32_t>(out.size());
  });
}

APEXX_API int32_t apexx_plugins_run(const char* plugin, const apexx_plugin_attribute* attributes, int32_t attribute_count, const apexx_plugin_tensor* inputs,
                                    int32_t input_count, const apexx_plugin_tensor* outputs, int32_t output_count, apexx_plugin_run* run) {
  return guarded(int32_t{-1}, [&] {
    Subject subject(plugin, attributes_of(attributes, attribute_count));
    run_plugin(subject, inputs, input_count, outputs, output_count, *run);
    return int32_t{0};
  });
}
