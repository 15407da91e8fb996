package cuda

import (
	"math"
	"slices"
	"strings"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/lower"
	"github.com/apex-x/apexx/backends/lower/regions"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/kernels"
)

// The network on tensor cores. Its kernels read and write maps: values [B,C,H,W] as [image][pixel][channel] in the format of the session's
// precision, C a multiple of 8. This file says which nodes they compute, and what of the nodes around them:
//
//	ConvTensor       a convolution
//	ConvTensorSum    with what is added to it: a map of half the size, the nearest pixel of which is read, or another convolution
//	ConvTensorRound  with the Round behind either: a map in memory is rounded, and the graph says where
//	NormMap          GroupNorm, SiLU or gate and residual (rules.go), and the Round behind
//
// In tf32, fp16 and bf16 the operands of a convolution are what the graph rounded, so every product is exact. In fp32 each product is made of
// three fp16 products (kernels/conv.h), with an error like that of float32: ConvSplit in the plan.
const (
	opConvTensor = lower.Fused("ConvTensor")
	opConvSplit  = lower.Fused("ConvSplit")
	opNormMap    = lower.Fused("NormMap")
)

// normEpsilon is that of the normalisations in the kernels of the network.
const normEpsilon = 1e-5

// mapFormat is the format of maps in a session that rounds to f.
func mapFormat(f graph.Format) kernels.Format {
	switch f {
	case graph.FP16:
		return kernels.F16
	case graph.BF16:
		return kernels.BF16
	case graph.TF32:
		return kernels.TF32
	}
	return kernels.F32
}

// roundsMaps tells whether maps hold fewer bits than float32: then the graph rounds what becomes one.
func (c *compiler) roundsMaps() bool { return mapFormat(c.rounded).MapBytes() == 2 }

// convOp is what convolutions on tensor cores are called in this session.
func (c *compiler) convOp() lower.Fused {
	if c.rounded == "" {
		return opConvSplit
	}
	return opConvTensor
}

// useTensorCores turns what the kernels of the network can compute on this device into nodes of the operators above.
func (c *compiler) useTensorCores(p *lower.Program) {
	op := c.convOp()
	distance := distances(p)
	for _, n := range p.Nodes {
		if distance[n] == 0 {
			continue // for taps alone
		}
		if g, ok := c.geometryOf(n); ok {
			c.geometries[n.Name], n.Op = g, op
		}
	}
	name, sum := string(op), string(op)+"Sum"
	p.Fuse([]lower.Rule{
		{Name: sum, Where: c.addsHalf, Unstored: []string{"conv", "rows", "columns"}, Pattern: lower.Pattern{Op: "Add", Role: "sum", Commutes: true, In: []lower.Pattern{
			{Op: name, Role: "conv"},
			{Op: "Gather", Role: "columns", In: []lower.Pattern{{Op: "Gather", Role: "rows", In: []lower.Pattern{{Role: "coarse"}}}}},
		}}},
		{Name: sum, Where: c.addsConvolution, Unstored: []string{"conv", "second"}, Pattern: lower.Pattern{Op: "Add", Role: "total", Commutes: true, In: []lower.Pattern{
			{Op: name, Or: []string{sum}, Role: "conv"}, {Op: name, Role: "second"},
		}}},
	})
	if c.roundsMaps() {
		p.Fuse([]lower.Rule{
			{Name: name + "Round", Where: c.roundsResult, Unstored: []string{"conv"}, Pattern: lower.Pattern{Op: "Round", Role: "round", In: []lower.Pattern{
				{Op: name, Or: []string{sum}, Role: "conv"},
			}}},
			{Name: string(opNormMap), Where: c.normalisesMap, Unstored: []string{"normalised"}, Pattern: lower.Pattern{Op: "Round", Role: "round", In: []lower.Pattern{
				{Op: regions.GroupNormSiLU, Or: []string{regions.GroupNormGate}, Role: "normalised"},
			}}},
		})
		return
	}
	for _, n := range p.Nodes {
		if op := n.Op.OpType(); distance[n] > 0 && (op == regions.GroupNormSiLU || op == regions.GroupNormGate) && c.normalises(n) {
			n.Op = opNormMap
		}
	}
}

// isConv tells whether a node is a convolution on tensor cores, with what is fused to it.
func (c *compiler) isConv(n *lower.Node) bool {
	return n != nil && strings.HasPrefix(n.Op.OpType(), string(c.convOp()))
}

