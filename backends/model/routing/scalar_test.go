package routing

import (
	"testing"
)

func TestSigmoid(t *testing.T) {
	for x, want := range map[float64]float64{0: .5, 1: 0.7310585786300049, -800: 0, 800: 1} {
		if got := Sigmoid(x); got != want {
			t.Errorf("Sigmoid(%v) = %v, want %v", x, got, want)
		}
	}
}
