package gate

import (
	"cmp"
	"slices"
)

// CellStates lists the states of cells, worst first.
var CellStates = []CellState{CellParityFailed, CellQualityLost, CellRegressed, CellBroken, CellUnverified, CellNoisy, CellUnconfirmed, CellUnsupported, CellCleared, CellFaster, CellClear}

// Worst returns the cells with the worst first: by state, and within a state by the ratio, the slowest first and those without
// an estimate last. A nil verdict has none.
func (v *Verdict) Worst() []Cell {
	if v == nil {
		return nil
	}
	cells := slices.Clone(v.Cells)
	slices.SortStableFunc(cells, func(a, b Cell) int {
		return cmp.Or(cmp.Compare(a.State.rank(), b.State.rank()), cmp.Compare(b.ratio(), a.ratio()))
	})
	return cells
}

// rank is the place of a state in CellStates; one that is not of this version comes first, since nothing is known of it.
func (s CellState) rank() int { return slices.Index(CellStates, s) }

func (c Cell) ratio() float64 {
	if e := c.Final(); e != nil {
		return e.Ratio
	}
	return 0
}
