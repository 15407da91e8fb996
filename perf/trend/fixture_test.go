package trend

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/env"
	"github.com/apex-x/apexx/perf/gate"
	"github.com/apex-x/apexx/perf/sweep"
	"github.com/apex-x/apexx/perf/sweep/sweeptest"
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
		Environment: env.Environment{Commit: commit, Go: "go1.26.8", CPU: env.CPU{Model: "AMD EPYC", Cores: 2}, Libraries: []env.Software{{Key: "onnxruntime", Value: "1.30.0"}}},
		Class:       env.Class{Kind: env.SharedCPU, ID: "cpu-amd-epyc-2c", CPU: "AMD EPYC", Cores: 2},
		Plan:        sweep.Plan{Cells: []perf.Cell{cellA, cellB}, Replicates: 3, Iterations: 40, BoundNS: time.Hour.Nanoseconds()}}
	for _, c := range []struct {
		cell perf.Cell
		ms   float64
	}{{cellA, ms}, {cellB, 4}} {
		for replicate := range 3 {
			m := perf.Measurement{Cell: c.cell, Arm: perf.Head, Replicate: replicate, State: evidence.Measured, HostPeakBytes: 200 << 20,
				Outputs: sweeptest.Outputs(perf.Parity{State: evidence.Pass})}
			level := c.ms * (1 + 0.01*r.NormFloat64()) // a replicate has a level of its own
			for range 40 {
				m.Samples = append(m.Samples, level*(1+0.02*r.ExpFloat64())*1e6)
			}
			m.EndToEnd = []float64{1.1 * m.Samples[0]}
			s.Measurements = append(s.Measurements, m)
		}
	}
	sum(s)
	return s
}

// sum sums up the cells of a sweep, all of which compute what they should.
func sum(s *sweep.Result) {
	s.Cells = nil
	for _, c := range s.Plan.Cells {
		of := sweep.Sum(c, s.Measurements)
		of.Parity = perf.Parity{State: evidence.Pass}
		if c.Scope == perf.Complete {
			of.Work = &perf.Work{TilesL0: []int{8}, Budgets: map[string]perf.Budget{"b1": {}, "b2": {}, "b3": {}}}
		}
		s.Cells = append(s.Cells, of)
	}
}

// scaleSweep multiplies every time of a sweep.
func scaleSweep(s *sweep.Result, factor float64) *sweep.Result {
	for _, m := range s.Measurements {
		for i := range m.Samples {
			m.Samples[i] *= factor
		}
		m.EndToEnd[0] *= factor
	}
	sum(s)
	return s
}

// gateText is a record that a gate wrote of two cells of the reference, the second of which is slower at the head.
func gateText(t testing.TB) []byte {
	t.Helper()
	text, err := os.ReadFile("../../cmd/apexx/testdata/gate-regression.json")
	if err != nil {
		t.Fatal(err)
	}
	var g gate.Record
	if err := json.Unmarshal(text, &g); err != nil {
		t.Fatal(err)
	}
	g.Head.Revision = "feed"
	return jsonOf(t, &g)
}

// gateWith changes one thing of gateText.
func gateWith(t testing.TB, change func(*gate.Record)) string {
	t.Helper()
	var g gate.Record
	if err := json.Unmarshal(gateText(t), &g); err != nil {
		t.Fatal(err)
	}
	change(&g)
	return string(jsonOf(t, &g))
}

func jsonOf(t testing.TB, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func read(t testing.TB, v any, origin Origin) *Run {
	t.Helper()
	run, err := Read(bytes.NewReader(jsonOf(t, v)), origin)
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
