package sweep_test

import (
	"bytes"
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/model/config"
	"github.com/apex-x/apexx/internal/goldenfile"
	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/sweep"
	"github.com/apex-x/apexx/perf/sweep/sweeptest"
)

func view(t *testing.T, p backends.Precision) sweep.View {
	t.Helper()
	cfg, err := config.Parse(nil, []string{"model.profile=nano"})
	if err != nil {
		t.Fatal(err)
	}
	return sweep.View{Profile: "nano", Precision: p, Height: 512, Width: 512, Batch: 2, Config: cfg}
}

// text writes a report and gives it back as JSON values.
func text(t *testing.T, r sweep.Report) ([]byte, map[string]any) {
	t.Helper()
	var b bytes.Buffer
	if err := r.Write(&b); err != nil {
		t.Fatal(err)
	}
	var tree map[string]any
	if err := json.Unmarshal(b.Bytes(), &tree); err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), tree
}

// at follows a dotted path.
func at(t *testing.T, tree map[string]any, path string) any {
	t.Helper()
	var v any = tree
	for _, k := range strings.Split(path, ".") {
		m, ok := v.(map[string]any)
		if !ok {
			t.Fatalf("%s: %v is no object at %s", path, v, k)
		}
		if v, ok = m[k]; !ok {
			t.Fatalf("%s: no key %s", path, k)
		}
	}
	return v
}

func gpuResult() *sweep.Result {
	return sweeptest.New(8, sweeptest.Spec{GPU: true, Backends: []string{"reference", "cuda", "tensorrt"}, Batches: []int{2}, Samples: 25,
		Precisions: []backends.Precision{backends.FP16, backends.FP8},
		Absent: func(c perf.Cell) bool {
			return c.Precision == backends.FP8 && c.Backend != "reference" || c.Backend == "tensorrt" && c.Scope != perf.Complete
		}})
}

func TestCPUReport(t *testing.T) {
	r := sweeptest.New(8, sweeptest.Spec{Batches: []int{2}, Samples: 25})
	report, err := sweep.CPUReport(r, view(t, backends.FP32))
	if err != nil {
		t.Fatal(err)
	}
	raw, tree := text(t, report)
	goldenfile.Check(t, "view_cpu.json", raw)
	samples := pooled(r, "reference/nano/fp32/512x512/b2/complete")
	if got := at(t, tree, "metrics.infer_p50_ms"); got != samples[62]/1e6 { // 125 samples
		t.Errorf("infer_p50_ms %v, want %v", got, samples[62]/1e6)
	}
	if got := at(t, tree, "metrics.infer_p95_ms"); got != samples[117]/1e6 { // ⌊0.95·124⌋
		t.Errorf("infer_p95_ms %v, want %v", got, samples[117]/1e6)
	}
}

func TestCPUReportWithout(t *testing.T) {
	r := sweeptest.New(8, sweeptest.Spec{Batches: []int{2}, Absent: func(c perf.Cell) bool { return c.Scope == perf.TilePack }})
	report, err := sweep.CPUReport(r, view(t, backends.FP32))
	if err != nil {
		t.Fatal(err)
	}
	metrics := report["metrics"].(map[string]float64)
	if _, ok := metrics["tile_pack_p50_ms"]; ok || len(metrics) != 4 {
		t.Errorf("metrics %v", metrics)
	}
	if _, err := sweep.CPUReport(r, view(t, backends.FP16)); err == nil || !strings.Contains(err.Error(), "reference/nano/fp16/512x512/b2") {
		t.Errorf("nothing measured: %v", err)
	}
}

func pooled(r *sweep.Result, name string) []float64 {
	var out []float64
	for _, m := range r.Measurements {
		if m.Cell.String() == name {
			out = append(out, m.Samples...)
		}
	}
	slices.Sort(out)
	return out
}

func TestGPUReport(t *testing.T) {
	raw, tree := text(t, sweep.GPUReport(gpuResult(), view(t, backends.FP16)))
	goldenfile.Check(t, "view_gpu.json", raw)
	for path, want := range map[string]any{
		"status": "ok", "environment.device": "cuda", "environment.fp8_requested": false, "environment.fp8_fallback_reason": nil,
		"environment.effective_dtype": "fp16", "environment.runtime_caps.cuda.device_name": "NVIDIA H200",
		"benchmarks.tile_ops.tilepack.backend": "cuda", "benchmarks.tile_ops.tilepack.reference.peak_memory_mb": nil,
		"benchmarks.tile_ops.fusion_gate.dispatch.peak_memory_mb": 300.0, "benchmarks.tilessm.tensorrt_plugin.status": "skipped",
		"benchmarks.tilessm.tensorrt_plugin.reason": "worker_not_found", "benchmarks.end_to_end_infer.tensorrt_engine.status": "ok",
		"benchmarks.end_to_end_infer.torch_eager.selected_l0_per_call": 32.0, "benchmarks.end_to_end_infer.torch_eager.budget_b1_spent": 6.4,
		"triton_autotune.summary.cache_hit_rate": nil, "config.channels": 64.0, "config.height": 64.0, "timestamp_utc": "2026-03-01T12:00:00.000000+00:00",
	} {
		if got := at(t, tree, path); got != want {
			t.Errorf("%s is %v, want %v", path, got, want)
		}
	}
	for path, items := range map[string]float64{"tile_ops.tilepack.dispatch/tiles_per_s": 32, "tile_ops.fusion_gate.reference/elements_per_s": 2 * 64 * 64 * 64,
		"tilessm.triton_dispatch/tokens_per_s": 32, "end_to_end_infer.torch_triton_fastpath/frames_per_s": 2} {
		variant, key, _ := strings.Cut(path, "/")
		m := at(t, tree, "benchmarks."+variant).(map[string]any)
		if got, want := m[key].(float64), items/(m["p50_ms"].(float64)/1000); math.Abs(got/want-1) > 1e-12 {
			t.Errorf("%s is %g, want %g", path, got, want)
		}
	}
}

