//go:build cuda

package driver

/*
#include "shim.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"slices"
	"time"
	"unsafe"

	"gorgonia.org/cu"

	"github.com/apex-x/apexx/backends/cuda"
	"github.com/apex-x/apexx/kernels"
)

// device implements cuda.Device: a stream, and the memory of one session.
type device struct {
	gpu    *gpu
	stream cu.Stream
	memory []cu.DevicePtr
	host   []unsafe.Pointer
}

func newDevice(g *gpu) (*device, error) {
	d := &device{gpu: g}
	return d, g.do(func() (err error) {
		d.stream, err = cu.MakeStream(cu.NonBlocking)
		return err
	})
}

// Properties implements cuda.Device.
func (d *device) Properties() kernels.Device { return d.gpu.properties }

// Alloc implements cuda.Device.
func (d *device) Alloc(bytes int) (cuda.Address, error) {
	if bytes == 0 {
		return 0, nil
	}
	var p cu.DevicePtr
	err := d.gpu.do(func() (err error) {
		p, err = cu.MemAlloc(int64(bytes))
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("%d bytes of device memory: %w", bytes, err)
	}
	d.memory = append(d.memory, p)
	return cuda.Address(p), nil
}

// Free implements cuda.Device.
func (d *device) Free(at cuda.Address) error {
	if at == 0 {
		return nil
	}
	d.memory = slices.DeleteFunc(d.memory, func(p cu.DevicePtr) bool { return p == cu.DevicePtr(at) })
	return d.gpu.do(func() error { return cu.MemFree(cu.DevicePtr(at)) })
}

// Host implements cuda.Device.
func (d *device) Host(bytes int) ([]byte, cuda.Address, error) {
	if bytes == 0 {
		return nil, 0, nil
	}
	var p unsafe.Pointer
	var at C.CUdeviceptr
	if err := d.gpu.do(func() error { return check(C.apexx_host_alloc(C.size_t(bytes), &p, &at)) }); err != nil {
		return nil, 0, fmt.Errorf("%d bytes of page-locked memory: %w", bytes, err)
	}
	d.host = append(d.host, p)
	return unsafe.Slice((*byte)(p), bytes), cuda.Address(at), nil
}

// Write implements cuda.Device.
func (d *device) Write(to cuda.Address, from []byte) error {
	if len(from) == 0 {
		return nil
	}
	return d.gpu.do(func() error {
		if err := cu.MemcpyHtoDAsync(cu.DevicePtr(to), unsafe.Pointer(&from[0]), int64(len(from)), d.stream); err != nil {
			return fmt.Errorf("copying %d bytes to the device: %w", len(from), err)
		}
		return d.stream.Synchronize()
	})
}

// Read implements cuda.Device.
func (d *device) Read(to []byte, from cuda.Address) error {
	if len(to) == 0 {
		return nil
	}
	return d.gpu.do(func() error {
		if err := cu.MemcpyDtoHAsync(unsafe.Pointer(&to[0]), cu.DevicePtr(from), int64(len(to)), d.stream); err != nil {
			return fmt.Errorf("copying %d bytes from the device: %w", len(to), err)
		}
		return d.stream.Synchronize()
	})
}

// Close implements cuda.Device.
func (d *device) Close() error {
	return d.gpu.do(func() error {
		var errs []error
		for _, p := range d.memory {
			errs = append(errs, cu.MemFree(p))
		}
		for _, p := range d.host {
			errs = append(errs, cu.MemFreeHost(p))
		}
		d.memory, d.host = nil, nil
		return errors.Join(append(errs, d.stream.Destroy())...)
	})
}

// executable implements cuda.Executable.
type executable struct {
	device     *device
	graph      C.CUgraphExec
	steps      [][]C.apexx_launch // with their arguments in memory of C
	start, end cu.Event
	chain      C.CUgraphExec // of RunSteps; nil until it is wanted
	marks      []cu.Event    // of the chain: before each step, and behind the last
}

// Prepare implements cuda.Device.
func (d *device) Prepare(s cuda.Schedule) (cuda.Executable, error) {
	e := &executable{device: d}
	err := d.gpu.do(func() (err error) {
		if err = e.launches(s); err != nil {
			return err
		}
		if e.start, err = cu.MakeEvent(cu.DefaultEvent); err != nil {
			return err
		}
		if e.end, err = cu.MakeEvent(cu.DefaultEvent); err != nil {
			return err
		}
		return e.record(s)
	})
	return e, err
}

// launches looks the kernels up and copies their arguments.
func (e *executable) launches(s cuda.Schedule) error {
	for _, step := range s.Steps {
		var list []C.apexx_launch
		for _, l := range step {
			f, err := e.device.gpu.function(l.Kernel)
			if err != nil {
				return err
			}
			if len(l.Args) != f.arguments {
				return fmt.Errorf("kernel %s takes %d bytes, not %d", l.Kernel, f.arguments, len(l.Args))
			}
			if l.Shared > 48<<10 {
				if err := check(C.apexx_allow_shared(f.handle, C.unsigned(l.Shared))); err != nil {
					return fmt.Errorf("kernel %s: %d bytes of shared memory: %w", l.Kernel, l.Shared, err)
				}
			}
			list = append(list, C.apexx_launch{
				function: f.handle, grid_x: C.unsigned(l.Grid[0]), grid_y: C.unsigned(l.Grid[1]), grid_z: C.unsigned(l.Grid[2]),
				threads: C.unsigned(l.Threads), shared: C.unsigned(l.Shared), argument: C.CBytes(l.Args),
			})
		}
		e.steps = append(e.steps, list)
	}
	return nil
}

// record makes the CUDA graph: a node for each launch, which waits for the one before it in its step, and the first one for the last ones
// of the steps before.
func (e *executable) record(s cuda.Schedule) error {
	var graph C.CUgraph
	if err := check(C.cuGraphCreate(&graph, 0)); err != nil {
		return err
	}
	able := e.device.gpu.properties.Capability >= leastProgrammatic
	last := make([][]C.CUgraphNode, len(e.steps)) // what a step that waits for this one has to wait for
	for i, launches := range e.steps {
		var wait []C.CUgraphNode
		for _, j := range s.After[i] {
			wait = append(wait, last[j]...)
		}
		for k := range launches {
			var node C.CUgraphNode
			if err := check(C.apexx_graph_add(graph, &node, unsafe.SliceData(wait), C.size_t(len(wait)), number(able && s.Ahead(i, k)), &launches[k])); err != nil {
				return errors.Join(fmt.Errorf("launch %d of step %d: %w", k, i, err), check(C.cuGraphDestroy(graph)))
			}
			wait = []C.CUgraphNode{node}
		}
		last[i] = wait
	}
	return check(C.apexx_graph_finish(graph, streamOf(e.device.stream), &e.graph))
}

func number(b bool) C.int {
	if b {
		return 1
	}
	return 0
}

func streamOf(s cu.Stream) C.CUstream { return *(*C.CUstream)(unsafe.Pointer(&s)) } // its only field

func eventOf(e cu.Event) C.CUevent { return *(*C.CUevent)(unsafe.Pointer(&e)) } // its only field

// Run implements cuda.Executable.
func (e *executable) Run() (time.Duration, error) {
	var ms C.float
	err := e.device.gpu.do(func() error {
		return check(C.apexx_graph_run(e.graph, streamOf(e.device.stream), eventOf(e.start), eventOf(e.end), &ms))
	})
	if err != nil {
		return 0, fmt.Errorf("the device failed: %w", err)
	}
	return duration(float64(ms)), nil
}

func duration(ms float64) time.Duration { return time.Duration(ms * float64(time.Millisecond)) }

// RunSteps implements cuda.Executable.
func (e *executable) RunSteps(times []time.Duration) error {
	return e.device.gpu.do(func() error {
		if e.chain == nil {
			if err := e.recordChain(); err != nil {
				return fmt.Errorf("the steps one after the other: %w", err)
			}
		}
		var whole C.float
		if err := check(C.apexx_graph_run(e.chain, streamOf(e.device.stream), eventOf(e.start), eventOf(e.end), &whole)); err != nil {
			return fmt.Errorf("the device failed: %w", err)
		}
		for i := range times {
			ms, err := e.marks[i].Elapsed(e.marks[i+1])
			if err != nil {
				return err
			}
			times[i] = duration(ms)
		}
		return nil
	})
}

// recordChain makes the CUDA graph of RunSteps. The device itself records the events between steps: launched one by one, steps of some microseconds would be
// measured with how long the host takes to launch them.
func (e *executable) recordChain() error {
	var graph C.CUgraph
	if err := check(C.cuGraphCreate(&graph, 0)); err != nil {
		return err
	}
	if err := e.addChain(graph); err != nil {
		return errors.Join(err, check(C.cuGraphDestroy(graph)))
	}
	return check(C.apexx_graph_finish(graph, streamOf(e.device.stream), &e.chain))
}

func (e *executable) addChain(graph C.CUgraph) error {
	var last []C.CUgraphNode
	mark := func() error {
		event, err := cu.MakeEvent(cu.DefaultEvent)
		if err != nil {
			return err
		}
		e.marks = append(e.marks, event)
		var node C.CUgraphNode
		err = check(C.cuGraphAddEventRecordNode(&node, graph, unsafe.SliceData(last), C.size_t(len(last)), eventOf(event)))
		last = []C.CUgraphNode{node}
		return err
	}
	if err := mark(); err != nil {
		return err
	}
	for i, launches := range e.steps {
		for k := range launches {
			var node C.CUgraphNode
			if err := check(C.apexx_graph_add(graph, &node, unsafe.SliceData(last), C.size_t(len(last)), 0, &launches[k])); err != nil {
				return fmt.Errorf("launch %d of step %d: %w", k, i, err)
			}
			last = []C.CUgraphNode{node}
		}
		if err := mark(); err != nil {
			return err
		}
	}
	return nil
}

// Close implements cuda.Executable.
func (e *executable) Close() error {
	return e.device.gpu.do(func() error {
		for _, step := range e.steps {
			for _, l := range step {
				C.free(unsafe.Pointer(l.argument))
			}
		}
		e.steps = nil
		errs := []error{check(C.cuGraphExecDestroy(e.graph)), cu.DestroyEvent(&e.start), cu.DestroyEvent(&e.end)}
		if e.chain != nil {
			errs = append(errs, check(C.cuGraphExecDestroy(e.chain)))
		}
		for i := range e.marks {
			errs = append(errs, cu.DestroyEvent(&e.marks[i]))
		}
		return errors.Join(errs...)
	})
}
