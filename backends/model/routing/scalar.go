package routing

import (
	"fmt"
	"math"
)

// Sigmoid returns 1/(1+exp(-x)). It is 0 for very negative x, where the original overflows.
func Sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

// DualStep returns max(0, mu + lr*(cost-budget)), the plain projected step that [DualController] refines. All values must be
// finite; the original turned a NaN into 0. Source: spec 11.
func DualStep(mu, cost, budget, lr float64) (float64, error) {
	for _, v := range []float64{mu, cost, budget, lr} {
		if !finite(v) {
			return 0, fmt.Errorf("dual step of mu %v, cost %v, budget %v, rate %v: all must be finite", mu, cost, budget, lr)
		}
	}
	return max(0, mu+float64(lr*(cost-budget))), nil
}

// Mean returns the arithmetic mean, 0 for no values.
func Mean(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}
