package reports

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/model/config"
	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/baseline"
	"github.com/apex-x/apexx/perf/gate"
	"github.com/apex-x/apexx/perf/sweep"
	"github.com/apex-x/apexx/perf/sweep/sweeptest"
)

// encoded is what a writer wrote, as JSON values.
func encoded(t *testing.T, write func(io.Writer) error) any {
	t.Helper()
	var b bytes.Buffer
	if err := write(&b); err != nil {
		t.Fatal(err)
	}
	var v any
	if err := json.Unmarshal(b.Bytes(), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// refuses checks that each edit of a valid value makes it invalid.
func refuses(t *testing.T, schema []byte, value any, edits map[string]any) {
	t.Helper()
	for path, to := range edits {
		if err := validate(t, schema, edit(t, value, path, to)); err == nil {
			t.Errorf("%s = %v is valid", path, to)
		}
	}
}

var sweeps = map[string]sweeptest.Spec{
	"cpu":     {Backends: []string{"reference", "ort", "cuda"}, Samples: 5},
	"gpu":     {GPU: true, Backends: []string{"reference", "cuda", "tensorrt"}, Sides: []int{512}, Samples: 170, Replicates: 4, Scopes: perf.Scopes},
	"quality": {Precisions: []backends.Precision{backends.FP32, backends.INT8}, Sides: []int{512}, Samples: 5, Quality: true, Scopes: []perf.Scope{perf.Complete, perf.Network}},
	"skipped": {Backends: []string{"cuda"}},
}

// modelSweep is the sweep of a model that is not Apex-X.
func modelSweep() *sweep.Result {
	r := sweeptest.New(1, sweeptest.Spec{Backends: []string{"reference", "ort"}, Sides: []int{512}, Scopes: []perf.Scope{perf.Network}, Samples: 5})
	of := func(c *perf.Cell) { *c = perf.ModelCell(c.Backend, "resnet50", c.Precision) }
	for i := range r.Cells {
		of(&r.Plan.Cells[i])
		of(&r.Cells[i].Cell)
		r.Cells[i].Name = r.Cells[i].Cell.String()
	}
	for i := range r.Measurements {
		of(&r.Measurements[i].Cell)
	}
	r.Plan.Weights, r.Plan.Inputs = map[string]string{"resnet50": strings.Repeat("a", 64)}, strings.Repeat("b", 64)
	return r
}

// TestModelSweep reads and shows the sweep of a model that is not Apex-X: it has no images, and what runs it takes per second are counted.
func TestModelSweep(t *testing.T) {
	r := modelSweep()
	if err := r.Validate(); err != nil {
		t.Fatal(err)
	}
	if err := validate(t, SweepSchema, r); err != nil {
		t.Error(err)
	}
	refuses(t, SweepSchema, r, map[string]any{"cells/cell/height": 512, "cells/cell/batch": 2, "plan/inputs": "x"})
	var table, page strings.Builder
	if err := errors.Join(SweepTable(&table, r, TableOptions{}), SweepHTML(&page, r)); err != nil {
		t.Fatal(err)
	}
	for text, where := range map[string]string{"runs/s": table.String(), "ort/resnet50/fp32/model": table.String(), ">ort fp32<": page.String(), ">runs/s<": page.String(), "resnet50, model": page.String()} {
		if !strings.Contains(where, text) {
			t.Errorf("%q is not in %s", text, where)
		}
	}
}

func TestSweepSchema(t *testing.T) {
	for name, spec := range sweeps {
		r := sweeptest.New(1, spec)
		if err := validate(t, SweepSchema, encoded(t, func(w io.Writer) error { return sweep.WriteJSON(w, r) })); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		var lines strings.Builder
		if err := sweep.WriteJSONL(&lines, r); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(lines.String()) {
			if err := validate(t, SweepSchema, json.RawMessage(line)); err != nil {
				t.Errorf("%s: %s: %v", name, line, err)
			}
		}
	}
	r := sweeptest.New(1, sweeptest.Spec{GPU: true, Backends: []string{"cuda"}, Samples: 3})
	if err := validate(t, SweepSchema, r); err != nil {
		t.Fatal(err)
	}
	refuses(t, SweepSchema, r, map[string]any{
		"schema": "apexx.sweep/1", "when": "yesterday", "class/kind": "tpu", "class/id": "A B", "plan": nil, "plan/replicates": 0, "plan/extra": 1,
		"cells/name": "x", "cells/state": "fine", "cells/summary": nil, "cells/summary/p50_ms": -1, "cells/summary/p99_ms": "none",
		"cells/summary/samples": 1.5, "cells/parity/state": "maybe", "cells/work/budgets/b4": map[string]any{}, "cells/cell/height": 0,
		"measurements/samples_ns": nil, "measurements/samples_ms": []any{1}, "measurements/state": "crashed", "measurements/replicate": -1,
		"measurements/cell/scope": "everything", "measurements/arm": "side", "environment/cpu/cores": "two", "environment/load_average": []any{1, 2},
		"measurements/devices/power_w": "NaN",
	})
	unmeasured := edit(t, r, "cells/summary", any(json.RawMessage("null")))
	if err := validate(t, SweepSchema, unmeasured); err == nil {
		t.Error("a measured cell without a summary is valid")
	}
	line := sweep.CellLine{Schema: sweep.CellSchemaID, When: r.When, ClassID: r.Class.ID, CellResult: r.Cells[0]}
	refuses(t, SweepSchema, line, map[string]any{"schema": "apexx.sweep-cell/1", "class_id": nil, "samples_ns": []any{1}, "state": "fine"})
}

func sampleGate() *gate.Record {
	r := sweeptest.New(1, sweeptest.Spec{GPU: true, Backends: []string{"reference", "cuda"}, Samples: 3, Replicates: 2})
	rec := &gate.Record{Schema: gate.SchemaID, When: r.When, Version: r.Version, Command: "apexx gate", Environment: r.Environment, Class: r.Class,
		Base: gate.Build{Path: "old/apexx", Version: "v1", Revision: "abc", Protocol: "1.2"}, Head: gate.Build{Path: "apexx", Version: "v2", Modified: true},
		Policy: gate.DefaultPolicy(), Named: []string{"cuda", "fp32"}, Accepted: "better masks", Cells: r.Plan.Cells}
	estimate := &gate.Estimate{Blocks: 5, Ratio: 1.1, Low: 1.05, High: 1.2, P: 0.03, Base: 1, Head: 1.1, Values: []float64{0.1, -0.02}}
	verdict := &gate.Verdict{Outcome: gate.Regression, ExitCode: 1, Reasons: []string{"slower"}, Resolution: 0.05,
		Controls: []gate.Control{{Name: "A/A", Estimate: estimate}, {Name: "fixed"}}}
	for _, c := range r.Cells {
		rec.Parity = append(rec.Parity, gate.CellParity{Cell: c.Cell, Parity: c.Parity, Base: c.Parity, Change: &c.Parity, Work: c.Work})
		verdict.Cells = append(verdict.Cells, gate.Cell{Cell: c.Cell, Name: c.Name, State: gate.CellRegressed, Resolution: 0.1, Parity: c.Parity, Change: &c.Parity,
			Series: []gate.Series{{Metric: gate.Time, State: gate.CellRegressed, Screen: estimate, Confirm: estimate}, {Metric: gate.Allocs, State: gate.CellNoisy, Note: "two blocks"}}})
	}
	for i, m := range r.Measurements {
		m.Arm, m.Block = []perf.Arm{perf.Base, perf.Head}[i%2], i/2
		m.Outputs = &perf.Outputs{FirstSHA256: strings.Repeat("0a", 32), LastSHA256: strings.Repeat("0b", 32), Parity: perf.Parity{State: "pass"}}
		rec.Screen = append(rec.Screen, m)
	}
	rec.Verdict = verdict
	return rec
}

func TestGateSchema(t *testing.T) {
	rec := sampleGate()
	if err := validate(t, GateSchema, rec); err != nil {
		t.Error(err)
	}
	refuses(t, GateSchema, rec, map[string]any{
		"schema": "apexx.gate/1", "policy/alpha": 0, "policy/targets/cpu/limits/time/delta": -0.1, "screen/outputs/last_sha256": "0b", "parity/base": nil, "verdict/outcome": "fine", "verdict/exit_code": 0, "verdict/cells/state": "slow",
		"verdict/cells/series/screen/p": 1.5, "verdict/cells/series/screen/values": []any{"NaN"}, "verdict/cells/series/metric": "speed", "screen/samples_ns": []any{}, "screen/arm": "left",
		"base/path": nil, "cells/batch": 0, "extra": 1, "verdict/controls/fired": "no", "parity/parity/max_abs": -1,
	})
	rec.Verdict, rec.Screen, rec.Parity = nil, nil, nil // before anything was measured
	if err := validate(t, GateSchema, rec); err != nil {
		t.Error(err)
	}
}

func TestSelfcheckSchema(t *testing.T) {
	h := gate.SelfcheckHeader{Schema: gate.SelfcheckSchemaID, Class: sampleGate().Class, Policy: gate.DefaultPolicy(), Cells: sampleGate().Cells}
	trial := gate.Trial{Outcome: gate.Pass, Version: "1", Blocks: [][]float64{{0.1, -0.1, 0, 0.2, -0.2}, {0.1, 0.2, -0.1, 0, 0.05}},
		Others: map[gate.Metric][][]float64{gate.Compile: {{0.1, -0.1, 0, 0.2, -0.2}}}}
	stepped := trial
	stepped.Steps = [][][]float64{{{0.1, -0.1, 0, 0.2, -0.2}}}
	for _, trials := range [][]gate.Trial{nil, {trial, trial}, {stepped}} {
		if err := validate(t, SelfcheckSchema, gate.NewSelfcheck(h, trials, sweeptest.When, 10)); err != nil {
			t.Error(err)
		}
	}
	refuses(t, SelfcheckSchema, gate.NewSelfcheck(h, []gate.Trial{trial}, sweeptest.When, 10), map[string]any{
		"schema": "apexx.gate/1", "tallies/trials": -1, "noise/outlier_share": 1, "noise/sd": "x", "simulated/runs": 0, "policy/alpha": 0, "extra": 1,
		"cells": []any{}, "until": "yesterday",
	})
}

func TestBaselineSchema(t *testing.T) {
	b, err := baseline.New(sweeptest.New(1, sweeptest.Spec{}), strings.Repeat("0a", 32), baseline.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := validate(t, BaselineSchema, encoded(t, b.Write)); err != nil {
		t.Error(err)
	}
	b.Noise = &baseline.Noise{Noise: gate.Noise{SD: 0.02, OutlierShare: 0.05, OutlierScale: 6, SharedSD: 0.01, Blocks: 200}, Measured: sweeptest.When}
	b.Settings.Options = map[string]map[string]string{"ort": {"provider": "cpu"}}
	if err := validate(t, BaselineSchema, b); err != nil {
		t.Error(err)
	}
	const metric = "metrics"
	refuses(t, BaselineSchema, b, map[string]any{
		"schema": "x", "schema_version": 2, "suite": "other", "required_status": "partial", "delta": 0, metric: map[string]any{},
		metric + "/infer_p50_ms": map[string]any{"value_ms": 1}, "noise/outlier_share": 1, "noise/sd": 0, "provenance/result_sha256": "abc",
		"class/id": "../x", "extra": 1, "settings/threads": -1, "software/key": "",
	})
	one := map[string]any{"value_ms": 1.0}
	if err := validate(t, BaselineSchema, edit(t, b, metric, map[string]any{"ort/nano/fp32/256x256/b1/complete.p50_ms": one})); err != nil {
		t.Errorf("a metric with the default tolerances: %v", err)
	}
	for _, bad := range []map[string]any{{}, {"value_ms": -1.0}, {"value_ms": "1"}, {"value_ms": 1.0, "value_us": 1.0}} {
		if err := validate(t, BaselineSchema, edit(t, b, metric, map[string]any{"ort/nano/fp32/256x256/b1/complete.p50_ms": bad})); err == nil {
			t.Errorf("metric %v is valid", bad)
		}
	}
}

func TestSuitesSchema(t *testing.T) {
	for _, absent := range []bool{false, true} {
		r := sweeptest.New(8, sweeptest.Spec{GPU: true, Backends: []string{"tensorrt"}, Scopes: []perf.Scope{perf.Complete}, Absent: func(perf.Cell) bool { return absent }})
		report := sweep.EngineReport(r)
		if err := validate(t, SuitesSchema, encoded(t, report.Write)); err != nil {
			t.Error(err)
		}
		refuses(t, SuitesSchema, report, map[string]any{"suite": "x", "cases": []any{}, "status": "fine", "summary/ok_count": -1, "environment/dtype": "fp16", "config/shape_cases": []any{"1x3x2"}})
	}
	cfg, err := config.Parse(nil, []string{"model.profile=nano"})
	if err != nil {
		t.Fatal(err)
	}
	view := sweep.View{Profile: "nano", Precision: backends.FP32, Height: 512, Width: 512, Batch: 1, Config: cfg}
	for name, spec := range sweeps {
		r := sweeptest.New(1, spec)
		if err := validate(t, SuitesSchema, encoded(t, sweep.GPUReport(r, view).Write)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if name == "skipped" {
			continue
		}
		report, err := sweep.CPUReport(r, view)
		if err != nil {
			t.Fatal(err)
		}
		if err := validate(t, SuitesSchema, encoded(t, report.Write)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		refuses(t, SuitesSchema, report, map[string]any{"suite": "x", "metrics": map[string]any{}, "metrics/infer_p50_ms": "1", "metrics/infer_p42_ms": 1, "config/seed": nil})
	}
	gpu := sweep.GPUReport(sweeptest.New(1, sweeps["gpu"]), view)
	refuses(t, SuitesSchema, gpu, map[string]any{"benchmarks": map[string]any{}, "reason": "x", "timestamp_utc": "2026-03-01T12:00:00Z",
		"benchmarks/tilessm/tensorrt_plugin/status": "skipped", "benchmarks/tile_ops/tilepack/dispatch/tiles_per_s": nil, "environment/dtype": "fp4"})
}

func TestComparisonSchemas(t *testing.T) {
	r := sweeptest.New(1, sweeptest.Spec{})
	b, err := baseline.New(r, strings.Repeat("0a", 32), baseline.Options{})
	if err != nil {
		t.Fatal(err)
	}
	broken := sweeptest.New(1, sweeptest.Spec{Sides: []int{256}, Scale: func(perf.Cell) float64 { return 9 }})
	for _, current := range []*sweep.Result{r, broken, sweeptest.New(1, sweeps["skipped"])} {
		c, err := baseline.Compare(b, current)
		if err != nil {
			t.Fatal(err)
		}
		summary := encoded(t, func(w io.Writer) error { return baseline.WriteCompareSummary(w, c) })
		if err := validate(t, CompareSchema, summary); err != nil {
			t.Error(err)
		}
		refuses(t, CompareSchema, summary, map[string]any{"status": "maybe", "current_status": nil, "checks/metric": nil, "checks/regression_ms": 1})
		trend := encoded(t, func(w io.Writer) error { return baseline.WriteTrendArtifact(w, c, time.Now()) })
		if err := validate(t, TrendArtifactSchema, trend); err != nil {
			t.Error(err)
		}
		refuses(t, TrendArtifactSchema, trend, map[string]any{"schema_version": 2, "timestamp_utc": "2026-03-01T12:00:00+00:00", "failed_metrics": -1, "metrics/current_ms": "1"})
	}
}
