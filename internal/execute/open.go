// Package execute runs the model on backends for the commands: it finds a backend by name, in this process or in a worker,
// runs it once on an input (once.go) or for every cell of a matrix (matrix.go), and gathers what the machine can do
// (caps.go).
package execute

import (
	"context"
	"os"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/ort"
	"github.com/apex-x/apexx/backends/reference"
	"github.com/apex-x/apexx/backends/tensorrt"
	"github.com/apex-x/apexx/backends/worker"
)

// WorkerCommand is the hidden command of apexx that serves a backend of its own to a parent process.
const WorkerCommand = "worker"

// InProcess returns the backends that this program holds itself, a part of backends.Known.
func InProcess() *backends.Registry {
	list := []backends.Backend{reference.New()}
	for _, p := range ort.Providers {
		list = append(list, ort.On(p))
	}
	return backends.NewRegistry(list...)
}

// apart tells whether a backend that this program holds needs a process of its own all the same: a process holds one ONNX Runtime, and one
// that is built for a device brings a driver's threads and its faults. One whose library is not here needs none to say so.
func apart(name string) bool {
	for _, p := range ort.Providers {
		if name == p.Backend() {
			return p != ort.CPU && ort.On(p).Find() == nil
		}
	}
	return false
}

// Options of Open.
type Options struct {
	Isolate  bool          // use a worker even for a backend that this program could run itself
	Deadline time.Duration // bound on each request to a worker; 0 means none
	Reuse    bool          // let many sessions, one at a time, share a worker's process where there is one

	// OnStuck is told of a worker's process that cannot be killed, by any goroutine; with nil, closing the session fails.
	OnStuck func(*worker.Stuck)
}

// Open returns the backend of a known name. Backends with vendor libraries are executables of their own, found by
// worker.Find; where one is missing, its Probe says so.
func Open(name string, o Options) (backends.Backend, error) {
	if own := unisolated(name); own != nil && !o.Isolate {
		return own, nil
	}
	if o.Reuse {
		return worker.Reuse(o.spec(name)), nil
	}
	return worker.New(o.spec(name)), nil
}

// unisolated returns a backend that this program runs itself unless it is to be isolated; nil of others.
func unisolated(name string) backends.Backend {
	if own, err := InProcess().Get(name); err == nil && !apart(name) {
		return own
	}
	return nil
}

func (o Options) spec(name string) worker.Spec {
	spec := WorkerSpec(name, o.Deadline)
	spec.MemoryLimit, spec.OnStuck = MemoryLimit(name), o.OnStuck
	return spec
}

// ask probes a backend of a known name where Open would run it. A process that this takes is gone when ask returns, with the device that it may
// have opened, as something may be timed next: a backend whose process does not go away is not to be had.
func ask(ctx context.Context, name string) backends.Availability {
	if own := unisolated(name); own != nil {
		return own.Probe(ctx)
	}
	client := worker.New(Options{}.spec(name))
	answer := client.Probe(ctx)
	if err := client.Close(); err != nil {
		return backends.Availability{Reason: backends.WorkerStartFailed, Detail: err.Error()}
	}
	return answer
}

// OwnWorker completes a spec for a worker of a backend that this program holds: this program itself, started as a worker.
func OwnWorker(spec worker.Spec) worker.Spec {
	self, err := os.Executable()
	if err != nil { // its start says that there is nothing of that name
		self = os.Args[0]
	}
	spec.Command = []string{self, WorkerCommand, "--backend", spec.Name}
	return spec
}

// OwnArguments returns the arguments that make a build of apexx a worker, by the backends that an apexx holds itself.
func OwnArguments() map[string][]string {
	all := map[string][]string{}
	for _, name := range InProcess().Names() {
		all[name] = []string{WorkerCommand, "--backend", name}
	}
	return all
}

// WorkerSpec tells how to start a worker of any known backend. It has no limit of memory: MemoryLimit gives that.
func WorkerSpec(name string, deadline time.Duration) worker.Spec {
	spec := worker.Spec{Name: name, Deadline: deadline}
	if backends.BuildsEngines(name) {
		spec.CompileDeadline = tensorrt.CompileDeadline(deadline)
	}
	if _, err := InProcess().Get(name); err != nil {
		return spec // an executable of its own
	}
	return OwnWorker(spec)
}

// Serve is the worker's end: it answers a parent on standard input and output until the input closes.
func Serve(ctx context.Context, name string) error {
	b, err := InProcess().Get(name)
	if err != nil {
		return err
	}
	return worker.ServeStdio(ctx, b)
}
