package reports

import (
	"fmt"

	"github.com/apex-x/apexx/backends"
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

// qualityLines of a matrix say what its low precisions cost, or how to learn it; none where it has no low precision.
func (d *Document) qualityLines() (heading string, lines []string) {
	if d.Quality == nil {
		for _, c := range d.Matrix.Columns {
			if c.Precision != backends.FP32 && c.Precision != backends.FP64 {
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
