package reports

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/apex-x/apexx/perf/gate"
)

// GateJUnit writes a gate's record as JUnit XML. The suite "gate" has one case for the verdict, so that no reader takes a run
// without cells, or one that could not decide, for a success; "cells" one for every cell; "controls" one for every control.
// What is slower or wrong is a failure, what could not be decided or measured as it should an error, what cannot be measured
// here or was not confirmed is skipped. The time of a case is the median of one call of the head.
func GateJUnit(w io.Writer, r *gate.Record) error {
	r = gateRecord(r)
	v := r.Verdict
	properties := facts("judged again", judgedAgain(r), "outcome", string(v.Outcome), "exit_code", fmt.Sprint(v.ExitCode), "attribution", v.Attribution, "base", buildFact(r.Base), "head", buildFact(r.Head),
		"command", r.Command, "version", r.Version, "resolution", fmt.Sprintf("%.4g", v.Resolution))
	properties = append(properties, policyFacts(r.Policy)...)
	properties = append(properties, environmentFacts(r.Environment, r.Class)...)
	cells := make([]junitCase, len(v.Cells))
	for i, c := range v.Cells {
		cells[i] = junitCell(c)
	}
	controls := make([]junitCase, len(v.Controls))
	for i, c := range v.Controls {
		controls[i] = junitCase{Name: c.Name, Class: "apexx.gate.control", SystemOut: estimateLines(c.Estimate)}
		if c.Fired {
			t := textOf(c.Estimate)
			controls[i].Error = &junitResult{Type: "control", Message: fmt.Sprintf("the control fired: it moved by %s (%s, p %s)", t.Change, t.Interval, t.P)}
		}
	}
	suites := []junitSuite{junitOf("gate", properties, []junitCase{junitVerdict(v)}), junitOf("cells", nil, cells)}
	if len(controls) > 0 {
		suites = append(suites, junitOf("controls", nil, controls))
	}
	for i := range suites {
		suites[i].Hostname = r.Environment.Host
		if !r.When.IsZero() {
			suites[i].Timestamp = r.When.UTC().Format("2006-01-02T15:04:05")
		}
	}
	return writeJUnit(w, "apexx gate", suites)
}

// junitVerdict is the case of the whole run.
func junitVerdict(v *gate.Verdict) junitCase {
	c := junitCase{Name: "verdict", Class: "apexx.gate", SystemOut: strings.Join(append([]string{gateTally(v)}, v.Warnings...), "\n")}
	result := &junitResult{Type: string(v.Outcome), Message: outcomeWord(v.Outcome), Text: strings.Join(v.Reasons, "\n")}
	if len(v.Reasons) > 0 {
		result.Message = v.Reasons[0]
	}
	switch v.Outcome {
	case gate.Pass:
	case gate.Regression, gate.ParityFailed, gate.QualityLost:
		c.Failure = result
	default:
		c.Error = result
	}
	return c
}

// junitCell is the case of one cell.
func junitCell(cell gate.Cell) junitCase {
	c := junitCase{Name: cell.Name, Class: "apexx.gate." + cmp.Or(cell.Cell.Backend, "cell")}
	c.SystemOut = fmt.Sprintf("state=%s\nparity=%s\nchange=%s\nresolution=%.4g\n%s", cell.State, parityText(cell.Parity), changeText(cell), cell.Resolution, estimateLines(cell.Final()))
	if lines := otherSeries(cell); len(lines) > 0 {
		c.SystemOut += strings.Join(lines, "\n") + "\n"
	}
	if e := cell.Final(); e != nil {
		c.Time = junitSeconds(e.Head)
	}
	t := textOf(cell.Final())
	message := cell.Note
	if message == "" && cell.Final() != nil {
		message = fmt.Sprintf("%s by %s (%s, p %s)", cell.State, t.Change, t.Interval, t.P)
	}
	result := &junitResult{Type: string(cell.State), Message: cmp.Or(message, string(cell.State))}
	switch cell.State {
	case gate.CellClear, gate.CellCleared, gate.CellFaster:
	case gate.CellRegressed, gate.CellParityFailed, gate.CellQualityLost:
		c.Failure = result
	case gate.CellUnsupported, gate.CellUnconfirmed:
		c.Skipped = result
	default:
		c.Error = result
	}
	return c
}

// estimateLines are the numbers of an estimate for programs: one key and value a line.
func estimateLines(e *gate.Estimate) string {
	if e == nil {
		return ""
	}
	return fmt.Sprintf("ratio=%.6g\nlow=%.6g\nhigh=%.6g\np=%.6g\nbase_ms=%.6g\nhead_ms=%.6g\nblocks=%d\ndropped=%d\n", e.Ratio, e.Low, e.High, e.P, e.Base, e.Head, e.Blocks, e.Dropped)
}
