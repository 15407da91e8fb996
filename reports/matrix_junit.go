package reports

import (
	"fmt"
	"io"
	"strings"

	"github.com/apex-x/apexx/internal/exit"
	"github.com/apex-x/apexx/parity"
	"github.com/apex-x/apexx/parity/evidence"
)

// MatrixJUnit writes the matrix as JUnit XML: a case for every cell, one for the detections as sets of a pair, one for a certificate, and one for the matrix
// itself, which is an error where the exit code is another than 0 and no cell says why, such as a backend that was never compared. A cell that fails is a
// failure; one that crashed, hung, erred or could not be verified is an error; what cannot be had here is skipped.
func MatrixJUnit(w io.Writer, d *Document) error {
	d = clean(d)
	m := d.Matrix
	code := d.ExitCode()
	whole := junitCase{Name: "verdict", Class: "apexx.matrix", SystemOut: d.tally()}
	if code != exit.OK && code != exit.Failed {
		word := evidence.Verdict(code)
		whole.Error = &junitResult{Type: strings.ToLower(word), Message: word, Text: d.tally()}
	}
	cases := []junitCase{whole}
	for i := range m.Cells {
		c := &m.Cells[i]
		cases = append(cases, junitMatrixCase(junitName(m, c), c.Pair.Candidate.Backend, c.State, why(c), cellNumbers(c)))
	}
	for _, v := range m.Sets {
		cases = append(cases, junitMatrixCase("detections as sets: "+v.Pair.String(), v.Pair.Candidate.Backend, v.State, v.String(), ""))
	}
	if text := d.Certificate.String(); text != "" {
		cases = append(cases, junitMatrixCase("certificate", "", d.Certificate.state(), text, ""))
	}
	suite := junitOf("matrix", circumstances(d), cases)
	if !d.When.IsZero() {
		suite.Timestamp = d.When.UTC().Format("2006-01-02T15:04:05")
	}
	return writeJUnit(w, "apexx matrix", []junitSuite{suite})
}

// junitName names a cell.
func junitName(m *parity.Matrix, c *parity.Cell) string {
	name := c.Case + ": " + c.Pair.String()
	if len(m.Policies) > 1 {
		name += ", " + c.Policy
	}
	return name
}

func junitMatrixCase(name, backend string, state evidence.State, why, numbers string) junitCase {
	c := junitCase{Name: name, Class: strings.TrimSuffix("apexx.matrix."+backend, "."), SystemOut: fmt.Sprintf("state=%s\n%s", state, numbers)}
	result := &junitResult{Type: string(state), Message: why}
	switch {
	case state.Holds():
	case state == evidence.Fail:
		c.Failure = result
	case state == evidence.Unsupported || state == evidence.NotRun:
		c.Skipped = result
	default:
		c.Error = result
	}
	return c
}

// cellNumbers has a line for the largest error of every output.
func cellNumbers(c *parity.Cell) string {
	var s strings.Builder
	if c.Report == nil {
		return ""
	}
	for i := range c.Report.Outputs {
		t := &c.Report.Outputs[i]
		fmt.Fprintf(&s, "%s max_abs=%g nmse=%g mismatches=%d/%d\n", t.Name, float64(t.MaxAbsErr), float64(t.NMSE), t.MismatchCount, t.TotalCount)
	}
	return s.String()
}
