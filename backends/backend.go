// Package backends is the contract between apexx and whatever executes its graph.
//
// A Backend is probed (is it available here, and if not, for which reason?), asked what it supports, and told to compile a
// graph.Graph into a Session for one precision. A Session runs any number of times on inputs of the graph's static shapes.
// Four kinds meet the contract: the pure-Go reference, ONNX Runtime, and the CUDA and TensorRT workers, the last two always
// in a process of their own (package worker makes a worker process look like a Backend).
//
// No backend imports another. A Registry holds the ones that a binary was built with.
package backends

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// Backend compiles graphs for one way of executing them. Its methods may be called from several goroutines.
type Backend interface {
	// Name is the stable lower-case identifier: reference, ort, cuda, tensorrt.
	Name() string
	// Probe tells whether the backend can run here. It never panics and does not fail: what is missing is a reason.
	Probe(ctx context.Context) Availability
	// Supports tells how the backend executes one operator in one precision.
	Supports(op graph.Op, precision Precision) Support
	// Compile prepares a graph. Its errors wrap an *Unavailable where the backend or an option cannot be had here.
	Compile(ctx context.Context, g *graph.Graph, opts Options) (Session, error)
}

// Session is a compiled graph. One run at a time: a Session is not safe for concurrent use.
type Session interface {
	// Run computes the outputs. inputs must have the graph's names, types and shapes and finite values. The outputs, in the
	// graph's order and then the taps', are views into the session's memory, valid until the next Run or Close. Their types
	// are the graph's, except that an FP64 session has float64 where the graph declares float32.
	Run(ctx context.Context, inputs tensor.List) (tensor.List, error)
	// LastTiming returns the backend's own clock for the last Run.
	LastTiming() Timing
	// Memory returns what the session holds.
	Memory() MemoryUse
	// Close releases the session.
	Close() error
}

// DeviceTimer is a Session that can time a run by events of its device.
type DeviceTimer interface {
	// LastDeviceTime returns how long the device computed during the last Run, transfers excluded.
	LastDeviceTime() time.Duration
}

// Options of Compile. The zero value is fp32 with all processors and the backend's defaults.
type Options struct {
	Precision Precision         // "" means FP32
	Threads   int               // 0 means GOMAXPROCS
	Taps      []string          // taps to return as "tap.NAME" after the outputs; "all" stands for every declared tap
	Replay    []string          // decisions that Run takes as inputs "replay.NAME" after the graph's; "all" stands for every decision
	Extra     map[string]string // options of one backend, such as "provider" and "opt-level" of ort
}

// Apply returns the graph that a session with these options executes: decisions that are replayed are inputs, operands are rounded where
// the precision rounds them, and taps are outputs. Every Compile begins with it, so that no backend needs code of its own for that.
func (o Options) Apply(g *graph.Graph) (*graph.Graph, error) {
	g, err := g.WithReplay(o.Replay)
	if err != nil {
		return nil, err
	}
	if g, err = graph.Lower(g, o.Precision.Format()); err != nil {
		return nil, err
	}
	return g.WithTaps(o.Taps)
}

// Precision is an arithmetic mode of a session.
type Precision string

// The precisions of the design. Backends support a subset. In TF32, FP16 and BF16 a session computes the graph that graph.Lower gives
// for Format: values are rounded at declared points, and what lies between them is computed in at least float32.
const (
	FP64 Precision = "fp64"
	FP32 Precision = "fp32"
	TF32 Precision = "tf32"
	FP16 Precision = "fp16"
	BF16 Precision = "bf16"
	INT8 Precision = "int8"
	FP8  Precision = "fp8"
)

// Precisions lists every precision, widest first.
var Precisions = []Precision{FP64, FP32, TF32, FP16, BF16, INT8, FP8}

// Format returns the format to which a session of this precision rounds: of TF32, FP16 and BF16; "" for the others.
func (p Precision) Format() graph.Format {
	if f := graph.Format(p); slices.Contains(graph.Formats, f) {
		return f
	}
	return ""
}

// ParsePrecision returns the precision of that name; "" is FP32.
func ParsePrecision(s string) (Precision, error) {
	if s == "" {
		return FP32, nil
	}
	names := make([]string, len(Precisions))
	for i, p := range Precisions {
		if s == string(p) {
			return p, nil
		}
		names[i] = string(p)
	}
	return "", fmt.Errorf("unknown precision %q (want one of %s)", s, strings.Join(names, ", "))
}

// Timing splits the duration of one run. Backends on the host have no upload and download.
type Timing struct {
	Upload, Execute, Download time.Duration
}

// Total returns the sum of the parts.
func (t Timing) Total() time.Duration { return t.Upload + t.Execute + t.Download }

// MemoryUse is what a session holds, in bytes; 0 where a backend cannot tell.
type MemoryUse struct {
	Host, Device int64
}

// SupportLevel says how an operator is executed.
type SupportLevel uint8

// The levels, worst first.
const (
	Unsupported SupportLevel = iota // cannot be executed
	Fallback                        // executed elsewhere, such as on the host
	Emulated                        // executed from other operators, such as an ONNX function body, or in float32 and rounded
	Native                          // executed by code made for it
)

// String returns the lower-case name of the level.
func (l SupportLevel) String() string {
	return [...]string{"unsupported", "fallback", "emulated", "native"}[l]
}

// Support is a backend's answer for one operator and precision; Reason is set below Native.
type Support struct {
	Level  SupportLevel
	Reason Reason
	Detail string
}

// Availability is the result of a probe. Facts are shown to people and recorded in reports, such as a library's version and
// path; they are ordered.
type Availability struct {
	Available bool
	Reason    Reason // why not; "" when available
	Detail    string // what was found, for people
	Facts     []Fact
}

// Fact is one observation of a probe.
type Fact struct{ Key, Value string }

// Err returns nil for an available backend and otherwise an *Unavailable.
func (a Availability) Err(backend string) error {
	if a.Available {
		return nil
	}
	return &Unavailable{Backend: backend, Reason: a.Reason, Detail: a.Detail}
}

// CheckInputs verifies names, types, shapes and finiteness of inputs against a graph, and that decisions under replay are such as
// could have been made: what every Run does first.
func CheckInputs(g *graph.Graph, inputs tensor.List) error {
	if len(inputs) != len(g.Inputs) {
		return fmt.Errorf("got %d inputs, the graph has %d", len(inputs), len(g.Inputs))
	}
	for _, want := range g.Inputs {
		got := inputs.Get(want.Name)
		if got == nil {
			return fmt.Errorf("input %q is missing", want.Name)
		}
		if have := (graph.Type{DType: got.DType(), Shape: got.Shape()}); have.String() != want.Type.String() {
			return fmt.Errorf("input %q is %v, the session was compiled for %v", want.Name, have, want.Type)
		}
		if i := got.NonFinite(); i >= 0 {
			return fmt.Errorf("input %q has a NaN or infinity at element %d", want.Name, i)
		}
	}
	return checkDecisions(g, inputs)
}
