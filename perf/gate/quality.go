package gate

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/accuracy"
	"github.com/apex-x/apexx/perf/measure"
)

// evaluated lists the cells that the plan wants evaluated on both sides: the complete ones among those that are measured.
func (rec *Record) evaluated() []perf.Cell {
	if rec.Quality == nil {
		return nil
	}
	return accuracy.Of(holding(rec))
}

// evaluate runs the data set on both sides: first the base, then the head, a process for each backend.
func (r *Runner) evaluate(ctx context.Context, rec *Record) error {
	cells := rec.evaluated()
	for _, side := range []measure.Side{r.Base, r.Head} {
		for _, b := range perf.Backends(cells) {
			o := r.options(rec.Policy)
			err := measure.RunQuality(ctx, side, b, perf.OfBackend(cells, b), o, func(run accuracy.Run) error {
				rec.Evaluations = append(rec.Evaluations, checkedRun(run, rec.Quality))
				r.progress("quality", len(rec.Evaluations), 2*len(cells))
				return nil
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// checkedRun returns the run, or where no evaluation can give it one that ended in an error for that reason.
func checkedRun(run accuracy.Run, p *accuracy.Plan) accuracy.Run {
	if err := run.Check(&p.DataSet); err != nil {
		return accuracy.Run{Cell: run.Cell, Arm: run.Arm, State: evidence.Errored, Reason: "implausible", Detail: err.Error()}
	}
	return run
}

// checkQuality finds an evaluation of every cell on either side and no other, and holds each against its evidence.
func (rec *Record) checkQuality() error {
	if rec.Quality == nil {
		if len(rec.Evaluations) > 0 {
			return fmt.Errorf("the record has %d evaluations, and no data set", len(rec.Evaluations))
		}
		return nil
	}
	if err := rec.Quality.Check(); err != nil {
		return fmt.Errorf("quality: %w", err)
	}
	cells := rec.evaluated()
	err := rec.Quality.CheckRuns(rec.Evaluations, func(c perf.Cell, arm perf.Arm) bool {
		return slices.Contains(cells, c) && (arm == perf.Base || arm == perf.Head)
	})
	if err != nil {
		return err
	}
	for _, c := range cells {
		for _, arm := range []perf.Arm{perf.Base, perf.Head} {
			if accuracy.Find(rec.Evaluations, c, arm) == nil {
				return fmt.Errorf("the record lacks the evaluation of %s on the %s: it is cut short", c, arm)
			}
		}
	}
	return nil
}

// quality lets what a cell finds in the data set speak: what it lost, whatever its speed.
func (j *judge) quality(cell *Cell) {
	base, head := accuracy.Find(j.rec.Evaluations, cell.Cell, perf.Base), accuracy.Find(j.rec.Evaluations, cell.Cell, perf.Head)
	if j.rec.Quality == nil || cell.Cell.Scope != perf.Complete {
		return
	}
	state, note := CellNoisy, "it was not evaluated"
	if base != nil && head != nil {
		state, note = j.weigh(cell, base, head)
	}
	if note != "" && state.rank() < cell.State.rank() {
		cell.State, cell.Note = state, note
	}
}

// weigh compares the evaluations of a cell; there is a note where that speaks against it.
func (j *judge) weigh(cell *Cell, base, head *accuracy.Run) (state CellState, note string) {
	on := j.rec.Quality.DataSet
	switch {
	case head.Found == nil:
		return CellBroken, strings.TrimSpace(fmt.Sprintf("the head %s on %s: %s %s", head.State, on.Name, head.Reason, head.Detail))
	case head.Parity.State == evidence.Fail:
		return CellParityFailed, fmt.Sprintf("the session that was evaluated on %s: %s", on.Name, head.Parity.Detail)
	case base.Found == nil:
		return CellUnverified, strings.TrimSpace(fmt.Sprintf("the base %s on %s: %s %s", base.State, on.Name, base.Reason, base.Detail))
	}
	p := j.rec.Quality.Policy
	r, err := accuracy.Compare("the base", base.Found, head.Found, p.Bootstrap())
	if err != nil {
		return CellUnverified, fmt.Sprintf("on %s: %s", on.Name, err)
	}
	cell.Quality = r
	v, why := p.Judge(r, on.Images, cell.Cell.Precision)
	switch v {
	case accuracy.Lost:
		return CellQualityLost, fmt.Sprintf("on %s: %s", on.Name, why)
	case accuracy.Undecided:
		return CellNoisy, fmt.Sprintf("quality on %s: %s", on.Name, why)
	}
	return CellClear, ""
}

// lost says what cells lost of quality, the first of them in numbers.
func (j *judge) lost() string {
	names := j.in(CellQualityLost)
	at := slices.IndexFunc(j.v.Cells, func(c Cell) bool { return c.State == CellQualityLost })
	return fmt.Sprintf("%s: finds less than the base (%s)", some(names), j.v.Cells[at].Note)
}

// qualityKept says what a pass claims of quality; "" where nothing was evaluated.
func (j *judge) qualityKept() string {
	worst, at := 0.0, ""
	cells := 0
	for _, c := range j.v.Cells {
		if c.Quality == nil {
			continue
		}
		cells++
		for _, m := range []accuracy.Metric{accuracy.BoxAP, accuracy.MaskAP} {
			if d := c.Quality.Of(m); d != nil && (at == "" || d.Low < worst) {
				worst, at = d.Low, fmt.Sprintf("%s, %s", c.Name, m.Words())
			}
		}
	}
	if cells == 0 {
		return ""
	}
	if worst >= 0 {
		return fmt.Sprintf("; on %s none of %d evaluated lost any AP", j.rec.Quality.DataSet.Name, cells)
	}
	return fmt.Sprintf("; on %s none of %d evaluated lost more AP than it may, %.2f points at most (%s)", j.rec.Quality.DataSet.Name, cells, -100*worst, at)
}
