// Package baseline keeps what a class of machines is expected to reach, one file per class in baselines/, and compares a sweep
// with it by the original's rule.
//
// A baseline is made of a whole, sound sweep (New), written once and replaced only on purpose, found by class (Find), and
// compared with a sweep of the same class and settings (Compare). What it says about a machine beside the numbers, the least
// slowdown that counts and how noisy the class is, is what the interleaved gate decides with.
package baseline

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/env"
	"github.com/apex-x/apexx/perf/gate"
)

// SchemaID and SchemaVersion name the version of the JSON form of a Baseline.
const (
	SchemaID      = "apexx.baseline/1"
	SchemaVersion = 1
)

// Suite is the name of what is measured, as the files of the original name theirs.
const Suite = "apexx_sweep"

// Baseline is what a class of machines is expected to reach. The keys suite, baseline_notes, required_status and metrics are the
// original's (spec/perf.md 6).
type Baseline struct {
	Schema         string            `json:"schema"`         // SchemaID
	SchemaVersion  int               `json:"schema_version"` // SchemaVersion
	Suite          string            `json:"suite"`
	Notes          string            `json:"baseline_notes"`
	RequiredStatus string            `json:"required_status"` // of a sweep (StatusOf) that is compared: ok
	Class          env.Class         `json:"class"`
	Software       []env.Software    `json:"software"` // fingerprint: recorded, so that an upgrade explains a change; not compared by the rule
	Settings       Settings          `json:"settings"`
	Delta          float64           `json:"delta"` // least relative slowdown that is a regression where builds are compared interleaved
	Noise          *Noise            `json:"noise"` // null until it was measured on the class
	Provenance     Provenance        `json:"provenance"`
	Quality        *Quality          `json:"quality,omitempty"` // null where sweeps are not evaluated
	Metrics        map[string]Metric `json:"metrics"`           // by name: CELL.p50_ms or CELL.p95_ms
}

// Settings is what a sweep must have in common with the one that a baseline was made of. Other weights of the same profile
// only warn: training goes on, and changes what is selected and suppressed, not what is computed.
type Settings struct {
	Threads      int                          `json:"threads"`       // 0: the worker's GOMAXPROCS
	ConfigSHA256 map[string]string            `json:"config_sha256"` // by profile
	Weights      map[string]string            `json:"weights"`       // by profile: SHA-256
	Options      map[string]map[string]string `json:"options,omitempty"`
	Decode       map[string]string            `json:"decode,omitempty"`    // as in sweep.Plan; absent in older files
	Variables    map[string]string            `json:"variables,omitempty"` // of the environment, by name: env.Environment.Variables
}

// Noise is how the block values of the interleaved gate scatter on a class when both builds are the same, as a self-check of
// the gate fitted it. The simulation of rare error rates draws from it.
type Noise struct {
	gate.Noise
	Measured time.Time `json:"measured"` // the last trial, UTC
}

// Provenance says where the numbers came from.
type Provenance struct {
	Commit       string    `json:"commit"`
	Dirty        bool      `json:"dirty"` // the build had changes that no commit holds
	Version      string    `json:"version"`
	When         time.Time `json:"when"` // start of the sweep, UTC
	Command      string    `json:"command"`
	Replicates   int       `json:"replicates"`
	ResultSHA256 string    `json:"result_sha256"` // of the file of the sweep's result
	PlanSHA256   string    `json:"plan_sha256"`   // of the plan's JSON
}

// Metric is the expectation of one number, in the original's terms: a value greater than value·(1+ratio)+abs fails.
type Metric struct {
	ValueMS            float64 `json:"value_ms"`
	MaxRegressionRatio float64 `json:"max_regression_ratio"`  // 0.50 where the file has none
	MaxRegressionAbsMS float64 `json:"max_regression_abs_ms"` // 0 where the file has none
}

// Allowed returns the greatest value in milliseconds that passes.
func (m Metric) Allowed() float64 { return m.ValueMS*(1+m.MaxRegressionRatio) + m.MaxRegressionAbsMS }

// Names returns the names of the metrics in sorted order.
func (b *Baseline) Names() []string {
	names := make([]string, 0, len(b.Metrics))
	for n := range b.Metrics {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// Cells returns the cells that have a metric, sorted by name: what a run must measure to be compared.
func (b *Baseline) Cells() []perf.Cell {
	var cells []perf.Cell
	for _, n := range b.Names() {
		if c, _, err := splitName(n); err == nil {
			cells = append(cells, c)
		}
	}
	slices.SortFunc(cells, func(a, b perf.Cell) int { return cmp.Compare(a.String(), b.String()) })
	return slices.Compact(cells)
}

// splitName reads the name of a metric.
func splitName(name string) (perf.Cell, string, error) {
	cell, quantile, _ := strings.Cut(name, ".")
	c, err := perf.ParseCell(cell)
	if err == nil && quantile != "p50_ms" && quantile != "p95_ms" {
		err = errors.New("want CELL.p50_ms or CELL.p95_ms")
	}
	return c, quantile, err
}
