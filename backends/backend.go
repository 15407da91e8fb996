// Package backends is the contract between apexx and whatever executes its graph.
//
// A Backend is probed (is it available here, in which precisions, and if not, for which reason?) and told to compile a graph.Graph
// into a Session for one precision. A Session takes inputs of the graph's static shapes, executes any number of times, and gives
// back outputs; its Plan says how.
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

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// Backend compiles graphs for one way of executing them. Its methods may be called from several goroutines.
type Backend interface {
	// Name is the stable lower-case identifier: reference, ort, cuda, tensorrt.
	Name() string
	// Probe tells whether the backend can run here. It never panics and does not fail: what is missing is a reason.
	Probe(ctx context.Context) Availability
	// Compile prepares a graph. Its errors wrap an *Unavailable where the backend, a precision, an operator or an option cannot be had
	// here. How each operator is executed is in the session's Plan.
	Compile(ctx context.Context, g *graph.Graph, opts Options) (Session, error)
}

// Options of Compile. The zero value is fp32 with all processors and the backend's defaults.
type Options struct {
	Precision Precision         // "" means FP32
	Threads   int               // 0 means GOMAXPROCS
	Taps      []string          // taps to return as "tap.NAME" after the outputs; "all" stands for every declared tap
	Replay    []string          // decisions that Run takes as inputs "replay.NAME" after the graph's; "all" stands for every decision
	Extra     map[string]string // options of one backend, such as "opt-level" of ort
	Weights   *Weights          // the file in which constants of the graph lie; nil where they are in memory alone
	StepTimes bool              // let Timing.Steps tell the time of every step; the session may be slower for it
	Progress  func(Stage)       // nil, or told during Compile how far it is, where that takes minutes; one call at a time
}

// Stage is a part of what Compile does, and how far it is: Done of Total steps.
type Stage struct {
	Name        string
	Done, Total int
}

// Weights tells of constants of a graph that they are the content of a file, mapped, so that a library can be told of the file instead of being
// given copies. Compile may open it; a session does not.
type Weights struct {
	Folder string                   // that holds the file, onnx.WeightsFile
	Places map[*tensor.Tensor]int64 // byte offsets of the constants in it
}

// Specialize returns the graph that a session with these options computes: decisions that are replayed are inputs, and values are
// rounded where a low precision stores them. Every Compile begins with it, so that no backend needs code of its own for either.
func (o Options) Specialize(g *graph.Graph) (*graph.Graph, error) {
	g, err := g.WithReplay(o.Replay)
	if err != nil {
		return nil, err
	}
	return graph.Lower(g, o.Precision.Format())
}

// Apply is Specialize with the taps as outputs, for backends that return intermediates as outputs only.
func (o Options) Apply(g *graph.Graph) (*graph.Graph, error) {
	g, err := o.Specialize(g)
	if err != nil {
		return nil, err
	}
	return g.WithTaps(o.Taps)
}

// Precision is an arithmetic mode of a session.
type Precision string

// The precisions of the design. Backends support a subset. In TF32, FP16, BF16, INT8 and FP8 a session computes the graph that graph.Lower
// gives for Format: values are rounded at declared points, and what lies between them is computed in at least float32. For INT8 and FP8 the
// graph has to be calibrated (graph.Calibration).
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

// TF32Variable is the environment variable that turns TF32 off in all of NVIDIA's libraries where it is 0, and where it is 1 on, whatever a program asks
// them for.
const TF32Variable = "NVIDIA_TF32_OVERRIDE"

// InjectVariable is the environment variable that makes workers misbehave on purpose: package worker says how.
const InjectVariable = "APEXX_INJECT"

// Injects tells whether a variable as records name it, NAME or BACKEND:NAME of a backend's worker, is InjectVariable.
func Injects(name string) bool {
	return name == InjectVariable || strings.HasSuffix(name, ":"+InjectVariable)
}

// Format returns the format to which a session of this precision rounds; "" for FP64 and FP32.
func (p Precision) Format() graph.Format {
	if f := graph.Format(p); f.Known() == nil {
		return f
	}
	return ""
}

// Scaled tells whether sessions of this precision need a calibrated graph.
func (p Precision) Scaled() bool { return p.Format().Scaled() }

// ChoiceOf names precisions for people: "fp32, tf32 or fp16".
func ChoiceOf(list []Precision) string {
	var b strings.Builder
	for i, p := range list {
		switch {
		case i > 0 && i == len(list)-1:
			b.WriteString(" or ")
		case i > 0:
			b.WriteString(", ")
		}
		b.WriteString(string(p))
	}
	return b.String()
}

// ParsePrecision returns the precision of that name; "" is FP32.
func ParsePrecision(s string) (Precision, error) {
	if s == "" {
		return FP32, nil
	}
	if p := Precision(s); slices.Contains(Precisions, p) {
		return p, nil
	}
	return "", fmt.Errorf("unknown precision %q (want %s)", s, ChoiceOf(Precisions))
}

// Availability is the result of a probe. Facts are shown to people and recorded in reports, such as a library's version and
// path; they are ordered.
type Availability struct {
	Available  bool
	Reason     Reason      // why not; "" when available
	Detail     string      // what was found, for people
	Precisions []Precision // in which sessions can compute here, widest first
	Facts      []Fact
}

// Fact returns the value of an observation, "" for one that there is not.
func (a Availability) Fact(key string) string {
	for _, f := range a.Facts {
		if f.Key == key {
			return f.Value
		}
	}
	return ""
}

// Fact is one observation of a probe.
type Fact struct{ Key, Value string }

// NamesLibrary tells whether the value is the path of a file with code that a backend opens at run time: the key is "library", that of the file
// which gives the backend its version, or ends in "_library".
func (f Fact) NamesLibrary() bool {
	return f.Key == "library" || strings.HasSuffix(f.Key, "_library")
}

// Err returns nil for an available backend and otherwise an *Unavailable.
func (a Availability) Err(backend string) error {
	if a.Available {
		return nil
	}
	return &Unavailable{Backend: backend, Reason: a.Reason, Detail: a.Detail}
}

// InputsOf returns what of a graph CheckInputs reads: its inputs, and the decisions that some of them replay. A session keeps this, and
// not the weights.
func InputsOf(g *graph.Graph) *graph.Graph {
	bare := func(v *graph.Value) *graph.Value {
		if v == nil {
			return nil
		}
		return &graph.Value{Name: v.Name, Type: v.Type}
	}
	out := &graph.Graph{Name: g.Name, Inputs: g.Inputs}
	for _, d := range g.Replayed() {
		out.Decisions = append(out.Decisions, graph.Decision{Value: bare(d.Value), Count: bare(d.Count), Limit: d.Limit})
	}
	return out
}

// CheckInputs verifies names, types, shapes and finiteness of inputs against a graph, and that decisions under replay are such as
// could have been made: what every Upload does first.
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
