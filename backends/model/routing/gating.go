package routing

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
)

// gateClamp bounds logits: in float32 the sigmoid of 60 is exactly 1.
const gateClamp = 60

// SigmoidProbabilities returns the probabilities sigmoid(clamp(u/temperature, -60, 60)), with NaN taken as 0 and infinities
// as ±60. temperature must be > 0 and finite; the original lets NaN pass. Source: spec 13.
func SigmoidProbabilities[T Float](utilities []T, temperature float64) ([]T, error) {
	if err := checkTemperature(temperature); err != nil {
		return nil, err
	}
	out := make([]T, len(utilities))
	for i, u := range utilities {
		z := replaceNonFinite(u, 0, gateClamp) / T(temperature)
		out[i] = T(Sigmoid(float64(min(max(z, -gateClamp), gateClamp))))
	}
	return out, nil
}

// HardGates returns 1 where the probability is >= threshold, else 0: the forward value of the straight-through gate. NaN and
// -Inf count as 0, +Inf as 1. threshold must be in [0,1] and is compared in the type T.
func HardGates[T Float](probabilities []T, threshold float64) ([]T, error) {
	if !(threshold >= 0 && threshold <= 1) {
		return nil, fmt.Errorf("gate threshold is %v: must be in [0, 1]", threshold)
	}
	out := make([]T, len(probabilities))
	for i, p := range probabilities {
		if cleanProbability(p) >= T(threshold) {
			out[i] = 1
		}
	}
	return out, nil
}

// BernoulliGates returns 1 with the given probability, drawing one number from uniform, in [0,1), per element.
func BernoulliGates[T Float](probabilities []T, uniform func() float64) ([]T, error) {
	if uniform == nil {
		return nil, errors.New("bernoulli gates need a source of uniform numbers")
	}
	out := make([]T, len(probabilities))
	for i, p := range probabilities {
		if uniform() < float64(cleanProbability(p)) {
			out[i] = 1
		}
	}
	return out, nil
}

// GateGradient returns dL/du from dL/dg of the straight-through gate: upstream * p*(1-p)/temperature with p as in
// [SigmoidProbabilities], and 0 where u is not finite or |u/temperature| > 60.
func GateGradient[T Float](utilities, upstream []T, temperature float64) ([]T, error) {
	if len(utilities) != len(upstream) {
		return nil, fmt.Errorf("%d utilities and %d upstream gradients: must have the same length", len(utilities), len(upstream))
	}
	p, err := SigmoidProbabilities(utilities, temperature)
	if err != nil {
		return nil, err
	}
	out := make([]T, len(utilities))
	for i, u := range utilities {
		if finite(float64(u)) && math.Abs(float64(u/T(temperature))) <= gateClamp {
			out[i] = upstream[i] * p[i] * (1 - p[i]) / T(temperature)
		}
	}
	return out, nil
}

// SelectGated returns the tiles to run in training: ids whose gate is >= 0.5, by utility descending, then id ascending, at
// most kmax. No budget applies. Utilities must be finite.
func SelectGated[T Float](gates, utilities []T, kmax int) ([]int, error) {
	if err := checkCapacity("kmax_l0", kmax); err != nil {
		return nil, err
	}
	if len(gates) != len(utilities) {
		return nil, fmt.Errorf("%d gates and %d utilities: must have the same length", len(gates), len(utilities))
	}
	ids := []int{}
	for i, g := range gates {
		if !finite(float64(utilities[i])) {
			return nil, fmt.Errorf("utility of tile %d is %v: must be finite", i, utilities[i])
		}
		if g >= 0.5 {
			ids = append(ids, i)
		}
	}
	slices.SortStableFunc(ids, func(a, b int) int { return cmp.Compare(utilities[b], utilities[a]) })
	return ids[:min(kmax, len(ids))], nil
}

// ExpectedCost returns the sum over tiles of p*heavy + (1-p)*cheap, in float64. p must be in [0,1]; the tensor form of the
// original took a NaN for 0. cheap must be finite and >= 0, heavy finite and > cheap. Source: spec 14.
func ExpectedCost[T Float](probabilities []T, heavy, cheap float64) (float64, error) {
	if !finite(cheap) || cheap < 0 {
		return 0, fmt.Errorf("c_cheap is %v: must be >= 0 and finite", cheap)
	}
	if !finite(heavy) || heavy <= cheap {
		return 0, fmt.Errorf("c_heavy is %v: must be > c_cheap, which is %v, and finite", heavy, cheap)
	}
	return expectedCost(probabilities, heavy, cheap)
}

func expectedCost[T Float](probabilities []T, heavy, cheap float64) (float64, error) {
	total := 0.0
	for i, v := range probabilities {
		p := float64(v)
		if !(p >= 0 && p <= 1) {
			return 0, fmt.Errorf("probability %v of tile %d: must be in [0, 1]", p, i)
		}
		total += float64(p*heavy) + float64((1-p)*cheap)
	}
	return total, nil
}

func checkTemperature(t float64) error {
	if !(t > 0) || !finite(t) {
		return fmt.Errorf("gate temperature is %v: must be > 0 and finite", t)
	}
	return nil
}

// cleanProbability maps NaN to 0 and clamps to [0,1].
func cleanProbability[T Float](p T) T {
	if p != p {
		return 0
	}
	return min(max(p, 0), 1)
}

// replaceNonFinite maps NaN to nan and infinities to ±inf; finite values stay.
func replaceNonFinite[T Float](v, nan, inf T) T {
	switch {
	case v != v:
		return nan
	case math.IsInf(float64(v), 1):
		return inf
	case math.IsInf(float64(v), -1):
		return -inf
	}
	return v
}
