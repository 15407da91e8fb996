package routing

import (
	"encoding/json"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestUtilityHistogram(t *testing.T) {
	for _, c := range []struct {
		values []float64
		bins   int
		counts string
		edges  []float64
	}{
		{[]float64{0, 1, 2, 3, 4}, 4, "1 1 1 2", []float64{0, 1, 2, 3, 4}},
		{[]float64{2, 2, 2}, 4, "0 0 3 0", []float64{1.5, 1.75, 2, 2.25, 2.5}},
		{[]float64{-1, 0, 1}, 8, "1 0 0 0 1 0 0 1", nil},
		{[]float64{.1, .2, .3, .4, .5, .6, .7, .8}, 8, "1 1 1 1 1 1 1 1", []float64{0.1, 0.1875, 0.275, 0.36250000000000004, 0.45000000000000007, 0.5375000000000001, 0.625, 0.7125, 0.8}},
		{nil, 4, "0 0 0 0", []float64{0, .25, .5, .75, 1}},
	} {
		h := must(UtilityHistogram(c.values, c.bins))(t)
		if !slices.Equal(h.Counts, parseInts(t, c.counts)) || c.edges != nil && !slices.Equal(h.BinEdges, c.edges) {
			t.Errorf("%v in %d bins: %v, edges %v", c.values, c.bins, h.Counts, h.BinEdges)
		}
	}
	h := must(UtilityHistogram([]float64{3, -1, 4}, 2))(t)
	if h.Min != -1 || h.Max != 4 || h.Mean != 2 {
		t.Errorf("histogram %+v", h)
	}
	for _, c := range []struct {
		values []float64
		bins   int
		sub    string
	}{{nil, 0, "must be > 0"}, {nil, 1 << 30, "at most"}, {[]float64{math.NaN()}, 2, "finite"}, {[]float64{-math.MaxFloat64, math.MaxFloat64}, 2, "finite"}} {
		_, err := UtilityHistogram(c.values, c.bins)
		wantErr(t, err, c.sub)
	}
}

// Every value is counted once, between the edges of its bin, also in ranges too narrow or too large for plain bins.
func TestUtilityHistogramCounts(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	check := func(values []float64, bins int) {
		t.Helper()
		h := must(UtilityHistogram(values, bins))(t)
		if !strictlyAscending(h.BinEdges) {
			t.Fatalf("edges of %v: %v", values, h.BinEdges)
		}
		want := make([]int, bins)
		for _, v := range values {
			i := 0
			for i < bins-1 && v >= h.BinEdges[i+1] {
				i++
			}
			if v < h.BinEdges[i] || v > h.BinEdges[bins] {
				t.Fatalf("%v is outside the edges %v", v, h.BinEdges)
			}
			want[i]++
		}
		if !slices.Equal(h.Counts, want) {
			t.Fatalf("%v in %v: %v, want %v", values, h.BinEdges, h.Counts, want)
		}
	}
	for range 2000 {
		values := make([]float64, 1+rng.IntN(20))
		scale := math.Pow(10, float64(rng.IntN(30)-15))
		for i := range values {
			values[i] = math.Round(rng.NormFloat64()*8) / 8 * scale
		}
		check(values, 1+rng.IntN(12))
	}
	check([]float64{1, math.Nextafter(1, 2)}, 8)
	check([]float64{1e300, 1e300}, 8)
	check([]float64{-1e300, -1e300}, 7)
	check([]float64{1e300, math.Nextafter(1e300, 0)}, 5)
	check([]float64{0, 5e-324}, 3)
}

func diagnosticsInput() DiagnosticsInput {
	return DiagnosticsInput{Utilities: map[string][]float64{"l0": {0, 1, 2, 3, 4}}, SelectedCounts: map[string]int{"l0": 2, "l1": 0},
		TotalCounts: map[string]int{"l0": 5, "l1": 20}, BudgetUsed: map[string]float64{"b1": 1.6, "total": 1.6},
		BudgetTotal: map[string]float64{"b1": 2, "b2": 0, "total": 8}, MuHistory: []float64{.1, .15}, HistogramBins: 4}
}

func TestDiagnostics(t *testing.T) {
	d := must(NewDiagnostics(diagnosticsInput()))(t)
	if !maps.Equal(d.SelectedRatios, map[string]float64{"l0": .4, "l1": 0}) || len(d.Warnings) != 0 ||
		!maps.Equal(d.BudgetUsage, map[string]BudgetUsage{"b1": {1.6, 2, .8}, "b2": {}, "total": {1.6, 8, .2}}) {
		t.Errorf("diagnostics %+v", d)
	}
	text := string(must(json.Marshal(d))(t))
	want := `{"selected_ratios":{"l0":0.4,"l1":0},"selected_counts":{"l0":2,"l1":0},"total_counts":{"l0":5,"l1":20},` +
		`"utility_histograms":{"l0":{"counts":[1,1,1,2],"bin_edges":[0,1,2,3,4],"min":0,"max":4,"mean":2}},` +
		`"budget_usage":{"b1":{"used":1.6,"budget":2,"ratio":0.8},"b2":{"used":0,"budget":0,"ratio":0},"total":{"used":1.6,"budget":8,"ratio":0.2}},"mu_history":[0.1,0.15]}`
	if text != want {
		t.Errorf("JSON\n%s\nwant\n%s", text, want)
	}
	in := diagnosticsInput()
	in.BudgetUsed["b2"], in.HistogramBins = 3, 0
	if d = must(NewDiagnostics(in))(t); !slices.Equal(d.Warnings, []string{"budget b2 is overspent: 3 used of 0"}) || len(d.UtilityHistograms["l0"].Counts) != 8 {
		t.Errorf("warnings %v, %d bins", d.Warnings, len(d.UtilityHistograms["l0"].Counts))
	}
}

func TestDiagnosticsErrors(t *testing.T) {
	for _, c := range []struct {
		change func(*DiagnosticsInput)
		sub    string
	}{
		{func(in *DiagnosticsInput) { in.SelectedCounts["l0"] = -1 }, "must be >= 0"}, {func(in *DiagnosticsInput) { in.SelectedCounts["l0"] = 6 }, "at most the total"},
		{func(in *DiagnosticsInput) { in.SelectedCounts["l2"] = 1 }, "at most the total"}, {func(in *DiagnosticsInput) { in.Utilities["l0"][0] = math.NaN() }, "level l0"},
		{func(in *DiagnosticsInput) { in.BudgetUsed["b1"] = -1 }, "used budget b1"}, {func(in *DiagnosticsInput) { in.BudgetTotal["b2"] = math.Inf(1) }, "finite"},
		{func(in *DiagnosticsInput) { in.MuHistory[1] = -1 }, "mu_history[1]"},
	} {
		in := diagnosticsInput()
		c.change(&in)
		_, err := NewDiagnostics(in)
		wantErr(t, err, c.sub)
	}
}
