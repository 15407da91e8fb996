// What gorgonia.org/cu lacks of the CUDA driver's interface, and the driver library itself, which is opened at run time.
#pragma once

#include <cuda.h>

// apexx_driver_init opens the driver's library and initialises it, once. It returns 0, or -1 where there is no library, or the driver's error;
// *message tells what was found, and stays valid.
int apexx_driver_init(const char** message);

// apexx_error_name returns the name of an error of the driver.
const char* apexx_error_name(CUresult result);

// apexx_host_alloc allocates page-locked memory of the host that the device sees at *device.
CUresult apexx_host_alloc(size_t bytes, void** host, CUdeviceptr* device);

// apexx_launch is one launch of a kernel that takes one argument.
typedef struct {
  CUfunction function;
  unsigned grid_x, grid_y, grid_z, threads, shared;
  const void* argument;
} apexx_launch;

// apexx_argument_size returns the size of the first argument of a kernel. It fails for a kernel that takes none.
CUresult apexx_argument_size(CUfunction function, size_t* bytes);

// apexx_allow_shared lets a kernel have so many bytes of dynamic shared memory.
CUresult apexx_allow_shared(CUfunction function, unsigned bytes);

// apexx_graph_add adds a launch that waits for other nodes. If ahead, it is started before they have ended (programmatic dependent launch), and its
// kernel waits for them itself.
CUresult apexx_graph_add(CUgraph graph, CUgraphNode* node, const CUgraphNode* after, size_t count, int ahead, const apexx_launch* launch);

// apexx_graph_finish makes a graph executable and destroys it.
CUresult apexx_graph_finish(CUgraph graph, CUstream stream, CUgraphExec* executable);

// apexx_graph_run executes a graph, waits for its end, and measures it by two events.
CUresult apexx_graph_run(CUgraphExec executable, CUstream stream, CUevent start, CUevent end, float* milliseconds);
