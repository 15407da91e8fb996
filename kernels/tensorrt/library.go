//go:build cgo && linux

package tensorrt

/*
#cgo LDFLAGS: -ldl
#include <dlfcn.h>
#include <stdlib.h>
#include "plugins.h"

typedef struct {
	int32_t (*abi)(void);
	const char* (*digest)(void);
	int32_t (*tensorrt)(void);
	int32_t (*count)(void);
	const apexx_plugin* (*get)(int32_t);
	int32_t (*register_with)(void*);
	const char* (*error)(void);
	const char* (*take_fault)(void);
	int32_t (*infer)(const char*, const apexx_plugin_attribute*, int32_t, const apexx_plugin_tensor*, int32_t, apexx_plugin_tensor*, int32_t);
	int32_t (*run)(const char*, const apexx_plugin_attribute*, int32_t, const apexx_plugin_tensor*, int32_t, const apexx_plugin_tensor*, int32_t, apexx_plugin_run*);
} functions;

static int32_t call_abi(functions* f) { return f->abi(); }
static int32_t call_tensorrt(functions* f) { return f->tensorrt(); }
static int32_t call_count(functions* f) { return f->count(); }
static const apexx_plugin* call_get(functions* f, int32_t i) { return f->get(i); }
static int32_t call_register(functions* f, void* registry) { return f->register_with(registry); }
static const char* call_error(functions* f) { return f->error(); }
static const char* call_take_fault(functions* f) { return f->take_fault(); }
static int32_t call_infer(functions* f, const char* plugin, const apexx_plugin_attribute* a, int32_t na, const apexx_plugin_tensor* in, int32_t ni, apexx_plugin_tensor* out, int32_t no) {
	return f->infer(plugin, a, na, in, ni, out, no);
}
static int32_t call_run(functions* f, const char* plugin, const apexx_plugin_attribute* a, int32_t na, const apexx_plugin_tensor* in, int32_t ni, const apexx_plugin_tensor* out, int32_t no,
                        apexx_plugin_run* run) {
	return f->run(plugin, a, na, in, ni, out, no, run);
}
*/
import "C"

import (
	"errors"
	"fmt"
	"runtime"
	"time"
	"unsafe"
)

// Kind says what a field of a plugin holds.
type Kind int

// Kinds of fields.
const (
	Integer  Kind = C.APEXX_INTEGER  // int32
	Integers Kind = C.APEXX_INTEGERS // []int32
	Real     Kind = C.APEXX_REAL     // float32
	Text     Kind = C.APEXX_TEXT     // string
)

// Field is a field of a plugin. One that is not required has a default.
type Field struct {
	Name     string
	Kind     Kind
	Required bool
}

// Plugin is what a creator says of itself.
type Plugin struct {
	Name, Version, Namespace string
	Fields                   []Field
}

// Library is an open library of plugins. It stays open as long as the process.
type Library struct{ functions *C.functions }

// Open opens a library of plugins. Errors: it cannot be loaded, lacks a function, or has another interface than this package.
func Open(path string) (*Library, error) {
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	runtime.LockOSThread() // the loader's error belongs to a thread
	defer runtime.UnlockOSThread()
	handle := C.dlopen(name, C.RTLD_NOW|C.RTLD_LOCAL)
	if handle == nil {
		return nil, fmt.Errorf("plugins %s: %s", path, C.GoString(C.dlerror()))
	}
	l := &Library{(*C.functions)(C.calloc(1, C.sizeof_functions))}
	for i, function := range []string{"abi", "digest", "tensorrt", "count", "get", "register", "error", "take_fault", "infer", "run"} {
		symbol := C.CString("apexx_plugins_" + function)
		address := C.dlsym(handle, symbol)
		C.free(unsafe.Pointer(symbol))
		if address == nil {
			return nil, fmt.Errorf("plugins %s: there is no apexx_plugins_%s: is it libapexx-tensorrt.so?", path, function)
		}
		unsafe.Slice((*unsafe.Pointer)(unsafe.Pointer(l.functions)), C.sizeof_functions/unsafe.Sizeof(address))[i] = address
		if i > 0 {
			continue
		}
		if abi := C.call_abi(l.functions); abi != C.APEXX_PLUGINS_ABI {
			return nil, fmt.Errorf("plugins %s: interface %d, want %d: build the library and the program from one commit", path, abi, C.APEXX_PLUGINS_ABI)
		}
	}
	return l, nil
}

