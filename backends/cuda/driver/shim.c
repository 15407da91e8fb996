//go:build cuda

#define _GNU_SOURCE
#include "shim.h"

#include <dlfcn.h>
#include <stdio.h>

// The library is opened before any Go code runs, and for everyone: all functions of the driver are bound when they are first called, so
// that this program starts where there is no driver, and can say so.
static int state = -1;
static char found[512] = "libcuda.so.1 was not opened";

__attribute__((constructor)) static void open_driver(void) {
  void* library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_GLOBAL);
  if (!library) {
    const char* why = dlerror();
    snprintf(found, sizeof found, "%s", why ? why : "libcuda.so.1 cannot be opened");
    return;
  }
  CUresult (*init)(unsigned) = (CUresult(*)(unsigned))dlsym(library, "cuInit");
  if (!init) {
    snprintf(found, sizeof found, "libcuda.so.1 has no cuInit");
    return;
  }
  const CUresult result = init(0);
  state = (int)result;
  const char* name = NULL;
  if (result != CUDA_SUCCESS && cuGetErrorString(result, &name) == CUDA_SUCCESS && name) snprintf(found, sizeof found, "%s", name);
}

// gorgonia.org/cu calls cuInit when the program starts, and ends it on an error. It gets this one.
__attribute__((visibility("hidden"))) CUresult CUDAAPI cuInit(unsigned flags) {
  (void)flags;
  return CUDA_SUCCESS;
}

int apexx_driver_init(const char** message) {
  *message = found;
  return state;
}

const char* apexx_error_name(CUresult result) {
  const char* name = NULL;
  return cuGetErrorName(result, &name) == CUDA_SUCCESS && name ? name : "an unknown error of the CUDA driver";
}

CUresult apexx_host_alloc(size_t bytes, void** host, CUdeviceptr* device) {
  const CUresult result = cuMemHostAlloc(host, bytes, CU_MEMHOSTALLOC_DEVICEMAP);
  return result == CUDA_SUCCESS ? cuMemHostGetDevicePointer(device, *host, 0) : result;
}

#if CUDA_VERSION < 12040 // every driver that loads the kernels has it, older headers do not
CUresult CUDAAPI cuFuncGetParamInfo(CUfunction function, size_t number, size_t* offset, size_t* bytes);
#endif

CUresult apexx_argument_size(CUfunction function, size_t* bytes) {
  size_t offset;
  return cuFuncGetParamInfo(function, 0, &offset, bytes);
}

CUresult apexx_allow_shared(CUfunction function, unsigned bytes) {
  return cuFuncSetAttribute(function, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, (int)bytes);
}

CUresult apexx_graph_add(CUgraph graph, CUgraphNode* node, const CUgraphNode* after, size_t count, int ahead, const apexx_launch* l) {
  void* arguments[] = {(void*)l->argument};
  CUDA_KERNEL_NODE_PARAMS params = {0};
  params.func = l->function;
  params.gridDimX = l->grid_x;
  params.gridDimY = l->grid_y;
  params.gridDimZ = l->grid_z;
  params.blockDimX = l->threads;
  params.blockDimY = params.blockDimZ = 1;
  params.sharedMemBytes = l->shared;
  params.kernelParams = arguments;
#if CUDA_VERSION >= 12030 // before, edges have no types
  if (ahead && count > 0) {
    CUresult result = cuGraphAddKernelNode(node, graph, NULL, 0, &params);
    const CUgraphEdgeData edge = {.from_port = CU_GRAPH_KERNEL_NODE_PORT_PROGRAMMATIC, .type = CU_GRAPH_DEPENDENCY_TYPE_PROGRAMMATIC};
    for (size_t i = 0; i < count && result == CUDA_SUCCESS; i++) result = cuGraphAddDependencies_v2(graph, &after[i], node, &edge, 1);
    return result;
  }
#endif
  (void)ahead;
  return cuGraphAddKernelNode(node, graph, after, count, &params);
}

CUresult apexx_graph_finish(CUgraph graph, CUstream stream, CUgraphExec* executable) {
  CUresult result = cuGraphInstantiateWithFlags(executable, graph, 0);
  if (result == CUDA_SUCCESS) result = cuGraphUpload(*executable, stream);
  const CUresult destroyed = cuGraphDestroy(graph);
  return result == CUDA_SUCCESS ? destroyed : result;
}

CUresult apexx_graph_run(CUgraphExec executable, CUstream stream, CUevent start, CUevent end, float* milliseconds) {
  CUresult result = cuEventRecord(start, stream);
  if (result == CUDA_SUCCESS) result = cuGraphLaunch(executable, stream);
  if (result == CUDA_SUCCESS) result = cuEventRecord(end, stream);
  if (result == CUDA_SUCCESS) result = cuEventSynchronize(end);
  if (result == CUDA_SUCCESS) result = cuEventElapsedTime(milliseconds, start, end);
  return result;
}
