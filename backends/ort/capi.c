//go:build cgo

#define _GNU_SOURCE
#include "capi.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef void* status;

// CALL calls the function of a slot, whose type is given.
#define CALL(table, name, ...) ((__VA_ARGS__)(table)[SLOT_##name])

struct base {
  ort_table (*api)(uint32_t version);
  const char* (*version)(void);
};

ort_table apexx_ort_table(const char* path, uint32_t version) {
  void* library = dlopen(path, RTLD_LAZY | RTLD_NOLOAD);
  if (!library) return NULL;
  const struct base* (*entry)(void) = (const struct base* (*)(void))dlsym(library, "OrtGetApiBase");
  dlclose(library); // it stays open: whoever opened it holds it
  return entry ? entry()->api(version) : NULL;
}

// failure releases a status and returns its message, NULL for success.
static char* failure(ort_table table, status s) {
  if (!s) return NULL;
  char* message = strdup(CALL(table, GetErrorMessage, const char* (*)(status))(s));
  CALL(table, ReleaseStatus, void (*)(status))(s);
  return message;
}

char* apexx_ort_value(ort_table table, const char* memory, uint64_t at, size_t bytes, const int64_t* shape, size_t rank, int type, void** value) {
  enum { device_allocator = 0, first_device = 0, default_memory = 0 };
  void* info = NULL;
  char* failed = failure(table, CALL(table, CreateMemoryInfo, status(*)(const char*, int, int, int, void**))(memory, device_allocator, first_device, default_memory, &info));
  if (failed) return failed;
  failed = failure(table, CALL(table, CreateTensorWithDataAsOrtValue, status(*)(const void*, void*, size_t, const int64_t*, size_t, int, void**))(
                              info, (void*)(uintptr_t)at, bytes, shape, rank, type, value));
  CALL(table, ReleaseMemoryInfo, void (*)(void*))(info);
  return failed;
}

void apexx_ort_release_value(ort_table table, void* value) { CALL(table, ReleaseValue, void (*)(void*))(value); }

// write_nodes writes the nodes of one subgraph.
static status write_nodes(ort_table table, const void* subgraph, FILE* out) {
  const char* provider;
  const char* name;
  const void* const* nodes;
  size_t count;
  status s = CALL(table, EpAssignedSubgraph_GetEpName, status(*)(const void*, const char**))(subgraph, &provider);
  if (!s) s = CALL(table, EpAssignedSubgraph_GetNodes, status(*)(const void*, const void* const**, size_t*))(subgraph, &nodes, &count);
  for (size_t i = 0; !s && i < count; i++) {
    s = CALL(table, EpAssignedNode_GetName, status(*)(const void*, const char**))(nodes[i], &name);
    if (!s) fprintf(out, "%s\t%s\n", provider, name);
  }
  return s;
}

char* apexx_ort_placement(ort_table table, const void* session, char** lines) {
  const void* const* subgraphs;
  size_t count, size;
  FILE* out = open_memstream(lines, &size);
  if (!out) return strdup("no memory");
  status s = CALL(table, Session_GetEpGraphAssignmentInfo, status(*)(const void*, const void* const**, size_t*))(session, &subgraphs, &count);
  for (size_t i = 0; !s && i < count; i++) s = write_nodes(table, subgraphs[i], out);
  fclose(out);
  return failure(table, s);
}
