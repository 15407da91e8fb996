package sweep

import (
	"fmt"
	"io"
	"slices"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/model/config"
	"github.com/apex-x/apexx/internal/sortedjson"
	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/stat"
)

// View chooses the cells of a sweep that a report in the original's form (spec/perf.md 2.2 and 3.3) is made of: one workload,
// whatever the backend and scope.
type View struct {
	Profile       string
	Precision     backends.Precision // as requested
	Height, Width int                // of the image, in pixels
	Batch         int
	Config        config.Config // of the profile, as it was measured
}

// Report is a report in the original's form: its keys, its nesting.
type Report map[string]any

// Write writes the report as the original did: sorted keys, two spaces of indentation, a final newline.
func (r Report) Write(w io.Writer) error { return sortedjson.Write(w, r) }

// stride is the image pixels per cell of the feature map that tiles are cut from (config.Model.FFPrimaryStride is always 8).
func (v *View) stride() int { return max(1, v.Config.Model.FFPrimaryStride) }

// ffChannels is the width of that map.
func (v *View) ffChannels() int {
	if len(v.Config.Model.PVChannels) == 0 {
		return 0
	}
	return v.Config.Model.PVChannels[0]
}

// cell returns the view's cell of a backend and scope, nil where the sweep has none.
func (r *Result) cell(v *View, backend string, p backends.Precision, s perf.Scope) *CellResult {
	want := perf.Cell{Backend: backend, Profile: v.Profile, Precision: p, Height: v.Height, Width: v.Width, Batch: v.Batch, Scope: s}
	i := slices.IndexFunc(r.Cells, func(c CellResult) bool { return c.Cell == want })
	if i < 0 {
		return nil
	}
	return &r.Cells[i]
}

// pooled returns the samples of a cell over all replicates, in milliseconds of the host clock, as the original timed.
func (r *Result) pooled(c *CellResult) []float64 {
	var out []float64
	for _, m := range r.Measurements {
		if m.Cell == c.Cell && m.State == evidence.Measured {
			for _, ns := range m.Samples {
				out = append(out, ns/1e6)
			}
		}
	}
	return out
}

// cpuMetrics says which scope stands for which metric of the CPU suite.
var cpuMetrics = []struct {
	name  string
	scope perf.Scope
	value func([]float64) float64
}{
	{"infer_p50_ms", perf.Complete, stat.Median},
	{"infer_p95_ms", perf.Complete, p95},
	{"tile_pack_p50_ms", perf.TilePack, stat.Median},
	{"tile_unpack_p50_ms", perf.TileUnpack, stat.Median},
	{"fusion_gate_p50_ms", perf.FusionGate, stat.Median},
}

// CPUReport returns the view as a report of the suite apex_x_cpu_perf_regression (spec/perf.md 2.2). All five metrics are the
// reference backend's: infer_* of the scope complete, which is the whole model where the original timed a placeholder,
// tile_pack, tile_unpack and fusion_gate of the scopes of those names. They pool the samples of all replicates; p95 is the
// original's sorted[⌊0.95·(n-1)⌋]. A metric whose cell was not measured, or whose parity does not hold, is left out, which the original's comparison counts
// as missing, a failure; without any metric CPUReport fails. What a Go program does not have, and what a sweep does not record
// (the number of warm-up runs), is null.
func CPUReport(r *Result, v View) (Report, error) {
	metrics := map[string]float64{}
	for _, m := range cpuMetrics {
		if c := r.cell(&v, "reference", v.Precision, m.scope); c.counts() {
			metrics[m.name] = m.value(r.pooled(c))
		}
	}
	if len(metrics) == 0 {
		return nil, fmt.Errorf("the sweep has no measured cell reference/%s/%s/%dx%d/b%d of the scopes complete, tile-pack, tile-unpack and fusion-gate",
			v.Profile, v.Precision, v.Height, v.Width, v.Batch)
	}
	return Report{
		"schema_version": 1,
		"suite":          "apex_x_cpu_perf_regression",
		"environment": map[string]any{"python": nil, "torch": nil, "platform": r.platform(), "device": "cpu",
			"cuda_available": len(r.Environment.GPUs) > 0},
		"config": map[string]any{"infer_warmup": nil, "infer_iters": r.Plan.Iterations, "micro_warmup": nil, "micro_iters": r.Plan.Iterations,
			"seed": r.Plan.Seed, "input_shape": []int{v.Batch, 3, v.Height, v.Width},
			"tile_shape": []int{v.Batch, v.ffChannels(), v.Height / v.stride(), v.Width / v.stride()}, "tile_size": v.Config.Model.TileSizeL0},
		"metrics": metrics,
	}, nil
}

func (r *Result) platform() string {
	e := &r.Environment
	return fmt.Sprintf("%s-%s-%s", e.OS, e.Kernel, e.Arch)
}
