package gate

import (
	"fmt"
	"slices"

	"github.com/apex-x/apexx/perf"
)

// Lax tells in one clause where a record was judged by less than the default policy asks of its cells, with δ of the time: a wider limit of a metric, on the
// kind of machine that executed the cell; no A/A arm; steps on a device that nobody judged. "" where nothing is less.
func (rec *Record) Lax(delta float64) string {
	strict := DefaultPolicy()
	strict.Targets.SetDelta(delta)
	if share := rec.Policy.ControlShare; share < strict.ControlShare {
		return fmt.Sprintf("%.3g %% of its cells had an A/A arm, and the default is %.3g %%", 100*share, 100*strict.ControlShare)
	}
	for _, c := range rec.Cells {
		if why := rec.laxOf(c, strict); why != "" {
			return fmt.Sprintf("%s: %s", c, why)
		}
	}
	return ""
}

func (rec *Record) laxOf(c perf.Cell, strict Policy) string {
	metrics := Metrics
	if strict.Steps.Of(c) {
		if !rec.Policy.Steps.Of(c) {
			return "its steps were not judged"
		}
		metrics = append(slices.Clone(metrics), Step)
	}
	limits, least := rec.target(c).Limits, strict.target(rec.kind(c)).Limits
	for _, k := range metrics {
		if got, want := limits.Of(k), least.Of(k); got.Delta > want.Delta || got.Offset > want.Offset {
			return fmt.Sprintf("%s was allowed to grow by %s, and %s is allowed", k.Words(), got.Text(k), want.Text(k))
		}
	}
	return ""
}
