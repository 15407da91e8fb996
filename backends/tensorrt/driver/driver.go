//go:build tensorrt

package driver

/*
#cgo CXXFLAGS: -std=c++17 -Wno-deprecated-declarations
#cgo LDFLAGS: -ldl -static-libstdc++ -static-libgcc
#include <stdlib.h>
#include "shim.h"
*/
import "C"

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"fmt"
	"runtime/cgo"
	"strings"
	"sync"
	"time"
	"unsafe"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/calibrate"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/backends/tensorrt"
)

// Driver is TensorRT on the first CUDA device of this process (CUDA_VISIBLE_DEVICES chooses).
type Driver struct {
	once    sync.Once
	library *library
	err     error
}

// New returns the driver. Nothing is opened before it is asked for something.
func New() *Driver { return &Driver{} }

// Open implements tensorrt.Driver.
func (d *Driver) Open() (tensorrt.Library, error) {
	d.once.Do(func() { d.library, d.err = start(standardPlaces()) })
	if d.err != nil {
		return nil, d.err
	}
	return d.library, nil
}

// library implements tensorrt.Library.
type library struct {
	facts    tensorrt.Facts
	building sync.Mutex // builders measure kernels: two would measure each other
}

// recipe says how engines are built. It is in their keys, or two builds of the worker that differ in it, such as the sides of a gate, would share engines.
//
//go:embed build.cpp
var recipe []byte

func start(p places) (*library, error) {
	sum := sha256.Sum256(recipe)
	l := &library{facts: tensorrt.Facts{Recipe: hex.EncodeToString(sum[:])}}
	if err := l.openDevice(); err != nil {
		return nil, err
	}
	files, err := p.find()
	if err != nil {
		return nil, err
	}
	if err := l.openLibraries(files); err != nil {
		return nil, err
	}
	path, without := p.findPlugins()
	if l.facts.WithoutPlugin = without; path == "" {
		return l, nil
	}
	return l, l.openPlugins(path)
}

// reasons of the codes of the shim, for libraries and the device.
var (
	deviceReasons = map[C.int]backends.Reason{C.APEXX_TRT_NO_LIBRARY: backends.CudaUnavailable, C.APEXX_TRT_NO_SYMBOL: backends.LibraryVersionUnsupported,
		C.APEXX_TRT_NO_DEVICE: backends.CudaDeviceNotFound, C.APEXX_TRT_FAILED: backends.CudaQueryFailed, C.APEXX_TRT_NO_MEMORY: backends.DeviceMemoryExhausted}
	libraryReasons = map[C.int]backends.Reason{C.APEXX_TRT_NO_LIBRARY: backends.LibraryLoadFailed, C.APEXX_TRT_NO_SYMBOL: backends.LibrarySymbolMissing,
		C.APEXX_TRT_FAILED: backends.LibraryLoadFailed}
	pluginReasons = map[C.int]backends.Reason{C.APEXX_TRT_NO_LIBRARY: backends.LibraryLoadFailed, C.APEXX_TRT_NO_SYMBOL: backends.PluginMismatch, C.APEXX_TRT_FAILED: backends.PluginMismatch}
	buildReasons  = map[C.int]backends.Reason{C.APEXX_TRT_FAILED: backends.EngineBuildFailed, C.APEXX_TRT_NO_MEMORY: backends.DeviceMemoryExhausted,
		C.APEXX_TRT_NOT_STARTED: backends.BuilderUnavailable}
	loadReasons = map[C.int]backends.Reason{C.APEXX_TRT_FAILED: backends.EngineBuildFailed, C.APEXX_TRT_NO_MEMORY: backends.DeviceMemoryExhausted, C.APEXX_TRT_CORRUPT: backends.EngineCorrupt,
		C.APEXX_TRT_NOT_STARTED: backends.LibraryLoadFailed}
)

// failure is the error of a code of the shim, whose text it frees.
func failure(reasons map[C.int]backends.Reason, code C.int, text *C.char, format string, args ...any) error {
	defer C.free(unsafe.Pointer(text))
	return unavailable(reasons[code], format+": %s", append(args, lineOf(text))...)
}

// lineOf is a text of the shim in one line: what TensorRT says may have several.
func lineOf(text *C.char) string { return strings.Join(strings.Fields(C.GoString(text)), " ") }

func (l *library) openDevice() error {
	var d C.apexx_trt_device
	var text *C.char
	if code := C.apexx_trt_open_device(&d, &text); code != 0 {
		return failure(deviceReasons, code, text, "the CUDA device")
	}
	l.facts.Device, l.facts.Memory = C.GoString(&d.name[0]), int64(d.memory)
	l.facts.Capability = fmt.Sprintf("%d.%d", d.capability/10, d.capability%10)
	l.facts.CUDA = fmt.Sprintf("%d.%d", d.driver/1000, d.driver%1000/10)
	return nil
}

func (l *library) openLibraries(files libraries) error {
	infer := C.CString(files.infer)
	defer C.free(unsafe.Pointer(infer))
	var parser *C.char
	if files.parser != "" {
		parser = C.CString(files.parser)
		defer C.free(unsafe.Pointer(parser))
	}
	var version, headers C.int
	var text *C.char
	if code := C.apexx_trt_open(infer, parser, &version, &headers, &text); code != 0 {
		return failure(libraryReasons, code, text, "TensorRT")
	}
	if err := checkVersion(files.infer, int(version), int(headers)); err != nil {
		return err
	}
	l.facts.Library, l.facts.Version = files.infer, versionText(int(version))
	l.facts.Parser, l.facts.Builder = files.parser, files.builder(l.facts.Version)
	l.facts.NoBuilder = files.withoutBuilder(l.facts.Version)
	l.facts.Calibrators = tensorrt.CalibratorsOf(int(version) / 10000)
	return nil
}

