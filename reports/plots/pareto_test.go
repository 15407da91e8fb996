package plots

import (
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/plot/plotter"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/sweep/sweeptest"
)

func TestPareto(t *testing.T) {
	r := sweeptest.New(3, sweeptest.Spec{Precisions: []backends.Precision{backends.FP32, backends.FP16, backends.BF16, backends.INT8}, Sides: []int{256, 512}, Scopes: []perf.Scope{perf.Complete},
		Samples: 20, Replicates: 2, Quality: true, Scale: func(c perf.Cell) float64 {
			return map[backends.Precision]float64{backends.FP32: 1, backends.FP16: 0.6, backends.BF16: 0.55, backends.INT8: 0.4}[c.Precision]
		}})
	list := Pareto(r)
	if len(list) != 2 || list[0].Shape != "256x256" || list[1].Batch != 1 || len(list[1].Legend) != 8 {
		t.Fatalf("%d figures: %+v", len(list), list)
	}
	look(t, "pareto", list[1].Figure)
	svg := string(list[1].svg())
	for _, want := range []string{"Time and quality of nano, image 512x512, batch 1", "ort int8", "latency of one call (ms)", "AP of boxes on synthetic, 30 images"} {
		if !strings.Contains(svg, want) {
			t.Errorf("the picture does not say %q", want)
		}
	}
	r.Plan.Quality = nil
	if Pareto(r) != nil || Pareto(nil) != nil {
		t.Error("a picture of nothing")
	}
}

func TestFrontier(t *testing.T) {
	got := frontier([]rated{{ms: 3, ap: 80}, {ms: 1, ap: 70}, {ms: 2, ap: 60}, {ms: 2, ap: 75}, {ms: 4, ap: 79}})
	if want := (plotter.XYs{{X: 1, Y: 70}, {X: 2, Y: 75}, {X: 3, Y: 80}}); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
