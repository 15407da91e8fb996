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
//  1. A level of the heavy path becomes HeavyPath, what is computed of each box BoxVector, UnitBoxVector and PrototypeMasks (package regions).
//  2. What follows a GroupNormalization becomes part of it: GroupNormSiLU, GroupNormGate (package regions).
//  3. SelectDetections → DecodeBoxes of what it keeps becomes Detections.
//
// A value that is tapped inside of a chain is computed once more, by the nodes that lead to it: no rule has Unstored roles.
func rulesOf(f graph.Format) []lower.Rule {
	return slices.Concat(regions.Rules(f), regions.NormRules(), detectionRules())
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
