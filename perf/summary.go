package perf

// Summary describes the samples of one cell over all its replicates, in milliseconds. The quantiles are those of the pooled
// samples and describe; decisions are taken on the medians of replicates, which are independent where samples are not.
type Summary struct {
	Replicates int      `json:"replicates"`
	Samples    int      `json:"samples"`
	P50        float64  `json:"p50_ms"`
	P90        float64  `json:"p90_ms"`
	P95        float64  `json:"p95_ms"`
	P99        *float64 `json:"p99_ms"`              // null where there are too few samples for it
	P99Needs   int      `json:"p99_needs,omitempty"` // samples that it would take, where P99 is null
	Throughput float64  `json:"throughput_per_s"`    // images per second at the median
	Spread     float64  `json:"spread"`              // of the medians of replicates: (max - min) / median
}
