package sweep

import (
	"slices"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/perf"
)

// gpuView is a View with what GPUReport finds out about it.
type gpuView struct {
	*View
	result    *Result
	dispatch  string             // the backend of the dispatch variants, "" where none was measured
	effective backends.Precision // Precision, or fp16 where fp8 was asked for and cannot be had
	work      *perf.Work         // nil where no whole-model scope was measured
}

// GPUReport returns the view as a report of the suite apex_x_gpu_benchmark (spec/perf.md 3.3).
//
//	tile_ops.tilepack      scope tile-pack     reference, dispatch
//	tile_ops.tileunpack    scope tile-unpack   reference, dispatch
//	tile_ops.fusion_gate   scope fusion-gate   reference, dispatch
//	tilessm                scope ssm-scan      torch_reference, triton_dispatch, tensorrt_plugin
//	end_to_end_infer       scope complete      torch_eager, torch_triton_fastpath, tensorrt_engine
//
// The reference variants (torch_reference, torch_eager) are the backend reference; the dispatch variants are the first other
// backend of the plan of which the workload has a measured cell, tensorrt excepted, which has entries of its own. A variant
// without a measured cell is {"status": "skipped", "reason": …}; without any the whole report is skipped, as the original's.
//
// Times are the host clock's over all replicates, p95 by the original's rule; peak_memory_mb is the device's, in MiB, null
// without a device. Throughput counts what was done: the tiles selected, not kmax; tokens, not tokens times channels. Where
// fp8 was requested and no backend but the reference measured it, the cells of fp16 stand in, with the reason.
func GPUReport(r *Result, v View) Report {
	g := r.gpuView(&v)
	skipped := g.skipped()
	report := Report{
		"schema_version": 1,
		"suite":          "apex_x_gpu_benchmark",
		"timestamp_utc":  r.When.UTC().Format("2006-01-02T15:04:05.000000-07:00"),
		"environment":    g.environment(),
		"config":         g.config(),
		"status":         "ok",
		"benchmarks":     map[string]any{},
		"triton_autotune": map[string]any{"entries": []any{}, "summary": map[string]any{"cache_entries": 0, "launches": 0, "cache_hits": 0,
			"cache_misses": 0, "cache_hit_rate": nil}},
	}
	if skipped != "" {
		report["status"], report["reason"] = "skipped", skipped
		return report
	}
	report["benchmarks"] = map[string]any{
		"tile_ops": map[string]any{
			"tilepack":    g.section(perf.TilePack, "tiles_per_s", "reference", "dispatch"),
			"tileunpack":  g.section(perf.TileUnpack, "tiles_per_s", "reference", "dispatch"),
			"fusion_gate": g.section(perf.FusionGate, "elements_per_s", "reference", "dispatch"),
		},
		"tilessm":          g.tileSSM(),
		"end_to_end_infer": g.endToEnd(),
	}
	return report
}

func (r *Result) gpuView(v *View) *gpuView {
	g := &gpuView{View: v, result: r, effective: v.Precision}
	if v.Precision == backends.FP8 && g.measuredBackend(backends.FP8) == "" {
		g.effective = backends.FP16
	}
	g.dispatch = g.measuredBackend(g.effective)
	for _, c := range r.Cells {
		if g.of(c.Cell, g.effective) && c.State == evidence.Measured && c.Work != nil {
			g.work = c.Work
			break
		}
	}
	return g
}

// of tells whether a cell belongs to the workload.
func (g *gpuView) of(c perf.Cell, p backends.Precision) bool {
	return c.Profile == g.Profile && c.Precision == p && c.Height == g.Height && c.Width == g.Width && c.Batch == g.Batch
}

// measuredBackend returns the first backend beside reference and tensorrt that was measured on the workload.
func (g *gpuView) measuredBackend(p backends.Precision) string {
	i := slices.IndexFunc(g.result.Cells, func(c CellResult) bool {
		return g.of(c.Cell, p) && c.State == evidence.Measured && c.Cell.Backend != "reference" && c.Cell.Backend != "tensorrt"
	})
	if i < 0 {
		return ""
	}
	return g.result.Cells[i].Cell.Backend
}

// skipped returns the reason why there is nothing to report, "" where there is something.
func (g *gpuView) skipped() string {
	reason := "not_measured"
	for _, c := range g.result.Cells {
		if !g.of(c.Cell, g.effective) {
			continue
		}
		if c.State == evidence.Measured {
			return ""
		}
		reason = missing(&c)
	}
	return reason
}

