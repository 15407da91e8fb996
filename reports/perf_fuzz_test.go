package reports

import (
	"encoding/json"
	"io"
	"path/filepath"
	"testing"

	"github.com/apex-x/apexx/perf/gate"
	"github.com/apex-x/apexx/perf/sweep"
	"github.com/apex-x/apexx/reports/internal/synthetic"
)

// shortened keeps a seed small enough to be mutated: a few cells and measurements of few samples.
func shortened(r *gate.Record) *gate.Record {
	r.Screen, r.Verdict.Cells = r.Screen[:min(12, len(r.Screen))], r.Verdict.Cells[:min(4, len(r.Verdict.Cells))]
	for i := range r.Screen {
		r.Screen[i].Samples = r.Screen[i].Samples[:min(3, len(r.Screen[i].Samples))]
	}
	r.Confirm, r.Cells, r.Parity = nil, nil, nil
	return r
}

// FuzzGateReports feeds every report of a gate with whatever JSON gives a record.
func FuzzGateReports(f *testing.F) {
	for _, o := range synthetic.Outcomes {
		data, err := json.Marshal(shortened(synthetic.Gate(1, o)))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	for _, s := range []string{`{}`, `{"verdict":{}}`, `{"verdict":{"cells":[{"state":"regression","screen":{"ratio":1e308,"low":-1,"values":null}},{}],"controls":[{"fired":true}]}}`,
		`{"screen":[{"arm":"base","samples_ns":[1e-300,5e300,0,-1]},{"arm":"head","samples_ns":[1]}],"verdict":{"cells":[{}]}}`} {
		f.Add([]byte(s))
	}
	path := filepath.Join(f.TempDir(), "summary.md")
	f.Fuzz(func(t *testing.T, data []byte) {
		var r gate.Record
		if json.Unmarshal(data, &r) != nil {
			return
		}
		readJUnit(t, written(t, GateJUnit, &r))
		checkParts(t, written(t, GateHTML, &r))
		for _, write := range []func(io.Writer, *gate.Record) error{GateMarkdown, gateSummary} {
			written(t, write, &r)
		}
		tableOf(t, &r, TableOptions{Width: 80})
		onGitHub(t, path, &r)
	})
}

// FuzzSweepReports feeds every report of a sweep with whatever JSON gives a result.
func FuzzSweepReports(f *testing.F) {
	r := synthetic.Sweep(1)
	r.Measurements, r.Plan.Cells = nil, nil
	for i := 0; i+6 <= len(r.Cells); i += 6 {
		part := *r
		part.Cells = r.Cells[i : i+6]
		data, err := json.Marshal(&part)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	for _, s := range []string{`{}`, `{"cells":[{}]}`, `{"cells":[{"summary":{"p50_ms":1e308,"throughput_per_s":1e-300},"work":{"budgets":{"b1":{"over":true}}}},{"state":"measured","summary":{},"device":{}}]}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var r sweep.Result
		if json.Unmarshal(data, &r) != nil {
			return
		}
		readJUnit(t, written(t, SweepJUnit, &r))
		checkParts(t, written(t, SweepHTML, &r))
	})
}

// checkParts fails where a page is cut short.
func checkParts(t *testing.T, page string) {
	t.Helper()
	if n := len(page); n < 8 || page[n-8:] != "</html>\n" {
		t.Error("the page has no end")
	}
}
