package reference

import (
	"context"
	"fmt"
	"runtime"
	"slices"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/reference/internal/kernel"
	"github.com/apex-x/apexx/backends/tensor"
)

// Name is the backend's name.
const Name = "reference"

type backend struct{}

// New returns the reference backend. It is always available and executes every operator natively in fp32 and fp64.
func New() backends.Backend { return backend{} }

// Name implements backends.Backend.
func (backend) Name() string { return Name }

// Probe implements backends.Backend. Its facts are the instruction set of the inner loops, the number of threads and the Go
// release that compiled them.
func (backend) Probe(context.Context) backends.Availability {
	return backends.Availability{Available: true, Facts: []backends.Fact{
		{Key: "instruction_set", Value: kernel.Best().String()},
		{Key: "threads", Value: fmt.Sprint(runtime.GOMAXPROCS(0))},
		{Key: "go", Value: runtime.Version()},
	}}
}

// Supports implements backends.Backend.
func (backend) Supports(op graph.Op, precision backends.Precision) backends.Support {
	if _, err := floatOf(precision); err != nil {
		return backends.Support{Reason: backends.PrecisionUnsupported, Detail: precisionDetail(precision)}
	}
	if _, ok := operators[float32]()[op.OpType()]; !ok {
		return backends.Support{Reason: backends.OperatorUnsupported, Detail: op.OpType()}
	}
	return backends.Support{Level: backends.Native}
}

// Compile implements backends.Backend. The session holds the constants of g where they are float32 already.
func (backend) Compile(ctx context.Context, g *graph.Graph, opts backends.Options) (backends.Session, error) {
	float, err := floatOf(opts.Precision)
	if err != nil {
		return nil, err
	}
	if opts.Threads < 0 {
		return nil, fmt.Errorf("%d threads (0 means all processors)", opts.Threads)
	}
	for key := range opts.Extra {
		return nil, fmt.Errorf("backend %s has no option %q", Name, key)
	}
	if g, err = g.WithTaps(opts.Taps); err != nil {
		return nil, err
	}
	return compile(ctx, g, settings{float: float, threads: opts.Threads, isa: kernel.Best()})
}

// floatOf returns the element type of a precision, or an *backends.Unavailable.
func floatOf(p backends.Precision) (tensor.DType, error) {
	switch p {
	case "", backends.FP32:
		return tensor.Float32, nil
	case backends.FP64:
		return tensor.Float64, nil
	}
	return tensor.Invalid, &backends.Unavailable{Backend: Name, Reason: backends.PrecisionUnsupported, Detail: precisionDetail(p)}
}

func precisionDetail(p backends.Precision) string {
	if !slices.Contains(backends.Precisions, p) {
		return fmt.Sprintf("unknown precision %q (want fp32 or fp64)", p)
	}
	return fmt.Sprintf("precision %s (want fp32 or fp64)", p)
}
