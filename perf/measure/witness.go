package measure

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/backends/worker"
	"github.com/apex-x/apexx/parity"
	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/perf"
)

// Testimony is what one untimed run of a cell showed.
type Testimony struct {
	Cell   perf.Cell   `json:"cell"`
	Parity perf.Parity `json:"parity"`
	Work   *perf.Work  `json:"work,omitempty"`
}

// Witness runs cells of one backend once, compares their outputs with the oracle's float64 and reads off what the routing
// selected and spent. A budget that was overspent fails the parity of the cell. Witness fails when ctx ends, when a workload
// cannot be made, and when the oracle itself fails.
func Witness(ctx context.Context, side Side, oracle *Oracle, backend string, cells []perf.Cell, o Options, emit func(Testimony) error) error {
	p := process{side: side, backend: backend, options: o}
	defer p.end()
	for _, c := range cells {
		work, err := side.Workloads.Of(ctx, c)
		if err != nil {
			return err
		}
		expected, err := oracle.outputs(ctx, c, work)
		if err != nil {
			return fmt.Errorf("float64 oracle of cell %s: %w", c, err)
		}
		t := Testimony{Cell: c}
		got, err := p.outputs(ctx, c, work)
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		if err != nil {
			o := evidence.Of(ctx, err)
			t.Parity = perf.Parity{State: o.State, Detail: strings.TrimPrefix(cmp.Or(o.Reason, o.Signal)+": "+o.Detail, ": ")}
			if errors.As(err, new(*worker.Died)) {
				p.end()
			}
		} else {
			complete := side.Workloads.complete[shapeOf(c)]
			t.judge(expected, got, complete)
		}
		if err := emit(t); err != nil {
			return err
		}
	}
	return nil
}

// judge compares and counts.
func (t *Testimony) judge(expected, got tensor.List, m *Complete) {
	level := parity.EndToEnd
	if t.Cell.Scope.Operator() {
		level = parity.Op
	}
	r := parity.CompareOutputs(expected, got, parity.Options{
		Policy: parity.Balanced.Policy(level), Class: parity.PairClass(backends.FP64, t.Cell.Precision), Setting: m.Setting,
	})
	t.Parity = perf.Parity{State: r.State, MaxAbs: finite(float64(r.MaxAbsErr))}
	if r.State != evidence.Pass {
		t.Parity.Detail = r.Summary()
	}
	if t.Cell.Scope != perf.Complete {
		return
	}
	t.Work = workOf(got, m)
	for _, name := range []string{"b1", "b2", "b3"} {
		if b := t.Work.Budgets[name]; b.Over {
			t.Parity.State = evidence.Fail
			t.Parity.Detail = strings.TrimSpace(fmt.Sprintf("budget %s is overspent: %g of %g. %s", name, b.Spent, b.Limit, t.Parity.Detail))
		}
	}
}

// finite keeps infinities, which JSON lacks, out of a report; an output that is infinitely wrong says so in the detail.
func finite(x float64) float64 {
	if math.IsInf(x, 0) || math.IsNaN(x) {
		return math.MaxFloat64
	}
	return x
}

// outputs runs a cell once with the taps that judging it takes.
func (p *process) outputs(ctx context.Context, c perf.Cell, work Workload) (out tensor.List, err error) {
	if err := p.start(ctx); err != nil {
		return nil, err
	}
	session, err := p.compile(ctx, c, work, tapsOf(c, work.Graph))
	if err != nil {
		return nil, err
	}
	defer session.Close()
	if out, err = session.Run(ctx, work.Inputs); err != nil {
		return nil, err
	}
	return out.Clone(), nil
}

// tapsOf lists the intermediates that decisions rest on, for the complete model.
func tapsOf(c perf.Cell, g *graph.Graph) []string {
	if c.Scope != perf.Complete {
		return nil
	}
	return parity.DecisionTaps(g)
}

// Oracle computes what cells should give, in float64, once for every workload.
type Oracle struct {
	backend backends.Backend
	known   map[string]tensor.List // by Cell.Workload without its precision
}

// NewOracle returns an oracle that computes on a backend with float64.
func NewOracle(b backends.Backend) *Oracle {
	return &Oracle{backend: b, known: map[string]tensor.List{}}
}

func (o *Oracle) outputs(ctx context.Context, c perf.Cell, work Workload) (tensor.List, error) {
	key := fmt.Sprintf("%v %s", shapeOf(c), c.Scope)
	if out := o.known[key]; out != nil {
		return out, nil
	}
	session, err := o.backend.Compile(ctx, work.Graph, backends.Options{Precision: backends.FP64, Taps: tapsOf(c, work.Graph)})
	if err != nil {
		return nil, err
	}
	defer session.Close()
	out, err := session.Run(ctx, work.Inputs)
	if err != nil {
		return nil, err
	}
	o.known[key] = out.Clone()
	return o.known[key], nil
}
