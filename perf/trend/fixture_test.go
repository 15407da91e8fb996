package trend

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/env"
	"github.com/apex-x/apexx/perf/gate"
	"github.com/apex-x/apexx/perf/stat"
	"github.com/apex-x/apexx/perf/sweep"
)

var (
	cellA = perf.Cell{Backend: "reference", Profile: "nano", Precision: backends.FP32, Height: 256, Width: 256, Batch: 1, Scope: perf.Network}
	cellB = perf.Cell{Backend: "ort", Profile: "nano", Precision: backends.FP32, Height: 256, Width: 256, Batch: 1, Scope: perf.Complete}
	epoch = time.Date(2026, 3, 2, 5, 0, 0, 0, time.UTC)
)

// sweepOf is the result of a sweep of two cells on day d, with the given median of the first in milliseconds.
func sweepOf(day int, commit string, ms float64) *sweep.Result {
	r := rand.New(rand.NewPCG(uint64(day), 1))
	s := &sweep.Result{Schema: sweep.SchemaID, When: epoch.AddDate(0, 0, day), Version: "v0.3.0",
		Environment: env.Environment{Commit: commit, Go: "go1.26.8", Libraries: []env.Fact{{Key: "onnxruntime", Value: "1.30.0"}}},
		Class:       env.Class{Kind: env.SharedCPU, ID: "cpu-amd-epyc-2c"}}
	for _, c := range []struct {
		cell perf.Cell
		ms   float64
	}{{cellA, ms}, {cellB, 4}} {
		var pooled []float64
		for replicate := range 3 {
			m := perf.Measurement{Cell: c.cell, Arm: perf.Head, Replicate: replicate, State: evidence.Measured}
			level := c.ms * (1 + 0.01*r.NormFloat64()) // a replicate has a level of its own
			for range 40 {
				sample := level * (1 + 0.02*r.ExpFloat64())
				m.Samples = append(m.Samples, sample*1e6)
				pooled = append(pooled, sample)
			}
			s.Measurements = append(s.Measurements, m)
		}
		s.Cells = append(s.Cells, sweep.CellResult{Cell: c.cell, Name: c.cell.String(), State: evidence.Measured, HostPeakBytes: 200 << 20,
			Parity:  perf.Parity{State: "pass"},
			Summary: &perf.Summary{Replicates: 3, Samples: 120, P50: stat.Median(pooled), P90: stat.Quantile(pooled, 0.9), P95: stat.Quantile(pooled, 0.95)}})
	}
	return s
}

// gateOf is the record of a gate over the first cell.
func gateOf(commit string, baseMS, headMS float64) *gate.Record {
	g := &gate.Record{Schema: gate.SchemaID, When: epoch, Class: env.Class{Kind: env.SharedCPU, ID: "cpu-amd-epyc-2c"},
		Head: gate.Build{Revision: commit, Version: "v0.3.1", Modified: true}, Verdict: &gate.Verdict{Outcome: gate.Pass},
		Parity: []gate.CellParity{{Cell: cellA, Parity: perf.Parity{State: "pass"}}}}
	for block := range 5 {
		for _, arm := range []perf.Arm{perf.Base, perf.Head} {
			ms := map[perf.Arm]float64{perf.Base: baseMS, perf.Head: headMS}[arm] + float64(block)/100
			m := perf.Measurement{Cell: cellA, Arm: arm, Block: block, State: evidence.Measured, Samples: []float64{ms * 1e6, ms * 1e6, ms * 1e6}}
			g.Screen = append(g.Screen, m)
			m.Control = true // base against base: no measurement of the head
			m.Samples = []float64{1e9}
			g.Screen = append(g.Screen, m)
		}
	}
	return g
}

func jsonOf(t testing.TB, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func read(t testing.TB, v any, facts Facts) *Run {
	t.Helper()
	run, err := Read(bytes.NewReader(jsonOf(t, v)), facts)
	if err != nil {
		t.Fatal(err)
	}
	return run
}

// artifactText is a trend artifact as the original writes one for its GPU suite.
const artifactText = `{
  "current_status": "ok",
  "failed_metrics": 2,
  "metrics": [
    {
      "allowed_max_ms": 0.73,
      "baseline_ms": 0.3,
      "current_ms": 0.31000000000000005,
      "metric": "benchmarks.tile_ops.tilepack.dispatch.p50_ms",
      "regression_ratio": 0.03333333333333344,
      "status": "pass"
    },
    {
      "allowed_max_ms": 0.89,
      "baseline_ms": 0.4,
      "current_ms": null,
      "metric": "benchmarks.tile_ops.tileunpack.dispatch.p50_ms",
      "regression_ratio": null,
      "status": "missing"
    },
    {
      "allowed_max_ms": 1.05,
      "baseline_ms": 0.5,
      "current_ms": 1.2,
      "metric": "benchmarks.tilessm.triton_dispatch.p50_ms",
      "regression_ratio": 1.4,
      "status": "fail"
    }
  ],
  "overall_status": "fail",
  "required_status": "ok",
  "schema_version": 1,
  "suite": "apex_x_gpu_benchmark",
  "timestamp_utc": "2026-02-02T05:03:11.120034Z",
  "total_metrics": 3
}
`
