//go:build cgo && linux

package emulation

/*
#cgo LDFLAGS: -ldl
#include <dlfcn.h>
#include <stdlib.h>

typedef int (*kernel_function)(const char*, size_t*, int*);
typedef const char* (*name_function)(size_t);
typedef void (*launch_function)(const char*, unsigned, unsigned, unsigned, int, const void*);

static int call_kernel(void* f, const char* name, size_t* arguments, int* threads) {
	return ((kernel_function)f)(name, arguments, threads);
}
static const char* call_name(void* f, size_t i) { return ((name_function)f)(i); }
static int call_launched(void* f, const char* name) { return ((int (*)(const char*))f)(name); }
static void call_launch(void* f, const char* name, unsigned x, unsigned y, unsigned z, int threads, const void* args) {
	((launch_function)f)(name, x, y, z, threads, args);
}
*/
import "C"

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
	"unsafe"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/cuda"
	"github.com/apex-x/apexx/kernels"
)

// Driver is the emulated device.
type Driver struct {
	*library
	shuffle    *rand.Rand // nil: steps run as they stand
	properties kernels.Device
}

// library holds the functions of the compiled kernels.
type library struct {
	kernel, name, launch unsafe.Pointer
	mu                   sync.Mutex // a launch uses global state
}

// Shuffled returns a driver whose executions take the steps in a random order that the schedule allows.
func (d Driver) Shuffled(r *rand.Rand) Driver {
	d.shuffle = r
	return d
}

// As returns a driver whose devices say that they are of a generation of GPUs, so that kernels with its instructions are chosen, too.
func (d Driver) As(properties kernels.Device) Driver {
	d.properties = properties
	return d
}

// Open compiles the kernels of a folder, where they have not been compiled before, and loads them. Its error is ErrNoCompiler where
// there is none.
func Open(folder string) (Driver, error) {
	file, err := Build(folder, "emulator/emulator.cpp")
	if err != nil {
		return Driver{}, err
	}
	path := C.CString(file)
	defer C.free(unsafe.Pointer(path))
	handle := C.dlopen(path, C.RTLD_NOW|C.RTLD_LOCAL)
	if handle == nil {
		return Driver{}, fmt.Errorf("%s: %s", file, C.GoString(C.dlerror()))
	}
	d := &library{}
	for name, f := range map[string]*unsafe.Pointer{"apexx_kernel": &d.kernel, "apexx_kernel_name": &d.name, "apexx_launch": &d.launch} {
		symbol := C.CString(name)
		*f = C.dlsym(handle, symbol)
		C.free(unsafe.Pointer(symbol))
		if *f == nil {
			return Driver{}, fmt.Errorf("%s has no %s", file, name)
		}
	}
	return Driver{library: d, properties: kernels.Device{Multiprocessors: 1}}, nil
}

// Launched returns those of some kernels that were launched in this process by a library that Build made.
func Launched(library string, kernels []string) ([]string, error) {
	path, symbol := C.CString(library), C.CString("apexx_launched")
	defer C.free(unsafe.Pointer(path))
	defer C.free(unsafe.Pointer(symbol))
	handle := C.dlopen(path, C.RTLD_NOW|C.RTLD_NOLOAD)
	if handle == nil {
		return nil, fmt.Errorf("%s is not open", library)
	}
	defer C.dlclose(handle)
	launched := C.dlsym(handle, symbol)
	if launched == nil {
		return nil, fmt.Errorf("%s has no apexx_launched", library)
	}
	var list []string
	for _, kernel := range kernels {
		name := C.CString(kernel)
		if C.call_launched(launched, name) != 0 {
			list = append(list, kernel)
		}
		C.free(unsafe.Pointer(name))
	}
	return list, nil
}

// Kernels lists the kernels.
func (d *library) Kernels() []string {
	var names []string
	for {
		name := C.call_name(d.name, C.size_t(len(names)))
		if name == nil {
			return names
		}
		names = append(names, C.GoString(name))
	}
}

// Probe implements cuda.Driver.
func (d Driver) Probe() backends.Availability {
	return backends.Availability{Available: true, Facts: []backends.Fact{{Key: "device", Value: "emulated on the host"}}}
}

// Open implements cuda.Driver.
func (d Driver) Open() (cuda.Device, error) {
	return &device{driver: d, blocks: map[cuda.Address]int{}}, nil
}

// device is memory of the host.
type device struct {
	driver Driver
	blocks map[cuda.Address]int // what was allocated, with its size
}

// Properties implements cuda.Device: of no generation of GPUs, unless Driver.As says otherwise.
func (d *device) Properties() kernels.Device { return d.driver.properties }

const undefined = 0xff // in every byte: a NaN, and an integer out of any range

// Alloc implements cuda.Device.
func (d *device) Alloc(bytes int) (cuda.Address, error) {
	p := C.aligned_alloc(256, C.size_t((max(bytes, 1)+255)/256*256))
	if p == nil {
		return 0, errors.New("out of memory")
	}
	memory := unsafe.Slice((*byte)(p), bytes)
	for i := range memory {
		memory[i] = undefined
	}
	at := cuda.Address(uintptr(p))
	d.blocks[at] = bytes
	return at, nil
}

