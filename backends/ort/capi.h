// What onnxruntime_go does not offer of ONNX Runtime's C interface: tensors in memory that others allocated, and where nodes were placed.
#ifndef APEXX_ORT_CAPI_H
#define APEXX_ORT_CAPI_H

#include <stddef.h>
#include <stdint.h>

// The interface is a table of functions, to which every version appends: a function keeps its slot. These are of version 24, by the order
// of struct OrtApi in onnxruntime_c_api.h; TestSlots holds them against the copy that onnxruntime_go has.
enum {
  SLOT_GetErrorMessage = 2,
  SLOT_CreateTensorWithDataAsOrtValue = 49,
  SLOT_CreateMemoryInfo = 68,
  SLOT_ReleaseStatus = 93,
  SLOT_ReleaseMemoryInfo = 94,
  SLOT_ReleaseValue = 96,
  SLOT_Session_GetEpGraphAssignmentInfo = 407,
  SLOT_EpAssignedSubgraph_GetEpName = 408,
  SLOT_EpAssignedSubgraph_GetNodes = 409,
  SLOT_EpAssignedNode_GetName = 410,
};

typedef const void* const* ort_table;

// apexx_ort_table returns the table of the library at a path, which the process has opened already; NULL if it has not, or lacks the version.
ort_table apexx_ort_table(const char* path, uint32_t version);

// These return NULL, or why they failed, to be freed by the caller.

// apexx_ort_value makes a tensor over memory at an address, which the kind of memory ("Cpu", "Cuda") gives its meaning.
char* apexx_ort_value(ort_table table, const char* memory, uint64_t at, size_t bytes, const int64_t* shape, size_t rank, int type, void** value);

// apexx_ort_placement lists the nodes of a session that recorded it, a line "PROVIDER\tNODE" each; to be freed by the caller.
char* apexx_ort_placement(ort_table table, const void* session, char** lines);

void apexx_ort_release_value(ort_table table, void* value);

#endif
