// A CUDA driver without a device, for libcuda.so.1: memory of the device is memory of the host, a graph is what the library of TensorRT beside it says, runs of it take
// 1 to 1000 ms and so on, and all else succeeds and does nothing.
#define _GNU_SOURCE
#include <cuda.h>
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#define NOTHING(name, ...) \
  CUresult name(__VA_ARGS__) { return CUDA_SUCCESS; }

NOTHING(cuInit, unsigned flags)
NOTHING(cuDeviceGet, CUdevice *device, int ordinal)
NOTHING(cuDevicePrimaryCtxRetain, CUcontext *context, CUdevice device)
NOTHING(cuCtxSetCurrent, CUcontext context)
NOTHING(cuMemFreeHost, void *host)
NOTHING(cuMemsetD8Async, CUdeviceptr at, unsigned char value, size_t size, CUstream stream)
NOTHING(cuStreamCreate, CUstream *stream, unsigned flags)
NOTHING(cuStreamDestroy, CUstream stream)
NOTHING(cuStreamSynchronize, CUstream stream)
NOTHING(cuStreamBeginCapture, CUstream stream, CUstreamCaptureMode mode)
NOTHING(cuStreamEndCapture, CUstream stream, CUgraph *graph)
NOTHING(cuGraphInstantiateWithFlags, CUgraphExec *made, CUgraph graph, unsigned long long flags)
NOTHING(cuGraphUpload, CUgraphExec graph, CUstream stream)
NOTHING(cuGraphDestroy, CUgraph graph)
NOTHING(cuGraphExecDestroy, CUgraphExec graph)
NOTHING(cuEventCreate, CUevent *event, unsigned flags)
NOTHING(cuEventRecord, CUevent event, CUstream stream)
NOTHING(cuEventSynchronize, CUevent event)
NOTHING(cuEventDestroy, CUevent event)

CUresult cuGraphLaunch(CUgraphExec graph, CUstream stream) {
  void (*launch)(void) = (void (*)(void))dlsym(RTLD_DEFAULT, "fakeGraph");
  return launch(), CUDA_SUCCESS;
}
CUresult cuEventElapsedTime(float *milliseconds, CUevent start, CUevent end) {
  static int runs;
  return *milliseconds = runs++ % 1000 + 1, CUDA_SUCCESS;
}
CUresult cuDriverGetVersion(int *version) { return *version = 13000, CUDA_SUCCESS; }
CUresult cuDeviceGetCount(int *count) { return *count = 1, CUDA_SUCCESS; }
CUresult cuDeviceGetName(char *name, int size, CUdevice device) { return strncpy(name, "Fake GPU", size), CUDA_SUCCESS; }
CUresult cuDeviceGetAttribute(int *value, CUdevice_attribute attribute, CUdevice device) {
  return *value = attribute == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR ? 9 : 0, CUDA_SUCCESS;
}
CUresult cuDeviceTotalMem(size_t *size, CUdevice device) { return *size = 1 << 30, CUDA_SUCCESS; }
CUresult cuGetErrorName(CUresult error, const char **name) { return *name = "CUDA_ERROR_OUT_OF_MEMORY", CUDA_SUCCESS; }

static int fails(const char *what) {
  const char *fault = getenv("FAKE_FAULT");
  return fault && !strcmp(fault, what);
}
CUresult cuMemAlloc(CUdeviceptr *at, size_t size) {
  if (fails("memory")) return CUDA_ERROR_OUT_OF_MEMORY;
  return *at = (CUdeviceptr)malloc(size), CUDA_SUCCESS;
}
CUresult cuMemFree(CUdeviceptr at) { return free((void *)at), CUDA_SUCCESS; }
CUresult cuMemHostAlloc(void **at, size_t size, unsigned flags) { return *at = malloc(size), CUDA_SUCCESS; }
CUresult cuMemcpyHtoDAsync(CUdeviceptr to, const void *from, size_t size, CUstream stream) {
  if (fails("copy")) return CUDA_ERROR_OUT_OF_MEMORY;
  return memcpy((void *)to, from, size), CUDA_SUCCESS;
}
CUresult cuMemcpyDtoHAsync(void *to, CUdeviceptr from, size_t size, CUstream stream) { return memcpy(to, (void *)from, size), CUDA_SUCCESS; }
