package cuda

import (
	"fmt"
	"slices"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/lower"
	"github.com/apex-x/apexx/backends/lower/regions"
)

// rulesOf says which chains of nodes become one step in a session that rounds to a format, in this order:
//
//  0. A level of the heavy path becomes HeavyPath, what is computed of each box BoxVector, UnitBoxVector and PrototypeMasks (package regions).
//  1. x·Sigmoid(x) becomes SiLU.
//  2. SiLU of a GroupNormalization becomes part of it.
//  3. GroupNormalization → Split in halves a, b → a·Relu(b) becomes GroupNormGate (spec/model.md 3.1), and so does that + residual.
//  4. SelectDetections → DecodeBoxes of what it keeps becomes Detections.
//
// A value that is tapped inside of a chain is computed once more, by the nodes that lead to it: no rule has Unstored roles.
func rulesOf(f graph.Format) []lower.Rule {
	return slices.Concat(regions.Rules(f), normRules, detectionRules())
}

var normRules = []lower.Rule{
	{Name: "SiLU", Pattern: lower.Pattern{Op: "Mul", Role: "silu", Commutes: true, In: []lower.Pattern{
		{Op: "Sigmoid", Role: "sigmoid", In: []lower.Pattern{{Role: "x"}}}, {Role: "x"},
	}}},
	{Name: "GroupNormSiLU", Pattern: lower.Pattern{Op: "SiLU", Role: "silu", In: []lower.Pattern{norm}}},
	{Name: "GroupNormGate", Pattern: lower.Pattern{Op: "Mul", Role: "gate", Commutes: true, In: []lower.Pattern{
		{Op: "Split", Role: "split", Where: regions.SplitsInHalves, In: []lower.Pattern{norm}},
		{Op: "Relu", Role: "relu", In: []lower.Pattern{{Op: "Split", Role: "split", Output: 1, Where: regions.SplitsInHalves}}},
	}}},
	{Name: "GroupNormGate", Where: addsResidual, Pattern: lower.Pattern{Op: "Add", Role: "sum", Commutes: true, In: []lower.Pattern{
		{Op: "GroupNormGate", Role: "gated", Where: hasNoResidual}, {Role: "residual"},
	}}},
}

var norm = lower.Pattern{Op: "GroupNormalization", Role: "norm"}

func hasNoResidual(gated *lower.Node) bool { return gated.Part("sum") == nil }

func addsResidual(m lower.Match) bool {
	return slices.Equal(m.Node("gated").Out[0].Shape, m.Value("residual").Shape)
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

// detectionRules has a rule for each number of levels.
func detectionRules() []lower.Rule {
	var rules []lower.Rule
	for levels := 1; levels <= maxLevels; levels++ {
		var predictions []lower.Pattern
		for i := range 3 * levels {
			predictions = append(predictions, lower.Pattern{Role: fmt.Sprint("prediction ", i)})
		}
		kept := lower.Pattern{Op: "SelectDetections", Role: "select", In: predictions, Where: func(n *lower.Node) bool { return len(n.In) == 3*levels }}
		count := lower.Pattern{Op: "SelectDetections", Role: "select", Output: 1}
		rules = append(rules, lower.Rule{
			Name: "Detections", Where: decodesSelected, Pattern: lower.Pattern{Op: "DecodeBoxes", Role: "decode", In: append(slices.Clone(predictions), kept, count)},
		})
	}
	return rules
}

func decodesSelected(m lower.Match) bool {
	s, d := m.Node("select").Op.(graph.SelectDetections), m.Node("decode").Op.(graph.DecodeBoxes)
	return slices.Equal(s.Strides, d.Strides) && s.ImageHeight == d.ImageHeight && s.ImageWidth == d.ImageWidth
}
