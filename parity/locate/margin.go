package locate

import (
	"math"
	"strings"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/parity/budget"
)

// marginOf is what a side's way to compute a unit adds to its budget.
func (t *trace) marginOf(side Side, u *unitTrace) budget.Margin {
	if side.Backend == t.spec.Candidate.Backend {
		return t.margin(u)
	}
	return t.referenceMargin(u)
}

// margin is that of the candidate, whose step the unit is.
func (t *trace) margin(u *unitTrace) budget.Margin {
	if u.Step == nil {
		return budget.Margin{}
	}
	return marginOfStep(u.Step)
}

// referenceMargin is that of the reference, which executes the unit in steps of its own: the widest of theirs.
func (t *trace) referenceMargin(u *unitTrace) (m budget.Margin) {
	for _, n := range u.Nodes {
		if s := t.referenceSteps[n.Name]; s != nil {
			of := marginOfStep(s)
			m = budget.Margin{Store: max(m.Store, of.Store), Times: max(m.Times, of.Times), Tile: max(m.Tile, of.Tile)}
		}
	}
	return m
}

// storeOf is half a unit of the format in which a backend keeps what a step computes natively in a low precision.
func storeOf(s *backends.Step) float64 {
	if s.Level != backends.Native || s.Precision.Format() == graph.TF32 { // which is read, and never stored
		return 0
	}
	layout, err := s.Precision.Format().Layout()
	if err != nil {
		return 0 // a precision without a format
	}
	return math.Ldexp(1, -layout.Significand)
}

// marginOfStep is what a step says of its arithmetic. That it takes Winograd's algorithm it says in the name of its operator.
func marginOfStep(s *backends.Step) budget.Margin {
	m := budget.Margin{Store: storeOf(s), Times: 1}
	if strings.HasPrefix(s.Op, "Winograd") {
		m.Times, m.Tile = budget.Winograd, budget.WinogradTile
	}
	return m
}
