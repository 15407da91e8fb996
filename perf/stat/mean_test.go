package stat

import (
	"math"
	"testing"
)

func TestMeanInterval(t *testing.T) {
	// t(0.975; 4) = 2.7764, s = √2.5
	mean, half := MeanInterval([]float64{1, 2, 3, 4, 5}, 0.95)
	if mean != 3 || !near(half, 2.7764451*math.Sqrt(2.5)/math.Sqrt(5), 1e-6) {
		t.Errorf("MeanInterval = %v ± %v", mean, half)
	}
	for _, c := range []struct {
		x                []float64
		confidence, mean float64
	}{{nil, 0.95, nan}, {[]float64{7}, 0.95, 7}, {[]float64{1, 3}, 1, 2}, {[]float64{1, 3}, 0, 2}, {[]float64{1, nan}, 0.9, nan}} {
		if mean, half := MeanInterval(c.x, c.confidence); !same(mean, c.mean) || !math.IsNaN(half) {
			t.Errorf("MeanInterval(%v, %v) = %v ± %v, want %v ± NaN", c.x, c.confidence, mean, half, c.mean)
		}
	}
}
