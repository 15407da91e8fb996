package stat

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestHodgesLehmann(t *testing.T) {
	for _, c := range []struct {
		x    []float64
		want float64
	}{
		{nil, nan}, {[]float64{nan, 1}, nan}, {[]float64{inf, 1}, nan}, {[]float64{3}, 3}, {[]float64{1, 5}, 3},
		{[]float64{1, 2, 10}, 3.75}, // Walsh averages 1, 1.5, 2, 5.5, 6, 10
		{[]float64{math.MaxFloat64, math.MaxFloat64}, math.MaxFloat64},
	} {
		if got := HodgesLehmann(c.x); !same(got, c.want) {
			t.Errorf("HodgesLehmann(%v) = %v, want %v", c.x, got, c.want)
		}
	}
}

func TestHodgesLehmannInvariances(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	for range 100 {
		x := make([]float64, 1+r.IntN(20))
		shifted, negated := make([]float64, len(x)), make([]float64, len(x))
		for i := range x {
			x[i] = float64(r.IntN(64))
			shifted[i], negated[i] = x[i]+32, -x[i]
		}
		estimate := HodgesLehmann(x)
		if got := HodgesLehmann(shifted); got != estimate+32 {
			t.Fatalf("%v: shifted by 32 from %v to %v", x, estimate, got)
		}
		if got := HodgesLehmann(negated); got != -estimate {
			t.Fatalf("%v: negated from %v to %v", x, estimate, got)
		}
		low, high, attained := HodgesLehmannInterval(x, 0.9)
		if estimate < low || estimate > high {
			t.Fatalf("%v: estimate %v outside of [%v, %v]", x, estimate, low, high)
		}
		negLow, negHigh, negAttained := HodgesLehmannInterval(negated, 0.9)
		if negLow != -high || negHigh != -low || negAttained != attained {
			t.Fatalf("%v: interval [%v, %v], negated [%v, %v]", x, low, high, negLow, negHigh)
		}
	}
}

func TestHodgesLehmannInterval(t *testing.T) {
	five := []float64{1, 2, 3, 4, 5}
	for _, c := range []struct {
		x                   []float64
		confidence          float64
		low, high, attained float64
	}{
		{five, 0.9, 1, 5, 1 - 2.0/32},
		{five, 0.85, 1.5, 4.5, 1 - 4.0/32},
		{five, 0.99, 1, 5, 1 - 2.0/32}, // too few values
		{[]float64{7}, 0.9, 7, 7, 0},
		{nil, 0.9, nan, nan, 0},
		{[]float64{1, nan}, 0.9, nan, nan, 0},
		{[]float64{1, inf}, 0.9, nan, nan, 0},
	} {
		low, high, attained := HodgesLehmannInterval(c.x, c.confidence)
		if !same(low, c.low) || !same(high, c.high) || attained != c.attained {
			t.Errorf("HodgesLehmannInterval(%v, %v) = %v, %v, %v; want %v, %v, %v", c.x, c.confidence, low, high, attained, c.low, c.high, c.attained)
		}
	}
}

// The interval is the set of centres that the two-sided test does not reject.
func TestHodgesLehmannIntervalInvertsTheTest(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 14))
	for range 50 {
		x := make([]float64, 6+r.IntN(15))
		for i := range x {
			x[i] = r.NormFloat64()
		}
		low, high, attained := HodgesLehmannInterval(x, 0.9)
		if attained < 0.9 {
			t.Fatalf("%d values attain %v", len(x), attained)
		}
		level := (1 - attained) / 2
		for _, c := range []struct {
			center   float64
			rejected bool
		}{{low - 1e-9, true}, {low + 1e-9, false}, {high - 1e-9, false}, {high + 1e-9, true}} {
			above, below := make([]float64, len(x)), make([]float64, len(x))
			for i, v := range x {
				above[i], below[i] = v-c.center, c.center-v
			}
			p := math.Min(SignedRank(above), SignedRank(below))
			if (p <= level*(1+1e-12)) != c.rejected {
				t.Fatalf("%v: [%v, %v] at %v: centre %v has p %v", x, low, high, attained, c.center, p)
			}
		}
	}
}

func TestHodgesLehmannIntervalCovers(t *testing.T) {
	r := rand.New(rand.NewPCG(15, 16))
	const trials = 2000
	covered := 0
	for range trials {
		x := make([]float64, 20)
		for i := range x {
			x[i] = 3 + r.NormFloat64()
		}
		before := slices.Clone(x)
		low, high, _ := HodgesLehmannInterval(x, 0.9)
		if low <= 3 && 3 <= high {
			covered++
		}
		if !slices.Equal(before, x) {
			t.Fatal("HodgesLehmannInterval reordered its input")
		}
	}
	if share := float64(covered) / trials; share < 0.88 || share > 0.93 {
		t.Errorf("a 90 %% interval covers the centre in %.1f %% of %d samples", 100*share, trials)
	}
}
