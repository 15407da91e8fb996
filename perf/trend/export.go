package trend

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// artifactTime is the original's form of a time: microseconds and Z.
const artifactTime = "2006-01-02T15:04:05.000000Z"

// ErrNoRelease says that there is nothing to compare a run with.
var ErrNoRelease = errors.New("there is no earlier release of its class to compare it with; mark one with apexx trend add --release TAG")

// Export returns the original's trend artifact of a run of the history, which is in the order of time: the newest, or the one whose
// hash begins with id. A run that was read from an artifact gives that artifact. Of other runs it holds the ratchet's checks
// against the last release before it (RatchetRule); one that is inconclusive fails, since the artifact has no word for it.
func Export(runs []Run, id string) (*Artifact, error) {
	at, err := find(runs, id)
	if err != nil {
		return nil, err
	}
	run := &runs[at]
	if run.Artifact != nil {
		return run.Artifact, nil
	}
	var class []*Run
	for i := range runs[:at+1] {
		if runs[i].Class == run.Class {
			class = append(class, &runs[i])
		}
	}
	r := ratchetAt(class, len(class)-1)
	if r.State == RatchetNoRelease {
		return nil, fmt.Errorf("run %s: %w", run.ID(), ErrNoRelease)
	}
	a := &Artifact{SchemaVersion: 1, Suite: "apexx_" + string(run.Source), TimestampUTC: run.When.UTC().Format(artifactTime),
		OverallStatus: "pass", TotalMetrics: len(r.Checks), Metrics: []ArtifactMetric{}}
	for _, c := range r.Checks {
		m := ArtifactMetric{Metric: c.Metric, Status: "fail", BaselineMS: number(c.Release), AllowedMaxMS: number(c.Allowed)}
		if c.State == RatchetPassed || c.State == RatchetMissing {
			m.Status = string(c.State)
		}
		if c.Newest != nil {
			m.CurrentMS, m.RegressionRatio = number(*c.Newest), number(*c.Ratio-1)
		}
		if m.Status != "pass" {
			a.FailedMetrics++
			a.OverallStatus = "fail"
		}
		a.Metrics = append(a.Metrics, m)
	}
	return a, nil
}

func find(runs []Run, id string) (int, error) {
	if len(runs) == 0 {
		return 0, errors.New("no run in the history fits")
	}
	if id == "" {
		return len(runs) - 1, nil
	}
	matches := func(r Run) bool { return strings.HasPrefix(r.SHA256, id) }
	at := slices.IndexFunc(runs, matches)
	switch {
	case at < 0:
		return 0, fmt.Errorf("the history has no run %s; see apexx trend show --json", id)
	case slices.ContainsFunc(runs[at+1:], matches):
		return 0, fmt.Errorf("more than one run begins with %s; give more of it", id)
	}
	return at, nil
}

func number(v float64) *json.Number { return new(json.Number(strconv.FormatFloat(v, 'g', -1, 64))) }
