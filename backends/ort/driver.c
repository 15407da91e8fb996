//go:build cgo

#include "driver.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

struct apexx_driver {
  int (*init)(unsigned);
  int (*error_name)(int, const char**);
  int (*count)(int*);
  int (*name)(char*, int, int);
  int (*retain)(void**, int);
  int (*current)(void*);
  int (*wait)(void);
  int (*allocate)(uint64_t*, size_t);
  int (*release)(uint64_t);
  int (*upload)(uint64_t, const void*, size_t);
  int (*download)(void*, uint64_t, size_t);
  void* context;
  char device[256];
};

// bind_functions looks up every function. It returns the name of one that is missing, else NULL.
static const char* bind_functions(void* library, struct apexx_driver* d) {
  const struct {
    const char* name;
    void** to;
  } functions[] = {
      {"cuInit", (void**)&d->init},
      {"cuGetErrorName", (void**)&d->error_name},
      {"cuDeviceGetCount", (void**)&d->count},
      {"cuDeviceGetName", (void**)&d->name},
      {"cuDevicePrimaryCtxRetain", (void**)&d->retain},
      {"cuCtxSetCurrent", (void**)&d->current},
      {"cuCtxSynchronize", (void**)&d->wait},
      {"cuMemAlloc_v2", (void**)&d->allocate},
      {"cuMemFree_v2", (void**)&d->release},
      {"cuMemcpyHtoD_v2", (void**)&d->upload},
      {"cuMemcpyDtoH_v2", (void**)&d->download},
  };
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
    if (!(*functions[i].to = dlsym(library, functions[i].name))) return functions[i].name;
  return NULL;
}

// start finds a device and makes its primary context.
static int start(struct apexx_driver* d) {
  int devices = 0, code = d->init(0);
  if (!code) code = d->count(&devices);
  if (!code && devices == 0) code = APEXX_DRIVER_NO_DEVICE;
  if (!code) code = d->name(d->device, sizeof d->device, 0);
  return code ? code : d->retain(&d->context, 0);
}

int apexx_driver_open(const char* library, struct apexx_driver** driver, char* message, size_t size) {
  void* handle = dlopen(library, RTLD_LAZY);
  if (!handle) {
    snprintf(message, size, "%s", dlerror());
    return APEXX_DRIVER_NO_LIBRARY;
  }
  struct apexx_driver* d = calloc(1, sizeof *d);
  const char* missing = bind_functions(handle, d);
  int code = missing ? APEXX_DRIVER_NO_LIBRARY : start(d);
  if (missing)
    snprintf(message, size, "%s has no function %s", library, missing);
  else if (code)
    snprintf(message, size, "%s", apexx_driver_error(d, code));
  if (!code) {
    *driver = d; // for good, like the library
    return 0;
  }
  free(d);
  return code;
}

const char* apexx_driver_device(struct apexx_driver* d) { return d->device; }

const char* apexx_driver_error(struct apexx_driver* d, int code) {
  const char* name = NULL;
  return d->error_name(code, &name) == 0 && name ? name : "an unknown error of the CUDA driver";
}

// A context belongs to a thread, and a call may come on any.
#define IN_CONTEXT(call)               \
  do {                                 \
    int code = d->current(d->context); \
    return code ? code : (call);       \
  } while (0)

int apexx_driver_allocate(struct apexx_driver* d, size_t bytes, uint64_t* at) { IN_CONTEXT(d->allocate(at, bytes)); }
int apexx_driver_release(struct apexx_driver* d, uint64_t at) { IN_CONTEXT(d->release(at)); }
int apexx_driver_upload(struct apexx_driver* d, uint64_t at, const void* from, size_t bytes) { IN_CONTEXT(d->upload(at, from, bytes)); }
int apexx_driver_download(struct apexx_driver* d, void* to, uint64_t at, size_t bytes) { IN_CONTEXT(d->download(to, at, bytes)); }
int apexx_driver_wait(struct apexx_driver* d) { IN_CONTEXT(d->wait()); }
