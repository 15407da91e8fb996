package reports

import (
	"fmt"
	"slices"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/internal/exit"
	"github.com/apex-x/apexx/parity"
	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/perf/accuracy"
)

// MatrixQuality is what the low precisions of a matrix cost on a data set, and what its columns found there, from which that follows.
type MatrixQuality struct {
	Plan accuracy.Plan      `json:"plan"`
	Runs []MatrixEvaluation `json:"evaluations"` // of the columns that EvaluatedColumns lists, in that order
	Rows []MatrixColumn     `json:"columns"`
}

// MatrixEvaluation is what a column found in the data set, or how its evaluation ended.
type MatrixEvaluation struct {
	Column parity.Column `json:"column"`
	evidence.Outcome
	Found *accuracy.Found `json:"found,omitempty"` // with the state Measured alone
}

// MatrixColumn is a column of low precision against fp32 of the same backend.
type MatrixColumn struct {
	Column parity.Column    `json:"column"`
	State  evidence.State   `json:"state"` // Measured, or how one of the two ended
	Detail string           `json:"detail,omitempty"`
	Result *accuracy.Result `json:"result,omitempty"`
}

// low reports whether a precision is evaluated beside fp32.
func low(p backends.Precision) bool { return p != backends.FP32 && p != backends.FP64 }

// against is what a column of low precision is evaluated against.
func against(c parity.Column) parity.Column {
	return parity.Column{Backend: c.Backend, Precision: backends.FP32}
}

// EvaluatedColumns lists what is evaluated for the columns of a matrix: those of low precision, and before the first of a backend its fp32.
func EvaluatedColumns(columns []parity.Column) (list []parity.Column) {
	for _, c := range columns {
		if !low(c.Precision) {
			continue
		}
		if base := against(c); !slices.Contains(list, base) {
			list = append(list, base)
		}
		list = append(list, c)
	}
	return list
}

// NewMatrixQuality compares what the columns of a matrix found. It fails where they did not look for the same.
func NewMatrixQuality(plan accuracy.Plan, runs []MatrixEvaluation) (*MatrixQuality, error) {
	q := &MatrixQuality{Plan: plan, Runs: runs}
	rows, err := q.compare()
	q.Rows = rows
	return q, err
}

// run returns the evaluation of a column, nil where there is none.
func (q *MatrixQuality) run(c parity.Column) *MatrixEvaluation {
	if i := slices.IndexFunc(q.Runs, func(r MatrixEvaluation) bool { return r.Column == c }); i >= 0 {
		return &q.Runs[i]
	}
	return nil
}

// compare derives the rows from the evaluations.
func (q *MatrixQuality) compare() ([]MatrixColumn, error) {
	var rows []MatrixColumn
	for i := range q.Runs {
		r := &q.Runs[i]
		if !low(r.Column.Precision) {
			continue
		}
		row := MatrixColumn{Column: r.Column, State: r.State}
		switch base := q.run(against(r.Column)); {
		case r.Found == nil:
			row.Detail = r.Reason + " " + r.Detail
		case base == nil:
			return nil, fmt.Errorf("%s was evaluated, and %s was not", r.Column, against(r.Column))
		case base.Found == nil:
			row.State, row.Detail = base.State, fmt.Sprintf("fp32 of %s: %s %s", r.Column.Backend, base.Reason, base.Detail)
		default:
			var err error
			if row.Result, err = accuracy.Compare(r.Column.Backend+" fp32", base.Found, r.Found, q.Plan.Policy.Bootstrap()); err != nil {
				return nil, err
			}
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// check finds an evaluation for every column that needs one, in their order and no other, numbers that are those of what was found, and in
// the rows what the evaluations give.
func (q *MatrixQuality) check(columns []parity.Column) error {
	if q == nil {
		return nil
	}
	if err := q.Plan.Check(); err != nil {
		return fmt.Errorf("quality: %w", err)
	}
	want := EvaluatedColumns(columns)
	if !slices.EqualFunc(q.Runs, want, func(r MatrixEvaluation, c parity.Column) bool { return r.Column == c }) {
		return fmt.Errorf("quality: its %d evaluations are not those of the columns of low precision and their fp32, which are %d", len(q.Runs), len(want))
	}
	for i := range q.Runs {
		if err := q.Runs[i].check(&q.Plan.DataSet); err != nil {
			return fmt.Errorf("quality of %s: %w", q.Runs[i].Column, err)
		}
	}
	rows, err := q.compare()
	if err != nil {
		return fmt.Errorf("quality: %w", err)
	}
	if len(rows) != len(q.Rows) {
		return fmt.Errorf("quality: its %d rows are not those of the columns of low precision, which are %d", len(q.Rows), len(rows))
	}
	for i, row := range q.Rows {
		if err := row.equal(rows[i]); err != nil {
			return fmt.Errorf("quality of %s: %w", rows[i].Column, err)
		}
	}
	return nil
}

// check holds an evaluation against the data set, and its numbers against what they come from.
func (r *MatrixEvaluation) check(d *accuracy.DataSet) error {
	switch {
	case !r.State.Broken() && r.State != evidence.Measured && r.State != evidence.Unsupported:
		return fmt.Errorf("it ended as %q", r.State)
	case (r.State == evidence.Measured) != (r.Found != nil):
		return fmt.Errorf("it is %s, and what it found is there: %t", r.State, r.Found != nil)
	case r.Found == nil:
		return nil
	}
	return r.Found.Check(d)
}

// equal holds what a file says against what its evaluations give.
func (c MatrixColumn) equal(want MatrixColumn) error {
	switch {
	case c.Column != want.Column || c.State != want.State || c.Detail != want.Detail || (c.Result == nil) != (want.Result == nil):
		return fmt.Errorf("it says %s, %s, and the evaluations give %s, %s: the file was changed after it was written", c.Column, c.State, want.Column, want.State)
	case c.Result == nil:
		return nil
	}
	return c.Result.Equal(want.Result)
}

// Passed reports whether the exit code is 0.
func (d *Document) Passed() bool { return d.ExitCode() == exit.OK }

// qualityLines of a matrix say what its low precisions cost, or how to learn it; none where it has no low precision.
func (d *Document) qualityLines() (heading string, lines []string) {
	if d.Quality == nil {
		for _, c := range d.Matrix.Columns {
			if low(c.Precision) {
				return "what low precisions cost in average precision: the same with --quality scenes, or a data set of your own", nil
			}
		}
		return "", nil
	}
	p := d.Quality.Plan
	heading = fmt.Sprintf("quality on %s, in points against fp32 of the same backend (%g %% intervals)", dataSetText(&p), 100*p.Policy.Confidence)
	for _, c := range d.Quality.Rows {
		if c.Result == nil {
			lines = append(lines, fmt.Sprintf("%s: %s, %s", c.Column, c.State, c.Detail))
			continue
		}
		q := qualityOf(c.Result)
		lines = append(lines, fmt.Sprintf("%s: AP of boxes %s, %s; %s", c.Column, q.AP, q.Points, q.Others))
	}
	return heading, lines
}
