package perf

import (
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/perf/stat"
)

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

// SpreadText returns the spread in percent with so many decimals, and a dash where one replicate has none to show.
func (s *Summary) SpreadText(decimals int) string {
	if s.Replicates < 2 {
		return "–"
	}
	return fmt.Sprintf("%.*f %%", decimals, 100*s.Spread)
}

// Digits renders a number that is not negative with four digits that count, or more before the point: 1234, 129.9, 0.02080. Numbers below
// 10⁻⁶ have an exponent.
func Digits(v float64) string {
	if v < 1e-6 || v-v != 0 {
		return fmt.Sprintf("%.4g", v)
	}
	return strconv.FormatFloat(v, 'f', max(3-int(math.Floor(math.Log10(v))), 0), 64)
}

// Millis converts nanoseconds to milliseconds.
func Millis(ns float64) float64 { return ns / 1e6 }

// Series picks one of the series of samples that a measurement has, in nanoseconds.
type Series func(*Measurement) []float64

// HostSamples is the series of executions by the host's clock.
func HostSamples(m *Measurement) []float64 { return m.Samples }

// DeviceSamples is the series of executions by the device's clock.
func DeviceSamples(m *Measurement) []float64 { return m.DeviceSamples }

// EndToEndSamples is the series of runs from end to end.
func EndToEndSamples(m *Measurement) []float64 { return m.EndToEnd }

// Summarize describes a series of the measurements of one cell, nil where none has samples.
func Summarize(list []Measurement, of Series) *Summary {
	s := Summary{}
	var pooled, medians []float64
	batch := 1
	for i := range list {
		m, samples := &list[i], of(&list[i])
		if m.State != evidence.Measured || len(samples) == 0 {
			continue
		}
		batch = m.Cell.Batch
		s.Replicates++
		pooled = append(pooled, samples...)
		medians = append(medians, stat.Median(samples))
	}
	if s.Samples = len(pooled); s.Samples == 0 {
		return nil
	}
	s.P50, s.P90, s.P95 = Millis(stat.Quantile(pooled, 0.5)), Millis(stat.Quantile(pooled, 0.9)), Millis(stat.Quantile(pooled, 0.95))
	if stat.QuantileHolds(len(pooled), 0.99) {
		p99 := Millis(stat.Quantile(pooled, 0.99))
		s.P99 = &p99
	} else {
		s.P99Needs = stat.SamplesForQuantile(0.99, 0.99)
	}
	if s.P50 > 0 {
		s.Throughput = float64(batch) / (s.P50 / 1e3)
	}
	if middle := stat.Median(medians); middle > 0 {
		s.Spread = (slices.Max(medians) - slices.Min(medians)) / middle
	}
	return &s
}
