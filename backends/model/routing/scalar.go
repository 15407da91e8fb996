package routing

import "math"

// Sigmoid returns 1/(1+exp(-x)). It is 0 for very negative x, where the original overflows.
func Sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

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