func (l *library) openPlugins(path string) error {
	at := C.CString(path)
	defer C.free(unsafe.Pointer(at))
	var count C.int
	var digest, text *C.char
	if code := C.apexx_trt_open_plugins(at, &count, &digest, &text); code != 0 {
		return failure(pluginReasons, code, text, "the plugins")
	}
	var err error
	if l.facts.PluginDigest, err = digestOf(C.GoString(digest), path); err != nil {
		return err
	}
	l.facts.PluginLibrary = path
	for i := range count {
		var name, version, space *C.char
		var fields C.int
		C.apexx_trt_plugin(i, &name, &version, &space, &fields)
		p := tensorrt.Plugin{Name: C.GoString(name), Version: C.GoString(version), Namespace: C.GoString(space)}
		for f := range fields {
			field := C.apexx_trt_plugin_field(i, f)
			p.Fields = append(p.Fields, C.GoString(field.name))
			if field.required != 0 {
				p.Required = append(p.Required, C.GoString(field.name))
			}
		}
		l.facts.Plugins = append(l.facts.Plugins, p)
	}
	return nil
}

// Facts implements tensorrt.Library.
func (l *library) Facts() tensorrt.Facts { return l.facts }

// watcher is what a build tells of its progress, and what a calibration takes its inputs from.
type watcher struct {
	ctx    context.Context
	tell   func(backends.Stage)
	last   time.Time
	inputs []tensor.List
}

// progressInterval is the least time between two stages that are told, as there are thousands.
const progressInterval = 100 * time.Millisecond

//export apexxProgress
func apexxProgress(handle C.uintptr_t, phase *C.char, done, total C.int) C.int {
	w := cgo.Handle(handle).Value().(*watcher)
	if w.ctx.Err() != nil {
		return 0
	}
	if now := time.Now(); w.tell != nil && now.Sub(w.last) >= progressInterval {
		w.last = now
		w.tell(backends.Stage{Name: C.GoString(phase), Done: int(done), Total: int(total)})
	}
	return 1
}

//export apexxBatch
func apexxBatch(handle C.uintptr_t, batch C.int, name *C.char, host unsafe.Pointer, bytes C.size_t) C.int {
	w := cgo.Handle(handle).Value().(*watcher)
	if w.ctx.Err() != nil {
		return 0
	}
	t := w.inputs[batch].Get(C.GoString(name))
	if t == nil || len(tensor.Bytes(t)) != int(bytes) {
		return -1
	}
	copy(unsafe.Slice((*byte)(host), int(bytes)), tensor.Bytes(t))
	return 1
}

// Calibrate implements tensorrt.Library.
func (l *library) Calibrate(ctx context.Context, c tensorrt.Calibration) ([]byte, error) {
	l.building.Lock()
	defer l.building.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	watch := cgo.NewHandle(&watcher{ctx: ctx, tell: c.Progress, inputs: c.Inputs})
	defer watch.Delete()
	request := C.apexx_trt_calibration{
		model: C.CBytes(c.Model), model_size: C.size_t(len(c.Model)), largest: flag(c.Method == calibrate.Max.Name), batches: C.int(len(c.Inputs)), handle: C.uintptr_t(watch),
	}
	defer C.free(unsafe.Pointer(request.model))
	var table, text *C.char
	var size C.size_t
	switch code := C.apexx_trt_calibrate(&request, &table, &size, &text); code {
	case C.APEXX_TRT_OK:
		defer C.free(unsafe.Pointer(table))
		return C.GoBytes(unsafe.Pointer(table), C.int(size)), nil
	case C.APEXX_TRT_INTERRUPTED:
		C.free(unsafe.Pointer(text))
		return nil, ctx.Err()
	default:
		return nil, failure(buildReasons, code, text, "calibrating")
	}
}

// Build implements tensorrt.Library.
func (l *library) Build(ctx context.Context, b tensorrt.Build) (tensorrt.Built, error) {
	l.building.Lock()
	defer l.building.Unlock()
	if err := ctx.Err(); err != nil {
		return tensorrt.Built{}, err
	}
	watch := cgo.NewHandle(&watcher{ctx: ctx, tell: b.Progress})
	defer watch.Delete()
	request := C.apexx_trt_build{
		model: C.CBytes(b.Model), model_size: C.size_t(len(b.Model)), timings: C.CBytes(b.Timings), timings_size: C.size_t(len(b.Timings)),
		tf32: flag(b.TF32), level: C.int(b.Level), progress: C.uintptr_t(watch),
		batches: [3]C.int64_t{C.int64_t(b.Batches.Min), C.int64_t(b.Batches.Opt), C.int64_t(b.Batches.Max)},
	}
	defer C.free(unsafe.Pointer(request.model))
	defer C.free(unsafe.Pointer(request.timings))
	var engine, timings C.apexx_trt_blob
	var text *C.char
	switch code := C.apexx_trt_build_engine(&request, &engine, &timings, &text); code {
	case C.APEXX_TRT_OK:
		return tensorrt.Built{Engine: taken(&engine), Timings: taken(&timings)}, nil
	case C.APEXX_TRT_INTERRUPTED:
		C.free(unsafe.Pointer(text))
		return tensorrt.Built{}, ctx.Err()
	default:
		return tensorrt.Built{}, failure(buildReasons, code, text, "building the engine")
	}
}

func flag(on bool) C.int {
	if on {
		return 1
	}
	return 0
}

// taken copies a blob, and frees it.
func taken(b *C.apexx_trt_blob) []byte {
	defer C.apexx_trt_free_blob(b)
	return C.GoBytes(b.data, C.int(b.size))
}
