package gate

import (
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/perf"
)

// TestTrialCheck holds trials of a log to the plan of their self-check.
func TestTrialCheck(t *testing.T) {
	cell := perf.Cell{Backend: "reference", Profile: "nano", Precision: backends.FP32, Height: 128, Width: 128, Batch: 1, Scope: perf.TilePack}
	cells := []perf.Cell{cell} // trial 2 slows it by 20 %
	for name, tt := range map[string]struct {
		change func(*Trial)
		want   string
	}{
		"sound":           {func(*Trial) {}, ""},
		"another index":   {func(t *Trial) { t.Index = 5 }, "it is trial 5, want trial 2"},
		"nothing slowed":  {func(t *Trial) { t.Slowdown, t.Cell = 0, "" }, `trial 2 slows "" by 0, want "reference/nano/fp32/128x128/b1/tile-pack" by 0.2`},
		"another cell":    {func(t *Trial) { t.Cell = "x" }, `trial 2 slows "x" by 0.2, want "reference/nano/fp32/128x128/b1/tile-pack" by 0.2`},
		"no outcome":      {func(t *Trial) { t.Outcome = "" }, `trial 2 has the unknown outcome ""`},
		"too many blocks": {func(t *Trial) { t.Blocks = make([][]float64, 2) }, "trial 2 has the blocks of 2 cells, want at most 1"},
	} {
		trial := Trial{Index: 2, Slowdown: 0.2, Cell: cell.String(), Outcome: Regression, Blocks: [][]float64{{0.1}}}
		tt.change(&trial)
		got := ""
		if err := trial.Check(2, cells); err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%s: got %q, want %q", name, got, tt.want)
		}
	}
}
