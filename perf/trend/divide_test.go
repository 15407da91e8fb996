package trend

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// noisy returns n values around each level, with a relative standard deviation of 2 %.
func noisy(seed uint64, n int, levels ...float64) []float64 {
	r := rand.New(rand.NewPCG(seed, 99))
	var x []float64
	for _, level := range levels {
		for range n {
			x = append(x, level*(1+0.02*r.NormFloat64()))
		}
	}
	return x
}

func indices(divisions []Division) []int {
	var at []int
	for _, d := range divisions {
		at = append(at, d.Index)
	}
	return at
}

func TestChangePoints(t *testing.T) {
	constant := make([]float64, 50)
	for i := range constant {
		constant[i] = 0.1
	}
	for _, c := range []struct {
		name string
		x    []float64
		want []int
	}{
		{"one step", noisy(1, 20, 10, 12), []int{20}},
		{"a step down", noisy(22, 20, 12, 10), []int{20}},
		{"two steps up", noisy(3, 15, 10, 11.5, 13), []int{15, 30}},
		{"up and back", noisy(4, 15, 10, 12, 10), []int{15, 30}},
		{"no step", noisy(5, 40, 10), nil},
		{"constant", constant, nil},
		{"shortest that can be divided", noisy(6, 5, 10, 20), []int{5}},
		{"too short", noisy(6, 3, 10, 20, 30), nil},
		{"empty", nil, nil},
	} {
		found, err := ChangePoints(c.x, 1)
		if err != nil || !slices.Equal(indices(found), c.want) {
			t.Errorf("%s: change points %v, want %v (%v)", c.name, found, c.want, err)
		}
		for _, d := range found {
			if d.P < 1.0/(Permutations+1) || d.P > Significance {
				t.Errorf("%s: p %v of the change at %d", c.name, d.P, d.Index)
			}
		}
	}
}

func TestChangePointsRefuse(t *testing.T) {
	for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		x := noisy(1, 10, 10)
		x[3] = bad
		if _, err := ChangePoints(x, 1); err == nil {
			t.Errorf("a series with %v was accepted", bad)
		}
	}
}

func TestChangePointsFalsePositives(t *testing.T) {
	const series = 200
	alarms := 0
	for seed := range uint64(series) {
		found, err := ChangePoints(noisy(1000+seed, 40, 10), 1)
		if err != nil {
			t.Fatal(err)
		}
		if len(found) > 0 {
			alarms++
		}
	}
	if share := float64(alarms) / series; share > 0.07 {
		t.Errorf("%.1f %% of series without a step have a change point", 100*share)
	} else {
		t.Logf("%.1f %% of series without a step have a change point", 100*share)
	}
}

func TestChangePointsPower(t *testing.T) {
	const series = 100
	near := 0
	for seed := range uint64(series) {
		found, err := ChangePoints(noisy(2000+seed, 15, 10, 10.5), 1) // 5 %, two and a half standard deviations
		if err != nil {
			t.Fatal(err)
		}
		if slices.ContainsFunc(found, func(d Division) bool { return d.Index >= 13 && d.Index <= 17 }) {
			near++
		}
	}
	if near < 95 {
		t.Errorf("%d of %d steps of 5 %% were found within two runs", near, series)
	}
}

// The definition, with every sum written out.
func TestSplitSegmentByDefinition(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 8))
	for range 20 {
		x := make([]float64, 10+r.IntN(12))
		for i := range x {
			x[i] = r.ExpFloat64()
		}
		wantTau, wantQ := -1, math.Inf(-1)
		for tau := MinSegment; tau <= len(x)-MinSegment; tau++ {
			for kappa := tau + MinSegment; kappa <= len(x); kappa++ {
				if q := energyByDefinition(x[:tau], x[tau:kappa]); q > wantQ {
					wantTau, wantQ = tau, q
				}
			}
		}
		if tau, q := splitSegment(x); tau != wantTau || math.Abs(q-wantQ) > 1e-12 {
			t.Fatalf("splitSegment(%v) = %d, %v; by definition %d, %v", x, tau, q, wantTau, wantQ)
		}
	}
}

func energyByDefinition(x, y []float64) float64 {
	mean := func(a, b []float64, pairs float64) (sum float64) {
		for _, v := range a {
			for _, w := range b {
				sum += math.Abs(v - w)
			}
		}
		return sum / pairs
	}
	n, m := float64(len(x)), float64(len(y))
	return n * m / (n + m) * (2*mean(x, y, n*m) - mean(x, x, n*(n-1)) - mean(y, y, m*(m-1)))
}

func TestChangePointsInvariances(t *testing.T) {
	x := noisy(7, 20, 10, 12, 11)
	want, err := ChangePoints(x, 3)
	if err != nil || len(want) == 0 {
		t.Fatal(want, err)
	}
	scaled, negated := slices.Clone(x), slices.Clone(x)
	for i := range x {
		scaled[i], negated[i] = 8*x[i], -x[i]
	}
	for name, y := range map[string][]float64{"again": x, "scaled": scaled, "negated": negated} {
		if got, err := ChangePoints(y, 3); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v (%v)", name, got, want, err)
		}
	}
}

func TestChangePointsOfAThousand(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	x := noisy(9, 500, 10, 10.3)
	start := time.Now()
	found, err := ChangePoints(x, 1)
	if err != nil || len(found) == 0 || !slices.ContainsFunc(found, func(d Division) bool { return d.Index > 490 && d.Index < 510 }) {
		t.Errorf("change points %v (%v)", found, err)
	}
	t.Logf("1,000 values took %v", time.Since(start))
}
