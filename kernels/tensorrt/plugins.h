// libapexx-tensorrt.so: the operators of the domain `apexx` as TensorRT plugins (IPluginV3), over the kernels of this folder's parent. The library
// links nothing of TensorRT: whoever loads it hands over the registry. Plain C, so that a program can use it without TensorRT's headers.
//
// Creators have the namespace "apexx", the version "1", the operators' names, and as fields the attributes that the ONNX export writes.
#pragma once

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define APEXX_PLUGINS_ABI 1

// apexx_plugins_abi returns APEXX_PLUGINS_ABI of the library. Ask it first: another number means another interface.
int32_t apexx_plugins_abi(void);

// apexx_plugins_digest names the sources that the library was built of: a SHA-256 in hexadecimal, or "unknown".
const char* apexx_plugins_digest(void);

// apexx_plugins_tensorrt returns the version of the headers that the library was built with, 10600 for 10.6.0; 0: without, it runs plugins by itself alone.
int32_t apexx_plugins_tensorrt(void);

// Kinds of fields. An integer and integers have PluginFieldType kINT32 (kINT64 is taken, too), a real kFLOAT32, a text kCHAR.
enum { APEXX_INTEGER, APEXX_INTEGERS, APEXX_REAL, APEXX_TEXT };

typedef struct {
  const char* name;
  int32_t kind;
  int32_t required;  // 0: it has a default
} apexx_plugin_field;

typedef struct {
  const char *name, *version, *name_space;
  int32_t field_count;
  const apexx_plugin_field* fields;
} apexx_plugin;

// apexx_plugins_count and apexx_plugins_get enumerate the plugins, by name. A number out of range gives null.
int32_t apexx_plugins_count(void);
const apexx_plugin* apexx_plugins_get(int32_t i);

// apexx_plugins_register registers all creators with an nvinfer1::IPluginRegistry, once however often it is called with one registry. It returns 0,
// or -1 and leaves an error.
int32_t apexx_plugins_register(void* registry);

// apexx_plugins_error returns what went wrong last in this thread: why a creator returned null, shapes were refused or a launch failed. "" if nothing did.
// It is valid until the next call of anything here.
const char* apexx_plugins_error(void);

// apexx_plugins_take_fault returns the layer whose kernel last met an operand out of range (a tile that does not exist), and forgets it; null: none did.
// Call it when the stream has been waited for; it does not synchronise. Its results are those of no valid input.
const char* apexx_plugins_take_fault(void);

// Running one plugin without an engine, for tests: through creation, cloning, serialisation and all that TensorRT does with it.

enum { APEXX_FLOAT, APEXX_HALF, APEXX_INT64 };
enum { APEXX_LINEAR, APEXX_HWC8 };  // HWC8: [N][H][W][C rounded up to 8]

typedef struct {
  const char* name;
  int32_t kind;
  int32_t length;
  const void* data;  // int32_t, int32_t, float, char
} apexx_plugin_attribute;

typedef struct {
  int32_t element, format, rank;
  int64_t dims[8];
  void* data;  // of the host, in the format
} apexx_plugin_tensor;

typedef struct {
  int32_t repeats;       // how often the plugin is enqueued, at least once; outputs and workspace are filled with NaN before each
  int32_t captured;      // 1: by a CUDA graph
  double microseconds;   // out: the median time of one by the device's clock; 0 without a device
  int32_t different;     // out: how many of them left other bits than the first
} apexx_plugin_run;

// apexx_plugins_infer fills rank, dims, element and format of the outputs; formats are those of the first input. It returns their number, or -1 and an error.
int32_t apexx_plugins_infer(const char* plugin, const apexx_plugin_attribute* attributes, int32_t attribute_count, const apexx_plugin_tensor* inputs,
                            int32_t input_count, apexx_plugin_tensor* outputs, int32_t most_outputs);

// apexx_plugins_run runs a plugin, whose outputs are as apexx_plugins_infer says and have memory. It returns 0, or -1 and an error.
int32_t apexx_plugins_run(const char* plugin, const apexx_plugin_attribute* attributes, int32_t attribute_count, const apexx_plugin_tensor* inputs,
                          int32_t input_count, const apexx_plugin_tensor* outputs, int32_t output_count, apexx_plugin_run* run);

#ifdef __cplusplus
}
#endif
