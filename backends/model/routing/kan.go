package routing

import (
	"fmt"
	"math"
)

// The spline of a KAN-like router covers this range; LayerNorm leaves few values outside.
const (
	kanMin = -3
	kanMax = 3
	// nonFiniteInput stands in for infinities at the input.
	nonFiniteInput = 1e4
	layerNormEps   = 1e-5
)

// KANConfig sizes a [KANLike]. Zero values are the defaults.
type KANConfig struct {
	InputDim     int // default 1
	HiddenDim    int // default 16
	NumKnots     int // default 8, >= 2
	TemporalHead bool
	LogitClip    float64 // outputs are held in ±LogitClip; default 20, > 0
}

func (c KANConfig) resolve() (KANConfig, error) {
	var err error
	if c.InputDim, err = dimension("input_dim", c.InputDim, 1); err != nil {
		return c, err
	}
	if c.HiddenDim, err = dimension("hidden_dim", c.HiddenDim, 16); err != nil {
		return c, err
	}
	if c.NumKnots, err = dimension("num_knots", c.NumKnots, 8); err != nil {
		return c, err
	}
	if c.NumKnots < 2 {
		return c, fmt.Errorf("num_knots is %d: must be >= 2", c.NumKnots)
	}
	if c.LogitClip == 0 {
		c.LogitClip = 20
	}
	if !(c.LogitClip > 0) {
		return c, fmt.Errorf("logit_clip is %v: must be > 0", c.LogitClip)
	}
	return c, nil
}

// Params lists the parameters. Projections start Xavier-uniform, ±gain*sqrt(6/(inputs+outputs)) with gain 0.5 and 0.25 for
// the heads; the spline starts as the identity. Source: spec 19.2 and model spec 2.4.
func (c KANConfig) Params() ([]Param, error) {
	c, err := c.resolve()
	if err != nil {
		return nil, err
	}
	xavier := func(gain float64, in, out int) float64 { return gain * math.Sqrt(6/float64(in+out)) }
	d, h := c.InputDim, c.HiddenDim
	params := []Param{
		{"norm.weight", []int{d}, 0, []float64{1}},
		{"norm.bias", []int{d}, 0, zeroRow},
		{"in_proj.weight", []int{h, d}, xavier(0.5, d, h), nil},
		{"in_proj.bias", []int{h}, 0, zeroRow},
		{"spline.knot_y", []int{h, c.NumKnots}, 0, knotPositions(c.NumKnots, kanMin, kanMax)},
		{"out_proj.weight", []int{h, h}, xavier(0.5, h, h), nil},
	}
	return append(params, headParams(h, c.TemporalHead, xavier(0.25, h, 1), 0)...), nil
}

// KANLike is RouterKANLike: LayerNorm, linear, spline, linear without bias, heads, clamp. NaN inputs count as 0 and infinite
// ones as ±1e4. It reads the weights it was given and may be used by several goroutines.
//
// With InputDim 1 it is constant, as in the original: LayerNorm of one value is its bias whatever the value.
type KANLike[T Float] struct {
	config                KANConfig
	normWeight, normBias  []T
	inputProj, outputProj linear[T]
	spline                *Spline[T]
	heads                 heads[T]
	hidden                int
}

// NewKANLike returns the router with the given weights, by the names of [KANConfig.Params]; they are not copied.
func NewKANLike[T Float](c KANConfig, weights map[string][]T) (*KANLike[T], error) {
	params, err := c.Params()
	if err != nil {
		return nil, err
	}
	if err := checkWeights(weights, params); err != nil {
		return nil, fmt.Errorf("RouterKANLike: %w", err)
	}
	if c, err = c.resolve(); err != nil {
		return nil, err
	}
	spline, err := NewSpline(c.HiddenDim, c.NumKnots, kanMin, kanMax, weights["spline.knot_y"])
	if err != nil {
		return nil, err
	}
	return &KANLike[T]{config: c, normWeight: weights["norm.weight"], normBias: weights["norm.bias"], inputProj: linearOf(weights, "in_proj"),
		outputProj: linearOf(weights, "out_proj"), spline: spline, heads: newHeads(weights, c.TemporalHead), hidden: c.HiddenDim}, nil
}

// Forward maps x [B,K,InputDim] to [B,K] outputs.
func (k *KANLike[T]) Forward(x Array[T]) (RouterOutput[T], error) {
	normed, hidden, out := make([]T, k.config.InputDim), make([]T, k.hidden), make([]T, k.hidden)
	return k.heads.forward(x, k.config.InputDim, T(k.config.LogitClip), func(features []T) []T {
		k.normalise(normed, features)
		k.inputProj.apply(hidden, normed)
		k.spline.apply(hidden)
		k.outputProj.apply(out, hidden)
		return out
	})
}

// normalise writes the LayerNorm of x into y: (x-mean)/sqrt(var+eps)*weight + bias, population variance. Statistics are in
// float64, so that huge finite inputs, whose float32 variance overflows in the original, stay finite.
func (k *KANLike[T]) normalise(y, x []T) {
	n := float64(len(x))
	mean, variance := 0.0, 0.0
	for i, v := range x {
		y[i] = replaceNonFinite(v, 0, nonFiniteInput)
		mean += float64(y[i]) / n
	}
	for _, v := range y {
		variance += float64((float64(v)-mean)*(float64(v)-mean)) / n
	}
	scale := 1 / math.Sqrt(variance+layerNormEps)
	for i, v := range y {
		y[i] = T(T((float64(v)-mean)*scale)*k.normWeight[i]) + k.normBias[i]
	}
}

// PredictUtilities returns U for one batch of scalars; it needs InputDim 1, with which all utilities are equal (see
// [KANLike]).
func (k *KANLike[T]) PredictUtilities(signals []float64) ([]float64, error) {
	return predict(signals, k.config.InputDim, k.Forward)
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
