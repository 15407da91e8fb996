package routing

import "math"

// Sigmoid returns 1/(1+exp(-x)). It is 0 for very negative x, where the original overflows.
func Sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
