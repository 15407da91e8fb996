package sweep_test

import (
	"bytes"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/internal/goldenfile"
	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/sweep"
	"github.com/apex-x/apexx/perf/sweep/sweeptest"
)

// engines is a sweep of engines in four shapes.
func engines(absent func(perf.Cell) bool) *sweep.Result {
	r := sweeptest.New(8, sweeptest.Spec{GPU: true, Backends: []string{"tensorrt"}, Batches: []int{1, 4}, Scopes: []perf.Scope{perf.Complete}, Samples: 25,
		Precisions: []backends.Precision{backends.FP16}, Absent: absent})
	r.Plan.Options = map[string]map[string]string{"tensorrt": {"batches": "1:1:4"}}
	return r
}

func nothingAbsent(perf.Cell) bool { return false }

func TestEngineReport(t *testing.T) {
	mixed := engines(func(c perf.Cell) bool { return c.Height == 512 && c.Batch == 1 })
	mixed.Cells[1].Parity.State = evidence.Fail
	for name, r := range map[string]*sweep.Result{"ok": engines(nothingAbsent), "mixed": mixed, "skipped": engines(func(perf.Cell) bool { return true })} {
		raw, _ := text(t, sweep.EngineReport(r))
		goldenfile.Check(t, "view_engine_"+name+".json", raw)
		var md bytes.Buffer
		if err := sweep.WriteEngineMarkdown(&md, r); err != nil {
			t.Fatal(err)
		}
		goldenfile.Check(t, "view_engine_"+name+".md", md.Bytes())
	}
}

func TestEngineReportOfNone(t *testing.T) {
	if report := sweep.EngineReport(sweeptest.New(8, sweeptest.Spec{})); report != nil {
		t.Errorf("a report of a sweep without tensorrt: %v", report)
	}
}
