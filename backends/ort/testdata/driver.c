// A driver whose device is the host's memory. BROKEN is what cuInit returns, DEVICES how many there are. The name of error 7777 is the number of
// allocations that were not released.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef BROKEN
#define BROKEN 0
#endif
#ifndef DEVICES
#define DEVICES 1
#endif

static long held;    // allocations that were not released
static int selected; // the context was made current by the calling thread's last call

int cuInit(unsigned flags) { return flags ? 1 : BROKEN; }
int cuGetErrorName(int code, const char** name) {
  static char count[24];
  snprintf(count, sizeof count, "%ld", held);
  *name = code == 7777 ? count : code == 100 ? "CUDA_ERROR_NO_DEVICE" : code == 2 ? "CUDA_ERROR_OUT_OF_MEMORY" : "CUDA_ERROR_SOMETHING";
  return 0;
}
int cuDeviceGetCount(int* count) {
  *count = DEVICES;
  return 0;
}
int cuDeviceGetName(char* name, int size, int device) {
  snprintf(name, size, "the host's memory");
  return device;
}
int cuDevicePrimaryCtxRetain(void** context, int device) {
  *context = &held;
  return device;
}
int cuCtxSetCurrent(void* context) {
  selected = context == (void*)&held;
  return 0;
}
int cuCtxSynchronize(void) { return selected ? 0 : 201; }
int cuMemAlloc_v2(uint64_t* at, size_t bytes) {
  if (!selected) return 201;
  if (bytes >= 1 << 20) return 2;
  *at = (uint64_t)(uintptr_t)memset(malloc(bytes), 0xff, bytes);
  __atomic_add_fetch(&held, 1, __ATOMIC_SEQ_CST);
  return 0;
}
int cuMemFree_v2(uint64_t at) {
  free((void*)(uintptr_t)at);
  __atomic_sub_fetch(&held, 1, __ATOMIC_SEQ_CST);
  return 0;
}
int cuMemcpyHtoD_v2(uint64_t to, const void* from, size_t bytes) {
  memcpy((void*)(uintptr_t)to, from, bytes);
  return 0;
}
#ifndef OLD
int cuMemcpyDtoH_v2(void* to, uint64_t from, size_t bytes) {
  memcpy(to, (const void*)(uintptr_t)from, bytes);
  return 0;
}
#endif
