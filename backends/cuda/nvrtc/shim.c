//go:build cgo && linux

#include "shim.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

const char* apexx_nvrtc_open(const char* file, apexx_nvrtc* library) {
  static _Thread_local char message[512];
  void* handle = dlopen(file, RTLD_NOW | RTLD_LOCAL);
  if (!handle) {
    const char* why = dlerror();
    snprintf(message, sizeof message, "%s", why ? why : "the library cannot be opened");
    return message;
  }
  const struct {
    const char* name;
    void* to;
  } functions[] = {
      {"nvrtcVersion", &library->version},           {"nvrtcCreateProgram", &library->create},    {"nvrtcCompileProgram", &library->compile},
      {"nvrtcGetCUBINSize", &library->code_size},    {"nvrtcGetCUBIN", &library->code},           {"nvrtcGetProgramLogSize", &library->log_size},
      {"nvrtcGetProgramLog", &library->log},         {"nvrtcDestroyProgram", &library->destroy},  {"nvrtcGetErrorString", &library->error},
  };
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
    void* found = dlsym(handle, functions[i].name);
    if (!found) {
      snprintf(message, sizeof message, "%s has no %s: NVRTC 11.1 or newer is needed", file, functions[i].name);
      return message;
    }
    *(void**)functions[i].to = found;
  }
  return NULL;
}

void apexx_nvrtc_version(const apexx_nvrtc* library, int* major, int* minor) {
  if (library->version(major, minor) != 0) *major = *minor = 0;
}

const char* apexx_nvrtc_compile(const apexx_nvrtc* library, const char* source, const char* name, int headers, char** texts, char** names, int options,
                                char** option, char** code, size_t* bytes, char** log) {
  void* program = NULL;
  int result = library->create(&program, source, name, headers, (const char* const*)texts, (const char* const*)names);
  if (result != 0) return library->error(result);
  result = library->compile(program, options, (const char* const*)option);
  size_t size = 0;
  if (library->log_size(program, &size) == 0 && size > 1 && (*log = malloc(size)) != NULL) library->log(program, *log);
  if (result == 0) result = library->code_size(program, bytes);
  if (result == 0 && (*code = malloc(*bytes)) != NULL) result = library->code(program, *code);
  const char* why = result != 0 ? library->error(result) : *code == NULL ? "no memory" : NULL;
  library->destroy(&program);
  return why;
}
