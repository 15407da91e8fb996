package plots

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/sweep"
	"github.com/apex-x/apexx/reports/internal/synthetic"
)

func TestScaling(t *testing.T) {
	figures := Scaling(synthetic.Sweep(1))
	if len(figures) != 2 || figures[0].Scope != perf.Network || figures[1].Scope != perf.Complete || figures[0].Profile != "nano" {
		t.Fatalf("%d figures: %+v; operators have one size only", len(figures), figures)
	}
	for _, f := range figures {
		look(t, "scaling-"+string(f.Scope), f.Figure)
	}
	text := textOf(t, figures[1].Figure)
	for _, want := range []string{"latency of one call (ms)", "throughput (images/s)", "image size (pixels)", "batch size (images)", "reference fp32", "ort fp32", "batch 1", "65.5k", "90th percentile"} {
		if !strings.Contains(text, want) {
			t.Errorf("the figure does not say %q", want)
		}
	}
}

// TestScalingLeavesOutWhatDoesNotCount checks that neither a wrong cell's speed nor a number that cannot be drawn is shown.
func TestScalingLeavesOutWhatDoesNotCount(t *testing.T) {
	at := func(side, batch int, p50 float64, parity evidence.State) sweep.CellResult {
		return sweep.CellResult{Cell: perf.Cell{Backend: "ort", Height: side, Width: side, Batch: batch, Scope: perf.Complete}, Parity: perf.Parity{State: parity},
			Summary: &perf.Summary{P50: p50, P90: p50, Throughput: 1}}
	}
	if f := Scaling(&sweep.Result{Cells: []sweep.CellResult{at(256, 1, 1, "pass"), at(512, 1, 1, "fail"), at(640, 1, math.NaN(), "pass"), at(768, 1, 0, "pass"), at(0, 1, 1, "pass")}}); f != nil {
		t.Errorf("one point that counts gave %d figures", len(f))
	}
	f := Scaling(&sweep.Result{Cells: []sweep.CellResult{at(256, 1, 1, "pass"), at(256, 8, 2, "explained")}})
	if len(f) != 1 || len(f[0].Panels[0]) != 1 || f[0].Panels[0][0].Title.Text != "image 256x256" {
		t.Errorf("%+v", f)
	}
	if Scaling(nil) != nil || Scaling(&sweep.Result{}) != nil {
		t.Error("nothing gave a figure")
	}
}

// TestStylesOf tells backends apart by colour and dashes and precisions by marker, in every figure of a sweep.
func TestStylesOf(t *testing.T) {
	cell := func(backend string, p backends.Precision) sweep.CellResult {
		return sweep.CellResult{Cell: perf.Cell{Backend: backend, Precision: p}}
	}
	styles := stylesOf([]sweep.CellResult{cell("reference", backends.FP32), cell("cuda", backends.FP32), cell("cuda", backends.FP16), cell("reference", backends.FP16), cell("cuda", "fp4")})
	reference, cuda, half, other := styles["reference fp32"], styles["cuda fp32"], styles["cuda fp16"], styles["reference fp16"]
	if reference.Color == cuda.Color || cuda.Color != half.Color || reference.Color != other.Color {
		t.Errorf("colours %v", styles)
	}
	if reference.Marker != cuda.Marker || half.Marker != other.Marker || cuda.Marker == half.Marker {
		t.Errorf("markers %v", styles)
	}
	if reference.Dashes != nil || !slices.Equal(cuda.Dashes, half.Dashes) || cuda.Dashes == nil {
		t.Errorf("dashes %v", styles)
	}
	seen := map[Marker]bool{}
	for _, p := range backends.Precisions {
		seen[stylesOf([]sweep.CellResult{cell("ort", p)})["ort "+string(p)].Marker] = true
	}
	if len(seen) != len(backends.Precisions) {
		t.Errorf("%d markers for %d precisions", len(seen), len(backends.Precisions))
	}
}
