package routing

import (
	"fmt"
	"math"
)

// TinyMLPConfig sizes a [TinyMLP]. Zero values are the defaults.
type TinyMLPConfig struct {
	InputDim     int // default 1
	HiddenDim    int // default 32
	NumLayers    int // default 2
	TemporalHead bool
}

func (c TinyMLPConfig) resolve() (TinyMLPConfig, error) {
	var err error
	if c.InputDim, err = dimension("input_dim", c.InputDim, 1); err != nil {
		return c, err
	}
	if c.HiddenDim, err = dimension("hidden_dim", c.HiddenDim, 32); err != nil {
		return c, err
	}
	c.NumLayers, err = dimension("num_layers", c.NumLayers, 2)
	return c, err
}

// Params lists the parameters. Weights and biases start uniform in ±1/sqrt(inputs). Source: spec 18 and model spec 2.3.
func (c TinyMLPConfig) Params() ([]Param, error) {
	c, err := c.resolve()
	if err != nil {
		return nil, err
	}
	var params []Param
	in := c.InputDim
	for j := range c.NumLayers {
		bound := 1 / math.Sqrt(float64(in))
		name := fmt.Sprintf("backbone.%d", 2*j) // odd places hold the ReLUs
		params = append(params, Param{name + ".weight", []int{c.HiddenDim, in}, bound, nil}, Param{name + ".bias", []int{c.HiddenDim}, bound, nil})
		in = c.HiddenDim
	}
	bound := 1 / math.Sqrt(float64(in))
	return append(params, headParams(in, c.TemporalHead, bound, bound)...), nil
}

// TinyMLP is RouterTinyMLP: NumLayers times (linear, ReLU), then one linear head per output. Inputs are not cleaned and
// outputs not bounded, as in the model. It reads the weights it was given and may be used by several goroutines.
type TinyMLP[T Float] struct {
	config TinyMLPConfig
	layers []linear[T]
	heads  heads[T]
}

// NewTinyMLP returns the router with the given weights, by the names of [TinyMLPConfig.Params]; they are not copied.
func NewTinyMLP[T Float](c TinyMLPConfig, weights map[string][]T) (*TinyMLP[T], error) {
	params, err := c.Params()
	if err != nil {
		return nil, err
	}
	if err := checkWeights(weights, params); err != nil {
		return nil, fmt.Errorf("RouterTinyMLP: %w", err)
	}
	m := &TinyMLP[T]{heads: newHeads(weights, c.TemporalHead)}
	if m.config, err = c.resolve(); err != nil {
		return nil, err
	}
	for j := range m.config.NumLayers {
		m.layers = append(m.layers, linearOf(weights, fmt.Sprintf("backbone.%d", 2*j)))
	}
	return m, nil
}

// Forward maps x [B,K,InputDim] to [B,K] outputs.
func (m *TinyMLP[T]) Forward(x Array[T]) (RouterOutput[T], error) {
	a, b := make([]T, m.config.HiddenDim), make([]T, m.config.HiddenDim)
	return m.heads.forward(x, m.config.InputDim, inf[T](), func(features []T) []T {
		for _, l := range m.layers {
			l.apply(a, features)
			for i, v := range a {
				a[i] = max(v, 0)
			}
			features, a, b = a, b, a
		}
		return features
	})
}

// PredictUtilities returns U for one batch of scalars; it needs InputDim 1.
func (m *TinyMLP[T]) PredictUtilities(signals []float64) ([]float64, error) {
	return predict(signals, m.config.InputDim, m.Forward)
}
