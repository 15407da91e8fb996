// TensorRT and the CUDA driver as a few C functions. All of them may be called on any thread; those on one apexx_trt_run, one at a time.
//
// A function that fails returns one of the codes below, and in *error a text to be freed by the caller.
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
  APEXX_TRT_OK = 0,
  APEXX_TRT_FAILED,       // the library or the device refuses
  APEXX_TRT_NO_LIBRARY,   // a library cannot be opened
  APEXX_TRT_NO_SYMBOL,    // it lacks a function
  APEXX_TRT_NO_DEVICE,    // the driver shows no device
  APEXX_TRT_NO_MEMORY,    // of the device
  APEXX_TRT_INTERRUPTED,  // by the progress function
  APEXX_TRT_CORRUPT,      // not an engine of this library
  APEXX_TRT_NOT_STARTED,  // the library cannot begin to build, or to load
};

typedef struct {
  char name[256];
  int driver;      // CUDA version that the driver supports, as cuDriverGetVersion counts
  int capability;  // 90 for 9.0
  int64_t memory;
} apexx_trt_device;

// apexx_trt_open_device opens the CUDA driver and the first device.
int apexx_trt_open_device(apexx_trt_device* device, char** error);

// apexx_trt_open opens TensorRT and, unless parser is null, the ONNX parser. version is that of the library, headers that of the headers of this program.
int apexx_trt_open(const char* infer, const char* parser, int* version, int* headers, char** error);

typedef struct {
  const char* name;
  int required;
} apexx_trt_field;

// apexx_trt_open_plugins opens and registers the library of plugins. digest stays valid.
int apexx_trt_open_plugins(const char* path, int* count, const char** digest, char** error);
// apexx_trt_plugin describes a plugin; the texts stay valid.
void apexx_trt_plugin(int i, const char** name, const char** version, const char** name_space, int* fields);
apexx_trt_field apexx_trt_plugin_field(int i, int field);

typedef struct {
  const void* data;
  size_t size;
  void* owner;
} apexx_trt_blob;

void apexx_trt_free_blob(apexx_trt_blob* blob);

typedef struct {
  const void* model;
  size_t model_size;
  const void* timings;
  size_t timings_size;
  int tf32;   // 1: products of float32 may be TF32
  int level;  // of optimisation
  int64_t batches[3];  // least, most usual and largest first dimension of every input, if it is free; else 0
  uintptr_t progress;  // handed to apexxProgress; 0: to nobody
} apexx_trt_build;

// apexx_trt_build_engine builds an engine. One call at a time.
int apexx_trt_build_engine(const apexx_trt_build* build, apexx_trt_blob* engine, apexx_trt_blob* timings, char** error);

typedef struct {
  const void* model;
  size_t model_size;
  int largest;        // 1: IInt8MinMaxCalibrator, 0: IInt8EntropyCalibrator2
  int batches;        // that apexxBatch has
  uintptr_t handle;   // handed to apexxProgress and apexxBatch
} apexx_trt_calibration;

// apexx_trt_calibrate has the builder find ranges. It builds no engine. One call at a time, none beside apexx_trt_build_engine. table is to be freed
// by the caller.
int apexx_trt_calibrate(const apexx_trt_calibration* calibration, char** table, size_t* size, char** error);

// apexx_trt_run is an engine with memory of its own.
typedef struct apexx_trt_run apexx_trt_run;

enum { APEXX_TRT_FLOAT32, APEXX_TRT_INT32, APEXX_TRT_INT64, APEXX_TRT_BOOL };

typedef struct {
  const char* name;
  int input, element, rank;
  int64_t dims[8];
  void* host;
  size_t bytes;
} apexx_trt_binding;

// apexx_trt_load makes an engine executable, with inputs of a first dimension where that is free. With layer_times every run tells the time of each layer, and
// is no CUDA graph.
int apexx_trt_load(const void* engine, size_t size, int64_t batch, int layer_times, apexx_trt_run** run, char** error);
int apexx_trt_bindings(const apexx_trt_run* run);
apexx_trt_binding apexx_trt_get_binding(const apexx_trt_run* run, int i);
// apexx_trt_captured is "" for an engine that runs as one CUDA graph, else why it does not.
const char* apexx_trt_captured(const apexx_trt_run* run);
const char* apexx_trt_layers(const apexx_trt_run* run);
int64_t apexx_trt_device_bytes(const apexx_trt_run* run);
int apexx_trt_copy(apexx_trt_run* run, int binding, int to_device, char** error);
int apexx_trt_execute(apexx_trt_run* run, float* milliseconds, char** error);
int apexx_trt_layer_times(const apexx_trt_run* run);
const char* apexx_trt_layer_time(const apexx_trt_run* run, int i, float* milliseconds);
void apexx_trt_close(apexx_trt_run* run);

#ifdef __cplusplus
}
#endif