// TestReportsOfWrongCells: how fast something is that is wrong, or that nobody verified, stands in no report.
func TestReportsOfWrongCells(t *testing.T) {
	ends := func(state evidence.State, r *sweep.Result, backends ...string) *sweep.Result {
		for i := range r.Cells {
			if c := &r.Cells[i]; slices.Contains(backends, c.Cell.Backend) && c.Cell.Scope == perf.Complete {
				c.Parity.State = state
			}
		}
		return r
	}
	for _, state := range []evidence.State{evidence.Fail, evidence.Unverified} {
		_, tree := text(t, sweep.GPUReport(ends(state, gpuResult(), "cuda", "tensorrt"), view(t, backends.FP16)))
		for _, entry := range []string{"tensorrt_engine", "torch_triton_fastpath"} {
			m := at(t, tree, "benchmarks.end_to_end_infer."+entry).(map[string]any)
			if len(m) != 2 || m["status"] != "failed" || m["reason"] != "parity:"+string(state) {
				t.Errorf("%s is %v", entry, m)
			}
		}
	}
	report, err := sweep.CPUReport(ends(evidence.Fail, sweeptest.New(8, sweeptest.Spec{Batches: []int{2}}), "reference"), view(t, backends.FP32))
	if err != nil {
		t.Fatal(err)
	}
	if metrics := report["metrics"].(map[string]float64); len(metrics) != 3 || metrics["tile_pack_p50_ms"] == 0 {
		t.Errorf("metrics %v", metrics)
	}
}

func TestGPUReportFP8(t *testing.T) {
	_, tree := text(t, sweep.GPUReport(gpuResult(), view(t, backends.FP8)))
	for path, want := range map[string]any{"environment.requested_dtype": "fp8", "environment.effective_dtype": "fp16", "environment.dtype": "fp16",
		"environment.fp8_requested": true, "environment.fp8_enabled": false, "environment.fp8_fallback_reason": "worker_not_found",
		"config.dtype": "fp8", "environment.runtime_caps.fp8.available": false, "benchmarks.tile_ops.tilepack.backend": "cuda"} {
		if got := at(t, tree, path); got != want {
			t.Errorf("%s is %v, want %v", path, got, want)
		}
	}
}

func TestGPUReportSkipped(t *testing.T) {
	r := sweeptest.New(8, sweeptest.Spec{Backends: []string{"cuda"}, Batches: []int{2}})
	raw, tree := text(t, sweep.GPUReport(r, view(t, backends.FP32)))
	goldenfile.Check(t, "view_gpu_skipped.json", raw)
	for path, want := range map[string]any{"status": "skipped", "reason": "worker_not_found", "environment.device": "cpu",
		"environment.runtime_caps.cuda.reason": "cuda_unavailable"} {
		if got := at(t, tree, path); got != want {
			t.Errorf("%s is %v, want %v", path, got, want)
		}
	}
	if got := at(t, tree, "benchmarks").(map[string]any); len(got) > 0 {
		t.Errorf("benchmarks %v", got)
	}
}

// TestGPUReportOnCPU checks a machine without a GPU: ort is what dispatch ran on, and a section without cells says so.
func TestGPUReportOnCPU(t *testing.T) {
	r := sweeptest.New(8, sweeptest.Spec{Batches: []int{2}, Scopes: []perf.Scope{perf.TilePack, perf.Complete}})
	_, tree := text(t, sweep.GPUReport(r, view(t, backends.FP32)))
	for path, want := range map[string]any{"status": "ok", "benchmarks.tile_ops.tilepack.backend": "ort", "environment.device": "cpu",
		"benchmarks.tilessm.backend": nil, "benchmarks.tilessm.fallback_reason": "not_measured", "benchmarks.tilessm.torch_reference.status": "skipped",
		"benchmarks.tilessm.triton_dispatch.reason": "not_measured", "environment.runtime_caps.any_gpu_runtime": false} {
		if got := at(t, tree, path); got != want {
			t.Errorf("%s is %v, want %v", path, got, want)
		}
	}
}
