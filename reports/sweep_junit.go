package reports

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/apex-x/apexx/perf/sweep"
)

// SweepJUnit writes a sweep as JUnit XML: a case for every cell, and one for the sweep itself, which is an error where nothing
// was measured or something is unverified. Wrong outputs and an overspent budget are failures, a crash, a hang, a backend's error and
// outputs that were not compared are errors, what cannot be had here is skipped. The time of a case is the median of one execution.
func SweepJUnit(w io.Writer, r *sweep.Result) error {
	r = sweepResult(r)
	word, class, tally := sweepOutcome(r)
	whole := junitCase{Name: "verdict", Class: "apexx.sweep", SystemOut: tally}
	if class == "warn" {
		whole.Error = &junitResult{Type: strings.ToLower(word), Message: word, Text: tally}
	}
	cases := []junitCase{whole}
	for _, c := range r.Cells {
		cases = append(cases, junitSweepCell(c))
	}
	suite := junitOf("sweep", append(planFacts(r), environmentFacts(r.Environment, r.Class)...), cases)
	suite.Hostname = r.Environment.Host
	if !r.When.IsZero() {
		suite.Timestamp = r.When.UTC().Format("2006-01-02T15:04:05")
	}
	return writeJUnit(w, "apexx sweep", []junitSuite{suite})
}

func junitSweepCell(cell sweep.CellResult) junitCase {
	c := junitCase{Name: cell.Name, Class: "apexx.sweep." + cmp.Or(cell.Cell.Backend, "cell")}
	c.SystemOut = fmt.Sprintf("state=%s\nparity=%s\n", cell.State, parityText(cell.Parity))
	if s := cell.Summary; s != nil {
		c.Time = junitSeconds(s.P50)
		c.SystemOut += fmt.Sprintf("p50_ms=%.6g\np90_ms=%.6g\np95_ms=%.6g\nthroughput_per_s=%.6g\nsamples=%d\nreplicates=%d\n", s.P50, s.P90, s.P95, s.Throughput, s.Samples, s.Replicates)
		if s.P99 != nil {
			c.SystemOut += fmt.Sprintf("p99_ms=%.6g\n", *s.P99)
		}
	}
	if s := cell.EndToEnd; s != nil {
		c.SystemOut += fmt.Sprintf("end_to_end_p50_ms=%.6g\n", s.P50)
	}
	verdict := judgeSweepCell(cell)
	result := &junitResult{Type: verdict.Word, Message: verdict.Why}
	switch verdict.Class {
	case "fail":
		c.Failure = result
	case "error", "unverified":
		c.Error = result
	case "skipped":
		c.Skipped = result
	}
	return c
}
