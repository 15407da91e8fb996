// Package regions finds the parts of Apex-X that an executor with kernels of ours computes in a few launches: the rules of a level of the heavy path
// (heavy.go) and of what is computed of each box (boxes.go), and the parts with several results, which no rule describes (join.go). The conditions are those
// of the kernels (kernels/ops_heavy.cuh, ops_boxes.cuh, ops_route.cuh), whoever launches them.
package regions

import (
	"slices"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/lower"
)

// Rules has the rules for a graph that is lowered to a format, "" for none. Join comes before them.
func Rules(f graph.Format) []lower.Rule {
	return slices.Concat(heavyRules(rounds{f}), boxRules(rounds{f}))
}
