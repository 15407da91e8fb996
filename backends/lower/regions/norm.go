package regions

import (
	"slices"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/lower"
)

// A normalisation becomes one step with its activation:
//
//   - SiLU: x·Sigmoid(x).
//   - GroupNormSiLU: the SiLU of a GroupNormalization.
//   - GroupNormGate: GroupNormalization → Split in halves a, b → a·Relu(b) (spec/model.md 3.1), and that + residual.
const (
	SiLU          = "SiLU"
	GroupNormSiLU = "GroupNormSiLU"
	GroupNormGate = "GroupNormGate"
)

// NormRules has the rules for normalisations. Each step can store what it covers, so that none has Unstored roles.
func NormRules() []lower.Rule {
	halves := func(output int) lower.Pattern {
		p := of("Split", "split")
		p.Where, p.Output = splitsInHalves, output
		return p
	}
	norm := of("GroupNormalization", "norm")
	split := halves(0)
	split.In = []lower.Pattern{norm}
	gated := of(GroupNormGate, "gated")
	gated.Where = hasNoResidual
	return []lower.Rule{
		{Name: SiLU, Pattern: commuting("Mul", "silu", of("Sigmoid", "sigmoid", value("x")), value("x"))},
		{Name: GroupNormSiLU, Pattern: of(SiLU, "silu", norm)},
		{Name: GroupNormGate, Pattern: commuting("Mul", "gate", split, of("Relu", "relu", halves(1)))},
		{Name: GroupNormGate, Where: addsResidual, Pattern: commuting("Add", "sum", gated, value("residual"))},
	}
}

func hasNoResidual(gated *lower.Node) bool { return gated.Part("sum") == nil }

func addsResidual(m lower.Match) bool {
	return slices.Equal(m.Node("gated").Out[0].Shape, m.Value("residual").Shape)
}

// Residual returns what a GroupNormGate adds, or nil where it adds nothing.
func Residual(n *lower.Node) *lower.Value {
	sum := n.Part("sum")
	if sum == nil {
		return nil
	}
	return Factor(sum, n.Part("gate"))
}

// splitsInHalves tells whether a node splits channels into two equal parts.
func splitsInHalves(n *lower.Node) bool {
	op := n.Op.(graph.Split)
	return op.Axis == 1 && len(op.Sizes) == 2 && op.Sizes[0] == op.Sizes[1]
}
