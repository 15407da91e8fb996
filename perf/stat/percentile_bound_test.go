package stat

import (
	"math"
	"testing"

	"gonum.org/v1/gonum/mathext"
)

// 64 for p90 and 662 for p99 are the counts that LoadGen asks for ("Need to process at least … queries for early stopping").
func TestSamplesForQuantile(t *testing.T) {
	for _, c := range []struct {
		q, confidence float64
		want          int
	}{
		{0.9, 0.99, 64}, {0.95, 0.99, 130}, {0.97, 0.99, 219}, {0.99, 0.99, 662}, {0.999, 0.99, 6636}, {0.5, 0.99, 11},
		{1, 0.99, math.MaxInt}, {0.9, 1, math.MaxInt}, {nan, 0.99, math.MaxInt}, {0.9, nan, math.MaxInt},
	} {
		if got := SamplesForQuantile(c.q, c.confidence); got != c.want {
			t.Errorf("SamplesForQuantile(%v, %v) = %d, want %d", c.q, c.confidence, got, c.want)
		}
	}
}

// LoadGen writes the tail of the binomial distribution as I_q(h, t+1) with h = n - t samples below the quantile.
func TestSamplesForQuantileByBetaFunction(t *testing.T) {
	for _, q := range []float64{0.5, 0.8, 0.9, 0.95, 0.99, 0.999} {
		for _, confidence := range []float64{0.9, 0.95, 0.99, 0.999} {
			n := SamplesForQuantile(q, confidence)
			enough, fewer := mathext.RegIncBeta(float64(n-1), 2, q), mathext.RegIncBeta(float64(n-2), 2, q)
			if enough > 1-confidence || fewer <= 1-confidence {
				t.Errorf("q %v at %v: %d samples leave %v, one fewer %v", q, confidence, n, enough, fewer)
			}
		}
	}
}

func TestQuantileHolds(t *testing.T) {
	for _, c := range []struct {
		n    int
		q    float64
		want bool
	}{{661, 0.99, false}, {662, 0.99, true}, {63, 0.9, false}, {64, 0.9, true}, {0, 0.5, false}, {1 << 30, 1, false}} {
		if got := QuantileHolds(c.n, c.q); got != c.want {
			t.Errorf("QuantileHolds(%d, %v) = %v", c.n, c.q, got)
		}
	}
}
