package baseline

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/perf/env"
	"github.com/apex-x/apexx/perf/sweep"
)

// The statuses of a sweep and of a check, and the name of the check on the former: the original's words.
const (
	StatusOK      = "ok"      // something was measured and nothing failed; cells that cannot be had here do not count
	StatusPartial = "partial" // a cell failed, crashed or hung
	StatusSkipped = "skipped" // nothing could be measured

	CheckPass    = "pass"
	CheckFail    = "fail"
	CheckMissing = "missing" // counts as failed

	CheckUndecided = "inconclusive" // of quality: the interval holds the budget

	statusMetric = "__status__"
)

// StaleAfter is the age from which a baseline warns: machines, drivers and code drift within half a year.
const StaleAfter = 180 * 24 * time.Hour

// Comparison is a sweep against a baseline.
type Comparison struct {
	Suite          string
	Status         string // CheckPass, CheckFail or CheckUndecided
	RequiredStatus string
	CurrentStatus  string
	Checks         []Check        // __status__ first where it fails, then the metrics in sorted order
	Quality        []QualityCheck // of each complete cell, where the sweep has a data set
	Warnings       []string       // what does not change the verdict: age, software, weights, cells without a metric
}

// Check is one metric against its expectation.
type Check struct {
	Metric       string
	Status       string   // CheckPass, CheckFail or CheckMissing
	BaselineMS   float64  // 0 for __status__
	AllowedMaxMS float64  // 0 for __status__
	CurrentMS    *float64 // nil where missing and for __status__
	Ratio        *float64 // current over baseline, less 1; nil where missing or the baseline is 0
	Note         string   // why it is missing, for people
}

// Failed returns the checks that did not pass.
func (c *Comparison) Failed() []Check {
	return slices.DeleteFunc(slices.Clone(c.Checks), func(k Check) bool { return k.Status == CheckPass })
}

// StatusOf sums a sweep up in the original's words.
func StatusOf(r *sweep.Result) string {
	measured, failed := 0, 0
	for _, c := range r.Cells {
		switch c.State {
		case evidence.Measured:
			measured++
		case evidence.Unsupported:
		default:
			failed++
		}
	}
	switch {
	case failed > 0:
		return StatusPartial
	case measured == 0:
		return StatusSkipped
	}
	return StatusOK
}

// Compare judges a sweep by a baseline (spec/perf.md 7): a metric fails when it is greater than value·(1+ratio)+abs, or no
// number; it is missing, and the comparison fails, where its cell was not measured, or its speed does not count because parity
// does not hold or a budget was overspent; and the sweep's status must be the required one.
//
// The error wraps ErrNoBaseline where the numbers cannot be compared at all: another class, other threads, another
// configuration, other options of a backend, other variables of the environment, evaluations on another data set or without budgets. A sweep or baseline that is not sound is another error.
func Compare(b *Baseline, r *sweep.Result) (*Comparison, error) {
	if err := b.Validate(); err != nil {
		return nil, fmt.Errorf("baseline: %w", err)
	}
	if b.Class.ID != r.Class.ID || b.Class.Kind != r.Class.Kind {
		return nil, fmt.Errorf("%w: it is of class %s, this machine is %s", ErrNoBaseline, b.Class.ID, r.Class.ID)
	}
	if other := otherSettings(b.Settings, settings(r)); other != "" {
		return nil, fmt.Errorf("%w: it was measured with other settings: %s", ErrNoBaseline, other)
	}
	if err := b.Quality.unfit(r.Plan.Quality); err != nil {
		return nil, err
	}
	if err := r.Validate(); err != nil {
		return nil, fmt.Errorf("sweep: %w", err)
	}
	return judge(b, r), nil
}

// judge applies the rule to a sweep that may be compared.
func judge(b *Baseline, r *sweep.Result) *Comparison {
	c := &Comparison{Suite: b.Suite, Status: CheckPass, RequiredStatus: b.RequiredStatus, CurrentStatus: StatusOf(r), Warnings: warnings(b, r)}
	if c.CurrentStatus != c.RequiredStatus {
		c.Checks = append(c.Checks, Check{Metric: statusMetric, Status: CheckFail,
			Note: fmt.Sprintf("the sweep is %s, required is %s", c.CurrentStatus, c.RequiredStatus)})
	}
	for _, name := range b.Names() {
		value, why := current(r, name)
		c.Checks = append(c.Checks, check(name, b.Metrics[name], value, why))
	}
	if len(c.Failed()) > 0 {
		c.Status = CheckFail
	}
	c.Quality = judgeQuality(b.Quality, r)
	c.Status = qualityStatus(c.Status, c.Quality)
	return c
}

