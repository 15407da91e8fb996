package reports

import (
	"encoding/xml"
	"strings"
	"testing"

	"github.com/apex-x/apexx/perf/gate"
	"github.com/apex-x/apexx/perf/sweep"
	"github.com/apex-x/apexx/reports/internal/synthetic"
)

// readJUnit parses a document and checks its counts.
func readJUnit(t *testing.T, text string) junitSuites {
	t.Helper()
	var doc junitSuites
	if err := xml.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	tests, failures, errors := 0, 0, 0
	for _, s := range doc.Suites {
		again := junitOf(s.Name, nil, s.Cases)
		if s.Tests != again.Tests || s.Failures != again.Failures || s.Errors != again.Errors || s.Skipped != again.Skipped {
			t.Errorf("suite %s counts %d tests, %d failures, %d errors, %d skipped", s.Name, s.Tests, s.Failures, s.Errors, s.Skipped)
		}
		tests, failures, errors = tests+s.Tests, failures+s.Failures, errors+s.Errors
	}
	if doc.Tests != tests || doc.Failures != failures || doc.Errors != errors {
		t.Errorf("the document counts %d tests, %d failures, %d errors; its suites %d, %d, %d", doc.Tests, doc.Failures, doc.Errors, tests, failures, errors)
	}
	return doc
}

// kindOf is how a reader sees a case.
func kindOf(c junitCase) string {
	switch {
	case c.Failure != nil:
		return "failure " + c.Failure.Type
	case c.Error != nil:
		return "error " + c.Error.Type
	case c.Skipped != nil:
		return "skipped " + c.Skipped.Type
	}
	return "pass"
}

func TestGateJUnit(t *testing.T) {
	doc := readJUnit(t, written(t, GateJUnit, synthetic.Gate(1, gate.ParityFailed)))
	want := map[string]string{
		"reference/nano/fp32/384x640/b1/network": "failure parity", "ort/nano/fp32/512x512/b1/complete": "failure regression", "reference/nano/fp32/512x512/b1/decode-nms": "error broken",
		"ort/nano/fp32/256x256/b1/network": "error inconclusive", "reference/nano/fp32/512x512/b1/ssm-scan": "skipped unconfirmed", "ort/nano/fp32/512x512/b1/tile-pack": "skipped unsupported",
		"ort/nano/fp32/512x512/b1/ssm-scan": "pass", "reference/nano/fp32/512x512/b1/tile-unpack": "pass", "ort/nano/fp32/512x512/b2/decode-nms": "pass",
	}
	seen := 0
	for _, c := range doc.Suites[1].Cases {
		if kind, ok := want[c.Name]; ok {
			seen++
			if kindOf(c) != kind {
				t.Errorf("%s is %s, want %s", c.Name, kindOf(c), kind)
			}
		}
		if c.Name == "ort/nano/fp32/512x512/b1/complete" && (c.Class != "apexx.gate.ort" || c.Time != "0.087238" && !strings.HasPrefix(c.Time, "0.08") || !strings.Contains(c.SystemOut, "p=9.53674e-07\n") || !strings.Contains(c.Failure.Message, "slower than base")) {
			t.Errorf("%+v", c)
		}
	}
	if len(doc.Suites[1].Cases) != 40 || seen != len(want) {
		t.Errorf("%d cells, %d of the expected", len(doc.Suites[1].Cases), seen)
	}
	if s := doc.Suites[0]; s.Timestamp != "2026-03-14T09:26:53" || s.Properties == nil || s.Properties.List[0] != (junitPair{"outcome", "parity"}) {
		t.Errorf("%+v", s)
	}
}

// TestGateJUnitNeverPassesByOmission checks that a run that did not pass cannot be taken for a success, whatever its cells say.
func TestGateJUnitNeverPassesByOmission(t *testing.T) {
	want := map[gate.Outcome]string{gate.Pass: "pass", gate.Regression: "failure regression", gate.ParityFailed: "failure parity", gate.QualityLost: "failure quality", gate.Inconclusive: "error inconclusive", gate.NoBaseline: "error no-baseline",
		gate.Unavailable: "error unavailable", gate.Broken: "error broken"}
	for _, o := range synthetic.Outcomes {
		if c := readJUnit(t, written(t, GateJUnit, synthetic.Gate(1, o))).Suites[0].Cases[0]; c.Name != "verdict" || kindOf(c) != want[o] {
			t.Errorf("%s: %s is %s, want %s", o, c.Name, kindOf(c), want[o])
		}
	}
	for _, r := range []*gate.Record{nil, {}, {Verdict: &gate.Verdict{}}} {
		if c := readJUnit(t, written(t, GateJUnit, r)).Suites[0].Cases[0]; c.Error == nil {
			t.Errorf("a record without a verdict: %s", kindOf(c))
		}
	}
	for _, c := range readJUnit(t, written(t, GateJUnit, synthetic.Gate(1, gate.Inconclusive))).Suites[2].Cases[:1] {
		if kindOf(c) != "error control" {
			t.Errorf("a control that fired is %s", kindOf(c))
		}
	}
}

func TestSweepJUnit(t *testing.T) {
	doc := readJUnit(t, written(t, SweepJUnit, synthetic.Sweep(1)))
	kinds := map[string]int{}
	for _, c := range doc.Suites[0].Cases {
		kinds[kindOf(c)]++
	}
	for kind, n := range map[string]int{"failure parity": 1, "failure over budget": 1, "error crashed": 1, "error hung": 1, "error error": 1, "skipped unsupported": 1, "pass": 57} {
		if kinds[kind] != n {
			t.Errorf("%d cases are %s, want %d (%v)", kinds[kind], kind, n, kinds)
		}
	}
	if c := readJUnit(t, written(t, SweepJUnit, &sweep.Result{})).Suites[0].Cases[0]; kindOf(c) != "error unavailable" {
		t.Errorf("an empty sweep is %s", kindOf(c))
	}
}

func TestJUnitOfHostileNames(t *testing.T) {
	gates := readJUnit(t, written(t, GateJUnit, synthetic.HostileGate(1)))
	sweeps := readJUnit(t, written(t, SweepJUnit, synthetic.HostileSweep(1)))
	if gates.Suites[1].Cases[0].Name != synthetic.Hostile[0] || sweeps.Suites[0].Cases[1].Name != synthetic.Hostile[0] {
		t.Errorf("%q, %q", gates.Suites[1].Cases[0].Name, sweeps.Suites[0].Cases[1].Name)
	}
}