// counts tells whether the time of a cell may stand in a report: it was measured, and what it computes holds. nil is a cell that the sweep does not have.
func (c *CellResult) counts() bool {
	return c != nil && c.State == evidence.Measured && c.Ended().Holds()
}

// missing returns the reason code of a cell whose time does not count; nil is a cell that the sweep does not have.
func missing(c *CellResult) string {
	switch {
	case c == nil:
		return "not_measured"
	case c.State == evidence.Measured:
		return "parity:" + string(c.Ended())
	case c.Reason != "":
		return c.Reason
	}
	return string(c.State)
}

func (g *gpuView) environment() map[string]any {
	e := &g.result.Environment
	device := "cpu"
	if len(e.GPUs) > 0 {
		device = "cuda"
	}
	requested := g.Precision == backends.FP8
	enabled := requested && g.effective == backends.FP8
	var fallback any
	if requested && !enabled {
		fallback = g.fp8Reason()
	}
	return map[string]any{"python": nil, "torch": nil, "platform": g.result.platform(), "device": device, "dtype": g.effective,
		"requested_dtype": g.Precision, "effective_dtype": g.effective, "fp8_requested": requested, "fp8_enabled": enabled,
		"fp8_fallback_reason": fallback, "runtime_caps": g.runtimeCaps()}
}

// fp8Reason says why fp8 was not measured, by the first such cell.
func (g *gpuView) fp8Reason() string {
	for _, c := range g.result.Cells {
		if c.Cell.Precision == backends.FP8 && c.State != evidence.Measured {
			return missing(&c)
		}
	}
	if len(g.result.Environment.GPUs) == 0 {
		return string(backends.FP8RequiresCuda)
	}
	return "not_measured"
}

// runtimeCaps has the original's keys; there is no Python, so neither Triton nor TensorRT's Python package.
func (g *gpuView) runtimeCaps() map[string]any {
	e := &g.result.Environment
	cuda := map[string]any{"available": false, "device_count": 0, "device_name": nil, "compute_capability": nil, "reason": e.GPUReason}
	if n := len(e.GPUs); n > 0 {
		cuda = map[string]any{"available": true, "device_count": n, "device_name": e.GPUs[0].Name, "compute_capability": nil, "reason": nil}
	}
	onDevice, fp8 := false, false
	for _, c := range g.result.Cells {
		if c.State == evidence.Measured && c.Cell.Backend != "reference" {
			onDevice = onDevice || c.DevicePeakBytes > 0
			fp8 = fp8 || c.Cell.Precision == backends.FP8
		}
	}
	caps8 := map[string]any{"available": fp8, "dtype_available": fp8, "supported_dtypes": []string{}, "reason": g.fp8Reason()}
	if fp8 {
		caps8["supported_dtypes"], caps8["reason"] = []string{"fp8"}, nil
	}
	return map[string]any{
		"cuda":   cuda,
		"triton": map[string]any{"available": false, "version": nil, "reason": "triton_not_installed"},
		"tensorrt": map[string]any{"python_available": false, "python_version": nil, "python_reason": "tensorrt_python_not_installed",
			"headers_available": false, "header_path": nil, "int8_available": false, "int8_reason": "tensorrt_python_unavailable"},
		"fp8":             caps8,
		"any_gpu_runtime": len(e.GPUs) > 0 && onDevice,
	}
}

// config has the sides of the feature map, as the original's; steps are the tokens that the scan walks.
func (g *gpuView) config() map[string]any {
	m, routing, plan := &g.Config.Model, &g.Config.Routing, &g.result.Plan
	var steps any
	if g.work != nil && len(g.work.TilesL0) > 0 {
		steps = slices.Max(g.work.TilesL0)
	}
	return map[string]any{"batch": g.Batch, "channels": g.ffChannels(), "height": g.Height / g.stride(), "width": g.Width / g.stride(),
		"tile_size": m.TileSizeL0, "kmax": m.KmaxL0, "steps": steps, "warmup": nil, "iters": plan.Iterations, "seed": plan.Seed, "dtype": g.Precision,
		"budget_b1": routing.BudgetB1, "budget_b2": routing.BudgetB2, "budget_total": routing.BudgetTotal,
		"trt_engine_path": "", "trt_plugin_lib": "", "trt_input_shapes": []string{}}
}
