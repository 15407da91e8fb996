//go:build tensorrt

package driver

/*
#include <stdlib.h>
#include <string.h>
#include "shim.h"
*/
import "C"

import (
	"errors"
	"time"
	"unsafe"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/backends/tensorrt"
)

// execution implements tensorrt.Execution.
type execution struct {
	run      *C.apexx_trt_run
	bindings []tensorrt.Binding
	host     [][]byte
	times    []tensorrt.LayerTime
	names    map[string]string // names of layers, so that telling times allocates nothing after the first run
}

var elements = map[C.int]tensor.DType{C.APEXX_TRT_FLOAT32: tensor.Float32, C.APEXX_TRT_INT32: tensor.Int32, C.APEXX_TRT_INT64: tensor.Int64, C.APEXX_TRT_BOOL: tensor.Bool}

// Load implements tensorrt.Library.
func (*library) Load(engine []byte, o tensorrt.LoadOptions) (tensorrt.Execution, error) {
	e := &execution{names: map[string]string{}}
	var text *C.char
	if len(engine) == 0 {
		return nil, unavailable(backends.EngineCorrupt, "the engine is empty")
	}
	if code := C.apexx_trt_load(unsafe.Pointer(&engine[0]), C.size_t(len(engine)), C.int64_t(o.Batch), flag(o.LayerTimes), &e.run, &text); code != 0 {
		return nil, failure(loadReasons, code, text, "loading the engine")
	}
	for i := range C.apexx_trt_bindings(e.run) {
		b := C.apexx_trt_get_binding(e.run, i)
		binding := tensorrt.Binding{Name: C.GoString(b.name), Input: b.input != 0, DType: elements[b.element], Shape: make([]int, b.rank)}
		for d := range binding.Shape {
			binding.Shape[d] = int(b.dims[d])
		}
		e.bindings = append(e.bindings, binding)
		e.host = append(e.host, unsafe.Slice((*byte)(b.host), int(b.bytes)))
	}
	return e, nil
}

// Bindings implements tensorrt.Execution.
func (e *execution) Bindings() []tensorrt.Binding { return e.bindings }

// Host implements tensorrt.Execution.
func (e *execution) Host(binding int) []byte { return e.host[binding] }

// Write implements tensorrt.Execution.
func (e *execution) Write(binding int) error { return e.copy(binding, true) }

// Read implements tensorrt.Execution.
func (e *execution) Read(binding int) error { return e.copy(binding, false) }

func (e *execution) copy(binding int, toDevice bool) error {
	var text *C.char
	return told(C.apexx_trt_copy(e.run, C.int(binding), flag(toDevice), &text), text)
}

// told is the error of an execution, whose text it frees.
func told(code C.int, text *C.char) error {
	if code == C.APEXX_TRT_OK {
		return nil
	}
	defer C.free(unsafe.Pointer(text))
	return errors.New(lineOf(text))
}

// Run implements tensorrt.Execution.
func (e *execution) Run() (time.Duration, error) {
	var ms C.float
	var text *C.char
	if err := told(C.apexx_trt_execute(e.run, &ms, &text), text); err != nil {
		return 0, err
	}
	return duration(ms), nil
}

func duration(ms C.float) time.Duration {
	return time.Duration(float64(ms) * float64(time.Millisecond))
}

// LayerTimes implements tensorrt.Execution.
func (e *execution) LayerTimes() []tensorrt.LayerTime {
	e.times = e.times[:0]
	for i := range C.apexx_trt_layer_times(e.run) {
		var ms C.float
		text := C.apexx_trt_layer_time(e.run, i, &ms)
		e.times = append(e.times, tensorrt.LayerTime{Layer: e.name(text), Time: duration(ms)})
	}
	return e.times
}

func (e *execution) name(text *C.char) string {
	seen := unsafe.String((*byte)(unsafe.Pointer(text)), int(C.strlen(text)))
	if name, ok := e.names[seen]; ok {
		return name
	}
	name := C.GoString(text)
	e.names[name] = name
	return name
}

// Layers implements tensorrt.Execution.
func (e *execution) Layers() string { return C.GoString(C.apexx_trt_layers(e.run)) }

// Captured implements tensorrt.Execution.
func (e *execution) Captured() string { return C.GoString(C.apexx_trt_captured(e.run)) }

// Memory implements tensorrt.Execution: on the device what the layers pass on, inputs and outputs, and as much as the serialised engine takes, which is about
// its weights.
func (e *execution) Memory() backends.MemoryUse {
	m := backends.MemoryUse{Device: int64(C.apexx_trt_device_bytes(e.run))}
	for _, h := range e.host {
		m.Host += int64(len(h))
	}
	return m
}

// Close implements tensorrt.Execution.
func (e *execution) Close() error {
	C.apexx_trt_close(e.run)
	e.run, e.host = nil, nil
	return nil
}
