package trend

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/apex-x/apexx/perf/env"
)

// Source says what kind of file a run was read from.
type Source string

// The sources.
const (
	FromSweep    Source = "sweep"    // the result of apexx sweep
	FromGate     Source = "gate"     // the record of apexx gate
	FromArtifact Source = "artifact" // the original's normalised trend artifact
)

// Run is one measurement of one commit on one class of machines.
type Run struct {
	RunRef
	Class    string    `json:"class"` // of machines: env.Class.ID
	Kind     env.Kind  `json:"kind"`
	Points   []Point   `json:"points"` // in ascending order of Metric
	Artifact *Artifact `json:"artifact,omitempty"`
}

// RunRef is a run without its points.
type RunRef struct {
	SHA256   string    `json:"sha256"` // of the file that it was read from, in hexadecimal; names the run
	Source   Source    `json:"source"`
	When     time.Time `json:"when"`              // start of the measurement as its file tells it, UTC: shown, and decides nothing
	Received time.Time `json:"received,omitzero"` // by the store's clock, later for each run; before 2020 where an older store did not record it
	Place    Place     `json:"place,omitzero"`    // of the commit in its repository; zero where it is not known
	Commit   string    `json:"commit"`            // "" where it is not known
	Dirty    bool      `json:"dirty"`             // the program was built from a working tree with changes
	Version  string    `json:"version"`
	Branch   string    `json:"branch"`
	Release  string    `json:"release"`            // tag, where the run is the reference for what comes after; else ""
	Software string    `json:"software"`           // versions of Go, libraries and drivers
	LeftOut  []string  `json:"left_out,omitempty"` // cells whose speed does not count, and why
	Removed  string    `json:"removed"`            // why the run takes no part in any judgement; "" where it does
	Marked   string    `json:"marked"`             // what people should know of it; ""
}

// Point is the value of one metric in one run.
type Point struct {
	// Metric is a cell's name with .p50_ms, .p95_ms, both also with device_ or end_to_end_ before, .host_peak_mib, or .gate_p50_ms likewise; or a
	// name of the artifact.
	Metric     string    `json:"metric"`
	Unit       Unit      `json:"unit"`
	Value      float64   `json:"value"`
	Samples    int       `json:"samples"` // 0 where the source does not tell
	Replicates int       `json:"replicates"`
	Medians    []float64 `json:"medians,omitempty"` // of the replicates, in ms
}

// Unit is the unit of a metric.
type Unit string

// The units.
const (
	Milliseconds Unit = "ms"
	Mebibytes    Unit = "MiB"
)

// ID returns enough of the run's hash to name it.
func (r *RunRef) ID() string { return r.SHA256[:min(len(r.SHA256), 12)] }

// Name returns the commit in short form, marked if the tree had changes, or the run's hash where there is no commit.
func (r *RunRef) Name() string {
	name := r.Commit[:min(len(r.Commit), 10)]
	if name == "" {
		name = "run " + r.SHA256[:min(len(r.SHA256), 8)]
	}
	if r.Dirty {
		name += "+dirty"
	}
	return name
}

// Point returns the run's value of a metric, nil where it has none.
func (r *Run) Point(metric string) *Point {
	i, ok := slices.BinarySearchFunc(r.Points, metric, func(p Point, name string) int { return strings.Compare(p.Metric, name) })
	if !ok {
		return nil
	}
	return &r.Points[i]
}

// firstYear is before anything that this program measured: earlier times are those of a clock that was not set.
var firstYear = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)

// clockSlack is how far the clocks of two machines may be apart.
const clockSlack = 24 * time.Hour

// Warnings says what is odd about a run: times that cannot be, and cells whose speed does not count. None of it decides.
func (r *RunRef) Warnings() []string {
	var out []string
	odd := func(what string, t time.Time) {
		const day = "2006-01-02"
		switch {
		case t.IsZero():
		case t.Before(firstYear):
			out = append(out, fmt.Sprintf("%s is %s: a clock was not set", what, t.Format(day)))
		case !r.Received.Before(firstYear) && t.After(r.Received.Add(clockSlack)):
			out = append(out, fmt.Sprintf("%s is %s, and it was received on %s", what, t.Format(day), r.Received.Format(day)))
		}
	}
	odd("its date", r.When)
	odd("the date of its commit", r.Place.Committed)
	switch n := len(r.LeftOut); {
	case n == 1:
		out = append(out, "left out: "+r.LeftOut[0])
	case n > 1:
		out = append(out, fmt.Sprintf("left out: %d cells whose speed does not count, such as %s", n, r.LeftOut[0]))
	}
	return out
}

// What a value can be: from a picosecond to thirty years. Sums and ratios of such values neither overflow nor vanish.
const (
	leastValue    = 1e-9
	greatestValue = 1e12
)

// Check puts the points in order and refuses what cannot be part of a history: no point, no time, a metric twice, a value that is not
// a positive number.
func (r *Run) Check() error {
	if len(r.Points) == 0 {
		return fmt.Errorf("no metric of it was measured; nothing to add")
	}
	if r.When.IsZero() {
		return fmt.Errorf("it does not say when it was measured")
	}
	slices.SortFunc(r.Points, func(a, b Point) int { return strings.Compare(a.Metric, b.Metric) })
	for i, p := range r.Points {
		if i > 0 && r.Points[i-1].Metric == p.Metric {
			return fmt.Errorf("it has metric %s twice", p.Metric)
		}
		for _, v := range append([]float64{p.Value}, p.Medians...) {
			if !(v >= leastValue && v <= greatestValue) {
				return fmt.Errorf("metric %s has the value %v; want a positive number of %s", p.Metric, v, p.Unit)
			}
		}
	}
	return nil
}

// software describes the versions and variables that a result depends on, in the order of the environment.
func software(e *env.Environment) string {
	var parts []string
	if e.Go != "" {
		parts = append(parts, "go "+strings.TrimPrefix(e.Go, "go"))
	}
	for _, f := range e.Libraries {
		parts = append(parts, f.Key+" "+f.Value)
	}
	for _, v := range e.Variables {
		parts = append(parts, v.Key+"="+v.Value)
	}
	return strings.Join(parts, ", ")
}