// TensorRT returns the version of TensorRT's headers that the library was built with, 100600 for 10.6.0, and 0 where it was built without.
func (l *Library) TensorRT() int { return int(C.call_tensorrt(l.functions)) }

// Plugins lists the plugins by name.
func (l *Library) Plugins() []Plugin {
	list := make([]Plugin, C.call_count(l.functions))
	for i := range list {
		p := C.call_get(l.functions, C.int32_t(i))
		list[i] = Plugin{Name: C.GoString(p.name), Version: C.GoString(p.version), Namespace: C.GoString(p.name_space)}
		for _, f := range unsafe.Slice(p.fields, p.field_count) {
			list[i].Fields = append(list[i].Fields, Field{C.GoString(f.name), Kind(f.kind), f.required != 0})
		}
	}
	return list
}

// Register hands all creators to an nvinfer1::IPluginRegistry.
func (l *Library) Register(registry unsafe.Pointer) error {
	return l.told(func() C.int32_t { return C.call_register(l.functions, registry) })
}

// TakeFault returns the layer whose kernel last met an operand out of range, and forgets it; "" if none did. What was enqueued must have ended.
func (l *Library) TakeFault() string { return C.GoString(C.call_take_fault(l.functions)) }

// told calls a function, and returns the library's error where it says that it failed.
func (l *Library) told(call func() C.int32_t) error {
	runtime.LockOSThread() // an error belongs to a thread
	defer runtime.UnlockOSThread()
	if call() < 0 {
		return errors.New(C.GoString(C.call_error(l.functions)))
	}
	return nil
}

// Element is what a tensor of a plugin consists of, and Format how it lies in memory.
type (
	Element int
	Format  int
)

// Elements and formats. HWC8 is [N][H][W][C], with C rounded up to a multiple of 8.
const (
	Float Element = C.APEXX_FLOAT
	Half  Element = C.APEXX_HALF
	Int64 Element = C.APEXX_INT64

	Linear Format = C.APEXX_LINEAR
	HWC8   Format = C.APEXX_HWC8
)

// Tensor is an operand of a plugin, with its values as they lie in memory.
type Tensor struct {
	Element Element
	Format  Format
	Shape   []int // up to rank 8
	Data    []byte
}

// bytes returns the length of the data.
func (t Tensor) bytes() int {
	n := map[Element]int{Float: 4, Half: 2, Int64: 8}[t.Element]
	for i, d := range t.Shape {
		if i == 1 && t.Format == HWC8 {
			d = (d + 7) / 8 * 8
		}
		n *= d
	}
	return n
}

// Value is the value of a field: an int32, []int32, float32 or string.
type Value struct {
	Name  string
	Value any
}

// Infer returns the outputs of a plugin, without data. Errors are those of the plugin, for values of fields and operands that it refuses.
func (l *Library) Infer(plugin string, values []Value, inputs []Tensor) ([]Tensor, error) {
	c, err := l.newCall(plugin, values, inputs)
	if err != nil {
		return nil, err
	}
	defer c.free()
	const most = 64
	out := (*C.apexx_plugin_tensor)(c.allocate(most * C.sizeof_apexx_plugin_tensor))
	count := C.int32_t(0)
	err = l.told(func() C.int32_t {
		count = C.call_infer(l.functions, c.plugin, c.values, c.valueCount, c.inputs, c.inputCount, out, most)
		return count
	})
	if err != nil {
		return nil, err
	}
	var list []Tensor
	for _, t := range unsafe.Slice(out, count) {
		shape := make([]int, t.rank)
		for i := range shape {
			shape[i] = int(t.dims[i])
		}
		list = append(list, Tensor{Element: Element(t.element), Format: Format(t.format), Shape: shape})
	}
	return list, nil
}

// Options of Run.
type Options struct {
	Repeats  int // how often the plugin is enqueued; 0 means once
	Captured int // 0, or how often a CUDA graph does it that is launched each time
}

// Result of Run.
type Result struct {
	Outputs   []Tensor
	Time      time.Duration // the median of one execution by the device's clock, 0 without a device
	Different int           // executions that left other bits than the first
}

