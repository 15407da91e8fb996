package routing

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// eps has two uses in selection: the smallest denominator of a score, and the slack of a budget.
const eps = 1e-9

// Pad fills the unused slots of a fixed-capacity buffer of tile ids.
const Pad = -1

// GreedyResult is the outcome of a selection among N tiles.
type GreedyResult struct {
	Selected   []int     // accepted ids, in the order of acceptance
	Spent      float64   // sum of their costs, at most the budget + 1e-9
	Candidates []int     // all N ids, by score descending, then id ascending
	Scores     []float64 // [N] utility per cost, by id
	Buffer     []int     // [kmax] Selected, then Pad
	ValidCount int       // len(Selected)
}

// Greedy selects tiles by utility per cost. The score of tile i is utilities[i]/max'(costs[i]), with costs of at most 1e-9
// taken as 1e-9. Candidates are walked by score descending, id ascending; a tile is accepted if spent + cost <= budget + 1e-9
// (with the raw cost), otherwise skipped; the walk stops once kmax tiles are accepted. Source: spec 8.2.
//
// Utilities and costs may be negative, and there is no threshold: zero and negative utilities are accepted while room
// remains. The sum of the costs may pass the budget by 1e-9 at most. budget must be finite and >= 0, kmax >= 0, the slices
// equally long and finite.
func Greedy(utilities, costs []float64, budget float64, kmax int) (GreedyResult, error) {
	if err := checkBudget("budget", budget); err != nil {
		return GreedyResult{}, err
	}
	if err := checkCapacity("kmax", kmax); err != nil {
		return GreedyResult{}, err
	}
	if len(utilities) != len(costs) {
		return GreedyResult{}, fmt.Errorf("%d utilities and %d costs: must have the same length", len(utilities), len(costs))
	}
	r := GreedyResult{Scores: make([]float64, len(utilities))}
	for i, u := range utilities {
		if !finite(u) || !finite(costs[i]) {
			return GreedyResult{}, fmt.Errorf("tile %d has utility %v and cost %v: both must be finite", i, u, costs[i])
		}
		r.Scores[i] = scoreOf(u, costs[i])
	}
	r.Candidates = rank(r.Scores)
	for _, id := range r.Candidates {
		if len(r.Selected) == kmax {
			break
		}
		if r.Spent+costs[id] <= budget+eps {
			r.Selected = append(r.Selected, id)
			r.Spent += costs[id]
		}
	}
	r.ValidCount = len(r.Selected)
	r.Buffer = padTo(r.Selected, kmax)
	return r, nil
}

// RankTiles returns the tile ids by score descending, then id ascending. Scores must be finite. Source: spec 8.3.
func RankTiles(scores []float64) ([]int, error) {
	for i, s := range scores {
		if !finite(s) {
			return nil, fmt.Errorf("score %v of tile %d: must be finite", s, i)
		}
	}
	return rank(scores), nil
}

// padTo returns the first kmax ids followed by Pad, kmax entries in all. Source: spec 8.1.
func padTo(ids []int, kmax int) []int {
	out := slices.Repeat([]int{Pad}, kmax)
	copy(out, ids)
	return out
}

func scoreOf(utility, cost float64) float64 {
	if cost > eps {
		return utility / cost
	}
	return utility / eps
}

// rank sorts ids by score descending; the stable sort of ascending ids breaks ties by id. -0 equals 0, and scores may be
// infinite by overflow but not NaN.
func rank(scores []float64) []int {
	ids := make([]int, len(scores))
	for i := range ids {
		ids[i] = i
	}
	slices.SortStableFunc(ids, func(a, b int) int { return cmp.Compare(scores[b], scores[a]) })
	return ids
}

func checkBudget(name string, v float64) error {
	if !finite(v) || v < 0 {
		return fmt.Errorf("%s is %v: must be finite and >= 0", name, v)
	}
	return nil
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
