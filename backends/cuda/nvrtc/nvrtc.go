//go:build cgo && linux

package nvrtc

/*
#cgo LDFLAGS: -ldl
#include <stdlib.h>
#include "shim.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"unsafe"

	"github.com/apex-x/apexx/backends"
)

// Library is an opened libnvrtc.
type Library struct {
	handle C.apexx_nvrtc
	file   string
}

// names are those of the library, newest first, where none is given.
var names = []string{"libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so"}

// Open opens the library `file`, or the first that the loader finds where that is empty. Its error is an *backends.Unavailable of the backend cuda.
func Open(file string) (*Library, error) {
	files := names
	if file != "" {
		files = []string{file}
	}
	var errs []error
	for _, file := range files {
		l := &Library{file: file}
		name := C.CString(file)
		message := C.apexx_nvrtc_open(name, &l.handle)
		C.free(unsafe.Pointer(name))
		if message == nil {
			return l, nil
		}
		errs = append(errs, errors.New(C.GoString(message)))
	}
	return nil, &backends.Unavailable{Backend: "cuda", Reason: backends.LibraryNotFound, Detail: fmt.Sprintf("NVRTC: %v", errors.Join(errs...))}
}

// Version returns the CUDA version of the library, as 12.9.
func (l *Library) Version() string {
	var major, minor C.int
	C.apexx_nvrtc_version(&l.handle, &major, &minor)
	return fmt.Sprintf("%d.%d", int(major), int(minor))
}

// missing are the headers of C that the sources include and NVRTC lacks.
var missing = map[string]string{
	"stdint.h": "typedef signed char int8_t; typedef short int16_t; typedef int int32_t; typedef long int64_t;\n" +
		"typedef unsigned char uint8_t; typedef unsigned short uint16_t; typedef unsigned uint32_t; typedef unsigned long uint64_t; typedef unsigned long uintptr_t;\n" +
		"#define INT32_MAX 2147483647\n",
	"stddef.h": "",
	"math.h":   "#define INFINITY __int_as_float(0x7f800000)\n#define NAN __int_as_float(0x7fffffff)\n",
}

// Compile makes machine code of the file `name` of sources for a compute capability such as "90a". headers is the folder of CUDA's own headers, and
// options are further ones of the compiler. An error of the sources comes with the compiler's log.
func (l *Library) Compile(sources fs.FS, name, architecture, headers string, options ...string) ([]byte, error) {
	source, err := fs.ReadFile(sources, name)
	if err != nil {
		return nil, err
	}
	included := map[string]string{}
	for header, text := range missing {
		included[header] = text
	}
	for _, pattern := range []string{"*.h", "*.cuh"} {
		files, err := fs.Glob(sources, pattern)
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			text, err := fs.ReadFile(sources, file)
			if err != nil {
				return nil, err
			}
			included[file] = string(text)
		}
	}
	options = append([]string{"--gpu-architecture=sm_" + architecture, "--std=c++20", "--device-as-default-execution-space", "--include-path=" + headers}, options...)
	return l.compile(string(source), name, included, options)
}

func (l *Library) compile(source, name string, included map[string]string, options []string) ([]byte, error) {
	var texts, files, list cStrings
	defer texts.free()
	defer files.free()
	defer list.free()
	for file, text := range included {
		texts.add(text)
		files.add(file)
	}
	for _, o := range options {
		list.add(o)
	}
	var own cStrings
	defer own.free()
	own.add(source)
	own.add(name)
	var code, log *C.char
	var bytes C.size_t
	result := C.apexx_nvrtc_compile(&l.handle, own[0], own[1], C.int(len(texts)), texts.at(), files.at(), C.int(len(list)), list.at(), &code, &bytes, &log)
	defer C.free(unsafe.Pointer(code))
	defer C.free(unsafe.Pointer(log))
	if result != nil {
		return nil, fmt.Errorf("%s: %s: %s%s", filepath.Base(l.file), name, C.GoString(result), indented(log))
	}
	return C.GoBytes(unsafe.Pointer(code), C.int(bytes)), nil
}

// indented returns the compiler's log as lines that follow a message.
func indented(log *C.char) string {
	text := ""
	if log != nil {
		text = strings.TrimSpace(C.GoString(log))
	}
	if text == "" {
		return ""
	}
	return "\n\t" + strings.ReplaceAll(text, "\n", "\n\t")
}

// cStrings are strings in memory of C.
type cStrings []*C.char

func (s *cStrings) add(text string) { *s = append(*s, C.CString(text)) }
func (s cStrings) at() **C.char     { return unsafe.SliceData(s) }

func (s cStrings) free() {
	for _, p := range s {
		C.free(unsafe.Pointer(p))
	}
}
