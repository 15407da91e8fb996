// The functions of libnvrtc that are needed, found at run time.
#pragma once

#include <stddef.h>

typedef struct {
  int (*version)(int*, int*);
  int (*create)(void**, const char*, const char*, int, const char* const*, const char* const*);
  int (*compile)(void*, int, const char* const*);
  int (*code_size)(void*, size_t*);
  int (*code)(void*, char*);
  int (*log_size)(void*, size_t*);
  int (*log)(void*, char*);
  int (*destroy)(void**);
  const char* (*error)(int);
} apexx_nvrtc;

// apexx_nvrtc_open opens the library `file`. It returns NULL, or what is wrong, which stays valid until the next call.
const char* apexx_nvrtc_open(const char* file, apexx_nvrtc* library);

void apexx_nvrtc_version(const apexx_nvrtc* library, int* major, int* minor);

// apexx_nvrtc_compile returns NULL and machine code, or what went wrong. The caller frees code and log, either of which may be NULL.
const char* apexx_nvrtc_compile(const apexx_nvrtc* library, const char* source, const char* name, int headers, char** texts, char** names, int options,
                                char** option, char** code, size_t* bytes, char** log);