// current returns the value of a metric in a sweep, or why there is none.
func current(r *sweep.Result, name string) (*float64, string) {
	cell, quantile, _ := splitName(name)
	i := slices.IndexFunc(r.Cells, func(c sweep.CellResult) bool { return c.Cell == cell })
	if i < 0 {
		return nil, "its cell was not in the sweep"
	}
	c := &r.Cells[i]
	if why := unusable(c); why != "" {
		return nil, "its cell " + why
	}
	if quantile == "p95_ms" {
		if c.Summary.Samples < p95Samples {
			return nil, fmt.Sprintf("%d samples are too few for a p95, want %d", c.Summary.Samples, p95Samples)
		}
		return &c.Summary.P95, ""
	}
	return &c.Summary.P50, ""
}

// check applies the original's rule to one metric; a nil value is missing.
func check(name string, m Metric, value *float64, why string) Check {
	k := Check{Metric: name, Status: CheckMissing, BaselineMS: m.ValueMS, AllowedMaxMS: m.Allowed(), CurrentMS: value, Note: why}
	if value == nil {
		return k
	}
	k.Status = CheckFail
	if *value <= k.AllowedMaxMS { // false for NaN
		k.Status = CheckPass
	}
	if m.ValueMS > 0 {
		ratio := *value/m.ValueMS - 1
		k.Ratio = &ratio
	}
	return k
}

// otherSettings says what differs of what must be equal, for the profiles and backends that both sides have; "" where nothing does.
func otherSettings(b, r Settings) string {
	if b.Threads != r.Threads {
		return fmt.Sprintf("--threads %d, now %d (0: all processors)", b.Threads, r.Threads)
	}
	for _, profile := range slices.Sorted(maps.Keys(b.ConfigSHA256)) {
		if now, ok := r.ConfigSHA256[profile]; ok && now != b.ConfigSHA256[profile] {
			return fmt.Sprintf("configuration %.12s of %s, now %.12s", b.ConfigSHA256[profile], profile, now)
		}
	}
	for _, backend := range slices.Sorted(maps.Keys(b.Options)) {
		if now, ok := r.Options[backend]; ok && !maps.Equal(now, b.Options[backend]) {
			return fmt.Sprintf("%s options %v, now %v", backend, b.Options[backend], now)
		}
	}
	for _, flag := range slices.Sorted(maps.Keys(b.Decode)) {
		if now, ok := r.Decode[flag]; ok && now != b.Decode[flag] {
			return fmt.Sprintf("--%s %s, now %s", flag, b.Decode[flag], now)
		}
	}
	if key, was, is := env.OtherVariable(b.Variables, r.Variables); key != "" {
		return fmt.Sprintf("%s %s, now %s", key, was, is)
	}
	return ""
}

func warnings(b *Baseline, r *sweep.Result) []string {
	out := []string{}
	if age := r.When.Sub(b.Provenance.When); age > StaleAfter {
		out = append(out, fmt.Sprintf("the baseline is %d days old; record it again", int(age.Hours()/24)))
	}
	out = append(out, softwareChanges(b.Software, Software(r.Environment))...)
	if b.Class != r.Class {
		out = append(out, fmt.Sprintf("the class is the same, its facts are not: %+v, now %+v", b.Class, r.Class))
	}
	for _, profile := range slices.Sorted(maps.Keys(b.Settings.Weights)) {
		if now, ok := r.Plan.Weights[profile]; ok && now != b.Settings.Weights[profile] {
			out = append(out, fmt.Sprintf("the weights of %s are others (%.12s, now %.12s): what is selected may differ", profile, b.Settings.Weights[profile], now))
		}
	}
	if b.Quality != nil && r.Plan.Quality == nil {
		out = append(out, fmt.Sprintf("the baseline has budgets of quality, and nothing was evaluated: --quality %s would", b.Quality.DataSet))
	}
	for _, c := range r.Cells {
		if _, ok := b.Metrics[c.Name+".p50_ms"]; !ok {
			out = append(out, fmt.Sprintf("cell %s has no metric in the baseline and is not judged", c.Name))
		}
	}
	return out
}

// softwareChanges lists what differs between two fingerprints, in the order of the first.
func softwareChanges(before, now []env.Software) []string {
	var out []string
	value := func(facts []env.Software, key string) string {
		if i := slices.IndexFunc(facts, func(f env.Software) bool { return f.Key == key }); i >= 0 {
			return facts[i].Value
		}
		return "absent"
	}
	for _, f := range before {
		if v := value(now, f.Key); v != f.Value {
			out = append(out, fmt.Sprintf("%s was %s, now %s", f.Key, f.Value, v))
		}
	}
	for _, f := range now {
		if value(before, f.Key) == "absent" {
			out = append(out, fmt.Sprintf("%s was absent, now %s", f.Key, f.Value))
		}
	}
	return out
}
