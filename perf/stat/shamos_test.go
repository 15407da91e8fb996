package stat

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestShamos(t *testing.T) {
	for _, c := range []struct {
		series [][]float64
		want   float64 // times √2·Φ⁻¹(3/4)
	}{
		{[][]float64{{1, 2}}, 1},
		{[][]float64{{5, 1, 2}}, 3},
		{[][]float64{{3, 3, 3, 3}}, 0},
		{[][]float64{{0, 1, 2, 100}}, (2 + 98) / 2.}, // three of six distances
		{[][]float64{{0, 1, 2, 3, 4, 1e9}}, 3},
		{[][]float64{{1, 2}, {100, 104}, {7}}, 2.5}, // no distance from one series to another
	} {
		if got := Shamos(c.series...) * math.Sqrt2 * 0.6744897501960817; !near(got, c.want, 1e-9) {
			t.Errorf("%v: %v, want %v", c.series, got, c.want)
		}
	}
	for _, series := range [][][]float64{nil, {{}}, {{1}, {2}}, {{1, 2}, {1, math.NaN()}}, {{math.Inf(1), 2}}} {
		if got := Shamos(series...); !math.IsNaN(got) {
			t.Errorf("%v: %v, want NaN", series, got)
		}
	}
}

// TestShamosFreedom compares the square of the estimate with the distribution that it is said to have: its mean, and the variance of
// its logarithm, that of a χ² distribution (trigamma of half the freedom).
func TestShamosFreedom(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 8))
	for _, n := range []int{5, 8, 20, 40} {
		const runs = 8000
		var sum, logs, squares float64
		for range runs {
			x := make([]float64, n)
			for i := range x {
				x[i] = 7 + 3*r.NormFloat64()
			}
			s := Shamos(x)
			sum, logs, squares = sum+s*s/9, logs+math.Log(s*s), squares+math.Log(s*s)*math.Log(s*s)
		}
		freedom, bias := ShamosFreedom(n)
		if got := sum / runs; !near(got, bias, 0.04) {
			t.Errorf("%d values: mean of the square %.3f, want %.3f", n, got, bias)
		}
		got, want := squares/runs-logs/runs*logs/runs, trigamma(freedom/2)
		if !near(got, want, 0.09) {
			t.Errorf("%d values: variance of the logarithm %.3f, want %.3f by %.3g degrees of freedom", n, got, want, freedom)
		}
	}
}

// trigamma is the second derivative of the logarithm of the gamma function, by recurrence and an asymptotic series.
func trigamma(x float64) (sum float64) {
	for ; x < 20; x++ {
		sum += 1 / (x * x)
	}
	return sum + 1/x + 1/(2*x*x) + 1/(6*x*x*x)
}
