package reference

import (
	"slices"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/lower"
)

// rules say which chains of nodes become one step, in this order:
//
//  1. x·Sigmoid(x) becomes SiLU.
//  2. SiLU of a GroupNormalization becomes part of it.
//  3. GroupNormalization → Split in halves a, b → a·Relu(b) becomes GroupNormGate (spec/model.md 3.1), and so does that + residual.
//  4. Conv followed by one of these becomes part of it: the convolution takes the statistics as it writes its output, and the
//     normalisation is a single pass.
//  5. Resize, perhaps + a map common to all masks, before BoxMask: only the cells inside the boxes are interpolated.
//
// Each step can store what it covers: the convolution writes to memory in any case, and the rest follows from that. So no rule has
// Unstored roles.
var rules = []lower.Rule{
	{Name: "SiLU", Pattern: lower.Pattern{Op: "Mul", Role: "silu", Commutes: true, In: []lower.Pattern{
		{Op: "Sigmoid", Role: "sigmoid", In: []lower.Pattern{{Role: "x"}}}, {Role: "x"},
	}}},
	{Name: "GroupNormSiLU", Pattern: lower.Pattern{Op: "SiLU", Role: "silu", In: []lower.Pattern{norm}}},
	{Name: "GroupNormGate", Pattern: lower.Pattern{Op: "Mul", Role: "gate", Commutes: true, In: []lower.Pattern{
		{Op: "Split", Role: "split", Where: splitsInHalves, In: []lower.Pattern{norm}},
		{Op: "Relu", Role: "relu", In: []lower.Pattern{{Op: "Split", Role: "split", Output: 1, Where: splitsInHalves}}},
	}}},
	{Name: "GroupNormGate", Where: addsResidual, Pattern: lower.Pattern{Op: "Add", Role: "sum", Commutes: true, In: []lower.Pattern{
		{Op: "GroupNormGate", Role: "gated", Where: hasNoResidual}, {Role: "residual"},
	}}},
	{Name: "ConvGroupNorm", Pattern: lower.Pattern{Op: "GroupNormalization", Role: "norm", In: []lower.Pattern{conv}}},
	{Name: "ConvGroupNormSiLU", Pattern: lower.Pattern{Op: "GroupNormSiLU", Role: "normalised", In: []lower.Pattern{conv}}},
	{Name: "ConvGroupNormGate", Pattern: lower.Pattern{Op: "GroupNormGate", Role: "normalised", In: []lower.Pattern{conv}}},
	{Name: "ResizeBoxMask", Where: addsCommonMap, Pattern: lower.Pattern{Op: "BoxMask", Role: "mask", In: []lower.Pattern{
		{Op: "Add", Role: "sum", Commutes: true, In: []lower.Pattern{{Role: "common"}, resize}},
	}}},
	{Name: "ResizeBoxMask", Pattern: lower.Pattern{Op: "BoxMask", Role: "mask", In: []lower.Pattern{resize}}},
}

var (
	norm   = lower.Pattern{Op: "GroupNormalization", Role: "norm"}
	conv   = lower.Pattern{Op: "Conv", Role: "conv", Where: packable}
	resize = lower.Pattern{Op: "Resize", Role: "resize"}
)

func splitsInHalves(n *lower.Node) bool {
	op := n.Op.(graph.Split)
	return op.Axis == 1 && len(op.Sizes) == 2 && op.Sizes[0] == op.Sizes[1]
}

func hasNoResidual(gated *lower.Node) bool { return gated.Part("sum") == nil }

func addsResidual(m lower.Match) bool {
	return slices.Equal(m.Node("gated").Out[0].Shape, m.Value("residual").Shape)
}

// addsCommonMap tells whether a map [B,1,H,W] is added to all masks [B,N,H,W] of an image.
func addsCommonMap(m lower.Match) bool {
	masks, common := m.Node("resize").Out[0].Shape, m.Value("common").Shape
	return slices.Equal(m.Node("sum").Out[0].Shape, masks) && slices.Equal(common, []int{masks[0], 1, masks[2], masks[3]})
}

// addend returns what a sum adds to the result of another part, or nil where there is no sum.
func addend(sum, to *lower.Node) *lower.Value {
	switch {
	case sum == nil:
		return nil
	case sum.In[0] == to.Out[0]:
		return sum.In[1]
	}
	return sum.In[0]
}
