package sweep

import "slices"

// p95 returns the original's 95th percentile, sorted[⌊0.95·(n-1)⌋] (spec/perf.md 1). There must be a value. Summaries use
// another rule; the original's is kept where files of the original are compared with ours.
func p95(values []float64) float64 {
	s := slices.Sorted(slices.Values(values))
	return s[int(0.95*float64(len(s)-1))]
}
