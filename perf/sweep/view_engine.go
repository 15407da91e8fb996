package sweep

import (
	"fmt"
	"io"
	"strings"

	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/stat"
)

// An engineCase is a shape in which an engine of TensorRT was measured, in the original's words (spec/runtime.md 13.1).
type engineCase struct {
	cell   *CellResult
	label  string // default for the first, then case_NNN_ and the extents
	shape  string // image=BxCxHxW
	status string // ok, skipped or failed
	reason string // "" of one that is ok
}

// engineCases lists the complete models on the backend tensorrt, in the order of the plan. A case is ok if its speed counts: it was measured, and its parity
// holds. It is skipped where the backend has not got it, and failed otherwise.
func (r *Result) engineCases() []engineCase {
	var list []engineCase
	for i := range r.Cells {
		c := &r.Cells[i]
		if c.Cell.Backend != "tensorrt" || c.Cell.Scope != perf.Complete {
			continue
		}
		e := engineCase{cell: c, label: "default", shape: fmt.Sprintf("image=%dx3x%dx%d", c.Cell.Batch, c.Cell.Height, c.Cell.Width), status: "ok"}
		if n := len(list); n > 0 {
			e.label = fmt.Sprintf("case_%03d_%d_3_%d_%d", n, c.Cell.Batch, c.Cell.Height, c.Cell.Width)
		}
		switch ended := c.Ended(); {
		case ended.Holds():
		case ended == evidence.Unsupported || ended == evidence.NotRun:
			e.status, e.reason = "skipped", missing(c)
		default:
			e.status, e.reason = "failed", missing(c)
		}
		list = append(list, e)
	}
	return list
}

// EngineReport returns what a sweep says of engines of TensorRT as a report of the suite apex_x_trt_engine_shape_sweep (spec/runtime.md 13.1): a case for
// each complete cell of the backend tensorrt. nil if there is none.
//
// Times are the host clock's over all replicates, p95 by the original's rule, memory the device's in MiB. Beside the original's keys a case has its
// precision, its parity against the float64 oracle, without which it is not ok, and its time by the device's clock. Where the backend is
// not there every case is listed as skipped, of which the original listed none.
func EngineReport(r *Result) Report {
	list := r.engineCases()
	if len(list) == 0 {
		return nil
	}
	count := map[string]int{}
	var cases []any
	var shapes []string
	var medians []float64
	for _, e := range list {
		count[e.status]++
		shapes = append(shapes, e.shape)
		entry := map[string]any{"label": e.label, "input_shapes": []string{e.shape}, "status": e.status, "mode": "modern_io_tensors", "metrics": nil,
			"precision": e.cell.Cell.Precision, "parity": e.cell.Parity.State}
		if e.reason != "" {
			entry["reason"] = e.reason
		}
		if e.cell.State == evidence.Measured {
			m := r.engineMetrics(e.cell)
			entry["metrics"] = m
			if e.status == "ok" {
				medians = append(medians, m["p50_ms"].(float64))
			}
		}
		cases = append(cases, entry)
	}
	summary := map[string]any{"ok_count": count["ok"], "skipped_count": count["skipped"], "failed_count": count["failed"]}
	if len(medians) > 0 {
		summary["p50_ms_min"], summary["p50_ms_max"], summary["p50_ms_median"] = stat.Quantile(medians, 0), stat.Quantile(medians, 1), stat.Median(medians)
	}
	report := Report{
		"schema_version": 1,
		"suite":          "apex_x_trt_engine_shape_sweep",
		"timestamp_utc":  r.When.UTC().Format("2006-01-02T15:04:05.000000-07:00"),
		"environment": map[string]any{"python": nil, "torch": nil, "platform": r.platform(),
			"runtime_caps": (&gpuView{View: &View{}, result: r}).runtimeCaps()},
		"config": map[string]any{"trt_engine_path": "", "shape_cases": shapes, "warmup": nil, "iters": r.Plan.Iterations, "seed": r.Plan.Seed,
			"options": r.Plan.Options["tensorrt"]},
		"status":  engineStatus(count),
		"cases":   cases,
		"summary": summary,
	}
	if count["skipped"] == len(list) {
		report["reason"] = list[0].reason
	}
	return report
}

// engineStatus is the original's: skipped cases do not make a sweep partial.
func engineStatus(count map[string]int) string {
	switch {
	case count["ok"] > 0 && count["failed"] == 0:
		return "ok"
	case count["ok"]+count["failed"] == 0:
		return "skipped"
	}
	return "partial"
}

func (r *Result) engineMetrics(c *CellResult) map[string]any {
	samples := r.pooled(c)
	out := map[string]any{"p50_ms": stat.Median(samples), "p95_ms": p95(samples), "peak_memory_mb": nil, "frames_per_s": nil, "device_p50_ms": nil}
	if c.DevicePeakBytes > 0 {
		out["peak_memory_mb"] = float64(c.DevicePeakBytes) / (1 << 20)
	}
	if p50 := out["p50_ms"].(float64); p50 > 0 {
		out["frames_per_s"] = float64(c.Cell.Batch) / (p50 / 1000)
	}
	if c.Device != nil {
		out["device_p50_ms"] = c.Device.P50
	}
	return out
}

// WriteEngineMarkdown writes the same report as a table.
func WriteEngineMarkdown(w io.Writer, r *Result) error {
	list := r.engineCases()
	count := map[string]int{}
	for _, e := range list {
		count[e.status]++
	}
	var s strings.Builder
	fmt.Fprintf(&s, "# TensorRT engine shape sweep\n\n- status: %s\n- cases: %d ok, %d skipped, %d failed\n", engineStatus(count), count["ok"], count["skipped"], count["failed"])
	for _, f := range circumstances(r) {
		if f[1] != "" {
			fmt.Fprintf(&s, "- %s: %s\n", f[0], escapeMarkdown(f[1]))
		}
	}
	s.WriteString("\n| case | shape | precision | status | p50 ms | p95 ms | device p50 ms | device peak MiB | frames/s | parity |\n|---|---|---|---|--:|--:|--:|--:|--:|---|\n")
	for _, e := range list {
		status := e.status
		if e.reason != "" {
			status += ": " + e.reason
		}
		fmt.Fprintf(&s, "| %s | %s | %s | %s |", escapeMarkdown(e.label), e.shape, e.cell.Cell.Precision, escapeMarkdown(status))
		var m map[string]any
		if e.cell.State == evidence.Measured {
			m = r.engineMetrics(e.cell)
		}
		for _, key := range []string{"p50_ms", "p95_ms", "device_p50_ms", "peak_memory_mb", "frames_per_s"} {
			if v, ok := m[key].(float64); ok {
				fmt.Fprintf(&s, " %s |", perf.Digits(v))
			} else {
				s.WriteString(" – |")
			}
		}
		fmt.Fprintf(&s, " %s |\n", e.cell.Parity.State)
	}
	_, err := io.WriteString(w, s.String())
	return err
}
