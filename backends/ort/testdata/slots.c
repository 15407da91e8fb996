// Holds the slots of capi.h against the header of ONNX Runtime's interface, and prints the header's version.
#include "../capi.h"

#include <stdio.h>

#include "onnxruntime_c_api.h"

#define CHECK(name)                                                                                                          \
  if (offsetof(OrtApi, name) != SLOT_##name * sizeof(void *)) {                                                              \
    printf(#name " is in slot %zu and not in %d\n", offsetof(OrtApi, name) / sizeof(void *), SLOT_##name);                   \
    return 1;                                                                                                                \
  }

int main(void) {
  CHECK(GetErrorMessage)
  CHECK(CreateTensorWithDataAsOrtValue)
  CHECK(CreateMemoryInfo)
  CHECK(ReleaseStatus)
  CHECK(ReleaseMemoryInfo)
  CHECK(ReleaseValue)
  CHECK(Session_GetEpGraphAssignmentInfo)
  CHECK(EpAssignedSubgraph_GetEpName)
  CHECK(EpAssignedSubgraph_GetNodes)
  CHECK(EpAssignedNode_GetName)
  printf("%d\n", ORT_API_VERSION);
}