// geometryOf returns the geometry of a convolution that a kernel can compute here.
func (c *compiler) geometryOf(n *lower.Node) (kernels.Geometry, bool) {
	op, ok := n.Op.(graph.Conv)
	if !ok || op.Group != 1 || !n.In[1].Constant || n.Input(2) != nil && !n.In[2].Constant || n.Out[0].Len() == 0 {
		return kernels.Geometry{}, false
	}
	x, w := n.In[0], n.In[1]
	g := kernels.Geometry{Taps: w.Shape[2] * w.Shape[3], Stride: op.Strides[0]}
	switch pads := w.Shape[2] / 2; {
	case w.Shape[2] != w.Shape[3] || op.Strides[0] != op.Strides[1] || op.Pads != [4]int{pads, pads, pads, pads}:
		return g, false
	case g == kernels.Conv3x3By2 && x.Shape[1] == 3:
		g = kernels.Image
	case !slices.Contains([]kernels.Geometry{kernels.Conv1x1, kernels.Conv3x3, kernels.Conv3x3By2}, g) || x.Shape[1]%8 != 0:
		return g, false
	}
	if max(x.Shape[1], x.Shape[2], x.Shape[3], w.Shape[0]) > 1<<15-8 || !c.multiplies(w) || c.rounded != "" && !c.isRounded(x) {
		return g, false
	}
	_, ok = kernels.Choose(c.properties, kernels.Work{
		Format: mapFormat(c.rounded), Geometry: g, Channels: x.Shape[1], Out: w.Shape[0], Tiles: kernels.Tiles(n.Out[0].Shape[2], n.Out[0].Shape[3]),
	})
	return g, ok
}

// isRounded tells whether a value is one that the graph rounds to the session's format.
func (c *compiler) isRounded(v *lower.Value) bool {
	if v.Producer == nil {
		return false
	}
	parts := v.Producer.Parts()
	last := parts[len(parts)-1]
	op, ok := last.Op.(graph.Round)
	return ok && op.To == c.rounded && v == last.Out[0]
}

// multiplies tells whether the matrix unit has the elements of a constant as operands: numbers of the format, or those that two halves hold.
func (c *compiler) multiplies(w *lower.Value) bool {
	return w.Data != nil && !slices.ContainsFunc(tensor.Data[float32](w.Data), func(x float32) bool {
		if c.rounded == "" {
			return math.Abs(float64(x)) >= kernels.SplitLimit
		}
		return kernels.Rounded(mapFormat(c.rounded), x) != x
	})
}

// addsHalf tells whether what is added to a convolution is a map of half the size, each pixel four times.
func (c *compiler) addsHalf(m lower.Match) bool {
	y, coarse := m.Node("sum").Out[0], m.Value("coarse")
	return len(coarse.Shape) == 4 && coarse.Shape[0] == y.Shape[0] && coarse.Shape[1] == y.Shape[1] && y.Shape[1]%8 == 0 && // y is no broadcast
		slices.Equal(y.Shape, m.Node("conv").Out[0].Shape) &&
		doubles(m.Node("rows"), 2, coarse.Shape[2], y.Shape[2]) && doubles(m.Node("columns"), 3, coarse.Shape[3], y.Shape[3]) &&
		(!c.roundsMaps() || c.isRounded(coarse))
}

// doubles tells whether a gather takes every index of an axis of size n twice.
func doubles(n *lower.Node, axis, size, doubled int) bool {
	ids := n.In[1]
	if n.Op.(graph.Gather).Axis != axis || doubled != 2*size || ids.Data == nil || ids.Len() != doubled || len(ids.Shape) != 1 {
		return false
	}
	for i, at := range ids.Data.Float64s() {
		if int(at) != i/2 {
			return false
		}
	}
	return true
}

// addsConvolution tells whether two convolutions are one over the channels of both inputs.
func (c *compiler) addsConvolution(m lower.Match) bool {
	first, second := m.Node("conv"), m.Node("second")
	conv := first.Part("conv")
	if conv == nil {
		conv = first
	}
	y, g := m.Node("total").Out[0], c.geometries[conv.Name]
	return !g.Image && g == c.geometries[second.Name] && y.Shape[1]%8 == 0 && slices.Equal(y.Shape, first.Out[0].Shape) && slices.Equal(y.Shape, second.Out[0].Shape) &&
		slices.Equal(conv.In[0].Shape[2:], second.In[0].Shape[2:])
}

func (c *compiler) roundsResult(m lower.Match) bool {
	return m.Node("round").Op.(graph.Round).To == c.rounded
}

func (c *compiler) normalisesMap(m lower.Match) bool {
	return c.roundsResult(m) && c.normalises(m.Node("normalised"))
}

// normalises tells whether the kernels of the network compute a normalisation with what follows it: of one group, over a map that one of their
// convolutions makes.
func (c *compiler) normalises(n *lower.Node) bool {
	norm := n.Part("norm")
	op, y := norm.Op.(graph.GroupNormalization), norm.In[0]
	width := y.Shape[1]
	residual := regions.Residual(n)
	if n.Part("gate") != nil {
		width /= 2
	}
	switch {
	case op.Groups != 1 || op.Epsilon != normEpsilon || len(y.Shape) != 4 || !norm.In[1].Constant || !norm.In[2].Constant:
		return false
	case width%8 != 0 || width > kernels.MaxChannels || !c.isConv(y.Producer):
		return false
	case c.roundsMaps():
		return c.isRounded(y) && (residual == nil || c.isRounded(residual))
	}
	return true
}
