package baseline

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/accuracy"
	"github.com/apex-x/apexx/perf/env"
	"github.com/apex-x/apexx/perf/sweep"
)

// Options says how New makes a baseline. The zero value takes the original's tolerances and no build with changes.
type Options struct {
	Ratio      *float64         // max_regression_ratio of every metric; nil: Tolerance
	AbsMS      *float64         // max_regression_abs_ms of every metric; nil: Tolerance
	AllowDirty bool             // accept a build whose changes no commit holds
	MaxMapDrop accuracy.Budgets // of cells that were evaluated; nil: the default budgets
}

// p95Samples is how many samples a cell needs for a p95: the fewest n of which with 99 % confidence, by the bound of MLPerf
// LoadGen's early stopping with one sample beyond, the estimate is no less than the percentile:
// 0.95^n·(1+n·0.05/0.95) ≤ 0.01.
const p95Samples = 130

// New makes a baseline of a sweep; resultSHA256 is the digest of the file it was read from. It refuses what would disarm or
// mislead a gate: a cell that was not measured, whose parity does not hold or that overspent a budget, fewer replicates than
// planned, and a build with changes. The noise model is left to what measures it.
func New(r *sweep.Result, resultSHA256 string, o Options) (*Baseline, error) {
	if err := r.Validate(); err != nil {
		return nil, err
	}
	if err := complete(r); err != nil {
		return nil, err
	}
	if r.Environment.Dirty && !o.AllowDirty {
		return nil, fmt.Errorf("commit %.12s was built with changes that no commit holds; build it clean, or say --allow-dirty", r.Environment.Commit)
	}
	plan, err := json.Marshal(r.Plan)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(plan)
	b := &Baseline{Schema: SchemaID, SchemaVersion: SchemaVersion, Suite: Suite, RequiredStatus: StatusOK,
		Notes: fmt.Sprintf("Made by apexx baseline record of %d cells in %d replicates; tolerances are the original's template rule unless edited.",
			len(r.Cells), r.Plan.Replicates),
		Class: r.Class, Software: Software(r.Environment), Settings: settings(r), Delta: r.Class.Kind.Delta(),
		Provenance: Provenance{Commit: r.Environment.Commit, Dirty: r.Environment.Dirty, Version: r.Version, When: r.When, Command: r.Command,
			Replicates: r.Plan.Replicates, ResultSHA256: resultSHA256, PlanSHA256: hex.EncodeToString(sum[:])},
		Quality: qualityOf(r, o.MaxMapDrop), Metrics: map[string]Metric{}}
	for _, c := range r.Cells {
		b.Metrics[c.Name+".p50_ms"] = metric(r.Class.Kind, c.Cell.Scope, false, c.Summary.P50, o)
		if c.Summary.Samples >= p95Samples {
			b.Metrics[c.Name+".p95_ms"] = metric(r.Class.Kind, c.Cell.Scope, true, c.Summary.P95, o)
		}
	}
	if err := b.Validate(); err != nil {
		return nil, err
	}
	return b, nil
}

// complete says what keeps a sweep from being a baseline.
func complete(r *sweep.Result) error {
	if len(r.Cells) == 0 {
		return fmt.Errorf("the sweep has no cells")
	}
	for i := range r.Cells {
		c := &r.Cells[i]
		if why := unusable(c); why != "" {
			return fmt.Errorf("cell %s %s; measure again, or without it", c.Name, why)
		}
		if c.Summary.Replicates < r.Plan.Replicates {
			return fmt.Errorf("cell %s has %d of the planned %d replicates; finish the sweep first", c.Name, c.Summary.Replicates, r.Plan.Replicates)
		}
	}
	return nil
}

// unusable says why the speed of a cell does not count, "" where it does.
func unusable(c *sweep.CellResult) string {
	switch {
	case c.State != evidence.Measured && c.Reason != "":
		return fmt.Sprintf("is %s (%s)", c.State, c.Reason)
	case c.State != evidence.Measured || c.Summary == nil:
		return fmt.Sprintf("is %s", c.State)
	case c.Overspent() != "":
		return "overspent budget " + c.Overspent()
	case !c.Parity.Holds():
		return fmt.Sprintf("has parity %q, so that its speed does not count", c.Parity.State)
	}
	return ""
}

// Tolerance returns the ratio and the milliseconds by which a metric may exceed its baseline, by the original's template rule
// (spec/perf.md 9): on processors 0.75 and 2, p95 1.0 and 5; on a GPU 0.6 and 0.25, p95 0.8 and 0.5, and for the whole model
// 0.5 and 1, p95 0.5 and 2.
func Tolerance(kind env.Kind, scope perf.Scope, p95 bool) (ratio, absMS float64) {
	switch {
	case kind == env.SharedCPU && p95:
		return 1, 5
	case kind == env.SharedCPU:
		return 0.75, 2
	case !scope.Operator() && p95:
		return 0.5, 2
	case !scope.Operator():
		return 0.5, 1
	case p95:
		return 0.8, 0.5
	}
	return 0.6, 0.25
}

func metric(kind env.Kind, scope perf.Scope, p95 bool, value float64, o Options) Metric {
	m := Metric{ValueMS: value}
	m.MaxRegressionRatio, m.MaxRegressionAbsMS = Tolerance(kind, scope, p95)
	if o.Ratio != nil {
		m.MaxRegressionRatio = *o.Ratio
	}
	if o.AbsMS != nil {
		m.MaxRegressionAbsMS = *o.AbsMS
	}
	return m
}

// Software returns the fingerprint of what an environment runs: Go, then its libraries and drivers.
func Software(e env.Environment) []env.Software {
	return slices.Concat([]env.Software{{Key: "go", Value: e.Go}}, e.Libraries)
}

func settings(r *sweep.Result) Settings {
	s := Settings{Threads: r.Plan.Threads, ConfigSHA256: map[string]string{}, Weights: map[string]string{}, Options: r.Plan.Options, Decode: r.Plan.Decode, Variables: env.ByKey(r.Environment.Variables)}
	maps.Copy(s.ConfigSHA256, r.Plan.ConfigSHA256)
	maps.Copy(s.Weights, r.Plan.Weights)
	return s
}
