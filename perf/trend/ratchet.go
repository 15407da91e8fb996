package trend

import (
	"math"
	"slices"

	"github.com/apex-x/apexx/internal/exit"
	"github.com/apex-x/apexx/perf/stat"
)

// RatchetRule is the rule of the ratchet in one sentence, in lines for help.
const RatchetRule = "a time of the newest run fails when it exceeds that of the last release before it, of the same machine class and\n" +
	"kind of file, by more than the factor (1+δ)·exp(2s): δ is 2 % on a GPU with locked clocks, 3 % on another GPU and 8 % on\n" +
	"a CPU, and s is the noise from run to run, 1.4826 times the median absolute log ratio of consecutive earlier runs, or with\n" +
	"fewer than 5 of those, the standard deviation of the log medians of the two runs' replicates."

// The parameters of RatchetRule.
const (
	ratchetMargin = 2.0 // in units of the noise
	ratchetRatios = 5   // least number of ratios that the noise is taken from
)

// RatchetState is what the ratchet says of a class or of one metric.
type RatchetState string

// The states, worst first.
const (
	RatchetFailed       RatchetState = "fail"         // slower than the release by more than the rule allows
	RatchetMissing      RatchetState = "missing"      // a metric of the release that the newest run does not have: a failure
	RatchetInconclusive RatchetState = "inconclusive" // slower by more than δ, and nothing is known of the noise
	RatchetNoRelease    RatchetState = "no-release"   // nothing to compare with
	RatchetPassed       RatchetState = "pass"
)

// Ratchet compares the newest run of a class with the last release before it.
type Ratchet struct {
	State   RatchetState `json:"state"`
	Delta   float64      `json:"delta"`
	Newest  string       `json:"newest"`  // SHA-256 of the run
	Release string       `json:"release"` // tag; "" where there is none
	Against string       `json:"against"` // SHA-256 of the release's run
	Checks  []Check      `json:"checks"`  // one per time of the release, in ascending order of metric
}

// Check compares one metric.
type Check struct {
	Metric  string       `json:"metric"`
	State   RatchetState `json:"state"`
	Release float64      `json:"release_ms"`
	Newest  *float64     `json:"newest_ms"` // null where it is missing
	Allowed float64      `json:"allowed_ms"`
	Ratio   *float64     `json:"ratio"` // newest over release
	Noise   *float64     `json:"noise"` // s of the rule, as a log ratio; null where nothing is known of it
}

// ratchet applies RatchetRule to the newest of the runs of a class, which are in the order of their time.
func ratchet(runs []*Run) Ratchet { return ratchetAt(runs, len(runs)-1) }

// ratchetAt applies RatchetRule to the run at the position.
func ratchetAt(runs []*Run, at int) Ratchet {
	newest := runs[at]
	r := Ratchet{State: RatchetNoRelease, Delta: newest.Kind.Delta(), Newest: newest.SHA256, Checks: []Check{}}
	var alike []*Run // earlier runs of the same source
	var release *Run
	for _, run := range runs[:at] {
		if run.Source != newest.Source {
			continue
		}
		alike = append(alike, run)
		if run.Release != "" && slices.ContainsFunc(run.Points, func(p Point) bool { return p.Unit == Milliseconds }) {
			release = run
		}
	}
	if release == nil {
		return r
	}
	r.State, r.Release, r.Against = RatchetPassed, release.Release, release.SHA256
	for i := range release.Points {
		p := &release.Points[i]
		if p.Unit != Milliseconds {
			continue
		}
		c := check(p, newest.Point(p.Metric), noise(alike, p, newest.Point(p.Metric)), r.Delta)
		r.Checks = append(r.Checks, c)
		switch {
		case c.State == RatchetFailed, c.State == RatchetMissing:
			r.State = RatchetFailed
		case c.State == RatchetInconclusive && r.State == RatchetPassed:
			r.State = RatchetInconclusive
		}
	}
	return r
}

// check compares a value with the release's; s is NaN where the noise is unknown.
func check(release, newest *Point, s, delta float64) Check {
	c := Check{Metric: release.Metric, State: RatchetMissing, Release: release.Value, Allowed: release.Value * (1 + delta)}
	if !math.IsNaN(s) {
		c.Noise = &s
		c.Allowed *= math.Exp(ratchetMargin * s)
	}
	if newest == nil {
		return c
	}
	c.Newest, c.Ratio = &newest.Value, new(newest.Value/release.Value)
	switch {
	case newest.Value <= c.Allowed:
		c.State = RatchetPassed
	case c.Noise == nil:
		c.State = RatchetInconclusive
	default:
		c.State = RatchetFailed
	}
	return c
}

// noise estimates s of RatchetRule. The ratios of consecutive runs are hardly moved by single changes of the level, which the
// median leaves out, and the newest run, which is in question, has no part in it.
func noise(earlier []*Run, release, newest *Point) float64 {
	var ratios []float64
	last := math.NaN()
	for _, r := range earlier {
		if p := r.Point(release.Metric); p != nil {
			if !math.IsNaN(last) {
				ratios = append(ratios, math.Abs(math.Log(p.Value/last)))
			}
			last = p.Value
		}
	}
	if len(ratios) >= ratchetRatios {
		return 1.4826 * stat.Median(ratios)
	}
	if newest == nil {
		return math.NaN()
	}
	variance := (logVariance(release.Medians) + logVariance(newest.Medians)) / 2
	return math.Sqrt(variance)
}

// logVariance is the sample variance of the logarithms, NaN for fewer than two values.
func logVariance(x []float64) float64 {
	logs := make([]float64, len(x))
	for i, v := range x {
		logs[i] = math.Log(v)
	}
	sd := stat.StandardDeviation(logs)
	return sd * sd
}

// RatchetExitCode returns the exit code of the report: 1 when a time of any class fails, else 4 when a class has nothing to compare
// with or there is no class, else 3 when a class is inconclusive, else 0.
func (r *Report) RatchetExitCode() int {
	has := func(state RatchetState) bool {
		return slices.ContainsFunc(r.Classes, func(c Class) bool { return c.Ratchet.State == state })
	}
	switch {
	case has(RatchetFailed):
		return exit.Failed
	case has(RatchetNoRelease), len(r.Classes) == 0:
		return exit.NoBaseline
	case has(RatchetInconclusive):
		return exit.Inconclusive
	}
	return exit.OK
}
