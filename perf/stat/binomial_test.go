package stat

import (
	"math"
	"testing"

	"gonum.org/v1/gonum/stat/distuv"
)

func TestClopperPearsonEnds(t *testing.T) {
	for _, c := range []struct {
		k, n       int
		confidence float64
		low, high  float64
	}{
		{0, 0, 0.95, 0, 1},
		{0, 60, 0.95, 0, 1 - math.Pow(0.025, 1.0/60)},
		{60, 60, 0.95, math.Pow(0.025, 1.0/60), 1},
		{0, 100000, 0.95, 0, 1 - math.Pow(0.025, 1.0/100000)},
		{-1, 5, 0.95, nan, nan}, {6, 5, 0.95, nan, nan}, {1, 5, 1, nan, nan}, {1, 5, 0, nan, nan}, {1, 5, nan, nan, nan},
	} {
		low, high := ClopperPearson(c.k, c.n, c.confidence)
		if !same(low, c.low) && !near(low, c.low, 1e-9) || !same(high, c.high) && !near(high, c.high, 1e-9) {
			t.Errorf("ClopperPearson(%d, %d, %v) = %v, %v; want %v, %v", c.k, c.n, c.confidence, low, high, c.low, c.high)
		}
	}
}

// At each end, the tail of the binomial distribution beyond k has half of the rest of the confidence.
func TestClopperPearsonTails(t *testing.T) {
	for _, c := range [][2]int{{1, 60}, {57, 60}, {30, 60}, {5, 100000}, {1, 2}, {95, 100}} {
		k, n := c[0], c[1]
		for _, confidence := range []float64{0.9, 0.95, 0.99} {
			low, high := ClopperPearson(k, n, confidence)
			atLeast := distuv.Binomial{N: float64(n), P: low}.Survival(float64(k - 1))
			atMost := distuv.Binomial{N: float64(n), P: high}.CDF(float64(k))
			if want := (1 - confidence) / 2; !near(atLeast, want, 1e-6) || !near(atMost, want, 1e-6) {
				t.Errorf("%d of %d at %v: [%v, %v] with tails %v and %v, want %v", k, n, confidence, low, high, atLeast, atMost, want)
			}
			mirrorLow, mirrorHigh := ClopperPearson(n-k, n, confidence)
			if !near(mirrorLow, 1-high, 1e-9) || !near(mirrorHigh, 1-low, 1e-9) {
				t.Errorf("%d of %d: [%v, %v], mirrored [%v, %v]", k, n, low, high, mirrorLow, mirrorHigh)
			}
		}
	}
}