// Run creates a plugin and runs it as an engine would, with outputs and workspace full of NaN before each execution. Errors are those of the plugin and
// of the device, and a fault that a kernel has met.
func (l *Library) Run(plugin string, values []Value, inputs []Tensor, o Options) (Result, error) {
	outputs, err := l.Infer(plugin, values, inputs)
	if err != nil {
		return Result{}, err
	}
	c, err := l.newCall(plugin, values, inputs)
	if err != nil {
		return Result{}, err
	}
	defer c.free()
	for i := range outputs {
		outputs[i].Data = make([]byte, outputs[i].bytes())
	}
	to := c.tensors(outputs)
	run := (*C.apexx_plugin_run)(c.allocate(C.sizeof_apexx_plugin_run))
	run.repeats, run.captured = C.int32_t(max(o.Repeats, 1)), C.int32_t(o.Captured)
	err = l.told(func() C.int32_t {
		return C.call_run(l.functions, c.plugin, c.values, c.valueCount, c.inputs, c.inputCount, to, C.int32_t(len(outputs)), run)
	})
	if err != nil {
		return Result{}, err
	}
	if layer := l.TakeFault(); layer != "" {
		return Result{}, fmt.Errorf("%s: an operand is out of range (%s)", plugin, layer)
	}
	for i, t := range unsafe.Slice(to, len(outputs)) {
		copy(outputs[i].Data, unsafe.Slice((*byte)(t.data), len(outputs[i].Data)))
	}
	return Result{outputs, time.Duration(float64(run.microseconds) * float64(time.Microsecond)), int(run.different)}, nil
}

// call is what a plugin is called with, in memory of C.
type call struct {
	plugin                 *C.char
	values                 *C.apexx_plugin_attribute
	inputs                 *C.apexx_plugin_tensor
	valueCount, inputCount C.int32_t
	owned                  []unsafe.Pointer
}

func (l *Library) newCall(plugin string, values []Value, inputs []Tensor) (*call, error) {
	for i, t := range inputs {
		if len(t.Shape) > 8 || len(t.Data) != t.bytes() {
			return nil, fmt.Errorf("%s: input %d has the shape %v and %d bytes", plugin, i, t.Shape, len(t.Data))
		}
	}
	c := &call{valueCount: C.int32_t(len(values)), inputCount: C.int32_t(len(inputs))}
	c.plugin = (*C.char)(c.bytes([]byte(plugin + "\x00")))
	c.values = (*C.apexx_plugin_attribute)(c.allocate(len(values) * C.sizeof_apexx_plugin_attribute))
	for i, to := range unsafe.Slice(c.values, len(values)) {
		to.name = (*C.char)(c.bytes([]byte(values[i].Name + "\x00")))
		switch v := values[i].Value.(type) {
		case int32:
			to.kind, to.length, to.data = C.APEXX_INTEGER, 1, c.bytes(bytesOf([]int32{v}))
		case []int32:
			to.kind, to.length, to.data = C.APEXX_INTEGERS, C.int32_t(len(v)), c.bytes(bytesOf(v))
		case float32:
			to.kind, to.length, to.data = C.APEXX_REAL, 1, c.bytes(bytesOf([]float32{v}))
		case string:
			to.kind, to.length, to.data = C.APEXX_TEXT, C.int32_t(len(v)), c.bytes([]byte(v))
		default:
			c.free()
			return nil, fmt.Errorf("%s: field %s has the type %T", plugin, values[i].Name, v)
		}
		unsafe.Slice(c.values, len(values))[i] = to
	}
	c.inputs = c.tensors(inputs)
	return c, nil
}

func (c *call) tensors(list []Tensor) *C.apexx_plugin_tensor {
	first := (*C.apexx_plugin_tensor)(c.allocate(len(list) * C.sizeof_apexx_plugin_tensor))
	for i, t := range list {
		to := &unsafe.Slice(first, len(list))[i]
		to.element, to.format, to.rank, to.data = C.int32_t(t.Element), C.int32_t(t.Format), C.int32_t(len(t.Shape)), c.bytes(t.Data)
		for axis, d := range t.Shape {
			to.dims[axis] = C.int64_t(d)
		}
	}
	return first
}

// allocate returns memory full of zeros.
func (c *call) allocate(n int) unsafe.Pointer {
	p := C.calloc(1, C.size_t(max(n, 1)))
	c.owned = append(c.owned, p)
	return p
}

func (c *call) bytes(b []byte) unsafe.Pointer {
	p := c.allocate(len(b))
	copy(unsafe.Slice((*byte)(p), len(b)), b)
	return p
}

func (c *call) free() {
	for _, p := range c.owned {
		C.free(p)
	}
}

func bytesOf[T int32 | float32](list []T) []byte {
	if len(list) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&list[0])), 4*len(list))
}
