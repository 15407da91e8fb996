package cuda

import (
	"context"
	"fmt"
	"slices"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
)

// Name is the backend's name.
const Name = "cuda"

// Precisions lists in which precisions sessions compute, widest first.
var Precisions = []backends.Precision{backends.FP32, backends.TF32, backends.FP16, backends.BF16}

type backend struct{ driver Driver }

// New returns the backend on the devices of a driver.
func New(driver Driver) backends.Backend { return backend{driver} }

// Name implements backends.Backend.
func (backend) Name() string { return Name }

// Probe implements backends.Backend.
func (b backend) Probe(context.Context) backends.Availability {
	a := b.driver.Probe()
	if a.Available {
		a.Precisions = Precisions
	}
	return a
}

// Compile implements backends.Backend. The session refers to no memory of g.
func (b backend) Compile(ctx context.Context, g *graph.Graph, opts backends.Options) (backends.Session, error) {
	precision := opts.Precision
	if precision == "" {
		precision = backends.FP32
	}
	if !slices.Contains(Precisions, precision) {
		return nil, b.refuse(backends.PrecisionUnsupported, fmt.Sprintf("precision %q (want one of %v)", precision, Precisions))
	}
	if opts.Threads < 0 {
		return nil, fmt.Errorf("%d threads (0 means all processors)", opts.Threads)
	}
	cache, tuning, err := parseTuning(opts.Extra)
	if err != nil {
		return nil, err
	}
	if err := backends.RefuseOpaque(Name, g); err != nil {
		return nil, err
	}
	for _, n := range g.Nodes {
		if _, ok := operators[n.Op.OpType()]; !ok {
			return nil, b.refuse(backends.OperatorUnsupported, fmt.Sprintf("node %s: operator %s", n.Name, n.Op.OpType()))
		}
		if op, ok := n.Op.(graph.MatMul); ok && !op.Stacks(n.Inputs[0].Shape, n.Inputs[1].Shape) {
			return nil, b.refuse(backends.OperatorUnsupported, fmt.Sprintf("node %s: operator MatMul of stacks that broadcast", n.Name))
		}
	}
	if g, err = opts.Specialize(g); err != nil {
		return nil, err
	}
	set := settings{rounded: precision.Format(), taps: opts.Taps, stepTimes: opts.StepTimes, tuning: tuning}
	if tuning != nil && len(opts.Replay) == 0 { // decisions cannot be made up to measure with
		return b.tuned(ctx, g, set, cache)
	}
	return b.open(ctx, g, set)
}

func (backend) refuse(reason backends.Reason, detail string) error {
	return &backends.Unavailable{Backend: Name, Reason: reason, Detail: detail}
}
