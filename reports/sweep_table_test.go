package reports

import (
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/internal/goldenfile"
	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/sweep"
	"github.com/apex-x/apexx/perf/sweep/sweeptest"
	"github.com/apex-x/apexx/reports/internal/synthetic"
)

// TestSweepTable shows a cell in every state, and cells that a device's clock timed and a data set rated.
func TestSweepTable(t *testing.T) {
	states := synthetic.Sweep(1)
	var cells []sweep.CellResult
	for _, i := range []int{0, 5, 8, 11, 20, 30, 40, 45} {
		cells = append(cells, states.Cells[i])
	}
	states.Cells = cells
	rated := sweeptest.New(1, sweeptest.Spec{GPU: true, Backends: []string{"reference", "cuda"}, Precisions: []backends.Precision{backends.FP32, backends.FP16}, Sides: []int{512},
		Scopes: []perf.Scope{perf.Complete}, Samples: 20, Quality: true})
	var text strings.Builder
	for i, r := range []*sweep.Result{states, rated} {
		if err := SweepTable(&text, r, TableOptions{Color: i == 1}); err != nil {
			t.Fatal(err)
		}
		text.WriteByte('\n')
	}
	goldenfile.Check(t, "sweep-table.txt", text.String())
}
