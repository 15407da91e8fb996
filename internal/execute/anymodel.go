package execute

import (
	"context"
	"errors"
	"slices"

	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/internal/source"
	"github.com/apex-x/apexx/parity"
	"github.com/apex-x/apexx/perf/measure"
)

// NetworkModel is a model that is not Apex-X, in the one shape that it has, with the inputs on which it is timed. It implements
// measure.ModelSource.
type NetworkModel struct {
	Network *source.Network
	Feeds   measure.Feeds
}

// NewNetworkModel joins a network with inputs, nil for such as are drawn from a seed, and with others that differ from them: the same numbers
// in reverse, or where that changes nothing drawn ones. It fails where no inputs can differ.
func NewNetworkModel(n *source.Network, inputs tensor.List, seed int64) (*NetworkModel, error) {
	var others []tensor.List
	if inputs == nil {
		inputs = n.Drawn(seed).Inputs
	} else {
		others = append(others, reversed(inputs))
	}
	const draws = 8
	for i := range int64(draws) {
		others = append(others, n.Drawn(seed+1+i).Inputs)
	}
	for _, other := range others {
		if !equalInputs(inputs, other) {
			return &NetworkModel{n, measure.Feeds{inputs, other}}, nil
		}
	}
	return nil, errors.New("it has no inputs that could differ from one run to another, and what is the same every time cannot be told from what was kept")
}

// Complete implements measure.ModelSource.
func (m *NetworkModel) Complete(context.Context, measure.Shape) (*measure.Complete, error) {
	return &measure.Complete{Graph: m.Network.Graph, Feeds: m.Feeds, Setting: parity.Setting{AnyModel: true}, Digests: measure.Digests{Weights: m.Network.Digest}}, nil
}

// reversed returns tensors with their elements in the opposite order: what is valid in them, such as the index of a word, stays valid.
func reversed(inputs tensor.List) tensor.List {
	out := inputs.Clone()
	for _, t := range out {
		switch t.DType() {
		case tensor.Float32:
			slices.Reverse(tensor.Data[float32](t.Tensor))
		case tensor.Float64:
			slices.Reverse(tensor.Data[float64](t.Tensor))
		case tensor.Int32:
			slices.Reverse(tensor.Data[int32](t.Tensor))
		case tensor.Int64:
			slices.Reverse(tensor.Data[int64](t.Tensor))
		case tensor.Bool:
			slices.Reverse(tensor.Data[bool](t.Tensor))
		}
	}
	return out
}

// equalInputs compares inputs of one graph bit for bit.
func equalInputs(a, b tensor.List) bool {
	return slices.EqualFunc(a, b, func(x, y tensor.Named) bool { return tensor.Identical(x.Tensor, y.Tensor) })
}
