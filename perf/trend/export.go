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
var ErrNoRelease = errors.New("there is no earlier release of its class to compare it with; name one with apexx trend add --release TAG")

// Export returns the original's trend artifact of a run of the history, and that run, whose runs are given as they were received: the last one, or
// the one whose hash begins with id. A run that was removed is an error. A run that was read from an artifact gives that artifact. Of other runs it holds the
// ratchet's checks against the last release before it (RatchetRule); one that is inconclusive fails, since the artifact has no word for it.
func Export(runs []Run, id string) (*Artifact, *RunRef, error) {
	at, err := find(runs, id)
	if err != nil {
		return nil, nil, err
	}
	run := &runs[at]
	if run.Artifact != nil {
		return run.Artifact, &run.RunRef, nil
	}
	of := judged(ofClass(runs, run.Class), run.Source)
	r := ratchetAt(of, slices.Index(of, run))
	if r.State == RatchetNoRelease {
		return nil, nil, fmt.Errorf("run %s: %w", run.ID(), ErrNoRelease)
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
	return a, &run.RunRef, nil
}

func find(runs []Run, id string) (int, error) {
	if len(runs) == 0 {
		return 0, errors.New("no run in the history fits")
	}
	if id == "" {
		for i, r := range slices.Backward(runs) {
			if r.Removed == "" {
				return i, nil
			}
		}
		return 0, errors.New("every run in the history that fits was removed; see apexx trend show")
	}
	matches := func(r Run) bool { return strings.HasPrefix(r.SHA256, id) }
	at := slices.IndexFunc(runs, matches)
	switch {
	case at >= 0 && runs[at].Removed != "":
		return 0, fmt.Errorf("run %s was removed: %s", runs[at].ID(), runs[at].Removed)
	case at < 0:
		return 0, fmt.Errorf("the history has no run %s; see apexx trend show --json", id)
	case slices.ContainsFunc(runs[at+1:], matches):
		return 0, fmt.Errorf("more than one run begins with %s; give more of it", id)
	}
	return at, nil
}

func number(v float64) *json.Number { return new(json.Number(strconv.FormatFloat(v, 'g', -1, 64))) }
