package model_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/model"
	"github.com/apex-x/apexx/backends/model/config"
	"github.com/apex-x/apexx/backends/model/routing"
	"github.com/apex-x/apexx/backends/model/weights"
	"github.com/apex-x/apexx/backends/reference"
	"github.com/apex-x/apexx/backends/tensor"
)

// TestGraphAgreesWithHostRouting runs complete models in float64 and repeats their routing on the host with package
// routing, which was written and tested on its own: tile statistics from the proxies, utilities from the statistics, and the
// tiles of every level from the utilities under the budgets.
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

			x := hostAggregate(t, out, 4)
			near(t, "router.x", out.Get("tap.router.x"), x.Data)
			u, s := hostRoute(t, router, set, x)
			near(t, "utilities", out.Get("utilities"), u)
			near(t, "split_utilities", out.Get("split_utilities"), s)
			_, s1 := hostRoute(t, router, set, hostAggregate(t, out, 2))
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

// hostAggregate computes the tile vectors of P3 (12×16 cells here) from the model's proxies.
func hostAggregate(t *testing.T, out tensor.List, tile int) routing.Array[float64] {
	t.Helper()
	maps := map[string]routing.Array[float64]{}
	for _, name := range []string{"boundary", "objectness", "uncertainty", "variance"} {
		v := out.Get("tap.proxy." + name)
		maps[name] = routing.Array[float64]{Data: floats(v), Shape: v.Shape()}
	}
	vectors, err := routing.AggregatePV(maps, 12, 16, tile, routing.DefaultStats())
	if err != nil {
		t.Fatal(err)
	}
	return vectors.Vectors
}

// hostRoute runs the router of the given kind on the host.
func hostRoute(t *testing.T, kind string, set *weights.Set, x routing.Array[float64]) (u, s []float64) {
	t.Helper()
	if kind == "identity" {
		for i := 0; i < len(x.Data); i += 12 {
			u = append(u, x.Data[i])
		}
		return u, u
	}
	params := map[string][]float64{}
	for _, name := range set.Names() {
		if short, ok := strings.CutPrefix(name, "router."); ok {
			v, _ := set.Get(name)
			for _, w := range v.Data {
				params[short] = append(params[short], float64(w))
			}
		}
	}
	var y routing.RouterOutput[float64]
	var err error
	if kind == "kan" {
		r, e := routing.NewKANLike(routing.KANConfig{InputDim: 12}, params)
		if e != nil {
			t.Fatal(e)
		}
		y, err = r.Forward(x)
	} else {
		r, e := routing.NewTinyMLP(routing.TinyMLPConfig{InputDim: 12}, params)
		if e != nil {
			t.Fatal(e)
		}
		y, err = r.Forward(x)
	}
	if err != nil {
		t.Fatal(err)
	}
	return y.U.Data, y.S.Data
}
