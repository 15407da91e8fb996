package parity

import (
	"math"
	"testing"
)

// TestShares keeps what is beyond a budget from being rounded to it, and what is within from being rounded beyond.
func TestShares(t *testing.T) {
	for ratio, want := range map[float64]string{
		0: "0", 0.312: "0.31", 0.996: "0.996", 1: "1", 1.0026: "1.003", 1.04: "1.04", 1.26: "1.3", 174: "1.7e+02", math.Inf(1): "+Inf",
	} {
		if got := (&BudgetReport{Ratio: Number(ratio)}).Share(); got != want {
			t.Errorf("%g is told as %s, want %s", ratio, got, want)
		}
	}
	s := BudgetSummary{Factor: 6, Output: "boxes", Ratio: 1.0026, Lambda: 6.0156}
	if got, want := s.String(), "1.003 of the budget at λ = 6 (boxes); within it from λ = 6.02 on: more than rounding explains"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
