package training

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/apex-x/apexx/internal/must"
)

func TestGates(t *testing.T) {
	p := must.Get(SigmoidProbabilities([]float32{-2, -.4, 0, .7, 2}, 1))(t)
	for i, want := range []float64{.1192029, .4013124, .5, .6681878, .8807971} {
		near(t, "probability", float64(p[i]), want, 1e-7)
	}
	if g := must.Get(HardGates(p, .5))(t); !slices.Equal(g, []float32{0, 0, 1, 1, 1}) {
		t.Errorf("gates %v", g)
	}
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	if p := must.Get(SigmoidProbabilities([]float32{nan, inf, -inf, 1000}, 2))(t); p[0] != .5 || p[1] != 1 || p[2] <= 0 || p[2] > 1e-12 || p[3] != 1 {
		t.Errorf("probabilities of non-finite utilities %v", p)
	}
	if g := must.Get(HardGates([]float32{nan, inf, -inf, 7, -7}, 0))(t); !slices.Equal(g, []float32{1, 1, 1, 1, 1}) {
		t.Errorf("gates at threshold 0: %v", g)
	}
	// float32(0.7) is below 0.7, so a comparison in float64 would close the last gate.
	if g := must.Get(HardGates([]float32{nan, inf, -inf, .7}, .7))(t); !slices.Equal(g, []float32{0, 1, 0, 1}) {
		t.Errorf("gates at threshold 0.7: %v; the threshold must be compared in float32", g)
	}
	for _, bad := range []float64{0, -1, math.NaN(), math.Inf(1)} {
		_, err := SigmoidProbabilities(p, bad)
		must.Fail(t, err, "temperature")
	}
	for _, bad := range []float64{-.1, 1.1, math.NaN()} {
		_, err := HardGates(p, bad)
		must.Fail(t, err, "threshold")
	}
}

func TestBernoulliGates(t *testing.T) {
	p := slices.Repeat([]float64{0, .25, 1, math.NaN()}, 2000)
	draw := func() []float64 { return must.Get(BernoulliGates(p, rand.New(rand.NewPCG(1, 1)).Float64))(t) }
	g := draw()
	if !slices.Equal(g, draw()) {
		t.Error("the same seed gave other gates")
	}
	counts := [4]float64{}
	for i, v := range g {
		counts[i%4] += v
	}
	// 2000 draws at 0.25: mean 500, standard deviation 19.4.
	if counts[0] != 0 || counts[2] != 2000 || counts[3] != 0 || math.Abs(counts[1]-500) > 100 {
		t.Errorf("ones %v, want 0, about 500, 2000, 0", counts)
	}
	_, err := BernoulliGates(p, nil)
	must.Fail(t, err, "uniform")
}

// The gradient equals the slope of the probability, by central differences.
func TestGateGradient(t *testing.T) {
	u, up := []float64{-3, 0, .5, 2}, []float64{1, 2, -1, .5}
	const temperature, h = 1.5, 1e-6
	g := must.Get(GateGradient(u, up, temperature))(t)
	for i := range u {
		p := must.Get(SigmoidProbabilities([]float64{u[i] + h, u[i] - h}, temperature))(t)
		near(t, "gradient", g[i], up[i]*(p[0]-p[1])/(2*h), 1e-8)
	}
	if g = must.Get(GateGradient([]float64{math.NaN(), math.Inf(1), 91, -91}, []float64{1, 1, 1, 1}, temperature))(t); !slices.Equal(g, make([]float64, 4)) {
		t.Errorf("gradients outside the range: %v", g)
	}
	_, err := GateGradient(u, up[1:], 1)
	must.Fail(t, err, "same length")
}

func TestSelectGated(t *testing.T) {
	gates, u := []float32{1, 0, 1, 1, 1}, []float32{2, 9, 3, 2, 5}
	for kmax, want := range map[int][]int{0: {}, 2: {4, 2}, 9: {4, 2, 0, 3}} {
		if got := must.Get(SelectGated(gates, u, kmax))(t); !slices.Equal(got, want) {
			t.Errorf("kmax %d selects %v, want %v", kmax, got, want)
		}
	}
	_, err := SelectGated(gates, u[1:], 1)
	must.Fail(t, err, "same length")
	_, err = SelectGated([]float32{1}, []float32{float32(math.NaN())}, 1)
	must.Fail(t, err, "finite")
	_, err = SelectGated(gates, u, -1)
	must.Fail(t, err, "must be >= 0")
}
