package model_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"gonum.org/v1/gonum/stat"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/model"
	"github.com/apex-x/apexx/backends/model/config"
	"github.com/apex-x/apexx/backends/model/routing"
	"github.com/apex-x/apexx/backends/model/weights"
	"github.com/apex-x/apexx/backends/reference"
	"github.com/apex-x/apexx/backends/tensor"
)

// TestGraphAgreesWithHostRouting runs complete models in float64 and repeats their routing on the host: tile statistics from the proxies and
// utilities from the statistics as the specification has them, and the tiles of every level from the utilities under the budgets by package
// routing, which was written and tested on its own.
func TestGraphAgreesWithHostRouting(t *testing.T) {
	base := []string{"model.profile=nano", "model.num_classes=3", "model.nesting_depth=2", "model.kmax_l0=9", "model.kmax_l1=14", "model.kmax_l2=24",
		"routing.budget_b1=4.1", "routing.budget_b2=3", "routing.budget_b3=5", "model.tile_size_l0=4", "model.tile_size_l1=2", "model.tile_size_l2=1"}
	for _, router := range []string{"tiny_mlp", "kan", "identity"} {
		t.Run(router, func(t *testing.T) {
			cfg, err := config.Parse(nil, append([]string{"model.router_backend=" + router}, base...))
			if err != nil {
				t.Fatal(err)
			}
			set := weights.Hashed(cfg, 9)
			opts := model.Options{Batch: 1, Height: 96, Width: 128, Decode: model.DefaultDecode()}
			opts.Decode.MaxDetections = 3
			out := runTapped(t, cfg, set, opts)

			x := hostAggregate(out, 4)
			near(t, "router.x", out.Get("tap.router.x"), x)
			u, s := hostRoute(router, set, x)
			near(t, "utilities", out.Get("utilities"), u)
			near(t, "split_utilities", out.Get("split_utilities"), s)
			_, s1 := hostRoute(router, set, hostAggregate(out, 2))
			near(t, "level 1 split utilities", out.Get("tap.router.l1.split_utilities"), s1)

			const gh, gw = 3, 4
			want, err := routing.ThreeStage(routing.ThreeStageParams{
				TwoStageParams: routing.TwoStageParams{Utilities: floats(out.Get("utilities")), Costs: constant(0.8, gh*gw), SplitUtilities: floats(out.Get("split_utilities")),
					SplitOverheads: constant(1, gh*gw), B1: 4.1, B2: 3, KMaxL0: 9, KMaxL1: 14, GridH: gh, GridW: gw},
				SplitUtilitiesL1: floats(out.Get("tap.router.l1.split_utilities")), SplitOverheadsL1: constant(1, 4*gh*gw), B3: 5, KMaxL2: 24,
			})
			if err != nil {
				t.Fatal(err)
			}
			for name, buffer := range map[string][]int{"tiles_l0": want.L0.Buffer, "tiles_l1": want.L1.Buffer, "tiles_l2": want.L2.Buffer} {
				if got := fmt.Sprint(tensor.Data[int64](out.Get(name))); got != fmt.Sprint(buffer) {
					t.Errorf("%s is %s, the host selects %v", name, got, buffer)
				}
			}
		})
	}
}

// runTapped runs the model once in float64 on noise, with every tap.
func runTapped(t *testing.T, cfg config.Config, set *weights.Set, opts model.Options) tensor.List {
	t.Helper()
	g, err := model.Build(cfg, model.FromSet(set), opts)
	if err != nil {
		t.Fatal(err)
	}
	session, err := reference.New().Compile(t.Context(), g, backends.Options{Precision: backends.FP64, Taps: []string{"all"}})
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	image := tensor.New(tensor.Float32, opts.Batch, 3, opts.Height, opts.Width)
	r := rand.New(rand.NewPCG(4, 4))
	for i := range tensor.Data[float32](image) {
		tensor.Data[float32](image)[i] = r.Float32()
	}
	out, err := backends.Run(t.Context(), session, tensor.List{{Name: "image", Tensor: image}})
	if err != nil {
		t.Fatal(err)
	}
	return out.Clone()
}

func floats(t *tensor.Tensor) []float64 { return tensor.Data[float64](t) }

