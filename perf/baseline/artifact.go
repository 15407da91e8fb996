package baseline

import (
	"cmp"
	"io"
	"math"
	"slices"
	"time"

	"github.com/apex-x/apexx/internal/sortedjson"
)

// WriteCompareSummary writes a comparison as the original's compare summary (spec/perf.md 7), keys and nesting exact. A value
// that is no number is null, since JSON has none. The key quality is ours, and there where cells were evaluated.
func WriteCompareSummary(w io.Writer, c *Comparison) error {
	checks := make([]map[string]any, 0, len(c.Checks))
	for _, k := range c.Checks {
		if k.Metric == statusMetric {
			checks = append(checks, map[string]any{"metric": k.Metric, "status": k.Status, "expected": c.RequiredStatus, "current": c.CurrentStatus})
			continue
		}
		entry := map[string]any{"metric": k.Metric, "status": k.Status, "baseline_ms": k.BaselineMS, "allowed_max_ms": k.AllowedMaxMS,
			"current_ms": finite(k.CurrentMS)}
		if k.Status != CheckMissing {
			entry["regression_ratio"] = finite(k.Ratio)
		}
		checks = append(checks, entry)
	}
	summary := map[string]any{"suite": c.Suite, "status": c.Status, "required_status": c.RequiredStatus, "current_status": c.CurrentStatus, "checks": checks}
	if len(c.Quality) > 0 {
		summary["quality"] = c.Quality
	}
	return sortedjson.Write(w, summary)
}

// WriteTrendArtifact writes a comparison as the original's normalised trend artifact (spec/perf.md 8), keys and nesting exact;
// now is the time of writing.
func WriteTrendArtifact(w io.Writer, c *Comparison, now time.Time) error {
	metrics := make([]map[string]any, 0, len(c.Checks))
	sorted := slices.SortedFunc(slices.Values(c.Checks), func(a, b Check) int { return cmp.Compare(a.Metric, b.Metric) })
	for _, k := range sorted {
		entry := map[string]any{"metric": k.Metric, "status": k.Status, "baseline_ms": nil, "allowed_max_ms": nil,
			"current_ms": finite(k.CurrentMS), "regression_ratio": finite(k.Ratio)}
		if k.Metric != statusMetric {
			entry["baseline_ms"], entry["allowed_max_ms"] = k.BaselineMS, k.AllowedMaxMS
		}
		metrics = append(metrics, entry)
	}
	return sortedjson.Write(w, map[string]any{"schema_version": 1, "suite": c.Suite, "timestamp_utc": now.UTC().Format("2006-01-02T15:04:05.000000Z"),
		"overall_status": c.Status, "required_status": c.RequiredStatus, "current_status": c.CurrentStatus,
		"total_metrics": len(c.Checks), "failed_metrics": len(c.Failed()), "metrics": metrics})
}

// finite returns the number, or nil where there is none that JSON can hold.
func finite(f *float64) any {
	if f == nil || math.IsNaN(*f) || math.IsInf(*f, 0) {
		return nil
	}
	return *f
}
