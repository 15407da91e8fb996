package regions

import (
	"slices"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/lower"
	"github.com/apex-x/apexx/backends/tensor"
)

// HeavyPath is one level of the heavy path (backends/model, heavyPath): from the packing of the tiles to the map in which they are replaced.
const HeavyPath = "HeavyPath"

// rounds makes patterns of what a session of a precision rounds.
type rounds struct{ format graph.Format }

// product wraps an operand of a product, stored what lies in memory otherwise: TF32 rounds the former alone.
func (r rounds) product(role string, p lower.Pattern) lower.Pattern {
	if r.format == "" {
		return p
	}
	return lower.Pattern{Op: "Round", Role: role, In: []lower.Pattern{p}}
}

func (r rounds) stored(role string, p lower.Pattern) lower.Pattern {
	if r.format == graph.TF32 {
		return p
	}
	return r.product(role, p)
}

// of and commuting make patterns of nodes.
func of(op, role string, in ...lower.Pattern) lower.Pattern {
	return lower.Pattern{Op: op, Role: role, In: in}
}

func commuting(op, role string, in ...lower.Pattern) lower.Pattern {
	return lower.Pattern{Op: op, Role: role, In: in, Commutes: true}
}

func second(p lower.Pattern) lower.Pattern {
	p.Output = 1
	return p
}

func value(role string) lower.Pattern { return lower.Pattern{Role: role} }

// heavyRules has a rule for each way in which the tokens are mixed.
func heavyRules(r rounds) []lower.Rule {
	pack := of("TilePack", "pack", value("dense"), value("ids"))
	tokens := of("ReduceMean", "tokens", pack)
	forward, backward := of("TileSSMScan", "forward", tokens), of("TileSSMScan", "backward", tokens)
	mixes := []lower.Pattern{
		forward,
		commuting("Add", "mix", commuting("Mul", "gated forward", value("gate"), forward), commuting("Mul", "gated backward", value("rest"), backward)),
	}
	var rules []lower.Rule
	for _, mix := range mixes {
		row := r.product("row round", of("LayerNormalization", "row", of("Reshape", "rows", of("Clip", "clip", mix))))
		hidden := of("Gemm", "first", row)
		silu := r.product("hidden round", commuting("Mul", "silu", hidden, of("Sigmoid", "sigmoid", hidden)))
		parts := of("Split", "parts", of("Gemm", "last", silu))
		gamma := commuting("Add", "1+gamma", of("Reshape", "gamma", of("Tanh", "tanh", parts)), value("one"))
		modulated := commuting("Add", "modulated", commuting("Mul", "scaled", gamma, pack), of("Reshape", "beta", second(parts)))
		tiles := of("Reshape", "tiles", r.stored("modulated round", modulated))
		depthwise := r.product("depthwise round", of("Conv", "depthwise", tiles))
		norm := of("GroupNormalization", "norm", r.stored("pointwise round", of("Conv", "pointwise", depthwise)))
		halves := of("Split", "halves", norm)
		gated := commuting("Mul", "gated", halves, of("Relu", "relu", second(halves)))
		refined := of("Reshape", "packed", r.stored("refined round", commuting("Add", "refined", gated, tiles)))
		rules = append(rules, lower.Rule{
			Name: HeavyPath, Where: isHeavyPath, Pattern: r.stored("result", of("TileUnpackFusion", "unpack", value("dense"), refined, value("ids"))),
		})
	}
	return rules
}

// The most of what the kernels hold of a tile.
const (
	heavyChannels = 128
	heavyHidden   = 256
	heavyTile     = 32 // pixels along a side, a multiple of 4
)

// isHeavyPath tells whether the kernels compute what the nodes say.
func isHeavyPath(m lower.Match) bool {
	c := m.Value("dense").Shape[1]
	hidden, side := m.Node("first").Out[0].Shape[1], m.Node("pack").Op.(graph.TilePack).Tile
	return side <= heavyTile && side%4 == 0 && c <= heavyChannels && c%4 == 0 && hidden <= heavyHidden && hidden%4 == 0 && m.Value("dense").Len() > 0 &&
		slices.Equal(m.Node("tokens").Op.(graph.Reduce).Axes, []int{3, 4}) && scansForHeavyPath(m) &&
		isLinear(m.Node("first"), hidden) && isLinear(m.Node("last"), 2*c) && isNumber(m.Value("one"), 1) &&
		splitsInHalves(m.Node("parts")) && splitsInHalves(m.Node("halves")) && m.Node("norm").Op.(graph.GroupNormalization).Groups == 1 &&
		slices.Equal(m.Node("rows").Out[0].Shape, []int{m.Value("ids").Len(), c}) &&
		isConv(m.Node("depthwise"), 3, c, c) && isConv(m.Node("pointwise"), 1, 2*c, 1) && !m.Node("unpack").Op.(graph.TileUnpackFusion).Blend
}

func scansForHeavyPath(m lower.Match) bool {
	forward, backward := m.Node("forward").Op.(graph.TileSSMScan), m.Node("backward")
	if forward.Backward || backward == nil {
		return !forward.Backward
	}
	other := backward.Op.(graph.TileSSMScan)
	c := m.Value("dense").Shape[1]
	return other.Backward && other.Clamp == forward.Clamp && slices.Equal(m.Value("gate").Shape, []int{c}) && slices.Equal(m.Value("rest").Shape, []int{c})
}

// isLinear tells whether a node is x·Wᵀ + bias with constant weights and a bias for each of n outputs, or none.
func isLinear(n *lower.Node, outputs int) bool {
	bias := n.Input(2)
	return n.Op.(graph.Gemm).TransB && n.In[1].Constant && n.Out[0].Shape[1] == outputs && (bias == nil || slices.Equal(bias.Shape, []int{outputs}))
}

// isConv tells whether a node is a convolution of stride 1 with a square kernel that keeps the size.
func isConv(n *lower.Node, side, outputs, groups int) bool {
	op, w, pad := n.Op.(graph.Conv), n.In[1], side/2
	return op.Group == groups && op.Strides == [2]int{1, 1} && op.Pads == [4]int{pad, pad, pad, pad} &&
		w.Constant && w.Shape[0] == outputs && w.Shape[2] == side && w.Shape[3] == side
}

// isNumber tells whether a value is one constant number, which is x.
func isNumber(v *lower.Value, x float32) bool {
	return v.Data != nil && v.Len() == 1 && v.DType == tensor.Float32 && tensor.Data[float32](v.Data)[0] == x
}

// Factor returns the operand of a product or a sum that is not the first result of a node.
func Factor(product, of *lower.Node) *lower.Value {
	if product.In[0] == of.Out[0] {
		return product.In[1]
	}
	return product.In[0]
}