func constant(v float64, n int) []float64 { return slices.Repeat([]float64{v}, n) }

// near allows for another order of summation.
func near(t *testing.T, name string, got *tensor.Tensor, want []float64) {
	t.Helper()
	g := floats(got)
	if len(g) != len(want) {
		t.Fatalf("%s has %d elements, the host computes %d", name, len(g), len(want))
	}
	for i := range want {
		if d := math.Abs(g[i] - want[i]); !(d <= 1e-6*(1+math.Abs(want[i]))) || math.IsInf(d, 0) {
			t.Fatalf("%s[%d] is %g, the host computes %g", name, i, g[i], want[i])
		}
	}
}

// hostAggregate returns the vectors [K,12] of the tiles of P3 (12×16 cells here) as one row after the other: mean, maximum and population
// variance of each proxy over the tile's window (spec/routing.md 17).
func hostAggregate(out tensor.List, tile int) []float64 {
	const p3Width = 16
	var rows []float64
	for ty := range 12 / tile {
		for tx := range p3Width / tile {
			for _, name := range []string{"boundary", "objectness", "uncertainty", "variance"} {
				v := out.Get("tap.proxy." + name)
				width := v.Shape()[3]
				side := tile * width / p3Width // the window's, in cells of the proxy: whole here
				var window []float64
				for y := ty * side; y < (ty+1)*side; y++ {
					window = append(window, floats(v)[y*width+tx*side:][:side]...)
				}
				mean, variance := stat.PopMeanVariance(window, nil)
				rows = append(rows, mean, slices.Max(window), variance)
			}
		}
	}
	return rows
}

// hostRoute runs the router of the given kind on the host, on rows of 12.
func hostRoute(kind string, set *weights.Set, rows []float64) (u, s []float64) {
	w := hostWeights{set}
	for x := range slices.Chunk(rows, 12) {
		switch kind {
		case "identity":
			u, s = append(u, x[0]), append(s, x[0])
		case "kan":
			h := w.kan(x)
			clip := func(v float64) float64 { return min(max(v, -20), 20) }
			u, s = append(u, clip(w.linear("head_u", h)[0])), append(s, clip(w.linear("head_s", h)[0]))
		default:
			h := x
			for _, layer := range []string{"backbone.0", "backbone.2"} {
				h = w.linear(layer, h)
				for i := range h {
					h[i] = max(h[i], 0)
				}
			}
			u, s = append(u, w.linear("head_u", h)[0]), append(s, w.linear("head_s", h)[0])
		}
	}
	return u, s
}

// hostWeights are the router's.
type hostWeights struct{ set *weights.Set }

func (w hostWeights) get(name string) []float64 {
	v, _ := w.set.Get("router." + name)
	var out []float64
	for _, x := range v.Data {
		out = append(out, float64(x))
	}
	return out
}

// linear is W·x + b, where a layer without a bias has none.
func (w hostWeights) linear(name string, x []float64) []float64 {
	bias := w.get(name + ".bias")
	var y []float64
	for row := range slices.Chunk(w.get(name+".weight"), len(x)) {
		sum := 0.0
		for i, v := range row {
			sum += v * x[i]
		}
		if bias != nil {
			sum += bias[len(y)]
		}
		y = append(y, sum)
	}
	return y
}

// kan is what RouterKANLike computes before its heads (spec/routing.md 19): normalisation, projection, splines through knots that are equally
// spaced on [-3, 3], projection.
func (w hostWeights) kan(x []float64) []float64 {
	mean, variance := stat.PopMeanVariance(x, nil)
	scale, shift, normed := w.get("norm.weight"), w.get("norm.bias"), make([]float64, len(x))
	for i, v := range x {
		normed[i] = (v-mean)/math.Sqrt(variance+1e-5)*scale[i] + shift[i]
	}
	h := w.linear("in_proj", normed)
	heights := w.get("spline.knot_y")
	knots := len(heights) / len(h)
	for i, v := range h {
		at := (min(max(v, -3), 3) + 3) / 6 * float64(knots-1)
		cell := min(int(at), knots-2)
		y := heights[i*knots+cell:]
		h[i] = y[0] + (at-float64(cell))*(y[1]-y[0])
	}
	return w.linear("out_proj", h)
}
