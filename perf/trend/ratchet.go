package trend

import (
	"math"
	"slices"
	"time"

	"github.com/apex-x/apexx/internal/exit"
	"github.com/apex-x/apexx/perf/stat"
)

// RatchetRule is the rule of the ratchet in one sentence, in lines for help.
const RatchetRule = "the newest time of every metric fails when it exceeds that of the last release before it, of the same machine class and\n" +
	"kind of file, by more than the factor (1+δ)·exp(2s): δ is 2 % on a GPU with locked clocks, 3 % on another GPU and 8 % on\n" +
	"a CPU, and s is the noise from run to run, 1.4826 times the median absolute log ratio of consecutive earlier runs, or with\n" +
	"fewer than 5 of those, the standard deviation of the log medians of the two runs' replicates. A metric of the release that\n" +
	"no file of the newest commit has is missing, which fails too."

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

// Ratchet compares the newest runs of a class, of one kind of file, with the last release before them.
type Ratchet struct {
	Source  Source       `json:"source"`
	State   RatchetState `json:"state"`
	Delta   float64      `json:"delta"`
	Newest  string       `json:"newest"`  // SHA-256 of the newest run
	Release string       `json:"release"` // tag; "" where there is none
	Against []string     `json:"against"` // SHA-256 of the release's runs
	Checks  []Check      `json:"checks"`  // one per time of the release, in ascending order of metric
}

// Check compares one metric.
type Check struct {
	Metric  string       `json:"metric"`
	State   RatchetState `json:"state"`
	Release float64      `json:"release_ms"`
	Newest  *float64     `json:"newest_ms"` // null where it is missing
	Run     string       `json:"run"`       // SHA-256 of the run that it is of, the newest that has the metric; "" where it is missing
	Allowed float64      `json:"allowed_ms"`
	Ratio   *float64     `json:"ratio"` // newest over release
	Noise   *float64     `json:"noise"` // s of the rule, as a log ratio; null where nothing is known of it
}

// ratchets applies RatchetRule to the runs of a class, which are in order: once for every source, as another kind of file measures
// something else.
func ratchets(runs []*Run) []Ratchet {
	out := []Ratchet{}
	for _, source := range []Source{FromSweep, FromGate, FromArtifact} {
		if of := judged(runs, source); len(of) > 0 {
			out = append(out, ratchetAt(of, len(of)-1))
		}
	}
	return out
}

// ratchetAt applies RatchetRule to the runs up to a position, all of one class and source. The newest commit may have been measured in
// several files: each metric is judged by its own newest run.
func ratchetAt(runs []*Run, at int) Ratchet {
	newest := runs[at]
	r := Ratchet{Source: newest.Source, State: RatchetNoRelease, Delta: newest.Kind.Delta(), Newest: newest.SHA256, Against: []string{}, Checks: []Check{}}
	s := sides{all: runs[:at+1], delta: r.Delta}
	for _, run := range s.all {
		if run.sameBuild(newest) {
			s.present = append(s.present, run)
		} else {
			s.before = append(s.before, run)
		}
	}
	if s.release = lastRelease(s.before); len(s.release) == 0 {
		return r
	}
	r.State, r.Release = RatchetPassed, s.release[0].Release
	for _, run := range s.release {
		r.Against = append(r.Against, run.SHA256)
	}
	for _, metric := range times(s.release) {
		r.Checks = append(r.Checks, s.check(metric))
	}
	for _, c := range r.Checks {
		switch {
		case c.State == RatchetFailed, c.State == RatchetMissing:
			r.State = RatchetFailed
		case c.State == RatchetInconclusive && r.State == RatchetPassed:
			r.State = RatchetInconclusive
		}
	}
	return r
}

// sides are the runs that a ratchet compares, each list in order.
type sides struct {
	all     []*Run
	present []*Run // of the newest commit
	before  []*Run // of other commits
	release []*Run // of before, those of the last release
	delta   float64
}

// shardsWithin is how far apart the files of one measurement may be received. Later ones are another measurement, of a commit again.
const shardsWithin = 24 * time.Hour

// sameBuild tells whether a run is of the same measurement as a later one, of which there may be several files: the same release, or the
// same build of a commit without one. Of a run without a commit nothing else is known.
func (r *RunRef) sameBuild(later *Run) bool {
	if r.SHA256 == later.SHA256 {
		return true
	}
	return r.Release == later.Release && (r.Release != "" || r.Commit != "" && r.Commit == later.Commit && r.Dirty == later.Dirty) &&
		later.Received.Sub(r.Received).Abs() <= shardsWithin
}

// lastRelease returns the runs of the last release that has times.
func lastRelease(runs []*Run) (release []*Run) {
	for _, run := range slices.Backward(runs) {
		if run.Release != "" && len(times([]*Run{run})) > 0 {
			return slices.DeleteFunc(slices.Clone(runs), func(r *Run) bool { return r.Release != run.Release })
		}
	}
	return nil
}

// times lists the metrics of runs that are times, in ascending order.
func times(runs []*Run) []string {
	var metrics []string
	for _, r := range runs {
		for _, p := range r.Points {
			if p.Unit == Milliseconds {
				metrics = append(metrics, p.Metric)
			}
		}
	}
	slices.Sort(metrics)
	return slices.Compact(metrics)
}

// lastWith returns the last run that has a metric, with its value; nils where none has.
func lastWith(runs []*Run, metric string) (*Run, *Point) {
	for _, r := range slices.Backward(runs) {
		if p := r.Point(metric); p != nil {
			return r, p
		}
	}
	return nil, nil
}

// check judges one metric by the newest run since the release that has it. Where the newest commit does not have it, an earlier run
// can still fail it, and otherwise it is missing.
func (s *sides) check(metric string) Check {
	_, reference := lastWith(s.release, metric)
	run, newest := lastWith(s.present, metric)
	lost, earlier := newest == nil, s.before
	since := s.before[slices.Index(s.before, s.release[len(s.release)-1])+1:]
	if r, p := lastWith(since, metric); r != nil && (lost || slices.Index(s.all, r) > slices.Index(s.all, run)) {
		run, newest = r, p
		earlier = s.before[:slices.Index(s.before, r)]
	}
	c := check(reference, newest, noise(earlier, reference, newest), s.delta)
	if lost && c.State != RatchetFailed {
		c.State, c.Newest, c.Ratio = RatchetMissing, nil, nil
	}
	if c.Newest != nil {
		c.Run = run.SHA256
	}
	return c
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
// median leaves out, and the newest commit, which is in question, has no part in it.
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
		return slices.ContainsFunc(r.Classes, func(c Class) bool {
			return slices.ContainsFunc(c.Ratchets, func(r Ratchet) bool { return r.State == state })
		})
	}
	unjudged := func(c Class) bool {
		return !slices.ContainsFunc(c.Ratchets, func(r Ratchet) bool { return r.State != RatchetNoRelease })
	}
	switch {
	case has(RatchetFailed):
		return exit.Failed
	case len(r.Classes) == 0, slices.ContainsFunc(r.Classes, unjudged):
		return exit.NoBaseline
	case has(RatchetInconclusive):
		return exit.Inconclusive
	}
	return exit.OK
}
