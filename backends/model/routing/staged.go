package routing

import (
	"cmp"
	"fmt"
	"slices"
)

// TwoStageParams asks for L0 tiles under budget B1 and splits of picked L0 tiles into L1 tiles under B2.
type TwoStageParams struct {
	Utilities, Costs               []float64 // per L0 tile id, all finite
	SplitUtilities, SplitOverheads []float64 // per L0 tile id; only those of picked tiles must be finite
	B1, B2                         float64   // budgets, finite and >= 0; B2 pays split overheads only
	KMaxL0, KMaxL1                 int       // capacities, >= 0
	GridH, GridW                   int       // the L0 grid
}

// ThreeStageParams adds splits of picked L1 tiles into L2 tiles under B3.
type ThreeStageParams struct {
	TwoStageParams
	SplitUtilitiesL1, SplitOverheadsL1 []float64 // per L1 tile id of the whole L1 grid
	B3                                 float64   // finite and >= 0; pays split overheads only
	KMaxL2                             int       // >= 0
}

// SplitStage says which tiles were split and the finer tiles that came of it.
type SplitStage struct {
	Parents      []int   // split tiles, in the order of acceptance; they stay picked on their own level too
	ParentOrder  []int   // all candidates, by split utility per overhead descending, then id ascending
	Spent        float64 // sum of the overheads of Parents
	Indices      []int   // children of Parents, four each in the order of Children
	Ordered      []int   // Indices in the order of OrderTiles
	GridH, GridW int     // the grid of the children
	Buffer       []int   // Ordered, then Pad up to the capacity
	ValidCount   int     // len(Ordered)
}

// TwoStageResult is the outcome of [TwoStage].
type TwoStageResult struct {
	L0 GreedyResult
	L1 SplitStage
}

// ThreeStageResult is the outcome of [ThreeStage].
type ThreeStageResult struct {
	TwoStageResult
	L2 SplitStage
}

// TwoStage picks L0 tiles with [Greedy], then splits some of them. Candidates are the picked tiles by split utility per
// overhead; each is skipped if its overhead passes what is left of B2 (with the slack of 1e-9) or if its four children pass
// KMaxL1, else split. Nothing is split, and the split values are not looked at, when no tile was picked, KMaxL1
// is 0 or B2 is exactly 0. Source: spec 9.
//
// Unlike the original, it requires one L0 value for every tile of the grid.
func TwoStage(p TwoStageParams) (TwoStageResult, error) {
	if err := checkBudget("budget_b2", p.B2); err != nil {
		return TwoStageResult{}, err
	}
	if err := checkCapacity("kmax_l1", p.KMaxL1); err != nil {
		return TwoStageResult{}, err
	}
	n := len(p.Utilities)
	if len(p.Costs) != n || len(p.SplitUtilities) != n || len(p.SplitOverheads) != n {
		return TwoStageResult{}, fmt.Errorf("%d utilities, %d costs, %d split utilities and %d split overheads: must have the same length",
			n, len(p.Costs), len(p.SplitUtilities), len(p.SplitOverheads))
	}
	if err := checkGrid(p.GridH, p.GridW); err != nil {
		return TwoStageResult{}, err
	}
	if n != p.GridH*p.GridW {
		return TwoStageResult{}, fmt.Errorf("%d L0 utilities for a grid of %dx%d tiles: want the full L0 grid size %d",
			n, p.GridH, p.GridW, p.GridH*p.GridW)
	}
	l0, err := Greedy(p.Utilities, p.Costs, p.B1, p.KMaxL0)
	if err != nil {
		return TwoStageResult{}, fmt.Errorf("select L0 tiles: %w", err)
	}
	l1, err := split(splitRequest{l0.Selected, p.SplitUtilities, p.SplitOverheads, p.B2, p.KMaxL1, p.GridH, p.GridW})
	if err != nil {
		return TwoStageResult{}, fmt.Errorf("split L0 tiles: %w", err)
	}
	return TwoStageResult{l0, l1}, nil
}

// ThreeStage runs [TwoStage] and then, by the same rules, splits picked L1 tiles into L2 tiles. The L1 split values are
// indexed by L1 tile id and cover the full L1 grid; they are checked after the first two stages. Source: spec 10.
func ThreeStage(p ThreeStageParams) (ThreeStageResult, error) {
	if err := checkBudget("budget_b3", p.B3); err != nil {
		return ThreeStageResult{}, err
	}
	if err := checkCapacity("kmax_l2", p.KMaxL2); err != nil {
		return ThreeStageResult{}, err
	}
	two, err := TwoStage(p.TwoStageParams)
	if err != nil {
		return ThreeStageResult{}, err
	}
	if len(p.SplitUtilitiesL1) != len(p.SplitOverheadsL1) {
		return ThreeStageResult{}, fmt.Errorf("%d L1 split utilities and %d overheads: must have the same length",
			len(p.SplitUtilitiesL1), len(p.SplitOverheadsL1))
	}
	if want := two.L1.GridH * two.L1.GridW; len(p.SplitUtilitiesL1) != want {
		return ThreeStageResult{}, fmt.Errorf("%d L1 split utilities: want the full L1 grid size %d", len(p.SplitUtilitiesL1), want)
	}
	l2, err := split(splitRequest{two.L1.Ordered, p.SplitUtilitiesL1, p.SplitOverheadsL1, p.B3, p.KMaxL2, two.L1.GridH, two.L1.GridW})
	if err != nil {
		return ThreeStageResult{}, fmt.Errorf("split L1 tiles: %w", err)
	}
	return ThreeStageResult{two, l2}, nil
}

// splitRequest is one splitting stage: candidates in a grid, values by tile id.
type splitRequest struct {
	candidates           []int
	utilities, overheads []float64
	budget               float64
	kmax                 int
	gridH, gridW         int
}

// split is the stage shared by both levels.
func split(r splitRequest) (SplitStage, error) {
	s := SplitStage{GridH: 2 * r.gridH, GridW: 2 * r.gridW}
	if len(r.candidates) == 0 || r.kmax == 0 || r.budget == 0 {
		s.Buffer = padTo(nil, r.kmax)
		return s, nil
	}
	var err error
	if s.ParentOrder, err = splitOrder(r.candidates, r.utilities, r.overheads); err != nil {
		return SplitStage{}, err
	}
	for _, id := range s.ParentOrder {
		children, err := Children(id, r.gridH, r.gridW)
		if err != nil {
			return SplitStage{}, err
		}
		if s.Spent+r.overheads[id] > r.budget+eps || len(s.Indices)+len(children) > r.kmax {
			continue
		}
		s.Parents = append(s.Parents, id)
		s.Spent += r.overheads[id]
		s.Indices = append(s.Indices, children[:]...)
	}
	if s.Ordered, err = OrderTiles(s.Indices, s.GridH, s.GridW); err != nil {
		return SplitStage{}, err
	}
	s.ValidCount = len(s.Ordered)
	s.Buffer = padTo(s.Ordered, r.kmax)
	return s, nil
}

// splitOrder sorts candidates by split utility per overhead descending, then id ascending.
func splitOrder(candidates []int, utilities, overheads []float64) ([]int, error) {
	for _, id := range candidates {
		if !finite(utilities[id]) || !finite(overheads[id]) {
			return nil, fmt.Errorf("tile %d has split utility %v and overhead %v: both must be finite", id, utilities[id], overheads[id])
		}
	}
	order := slices.Clone(candidates)
	slices.SortFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(scoreOf(utilities[b], overheads[b]), scoreOf(utilities[a], overheads[a])), cmp.Compare(a, b))
	})
	return order, nil
}
