package sweep

import (
	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/stat"
)

// section is one operator: what dispatch ran on, and both variants under the names given.
func (g *gpuView) section(s perf.Scope, throughput, reference, dispatch string) map[string]any {
	out := map[string]any{
		"backend": nil, "fallback_reason": nil,
		reference: g.variant("reference", s, throughput),
		dispatch:  g.variant(g.dispatch, s, throughput),
	}
	if c := g.result.cell(g.View, g.dispatch, g.effective, s); c.counts() {
		out["backend"] = g.dispatch
	} else {
		out["fallback_reason"] = missing(c)
	}
	return out
}

func (g *gpuView) tileSSM() map[string]any {
	out := g.section(perf.SSMScan, "tokens_per_s", "torch_reference", "triton_dispatch")
	out["tensorrt_plugin"] = g.tensorRT(perf.SSMScan, "tokens_per_s", "plugin_library", nil)
	return out
}

func (g *gpuView) endToEnd() map[string]any {
	return map[string]any{
		"torch_eager":           g.variant("reference", perf.Complete, "frames_per_s"),
		"torch_triton_fastpath": g.variant(g.dispatch, perf.Complete, "frames_per_s"),
		"tensorrt_engine":       g.tensorRT(perf.Complete, "frames_per_s", "engine_path", map[string]any{"mode": "modern_io_tensors"}),
	}
}

// tensorRT is an entry of the backend tensorrt, whose metrics are one level deeper. The engine is compiled by the worker, so
// its path is empty.
func (g *gpuView) tensorRT(s perf.Scope, throughput, path string, more map[string]any) map[string]any {
	c := g.result.cell(g.View, "tensorrt", g.effective, s)
	if !c.counts() {
		return uncounted(c)
	}
	out := map[string]any{"status": "ok", path: "", "metrics": g.metrics(c, throughput)}
	for k, v := range more {
		out[k] = v
	}
	return out
}

// uncounted is the entry of a cell whose time does not count.
func uncounted(c *CellResult) map[string]any {
	status := "skipped"
	if c != nil && c.State == evidence.Measured {
		status = "failed"
	}
	return map[string]any{"status": status, "reason": missing(c)}
}

// variant is the metrics of a backend's cell, or why they do not count. Those of the whole model have what was selected and spent.
func (g *gpuView) variant(backend string, s perf.Scope, throughput string) map[string]any {
	c := g.result.cell(g.View, backend, g.effective, s)
	if !c.counts() {
		return uncounted(c)
	}
	out := g.metrics(c, throughput)
	if s == perf.Complete {
		out["selected_l0_per_call"], out["selected_l1_per_call"], out["budget_b1_spent"], out["budget_b2_spent"] = nil, nil, nil, nil
		if w := c.Work; w != nil {
			out["selected_l0_per_call"], out["selected_l1_per_call"] = sum(w.TilesL0), sum(w.TilesL1)
			for key, name := range map[string]string{"budget_b1_spent": "b1", "budget_b2_spent": "b2"} {
				if b, ok := w.Budgets[name]; ok {
					out[key] = b.Spent
				}
			}
		}
	}
	return out
}

func (g *gpuView) metrics(c *CellResult, throughput string) map[string]any {
	samples := g.result.pooled(c)
	p50 := stat.Median(samples)
	out := map[string]any{"p50_ms": p50, "p95_ms": p95(samples), "peak_memory_mb": nil, throughput: nil}
	if c.DevicePeakBytes > 0 {
		out["peak_memory_mb"] = float64(c.DevicePeakBytes) / (1 << 20)
	}
	if items, ok := g.items(throughput); ok && p50 > 0 {
		out[throughput] = items / (p50 / 1000)
	}
	return out
}

// items is the work of one call in the throughput's unit; not ok where the sweep does not tell how many tiles were selected.
func (g *gpuView) items(throughput string) (n float64, ok bool) {
	switch throughput {
	case "frames_per_s":
		return float64(g.Batch), true
	case "elements_per_s":
		return float64(g.Batch * g.ffChannels() * (g.Height / g.stride()) * (g.Width / g.stride())), true
	}
	if g.work == nil { // tiles and tokens: a tile on the heavy path is a token of the scan
		return 0, false
	}
	return float64(sum(g.work.TilesL0)), true
}
