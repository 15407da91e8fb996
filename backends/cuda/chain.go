package cuda

import (
	"slices"
	"strings"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/lower"
	"github.com/apex-x/apexx/kernels"
)

// normEpsilon is that of the normalisations in the kernels of the network.
const normEpsilon = 1e-5

// chain lets convolutions hand maps to each other. Where nothing but a GroupNorm with SiLU reads what a convolution computes, and nothing but one
// convolution reads that, the first one stores a map and the pieces of its moments, and the second one normalises what it loads: one launch for
// what were a conversion, two passes over the map and a convolution.
//
// A value that is tapped or an output cannot stay inside of a map: that chain is not made, and the program says so in Split.
func (c *compiler) chain(p *lower.Program) {
	op := string(c.convOp())
	u := newUses(p)
	mapped := map[*lower.Value]bool{}
	for _, source := range []string{string(opMap), opRoundMap} {
		p.Fuse([]lower.Rule{{
			Name: "Norm" + op,
			Pattern: lower.Pattern{Op: op, Role: "conv", In: []lower.Pattern{
				{Op: source, Role: "map", In: []lower.Pattern{{Op: "GroupNormSiLU", Role: "normalised"}}},
			}},
			Where:    func(m lower.Match) bool { return c.chains(m, u) },
			Unstored: []string{"map", "normalised"},
		}})
	}
	var chains []*lower.Node
	for _, n := range p.Nodes {
		if n.Op.OpType() == "Norm"+op {
			chains = append(chains, n)
			mapped[n.Part("norm").In[0]] = true
		}
	}
	for _, producer := range []string{op, "Norm" + op} {
		p.Fuse([]lower.Rule{{
			Name:    opConvRound,
			Pattern: lower.Pattern{Op: "Round", Role: "round", In: []lower.Pattern{{Op: producer, Role: "conv"}}},
			Where:   func(m lower.Match) bool { return mapped[m.Node("round").Out[0]] },
		}})
	}
	for _, n := range chains {
		y := n.Part("norm").In[0]
		moments := &lower.Value{Name: y.Name + " moments", DType: y.DType, Shape: []int{0}, Producer: y.Producer}
		y.Producer.Out = append(y.Producer.Out, moments)
		c.maps[y], c.moments[y] = mapFormat(c.rounded), moments
	}
	for _, n := range p.Nodes { // a fused node may have become another one's part: what reads y is who covers the normalisation
		if norm := n.Part("norm"); norm != nil && c.moments[norm.In[0]] != nil {
			n.In = append(n.In, c.moments[norm.In[0]])
		}
	}
}

const opConvRound = "ConvTensorRound"

// chains tells whether the convolution that computes what is normalised can store it as a map.
func (c *compiler) chains(m lower.Match, u uses) bool {
	norm := m.Node("normalised").Part("norm")
	op, y := norm.Op.(graph.GroupNormalization), norm.In[0]
	if c.convs[m.Node("conv").Name].Image || op.Groups != 1 || op.Epsilon != normEpsilon || y.Shape[1]%8 != 0 || y.Shape[1] > kernels.MaxChannels {
		return false
	}
	from := y.Producer
	inside := append([]*lower.Value{y}, slices.Concat(m.Node("map").Aside(), m.Node("normalised").Aside())...)
	if f := mapFormat(c.rounded); f.MapBytes() == 2 && from != nil { // a map in memory is rounded, and the graph says where
		if from.Op.OpType() != "Round" {
			return false
		}
		inside, from = append(inside, from.In[0]), from.In[0].Producer
	}
	if from == nil || !strings.HasSuffix(from.Op.OpType(), string(c.convOp())) {
		return false
	}
	for _, v := range inside {
		switch {
		case u.nodes[v] > 1:
			return false
		case u.kept[v]:
			c.split = append(c.split, lower.Split{Node: m.Node("conv").Name, Rule: "Norm" + string(c.convOp()), Value: v.Name})
			return false
		}
	}
	return true
}

// uses counts the nodes that read each value, and tells which are outputs or taps.
type uses struct {
	nodes map[*lower.Value]int
	kept  map[*lower.Value]bool
}

func newUses(p *lower.Program) uses {
	u := uses{map[*lower.Value]int{}, map[*lower.Value]bool{}}
	for _, n := range p.Nodes {
		for _, v := range n.In {
			u.nodes[v]++
		}
	}
	for _, o := range p.Outputs {
		u.kept[o.Value] = true
	}
	return u
}
