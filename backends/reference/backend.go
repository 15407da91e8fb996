package reference

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/reference/internal/kernel"
	"github.com/apex-x/apexx/backends/tensor"
)

// Name is the backend's name.
const Name = "reference"

type backend struct{}

// New returns the reference backend. It is available wherever APEXX_ISA asks for what the machine has. It executes every operator
// natively in fp32 and fp64, and emulates tf32, fp16, bf16, int8 and fp8: float32 arithmetic, rounded at the points of graph.Lower.
func New() backends.Backend { return backend{} }

// Name implements backends.Backend.
func (backend) Name() string { return Name }

// Check refuses an environment variable APEXX_ISA that cannot be followed: a name that is none, or as an *backends.Unavailable the
// name of an instruction set that this machine does not have.
func Check() error {
	_, err := instructionSet()
	return err
}

// instructionSet returns what the inner loops use; its error is an *backends.Unavailable where a known one cannot be had here.
func instructionSet() (kernel.ISA, error) {
	isa, err := kernel.Chosen()
	if unknown := (*kernel.UnknownISA)(nil); err != nil && !errors.As(err, &unknown) {
		err = &backends.Unavailable{Backend: Name, Reason: backends.InstructionSetUnsupported, Detail: err.Error()}
	}
	return isa, err
}

// Probe implements backends.Backend. Its facts are the instruction set of the inner loops, the number of threads, the Go release that
// compiled them.
func (backend) Probe(context.Context) backends.Availability {
	isa, err := kernel.Chosen()
	if err != nil {
		return backends.Availability{Reason: backends.InstructionSetUnsupported, Detail: err.Error()}
	}
	return backends.Availability{Available: true, Precisions: precisions, Facts: []backends.Fact{
		{Key: "instruction_set", Value: isa.String()},
		{Key: "threads", Value: fmt.Sprint(runtime.GOMAXPROCS(0))},
		{Key: "go", Value: runtime.Version()},
	}}
}

// Compile implements backends.Backend. The session refers to no memory of g. Extra knows winograd (on, off; default on): whether an
// fp32 session convolves by Winograd's algorithm F(4×4, 3×3) where that is faster; its plan tells where. And unfused (all, or names of
// nodes with commas): nodes that are not fused to what comes before them.
func (backend) Compile(ctx context.Context, g *graph.Graph, opts backends.Options) (backends.Session, error) {
	float, err := floatOf(opts.Precision)
	if err != nil {
		return nil, err
	}
	if opts.Threads < 0 {
		return nil, fmt.Errorf("%d threads (0 means all processors)", opts.Threads)
	}
	winograd, unfused, err := extraOf(opts)
	if err != nil {
		return nil, err
	}
	if err := backends.RefuseOpaque(Name, g); err != nil {
		return nil, err
	}
	if g, err = opts.Specialize(g); err != nil {
		return nil, err
	}
	isa, err := instructionSet()
	if err != nil {
		return nil, err
	}
	return compile(ctx, g, settings{float: float, rounded: opts.Precision.Format(), threads: opts.Threads, isa: isa,
		winograd: winograd, unfused: unfused, taps: opts.Taps, stepTimes: opts.StepTimes})
}

// extraOf reads Options.Extra: whether a session may convolve by Winograd's algorithm, whose rounding is not that of a sum of products (in
// fp32, unless the option winograd is off: the oracle and the emulated precisions are always direct), and what it does not fuse.
func extraOf(opts backends.Options) (winograd bool, u unfused, err error) {
	winograd = opts.Precision == "" || opts.Precision == backends.FP32
	for _, key := range slices.Sorted(maps.Keys(opts.Extra)) {
		switch value := opts.Extra[key]; {
		case key == "unfused" && value == "all":
			u.all = true
		case key == "unfused":
			u.nodes = map[string]bool{}
			for name := range strings.SplitSeq(value, ",") {
				u.nodes[name] = true
			}
		case key != "winograd":
			return false, u, fmt.Errorf("unknown option %q of the backend %s (known: unfused, winograd)", key, Name)
		case value == "off":
			winograd = false
		case value != "on":
			return false, u, fmt.Errorf("unknown value %q of the option winograd (want on or off)", value)
		}
	}
	return winograd, u, nil
}

// floatOf returns the element type of a precision, or an *backends.Unavailable.
func floatOf(p backends.Precision) (tensor.DType, error) {
	switch p {
	case "", backends.FP32, backends.TF32, backends.FP16, backends.BF16, backends.INT8, backends.FP8:
		return tensor.Float32, nil
	case backends.FP64:
		return tensor.Float64, nil
	}
	return tensor.Invalid, &backends.Unavailable{Backend: Name, Reason: backends.PrecisionUnsupported, Detail: precisionDetail(p)}
}

// precisions are those that sessions compute in: two natively, the others in float32, rounded.
var precisions = backends.Precisions

func precisionDetail(p backends.Precision) string {
	if !slices.Contains(backends.Precisions, p) {
		return fmt.Sprintf("unknown precision %q (want %s)", p, backends.ChoiceOf(precisions))
	}
	return fmt.Sprintf("asked for %s, this backend has %s", p, backends.ChoiceOf(precisions))
}
