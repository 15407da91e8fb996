package parity

import (
	"strings"

	"github.com/apex-x/apexx/backends/graph"
)

// DecisionTaps names the taps of a graph that tell a wrong decision from a tie: the dense predictions behind the detections, and
// the ranking of the parents of level 2.
func DecisionTaps(g *graph.Graph) []string {
	var names []string
	for _, t := range g.Taps {
		if strings.HasPrefix(t.Name, "det.") || strings.HasPrefix(t.Name, "router.l1.") {
			names = append(names, t.Name)
		}
	}
	return names
}

// RankedDecisions names the decisions of a graph that scores ranked, in which honest executions may differ. Orders follow from them
// without rounding, so that replay leaves them to be computed, and compared.
func RankedDecisions(g *graph.Graph) []string {
	var names []string
	for _, d := range g.Decisions {
		if len(d.Scores) > 0 {
			names = append(names, d.Name())
		}
	}
	return names
}
