package sweep

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/accuracy"
	"github.com/apex-x/apexx/perf/measure"
)

// CellQuality is what a cell's evaluation comes to.
type CellQuality struct {
	State  evidence.State   `json:"state"` // Measured, Fail where its session computes something else than it should, Unverified without a base, or how the run ended
	Detail string           `json:"detail,omitempty"`
	Result *accuracy.Result `json:"result,omitempty"` // against accuracy.BaseOf; nil where one of the two did not end as Measured
}

// evaluation is one run on the data set: of a cell, or (Base) of what cells are compared with and the plan does not have.
type evaluation struct {
	cell perf.Cell
	arm  perf.Arm
}

// evaluations lists those of a plan, none where it has no data set.
func (p *Plan) evaluations() (list []evaluation) {
	if p.Quality == nil {
		return nil
	}
	for _, c := range accuracy.Of(p.Cells) {
		list = append(list, evaluation{c, perf.Head})
	}
	for _, c := range accuracy.Of(p.Cells) {
		if base := (evaluation{accuracy.BaseOf(c), perf.Base}); !slices.Contains(p.Cells, base.cell) && !slices.Contains(list, base) {
			list = append(list, base)
		}
	}
	return list
}

// checkRun holds an evaluation against the plan.
func (p *Plan) checkRun(r *accuracy.Run) error {
	if !slices.Contains(p.evaluations(), evaluation{r.Cell, r.Arm}) {
		return fmt.Errorf("the plan has no evaluation of cell %s (%s)", r.Cell, r.Arm)
	}
	return r.Check(&p.Quality.DataSet)
}

// quality runs what the store does not hold yet of the evaluations, a process for each backend.
func (r *runner) quality(ctx context.Context) error {
	left := slices.DeleteFunc(r.store.Header.Plan.evaluations(), func(e evaluation) bool { return accuracy.Find(r.store.Quality, e.cell, e.arm) != nil })
	for _, arm := range []perf.Arm{perf.Head, perf.Base} {
		var cells []perf.Cell
		for _, e := range left {
			if e.arm == arm {
				cells = append(cells, e.cell)
			}
		}
		side := r.side
		side.Arm = arm
		for _, b := range perf.Backends(cells) {
			err := measure.RunQuality(ctx, side, b, perf.OfBackend(cells, b), r.options, func(run accuracy.Run) error {
				defer r.step(run.Cell)
				return r.store.AddQuality(run)
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// qualityOf sums up the evaluation of a cell, nil where none was asked for. It is a function of the runs and the plan alone.
func (r *Result) qualityOf(c perf.Cell) *CellQuality {
	if r.Plan.Quality == nil || c.Scope != perf.Complete {
		return nil
	}
	run := accuracy.Find(r.Quality, c, perf.Head)
	switch {
	case run == nil:
		return &CellQuality{State: evidence.NotRun, Detail: "it was not evaluated"}
	case run.Found == nil:
		return &CellQuality{State: run.State, Detail: fmt.Sprintf("on %s: %s %s", r.Plan.Quality.DataSet.Name, run.Reason, run.Detail)}
	}
	out := &CellQuality{State: evidence.Measured}
	base := r.baseOf(c)
	if base == nil || base.Found == nil {
		out.State, out.Detail = evidence.Unverified, fmt.Sprintf("%s gave nothing to compare with on %s", accuracy.BaseOf(c), r.Plan.Quality.DataSet.Name)
		return out
	}
	var err error
	if out.Result, err = accuracy.Compare(base.Cell.String(), base.Found, run.Found, r.Plan.Quality.Policy.Bootstrap()); err != nil {
		return &CellQuality{State: evidence.Errored, Detail: err.Error()}
	}
	if run.Parity.State == evidence.Fail {
		out.State, out.Detail = evidence.Fail, "the session that was evaluated: "+run.Parity.Detail
	}
	return out
}

// baseOf is the run that a cell is compared with: of the plan, or beside it.
func (r *Result) baseOf(c perf.Cell) *accuracy.Run {
	if run := accuracy.Find(r.Quality, accuracy.BaseOf(c), perf.Head); run != nil {
		return run
	}
	return accuracy.Find(r.Quality, accuracy.BaseOf(c), perf.Base)
}

// checkQuality holds the evaluations against the plan and their evidence, and what cells come to against what these give.
func (r *Result) checkQuality() error {
	if r.Plan.Quality == nil && len(r.Quality) > 0 {
		return fmt.Errorf("%d evaluations, and the plan has no data set", len(r.Quality))
	}
	if r.Plan.Quality != nil {
		wanted := r.Plan.evaluations()
		err := r.Plan.Quality.CheckRuns(r.Quality, func(c perf.Cell, arm perf.Arm) bool { return slices.Contains(wanted, evaluation{c, arm}) })
		if err := cmp.Or(r.Plan.Quality.Check(), err); err != nil {
			return fmt.Errorf("quality: %w", err)
		}
	}
	for _, c := range r.Cells {
		if err := c.Quality.equal(r.qualityOf(c.Cell)); err != nil {
			return fmt.Errorf("the quality of cell %s: %w", c.Name, err)
		}
	}
	return nil
}

// equal holds what a file says against what its evidence gives.
func (q *CellQuality) equal(want *CellQuality) error {
	switch {
	case q == nil && want == nil:
		return nil
	case q == nil || want == nil:
		return fmt.Errorf("it is there: %t, and by the evaluations it has to be: %t: the file was changed after it was written", q != nil, want != nil)
	case q.State != want.State || (q.Result == nil) != (want.Result == nil):
		return fmt.Errorf("state is %s, and the evaluations give %s: the file was changed after it was written", q.State, want.State)
	case q.Result == nil:
		return nil
	}
	return q.Result.Equal(want.Result)
}
