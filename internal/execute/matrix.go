package execute

import (
	"cmp"
	"context"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/model"
	"github.com/apex-x/apexx/backends/reference"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/internal/source"
	"github.com/apex-x/apexx/parity"
	"github.com/apex-x/apexx/parity/budget"
	"github.com/apex-x/apexx/parity/evidence"
)

// ParityCase tells the comparer what it must know of a case.
func ParityCase(c *source.Case) parity.Case {
	s := c.Image.Shape()
	return parity.Case{Name: c.Name, Golden: c.Expected, Setting: settingOf(c.Model, c.Decode, s[2], s[3])}
}

// NetworkParityCase tells the comparer of a case of any network that nothing is known of its outputs.
func NetworkParityCase(c *source.NetworkCase) parity.Case {
	return parity.Case{Name: c.Name, Golden: c.Expected, Seed: c.Seed, Setting: parity.Setting{AnyModel: true}}
}

// settingOf tells the comparer the geometry and thresholds of a model for an image size.
func settingOf(m *source.Model, d model.Decode, height, width int) parity.Setting {
	side := model.SideMultiple(m.Config)
	return parity.Setting{
		GridHeight: height / side, GridWidth: width / side, ImageHeight: height, ImageWidth: width, FeatureStride: m.Config.Model.FFPrimaryStride,
		Dense: m.Config.Model.ForceDenseRouting, LevelOneScores: "tap.router.l1.split_utilities",
		ScoreThreshold: float64(d.ScoreThreshold), PreNMSTopK: d.PreNMSTopK, IoUThreshold: float64(d.IoUThreshold),
	}
}

// Subject is what a case of a matrix executes, such as a *source.Case.
type Subject interface {
	// BuildGraph returns the graph for the shape of the inputs and a session in a precision; source.ErrNotCalibrated where it lacks ranges.
	BuildGraph(p backends.Precision) (*graph.Graph, error)
	// Tensors returns the inputs by the graph's names.
	Tensors() tensor.List
	// Identity names the content of what is executed, such as the digests of a model.
	Identity() string
}

// MatrixRunner executes the cells of a matrix, each in a fresh worker process, so that a crash, a hang or an out-of-memory
// costs the one execution.
type MatrixRunner struct {
	Cases   map[string]Subject
	Open    func(backend string) (backends.Backend, error) // usually Open with Isolate
	Threads int
	Taps    bool
	Extra   map[string]map[string]string // options by backend
}

// runs is how often a session runs: a result that differs from run to run is no result. The float64 oracle, by far the slowest, runs
// once; where it is the candidate, nobody knows whether it is deterministic, and the report says so.
func runs(p backends.Precision) int {
	if p == backends.FP64 {
		return 1
	}
	return 2
}

// Execute implements parity.Runner. What was decided is recorded beside the outputs.
func (r *MatrixRunner) Execute(ctx context.Context, c *parity.Case, name string, precision backends.Precision) evidence.Run {
	return r.session(ctx, c, name, precision, nil)
}

// Replay implements parity.Replayer.
func (r *MatrixRunner) Replay(ctx context.Context, c *parity.Case, name string, precision backends.Precision, decisions tensor.List) evidence.Run {
	return r.session(ctx, c, name, precision, decisions)
}

// session runs a case in a worker: free, or under decisions where there are some.
func (r *MatrixRunner) session(ctx context.Context, c *parity.Case, name string, precision backends.Precision, decisions tensor.List) (e evidence.Run) {
	start := time.Now()
	defer func() {
		if p := recover(); p != nil {
			e = evidence.Failed(ctx, &evidence.Panic{Value: p})
		}
		e.Wall = time.Since(start)
	}()
	of := r.Cases[c.Name]
	b, err := r.Open(name)
	if err != nil {
		return evidence.Failed(ctx, err)
	}
	g, err := of.BuildGraph(precision)
	if err = notCalibrated(name, err); err != nil {
		return evidence.Failed(ctx, err)
	}
	opts := backends.Options{Precision: precision, Threads: r.Threads, Extra: r.Extra[name], Taps: parity.DecisionTaps(g)}
	if r.Taps {
		opts.Taps = []string{"all"}
	}
	ranked := parity.RankedDecisions(g)
	if decisions != nil {
		opts.Replay = ranked
		inputs, err := backends.ReplayInputs(g, ranked, of.Tensors(), decisions)
		if err != nil {
			return evidence.Failed(ctx, err)
		}
		return evidence.Collect(ctx, b, g, inputs, opts, 1)
	}
	record, err := backends.RecordTaps(g, ranked)
	if err != nil {
		return evidence.Failed(ctx, err)
	}
	opts.Taps = append(opts.Taps, record...)
	e = evidence.Collect(ctx, b, g, of.Tensors(), opts, runs(precision))
	e.SetApart(record)
	return e
}

// Budget implements parity.Budgeter. It runs the reference in this process: pure Go, and the values of a whole run are too many to send.
func (r *MatrixRunner) Budget(ctx context.Context, c *parity.Case, run budget.Run, decisions tensor.List, taps []string) (spreads tensor.List, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &evidence.Panic{Value: p}
		}
	}()
	of := r.Cases[c.Name]
	g, err := of.BuildGraph(cmp.Or(run.Precision, backends.FP32))
	if err != nil {
		return nil, err
	}
	inputs, replay := of.Tensors(), []string(nil)
	if decisions != nil {
		replay = parity.RankedDecisions(g)
		if inputs, err = backends.ReplayInputs(g, replay, inputs, decisions); err != nil {
			return nil, err
		}
	}
	return budget.New(reference.New(), budget.Reach, r.Threads).Whole(ctx, g, inputs, run, replay, taps)
}
