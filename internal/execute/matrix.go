package execute

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/model"
	"github.com/apex-x/apexx/backends/worker"
	"github.com/apex-x/apexx/internal/source"
	"github.com/apex-x/apexx/parity"
)

// ParityCase tells the comparer what it must know of a case.
func ParityCase(c *source.Case) parity.Case {
	s := c.Image.Shape()
	return parity.Case{Name: c.Name, Golden: c.Expected, Setting: settingOf(c.Model, c.Decode, s[2], s[3])}
}

// settingOf tells the comparer the geometry and thresholds of a model for an image size.
func settingOf(m *source.Model, d model.Decode, height, width int) parity.Setting {
	side := model.SideMultiple(m.Config)
	return parity.Setting{
		GridHeight: height / side, GridWidth: width / side, ImageHeight: height, ImageWidth: width, FeatureStride: m.Config.Model.FFPrimaryStride,
		ScoreThreshold: float64(d.ScoreThreshold), IoUThreshold: float64(d.IoUThreshold),
	}
}

// MatrixRunner executes the cells of a matrix, each in a fresh worker process, so that a crash, a hang or an out-of-memory
// costs the one execution.
type MatrixRunner struct {
	Cases   map[string]*source.Case
	Open    func(backend string) (backends.Backend, error) // usually Open with Isolate
	Threads int
	Taps    bool
	Extra   map[string]map[string]string // options by backend
}

// Execute implements parity.Runner.
func (r *MatrixRunner) Execute(ctx context.Context, c *parity.Case, name string, precision backends.Precision) (e parity.Execution) {
	start := time.Now()
	defer func() {
		if p := recover(); p != nil {
			e = parity.Execution{State: parity.Crashed, Signal: "panic", Detail: fmt.Sprint(p)}
		}
		e.Wall = time.Since(start)
	}()
	e, err := r.execute(ctx, r.Cases[c.Name], name, precision)
	if err != nil {
		return failure(ctx, err)
	}
	return e
}

func (r *MatrixRunner) execute(ctx context.Context, c *source.Case, name string, precision backends.Precision) (e parity.Execution, err error) {
	b, err := r.Open(name)
	if err != nil {
		return e, err
	}
	g, err := c.Model.Graph(c.Options(c.Decode))
	if err != nil {
		return e, err
	}
	opts := backends.Options{Precision: precision, Threads: r.Threads, Extra: r.Extra[name]}
	opts.Taps = parity.DecisionTaps(g)
	if r.Taps {
		opts.Taps = []string{"all"}
	}
	session, err := b.Compile(ctx, g, opts)
	if err != nil {
		return e, err
	}
	defer func() { err = errors.Join(err, session.Close()) }() // also after a panic, so that no worker stays
	outputs, err := session.Run(ctx, c.Tensors())
	if err != nil {
		return e, err
	}
	e = parity.Execution{State: parity.Pass, Outputs: outputs.Clone(), Timing: session.LastTiming(), Memory: session.Memory()}
	if process, ok := session.(interface{ Peak() int64 }); ok { // a worker's session knows its process
		e.Peak = process.Peak()
	}
	return e, nil
}

// failure turns an error into the state of an execution.
func failure(ctx context.Context, err error) parity.Execution {
	var unavailable *backends.Unavailable
	var died *worker.Died
	var remote *worker.Error
	switch {
	case errors.As(err, &unavailable):
		return parity.Execution{State: parity.Unsupported, Reason: string(unavailable.Reason), Detail: unavailable.Detail}
	case ctx.Err() != nil:
		return parity.Execution{State: parity.NotRun, Reason: "cancelled", Detail: ctx.Err().Error()}
	case errors.As(err, &died) && died.Deadline:
		return parity.Execution{State: parity.Hung, Reason: "deadline", Detail: died.Error()}
	case errors.As(err, &died):
		return parity.Execution{State: parity.Crashed, Signal: died.Ending(), Detail: died.Error()}
	case errors.As(err, &remote) && remote.Code == worker.CodePanic:
		return parity.Execution{State: parity.Crashed, Signal: "panic", Detail: remote.Error()}
	}
	return parity.Execution{State: parity.NotRun, Reason: "error", Detail: err.Error()}
}
