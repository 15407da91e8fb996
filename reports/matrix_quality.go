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

// MatrixQuality is what the low precisions of a matrix cost on a data set.
type MatrixQuality struct {
	Plan accuracy.Plan  `json:"plan"`
	Rows []MatrixColumn `json:"columns"`
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

// check finds a row for every column of low precision, in their order and no other, and numbers where one was measured alone.
func (q *MatrixQuality) check(columns []parity.Column) error {
	if q == nil {
		return nil
	}
	if err := q.Plan.Check(); err != nil {
		return fmt.Errorf("quality: %w", err)
	}
	want := slices.DeleteFunc(slices.Clone(columns), func(c parity.Column) bool { return !low(c.Precision) })
	if !slices.EqualFunc(q.Rows, want, func(r MatrixColumn, c parity.Column) bool { return r.Column == c }) {
		return fmt.Errorf("quality: its %d columns are not those of low precision, which are %d", len(q.Rows), len(want))
	}
	for _, r := range q.Rows {
		if _, err := evidence.Parse(string(r.State)); err != nil {
			return fmt.Errorf("quality of %s: %w", r.Column, err)
		}
		if (r.State == evidence.Measured) != (r.Result != nil) {
			return fmt.Errorf("quality of %s: it is %s, with numbers: %t", r.Column, r.State, r.Result != nil)
		}
	}
	return nil
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
