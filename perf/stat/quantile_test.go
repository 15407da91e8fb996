package stat

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

var nan, inf = math.NaN(), math.Inf(1)

// same is == with NaN equal to itself.
func same(a, b float64) bool { return a == b || math.IsNaN(a) && math.IsNaN(b) }

func near(a, b, relative float64) bool {
	return math.Abs(a-b) <= relative*math.Max(math.Abs(a), math.Abs(b))
}

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		x    []float64
		want float64
	}{
		{nil, nan}, {[]float64{3}, 3}, {[]float64{4, 1}, 2.5}, {[]float64{9, 1, 5}, 5}, {[]float64{1, nan, 2}, nan},
		{[]float64{4, 3, 2, 1}, 2.5}, {[]float64{1, inf, 2}, 2},
	} {
		before := slices.Clone(c.x)
		if got := Median(c.x); !same(got, c.want) {
			t.Errorf("Median(%v) = %v, want %v", c.x, got, c.want)
		}
		if !slices.EqualFunc(before, c.x, same) {
			t.Errorf("Median reordered %v to %v", before, c.x)
		}
	}
}

func TestQuantile(t *testing.T) {
	x := []float64{40, 10, 30, 20, 50}
	for _, c := range []struct {
		x       []float64
		q, want float64
	}{
		{x, 0, 10}, {x, 1, 50}, {x, 0.5, 30}, {x, 0.9, 46}, {x, 0.95, 48}, {x, 0.25, 20},
		{[]float64{7}, 0.99, 7}, {nil, 0.5, nan}, {x, 1.01, nan}, {x, -0.01, nan}, {x, nan, nan}, {[]float64{1, nan}, 0.5, nan},
		{[]float64{1, inf, inf}, 0.75, inf},
	} {
		if got := Quantile(c.x, c.q); !same(got, c.want) {
			t.Errorf("Quantile(%v, %v) = %v, want %v", c.x, c.q, got, c.want)
		}
	}
	if !slices.Equal(x, []float64{40, 10, 30, 20, 50}) {
		t.Errorf("Quantile reordered its input to %v", x)
	}
}

func TestQuantileProperties(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		x := make([]float64, 1+r.IntN(40))
		for i := range x {
			x[i] = r.NormFloat64()
		}
		if got, want := Quantile(x, 0.5), Median(x); !near(got, want, 1e-12) {
			t.Fatalf("Quantile(%v, 0.5) = %v, Median %v", x, got, want)
		}
		last := Quantile(x, 0)
		for q := 0.0; q <= 1; q += 0.05 {
			now := Quantile(x, q)
			if now < last {
				t.Fatalf("Quantile(%v, %v) = %v, below %v of a smaller q", x, q, now, last)
			}
			last = now
		}
	}
}

func TestStandardDeviation(t *testing.T) {
	if got := StandardDeviation([]float64{2, 4, 4, 4, 5, 5, 7, 9}); !near(got, math.Sqrt(32.0/7), 1e-12) {
		t.Errorf("StandardDeviation = %v, want the divisor n-1: %v", got, math.Sqrt(32.0/7))
	}
	for _, x := range [][]float64{nil, {1}, {1, nan, 3}} {
		if got := StandardDeviation(x); !math.IsNaN(got) {
			t.Errorf("StandardDeviation(%v) = %v, want NaN", x, got)
		}
	}
}

func TestRobustSD(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	x := make([]float64, 4000)
	for i := range x {
		x[i] = 5 + 2*r.NormFloat64()
	}
	if got := RobustSD(x); !near(got, 2, 0.05) {
		t.Errorf("RobustSD of a normal sample = %v, want about 2", got)
	}
	for i := range 1000 { // a quarter of outliers
		x[i] = 1e9
	}
	if got := RobustSD(x); got > 4 {
		t.Errorf("RobustSD with a quarter of outliers = %v, want it bounded", got)
	}
	if got := RobustSD([]float64{1, 1, 2, 2, 4, 6, 9}); !near(got, 1.4826, 1e-12) {
		t.Errorf("RobustSD = %v, want 1.4826", got)
	}
	for _, x := range [][]float64{nil, {1, nan}} {
		if got := RobustSD(x); !math.IsNaN(got) {
			t.Errorf("RobustSD(%v) = %v, want NaN", x, got)
		}
	}
}