// Free implements cuda.Device.
func (d *device) Free(at cuda.Address) error {
	if _, ok := d.blocks[at]; !ok {
		return fmt.Errorf("%#x was not allocated", at)
	}
	delete(d.blocks, at)
	C.free(pointer(at))
	return nil
}

func pointer(at cuda.Address) unsafe.Pointer {
	return *(*unsafe.Pointer)(unsafe.Pointer(&at)) // memory of C, which does not move
}

// Host implements cuda.Device.
func (d *device) Host(bytes int) ([]byte, cuda.Address, error) {
	at, err := d.Alloc(bytes)
	if err != nil {
		return nil, 0, err
	}
	return unsafe.Slice((*byte)(pointer(at)), bytes), at, nil
}

// memory returns n bytes from an address on, which must lie in one block.
func (d *device) memory(at cuda.Address, n int) ([]byte, error) {
	for from, size := range d.blocks {
		if at >= from && at+cuda.Address(n) <= from+cuda.Address(size) {
			return unsafe.Slice((*byte)(pointer(at)), n), nil
		}
	}
	if n == 0 {
		return nil, nil
	}
	return nil, fmt.Errorf("%d bytes at %#x are not in allocated memory", n, at)
}

// Write implements cuda.Device.
func (d *device) Write(to cuda.Address, from []byte) error {
	memory, err := d.memory(to, len(from))
	copy(memory, from)
	return err
}

// Read implements cuda.Device.
func (d *device) Read(to []byte, from cuda.Address) error {
	memory, err := d.memory(from, len(to))
	copy(to, memory)
	return err
}

// Prepare implements cuda.Device.
func (d *device) Prepare(s cuda.Schedule) (cuda.Executable, error) {
	for _, step := range s.Steps {
		for _, l := range step {
			if err := d.driver.check(l); err != nil {
				return nil, err
			}
		}
	}
	return &executable{d.driver, s}, nil
}

func (d *library) check(l cuda.Launch) error {
	name := C.CString(l.Kernel)
	defer C.free(unsafe.Pointer(name))
	var arguments C.size_t
	var threads C.int
	switch {
	case C.call_kernel(d.kernel, name, &arguments, &threads) == 0:
		return fmt.Errorf("there is no kernel %s", l.Kernel)
	case int(arguments) != len(l.Args):
		return fmt.Errorf("kernel %s takes %d bytes, not %d", l.Kernel, arguments, len(l.Args))
	case l.Threads < 1 || l.Threads > int(threads):
		return fmt.Errorf("kernel %s has at most %d threads, not %d", l.Kernel, threads, l.Threads)
	case min(l.Grid[0], l.Grid[1], l.Grid[2]) < 1 || max(l.Grid[1], l.Grid[2]) > 65535:
		return fmt.Errorf("kernel %s: no grid can be %v", l.Kernel, l.Grid)
	}
	return nil
}

// Close implements cuda.Device.
func (d *device) Close() error {
	for at := range d.blocks {
		C.free(pointer(at))
	}
	d.blocks = nil
	return nil
}

type executable struct {
	driver   Driver
	schedule cuda.Schedule
}

// Run implements cuda.Executable.
func (e *executable) Run() (time.Duration, error) {
	start := time.Now()
	for _, i := range e.order() {
		e.step(i)
	}
	return time.Since(start), nil
}

// RunSteps implements cuda.Executable.
func (e *executable) RunSteps(times []time.Duration) error {
	for i := range e.schedule.Steps {
		start := time.Now()
		e.step(i)
		times[i] = time.Since(start)
	}
	return nil
}

// Close implements cuda.Executable.
func (e *executable) Close() error { return nil }

func (e *executable) step(i int) {
	e.driver.mu.Lock()
	defer e.driver.mu.Unlock()
	for _, l := range e.schedule.Steps[i] {
		name := C.CString(l.Kernel)
		C.call_launch(e.driver.launch, name, C.uint(l.Grid[0]), C.uint(l.Grid[1]), C.uint(l.Grid[2]), C.int(l.Threads), unsafe.Pointer(&l.Args[0]))
		C.free(unsafe.Pointer(name))
	}
}

// order returns an order of the steps that the schedule allows.
func (e *executable) order() []int {
	n := len(e.schedule.Steps)
	waits, then := make([]int, n), make([][]int, n)
	var ready, order []int
	for i, after := range e.schedule.After {
		waits[i] = len(after)
		for _, j := range after {
			then[j] = append(then[j], i)
		}
		if waits[i] == 0 {
			ready = append(ready, i)
		}
	}
	for len(ready) > 0 {
		at := 0
		if r := e.driver.shuffle; r != nil {
			at = r.IntN(len(ready))
		}
		i := ready[at]
		ready = append(ready[:at], ready[at+1:]...)
		order = append(order, i)
		for _, j := range then[i] {
			if waits[j]--; waits[j] == 0 {
				ready = append(ready, j)
			}
		}
	}
	return order
}
