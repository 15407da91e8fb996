package perf

import (
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/apex-x/apexx/parity/evidence"
)

func measured(samples ...float64) Measurement {
	return Measurement{Cell: Cell{Batch: 4}, State: evidence.Measured, Samples: samples}
}

// ramp is 1 ms, 2 ms, … n ms.
func ramp(n int) (samples []float64) {
	for i := 1; i <= n; i++ {
		samples = append(samples, float64(i)*1e6)
	}
	return samples
}

func TestSummarize(t *testing.T) {
	crashed := Measurement{Cell: Cell{Batch: 4}, State: evidence.Crashed}
	device := measured(9e6, 9e6, 9e6)
	device.DeviceSamples, device.EndToEnd = []float64{2e6, 2e6, 4e6}, []float64{1e7}
	for _, c := range []struct {
		name string
		list []Measurement
		of   Series
		want string
	}{
		{"nothing", nil, HostSamples, `null`},
		{"nothing measured", []Measurement{crashed}, HostSamples, `null`},
		{"no clock of a device", []Measurement{measured(1e6)}, DeviceSamples, `null`},
		{"one sample", []Measurement{measured(2e6)}, HostSamples,
			`{"replicates":1,"samples":1,"p50_ms":2,"p90_ms":2,"p95_ms":2,"p99_ms":null,"p99_needs":1,"throughput_per_s":2000,"spread":0}`},
		{"pooled over replicates", []Measurement{measured(1e6, 1e6, 1e6), crashed, measured(3e6, 3e6, 3e6)}, HostSamples,
			`{"replicates":2,"samples":6,"p50_ms":2,"p90_ms":3,"p95_ms":3,"p99_ms":null,"p99_needs":1,"throughput_per_s":2000,"spread":1}`},
		{"a ramp", []Measurement{measured(ramp(101)...)}, HostSamples,
			`{"replicates":1,"samples":101,"p50_ms":51,"p90_ms":91,"p95_ms":96,"p99_ms":null,"p99_needs":1,"throughput_per_s":78.43137254901961,"spread":0}`},
		{"the device's clock", []Measurement{device, measured(1e6)}, DeviceSamples,
			`{"replicates":1,"samples":3,"p50_ms":2,"p90_ms":3.6,"p95_ms":3.8,"p99_ms":null,"p99_needs":1,"throughput_per_s":2000,"spread":0}`},
		{"whole runs", []Measurement{device, measured(1e6)}, EndToEndSamples,
			`{"replicates":1,"samples":1,"p50_ms":10,"p90_ms":10,"p95_ms":10,"p99_ms":null,"p99_needs":1,"throughput_per_s":400,"spread":0}`},
	} {
		s := Summarize(c.list, c.of)
		needs := 0
		if s != nil {
			needs, s.P99Needs = s.P99Needs, 1 // the number itself is package stat's
		}
		var want *Summary
		if err := json.Unmarshal([]byte(c.want), &want); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(s, want) || s != nil && needs < 101 {
			got, _ := json.Marshal(s)
			t.Errorf("%s: %s (p99 needs %d), want %s", c.name, got, needs, c.want)
		}
	}
}

// TestSummaryOfMany has enough samples for a p99, in any order.
func TestSummaryOfMany(t *testing.T) {
	needs := Summarize([]Measurement{measured(1)}, HostSamples).P99Needs
	samples := ramp(needs)
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(samples), func(i, j int) { samples[i], samples[j] = samples[j], samples[i] })
	for n, want := range map[int]bool{needs - 1: false, needs: true} {
		s := Summarize([]Measurement{measured(samples[:n]...)}, HostSamples)
		if (s.P99 != nil) != want || want != (s.P99Needs == 0) {
			t.Errorf("%d samples: p99 %v, needs %d", n, s.P99, s.P99Needs)
		}
		if want && (*s.P99 < s.P95 || *s.P99 < 0.98*float64(n) || *s.P99 > float64(n)) {
			t.Errorf("%d samples: p99 is %v", n, *s.P99)
		}
	}
}

// One replicate shows no spread: that it were 0 % would be a claim.
func TestSpreadText(t *testing.T) {
	for want, s := range map[string]*Summary{"–": {Replicates: 1}, "0.0 %": {Replicates: 2}, "12.3 %": {Replicates: 3, Spread: 0.1234}} {
		if got := s.SpreadText(1); got != want {
			t.Errorf("SpreadText of %+v = %q, want %q", *s, got, want)
		}
	}
}

func TestDigits(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 490196: "490196", 1234.4: "1234", 129.94: "129.9", 33: "33.00", 0.102: "0.1020", 0.0006512: "0.0006512", 1e-7: "1e-07"} {
		if got := Digits(v); got != want {
			t.Errorf("%g is told as %s, want %s", v, got, want)
		}
	}
}
