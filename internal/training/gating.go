package training

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/apex-x/apexx/backends/model/routing"
)

// Float is the type of utilities and probabilities. Arithmetic on them is done in the type itself, as the model does.
type Float interface{ float32 | float64 }

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
		switch {
		case u != u:
			u = 0
		case math.IsInf(float64(u), 0):
			u = T(math.Copysign(gateClamp, float64(u)))
		}
		z := u / T(temperature)
		out[i] = T(routing.Sigmoid(float64(min(max(z, -gateClamp), gateClamp))))
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
	if kmax < 0 || kmax > routing.MaxTiles {
		return nil, fmt.Errorf("kmax_l0 is %d: must be >= 0 and at most %d", kmax, routing.MaxTiles)
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
