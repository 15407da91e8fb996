// Package regions finds the parts of Apex-X that become one step, for all executors that have a kernel for them: the rules of a normalisation with its
// activation (norm.go), of a level of the heavy path (heavy.go) and of what is computed of each box (boxes.go), and the parts with several
// results, which no rule describes (join.go). But for normalisations the conditions are those of the kernels in kernels/ (ops_heavy.cuh, ops_boxes.cuh,
// ops_route.cuh), whoever launches them.
package regions

import (
	"slices"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/lower"
)

// Rules has the rules of the heavy path and of boxes for a graph that is lowered to a format, "" for none. Join comes before them.
func Rules(f graph.Format) []lower.Rule {
	return slices.Concat(heavyRules(rounds{f}), boxRules(rounds{f}))
}
